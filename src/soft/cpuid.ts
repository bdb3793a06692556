/**
 * CPUID (SDM 2A, table 3-8): what the engines' processor says of itself. Only what exists is announced, and what is not
 * announced raises #UD. OSXSAVE and the size of the XSAVE area depend on the guest: the CPUID instruction adds them.
 *
 * It is an in-order model (family 6, model 1Ch) on purpose: kernels know that such a processor does not speculate and leave
 * out their mitigations, which would cost time and protect nothing here. Time-stamp counter and local APIC timer both run
 * at 1 GHz, and leaf 15h says so, so that no kernel needs to measure either against a PIT.
 */
import type { CpuidModel, VcpuId } from '../contracts/index.ts';
import { CPU_FEATURES, type CpuidRegister, featuresOf } from '../x86/features.ts';
import { PHYSICAL_ADDRESS_BITS } from './access.ts';
import { LINE_BYTES } from './code-pages.ts';

export interface CpuidOptions {
  readonly vcpuId: VcpuId;
  /** Of the partition: one package, one thread per core. */
  readonly vcpus: number;
  /** Names from x86/features.ts. Absent: all of x86-64-v2, and what exists beside it. */
  readonly features?: ReadonlySet<string>;
}

const FAMILY = 6;
const MODEL = 0x1c;
const STEPPING = 10;
const VENDOR = 'GenuineIntel';
const BRAND = 'Bulkhead virtual processor @ 1.00GHz';
const HYPERVISOR = 'BulkheadHV';

const LAST_BASIC_LEAF = 0x16;
const LAST_EXTENDED_LEAF = 0x8000_0008;
const LAST_HYPERVISOR_LEAF = 0x4000_0000;
const CACHE_LINE_BYTES = 64;
const LINEAR_ADDRESS_BITS = 48;
const CRYSTAL_HZ = 1_000_000_000;
const MEGAHERTZ = 1000;

const FEATURE_HTT = 1 << 28;

/** Leaf Dh: x87 and SSE state, in the legacy region, and the header behind it (SDM 1 §13.4). */
const XSAVE_COMPONENTS = 0b11;
const XSAVE_AREA_BYTES = 576;

type Leaf = readonly [eax: number, ebx: number, ecx: number, edx: number];
const ABSENT: Leaf = [0, 0, 0, 0];
/** Lines of 64 bytes; interrupts end MWAIT even while they are masked, when asked to; one C1 state, no deeper ones. */
const MONITOR_LEAF: Leaf = [LINE_BYTES, LINE_BYTES, 0b11, 0x10];

export function createCpuidModel({ vcpuId, vcpus, features = featuresOf() }: CpuidOptions): CpuidModel {
  const leaves = describe(vcpuId, vcpus, features);
  const extendedState = describeExtendedState(features);
  const caches = describeCaches(vcpus);
  const lastBasic = leaves.get(LAST_BASIC_LEAF) as Leaf;
  return {
    lookup(leaf, subleaf, out) {
      let found: Leaf | undefined;
      if (leaf === 4) found = caches[subleaf];
      else if (leaf === 0xb) found = topology(vcpuId, vcpus, subleaf);
      else if (leaf === 0xd) found = extendedState[subleaf];
      else if (leaf === 7 && subleaf !== 0) found = ABSENT;
      // A basic leaf that is too high gives the highest (SDM 2A, CPUID).
      else found = leaves.get(leaf) ?? (leaf < 0x4000_0000 && leaf > LAST_BASIC_LEAF ? lastBasic : undefined);
      out.set(found ?? ABSENT);
    },
  };
}

