/**
 * CPUID (SDM 2A, table 3-8): what the engines' processor says of itself. Only what exists is announced.
 *
 * It is an in-order model (family 6, model 1Ch) on purpose: kernels know that such a processor does not speculate and leave
 * out their mitigations, which would cost time and protect nothing here. Time-stamp counter and local APIC timer both run
 * at 1 GHz, and leaf 15h says so, so that no kernel needs to measure either against a PIT.
 */
import type { CpuidModel, VcpuId } from '../contracts/index.ts';
import { PHYSICAL_ADDRESS_BITS } from './access.ts';

export interface CpuidOptions {
  readonly vcpuId: VcpuId;
  /** Of the partition: one package, one thread per core. */
  readonly vcpus: number;
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

/** Leaf 1. */
const FEATURES_ECX = bits({ cmpxchg16b: 13, x2apic: 21, tscDeadline: 24, hypervisor: 31 });
const FEATURES_EDX = bits({
  fpu: 0,
  pse: 3,
  tsc: 4,
  msr: 5,
  pae: 6,
  cmpxchg8b: 8,
  apic: 9,
  sep: 11,
  mtrr: 12,
  pge: 13,
  cmov: 15,
  pat: 16,
  pse36: 17,
  clflush: 19,
  mmx: 23,
  fxsr: 24,
  sse: 25,
  sse2: 26,
});
const FEATURE_HTT = 1 << 28;
/** Leaf 7, subleaf 0. */
const STRUCTURED_EBX = bits({ fsgsbase: 0, tscAdjust: 1, smep: 7, enhancedRepMovsb: 9 });
const STRUCTURED_EDX = bits({ archCapabilities: 29 });
/** Leaf 80000001h. */
const EXTENDED_ECX = bits({ lahf64: 0, prefetchw: 8 });
const EXTENDED_EDX = bits({ syscall: 11, noExecute: 20, pages1GiB: 26, rdtscp: 27, longMode: 29 });
/** Leaf 80000007h. */
const INVARIANT_TSC = bits({ invariantTsc: 8 });

type Leaf = readonly [eax: number, ebx: number, ecx: number, edx: number];
const ABSENT: Leaf = [0, 0, 0, 0];

export function createCpuidModel({ vcpuId, vcpus }: CpuidOptions): CpuidModel {
  const leaves = describe(vcpuId, vcpus);
  const caches = describeCaches(vcpus);
  const lastBasic = leaves.get(LAST_BASIC_LEAF) as Leaf;
  return {
    lookup(leaf, subleaf, out) {
      let found: Leaf | undefined;
      if (leaf === 4) found = caches[subleaf];
      else if (leaf === 0xb) found = topology(vcpuId, vcpus, subleaf);
      else if (leaf === 7 && subleaf !== 0) found = ABSENT;
      // A basic leaf that is too high gives the highest (SDM 2A, CPUID).
      else found = leaves.get(leaf) ?? (leaf < 0x4000_0000 && leaf > LAST_BASIC_LEAF ? lastBasic : undefined);
      out.set(found ?? ABSENT);
    },
  };
}

function describe(vcpuId: number, vcpus: number): ReadonlyMap<number, Leaf> {
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
        FEATURES_ECX,
        FEATURES_EDX | (vcpus > 1 ? FEATURE_HTT : 0),
      ],
    ],
    // "Ask leaf 4" (SDM 2A, table 3-12).
    [2, [0x0000_ff01, 0, 0, 0]],
    [7, [0, STRUCTURED_EBX, 0, STRUCTURED_EDX]],
    [0x15, [1, 1, CRYSTAL_HZ, 0]],
    [0x16, [MEGAHERTZ, MEGAHERTZ, 100, 0]],
    [LAST_HYPERVISOR_LEAF, [LAST_HYPERVISOR_LEAF, hypervisorB as number, hypervisorC as number, hypervisorD as number]],
    [0x8000_0000, [LAST_EXTENDED_LEAF, 0, 0, 0]],
    [0x8000_0001, [0, 0, EXTENDED_ECX, EXTENDED_EDX]],
    [0x8000_0002, brand.slice(0, 4) as unknown as Leaf],
    [0x8000_0003, brand.slice(4, 8) as unknown as Leaf],
    [0x8000_0004, brand.slice(8, 12) as unknown as Leaf],
    // 256 KiB of L2, 8-way.
    [0x8000_0006, [0, 0, (256 << 16) | (6 << 12) | CACHE_LINE_BYTES, 0]],
    [0x8000_0007, [0, 0, 0, INVARIANT_TSC]],
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

function bits(features: Readonly<Record<string, number>>): number {
  return Object.values(features).reduce((sum, bit) => (sum | (1 << bit)) >>> 0, 0);
}

/** ASCII, four characters a word, zero-padded. */
function words(text: string, count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    let word = 0;
    for (let j = 0; j < 4; j++) word |= (text.charCodeAt(i * 4 + j) || 0) << (j * 8);
    return word >>> 0;
  });
}
