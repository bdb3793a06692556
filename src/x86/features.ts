/**
 * The features of the processor, once: where CPUID announces each (SDM 2A table 3-8), and which level of the x86-64 psABI asks
 * for it. CPUID's leaves, the manifest's names and what the instruction table's `cpuid:` attributes name are derived from it.
 * A feature stands here when it exists; what CPUID does not announce raises #UD.
 *
 * Names are those of Linux's /proc/cpuinfo, where Linux has one.
 */

export type CpuidRegister = 'eax' | 'ebx' | 'ecx' | 'edx';

export interface CpuFeature {
  readonly leaf: number;
  readonly subleaf?: number;
  readonly register: CpuidRegister;
  readonly bit: number;
  /** `base`: the architecture itself, nothing runs without it. `v2`: asked for by x86-64-v2. `extra`: no level says. */
  readonly kind: 'base' | 'v2' | 'extra';
  /** Features without which it cannot be there. */
  readonly needs?: readonly string[];
}

type Place = readonly [leaf: number, register: CpuidRegister, subleaf?: number];
const EXTENDED = 0x8000_0001;

function at([leaf, register, subleaf]: Place, kind: CpuFeature['kind'], bits: Readonly<Record<string, number>>): [string, CpuFeature][] {
  return Object.entries(bits).map(([name, bit]) => [name, { leaf, register, bit, kind, ...(subleaf === undefined ? {} : { subleaf }) }]);
}

const NEEDS: Readonly<Record<string, readonly string[]>> = {
  invpcid: ['pcid'],
  ssse3: ['sse3'],
  sse4_1: ['ssse3'],
  sse4_2: ['sse4_1'],
  xsaveopt: ['xsave'],
  xsavec: ['xsave'],
  xgetbv1: ['xsave'],
};

const ROWS: readonly [string, CpuFeature][] = [
  ...at([1, 'edx'], 'base', {
    fpu: 0, pse: 3, tsc: 4, msr: 5, pae: 6, cx8: 8, apic: 9, sep: 11, mtrr: 12, pge: 13, cmov: 15, pat: 16, pse36: 17,
    clflush: 19, mmx: 23, fxsr: 24, sse: 25, sse2: 26,
  }),
  ...at([EXTENDED, 'edx'], 'base', { syscall: 11, nx: 20, lm: 29 }),
  ...at([1, 'ecx'], 'base', { hypervisor: 31 }),
  ...at([1, 'ecx'], 'v2', { sse3: 0, ssse3: 9, cx16: 13, sse4_1: 19, sse4_2: 20, popcnt: 23 }),
  ...at([EXTENDED, 'ecx'], 'v2', { lahf_lm: 0 }),
  ...at([1, 'edx'], 'extra', { vme: 1, de: 2, mce: 7, mca: 14 }),
  ...at([1, 'ecx'], 'extra', { monitor: 3, pcid: 17, x2apic: 21, movbe: 22, tsc_deadline_timer: 24, xsave: 26 }),
  ...at([7, 'ebx'], 'extra', { fsgsbase: 0, tsc_adjust: 1, smep: 7, erms: 9, invpcid: 10, smap: 20 }),
  ...at([7, 'ecx'], 'extra', { umip: 2 }),
  ...at([7, 'edx'], 'extra', { arch_capabilities: 29 }),
  ...at([0xd, 'eax', 1], 'extra', { xsaveopt: 0, xsavec: 1, xgetbv1: 2 }),
  ...at([EXTENDED, 'ecx'], 'extra', { '3dnowprefetch': 8 }),
  ...at([EXTENDED, 'edx'], 'extra', { pdpe1gb: 26, rdtscp: 27 }),
  ...at([0x8000_0007, 'edx'], 'extra', { nonstop_tsc: 8 }),
];

export const CPU_FEATURES: ReadonlyMap<string, CpuFeature> = new Map(
  ROWS.map(([name, feature]) => [name, NEEDS[name] === undefined ? feature : { ...feature, needs: NEEDS[name] }]),
);

/** Levels of the x86-64 psABI (§3.1.1, table 3.1) that there are, and the one that is meant where none is named. */
export const CPU_LEVELS = ['x86-64', 'x86-64-v2'] as const;
export type CpuLevel = (typeof CPU_LEVELS)[number];
export const DEFAULT_CPU_LEVEL: CpuLevel = 'x86-64-v2';

/** Features that may be chosen: the others are the architecture itself. */
export const CHOOSABLE_FEATURES: readonly string[] = [...CPU_FEATURES].filter(([, { kind }]) => kind !== 'base').map(([name]) => name);

/**
 * What a processor of `level` has, with single features put in (`true`) or left out (`false`). Names that are not known, or
 * not choosable, are ignored; what needs a feature that is not there is not there either.
 */
export function featuresOf(level: CpuLevel = DEFAULT_CPU_LEVEL, choices: Readonly<Record<string, boolean>> = {}): ReadonlySet<string> {
  const present = new Set<string>();
  // The table has every feature behind those it needs.
  for (const [name, { kind, needs }] of CPU_FEATURES) {
    const wanted = kind === 'base' || ((Object.hasOwn(choices, name) ? choices[name] : undefined) ?? (kind === 'extra' || level !== 'x86-64'));
    if (wanted && (needs ?? []).every((other) => present.has(other))) present.add(name);
  }
  return present;
}

/** The features that a processor announces; `lookup` is its CPUID, leaf and subleaf to EAX, EBX, ECX, EDX. */
export function announcedFeatures(lookup: (leaf: number, subleaf: number, out: Uint32Array) => void): ReadonlySet<string> {
  const out = new Uint32Array(4);
  const registers: readonly CpuidRegister[] = ['eax', 'ebx', 'ecx', 'edx'];
  const present = new Set<string>();
  for (const [name, { leaf, subleaf = 0, register, bit }] of CPU_FEATURES) {
    lookup(leaf, subleaf, out);
    if (((out[registers.indexOf(register)] as number) >>> bit) & 1) present.add(name);
  }
  return present;
}