function describe(vcpuId: number, vcpus: number, features: ReadonlySet<string>): ReadonlyMap<number, Leaf> {
  const bits = (leaf: number, register: CpuidRegister): number => featureBits(features, leaf, 0, register);
  const signature = (FAMILY << 8) | ((MODEL >> 4) << 16) | ((MODEL & 15) << 4) | STEPPING;
  const [vendorB, vendorD, vendorC] = words(VENDOR, 3);
  const [hypervisorB, hypervisorC, hypervisorD] = words(HYPERVISOR, 3);
  const brand = words(BRAND, 12);
  return new Map<number, Leaf>([
    [0, [LAST_BASIC_LEAF, vendorB as number, vendorC as number, vendorD as number]],
    [
      1,
      [
        signature,
        (vcpuId << 24) | (vcpus << 16) | ((CACHE_LINE_BYTES / 8) << 8),
        bits(1, 'ecx'),
        bits(1, 'edx') | (vcpus > 1 ? FEATURE_HTT : 0),
      ],
    ],
    // "Ask leaf 4" (SDM 2A, table 3-12).
    [2, [0x0000_ff01, 0, 0, 0]],
    [5, features.has('monitor') ? MONITOR_LEAF : ABSENT],
    [7, [0, bits(7, 'ebx'), bits(7, 'ecx'), bits(7, 'edx')]],
    [0x15, [1, 1, CRYSTAL_HZ, 0]],
    [0x16, [MEGAHERTZ, MEGAHERTZ, 100, 0]],
    [LAST_HYPERVISOR_LEAF, [LAST_HYPERVISOR_LEAF, hypervisorB as number, hypervisorC as number, hypervisorD as number]],
    [0x8000_0000, [LAST_EXTENDED_LEAF, 0, 0, 0]],
    [0x8000_0001, [0, 0, bits(0x8000_0001, 'ecx'), bits(0x8000_0001, 'edx')]],
    [0x8000_0002, brand.slice(0, 4) as unknown as Leaf],
    [0x8000_0003, brand.slice(4, 8) as unknown as Leaf],
    [0x8000_0004, brand.slice(8, 12) as unknown as Leaf],
    // 256 KiB of L2, 8-way.
    [0x8000_0006, [0, 0, (256 << 16) | (6 << 12) | CACHE_LINE_BYTES, 0]],
    [0x8000_0007, [0, 0, 0, bits(0x8000_0007, 'edx')]],
    [0x8000_0008, [PHYSICAL_ADDRESS_BITS | (LINEAR_ADDRESS_BITS << 8), 0, 0, 0]],
  ]);
}

/** Leaf 4: L1 data and instruction caches of 32 KiB, and an L2 of 256 KiB, of each core. */
function describeCaches(vcpus: number): readonly Leaf[] {
  return [cache(1, 1, vcpus, 8, 64), cache(2, 1, vcpus, 8, 64), cache(3, 2, vcpus, 8, 512)];
}

function cache(type: number, level: number, vcpus: number, ways: number, sets: number): Leaf {
  const selfInitializing = 1 << 8;
  return [type | (level << 5) | selfInitializing | ((vcpus - 1) << 26), (CACHE_LINE_BYTES - 1) | ((ways - 1) << 22), sets - 1, 0];
}

/** Leaf Bh: one thread per core, all cores in one package. EDX is the x2APIC identifier at every subleaf. */
function topology(vcpuId: number, vcpus: number, subleaf: number): Leaf {
  const coreBits = Math.ceil(Math.log2(vcpus));
  if (subleaf === 0) return [0, 1, 1 << 8, vcpuId];
  if (subleaf === 1) return [coreBits, vcpus, (2 << 8) | 1, vcpuId];
  return [0, 0, subleaf & 0xff, vcpuId];
}

/** Subleaves 0 and 1 of leaf Dh; no component has a place of its own behind the header, so there are no others. */
function describeExtendedState(features: ReadonlySet<string>): readonly Leaf[] {
  if (!features.has('xsave')) return [];
  return [
    [XSAVE_COMPONENTS, XSAVE_AREA_BYTES, XSAVE_AREA_BYTES, 0],
    [featureBits(features, 0xd, 1, 'eax'), XSAVE_AREA_BYTES, 0, 0],
  ];
}

function featureBits(features: ReadonlySet<string>, leaf: number, subleaf: number, register: CpuidRegister): number {
  let bits = 0;
  for (const [name, feature] of CPU_FEATURES) {
    const isHere = feature.leaf === leaf && (feature.subleaf ?? 0) === subleaf && feature.register === register;
    if (isHere && features.has(name)) bits |= 1 << feature.bit;
  }
  return bits >>> 0;
}

/** ASCII, four characters a word, zero-padded. */
function words(text: string, count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    let word = 0;
    for (let j = 0; j < 4; j++) word |= (text.charCodeAt(i * 4 + j) || 0) << (j * 8);
    return word >>> 0;
  });
}
