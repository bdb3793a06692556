// What a kernel executes at each of its entries and exits is generated code where nothing about it is unusual, and a system operation where something
// is. Nobody must be able to tell. Generated code finds descriptors through the TLB: where that does not have them yet, it gives up.
import { beforeEach, describe, expect, it } from 'vitest';
import type { PhysicalMemory, Vcpu, VcpuState } from '../contracts/index.ts';
import { createSoftEngine } from './index.ts';
import { silentWiring } from './testing.ts';

const CODE = 0x1000;
const IDT = 0x2000;
const GDT = 0x3000;
const ELSEWHERE = 0x4000;
const HANDLER = 0x5000;
const TARGET = 0x6000;
const STACK = 0x8000;
const USER_STACK = 0x9000;

/** By selector, less RPL. */
const DESCRIPTORS: ReadonlyMap<number, bigint> = new Map([
  [0x08, 0x00cf9b000000ffffn], // code, level 0
  [0x10, 0x00cf93000000ffffn], // data, level 0
  [0x18, 0x00cffb000000ffffn], // code, level 3
  [0x20, 0x00cff3000000ffffn], // data, level 3
  [0x28, 0x12cff3345678ffffn], // data with a base
  [0x30, 0x0040f30070000fffn], // data of 4 KiB
  [0x38, 0x00cf97000000ffffn], // data that expands down
  [0x40, 0x00cf13000000ffffn], // not present
  [0x48, 0x00cf92000000ffffn], // not accessed yet
  [0x50, 0x00cf99000000ffffn], // code that cannot be read
  [0x58, 0x00cf89000000ffffn], // a TSS
  [0x60, 0x00cf91000000ffffn], // data that cannot be written
  [0x68, 0x00af9b000000ffffn], // 64-bit code, level 0
  [0x70, 0x00affb000000ffffn], // 64-bit code, level 3
  [0x78, 0x00dffb000000ffffn], // code, level 3, the bit for the system's use
]);
const LIMIT = 0x7f;
const SELECTORS = [0, 3, ...[...DESCRIPTORS.keys()].flatMap((selector) => [selector, selector | 3]), 0x14, 0x80];

let memory: PhysicalMemory;
let vcpu: Vcpu;

const put = (at: number, bytes: readonly number[]): void => void memory.write(at, Uint8Array.from(bytes));
const little = (value: number | bigint, size: number): number[] => Array.from({ length: size }, (_, n) => Number((BigInt(value) >> BigInt(8 * n)) & 0xffn));
const segment = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });

beforeEach(() => {
  const engine = createSoftEngine();
  memory = engine.createMemory([{ base: 0, size: 0x10_0000, access: 'rw' }], 1);
  vcpu = engine.createVm(memory, 1, { log: () => undefined }).createVcpu(0, silentWiring());
});

interface Setting {
  readonly is64Bit: boolean;
  readonly data: VcpuState['segments']['ds'];
  readonly flags?: bigint;
}
const KERNEL_DATA = segment(0x10, 0xc093);
const USER_DATA = segment(0x23, 0xc0f3);

/** Everything that can be told apart behind the instruction, when the GDT was read just before it (`isNear`) or was not. */
function after(instruction: readonly number[], frame: readonly (number | bigint)[], { is64Bit, data, flags = 2n }: Setting, isNear: boolean): unknown {
  const size = is64Bit ? 8 : 4;
  for (const [selector, descriptor] of DESCRIPTORS) put(GDT + selector, little(descriptor, 8));
  for (let vector = 0; vector < 32; vector++) {
    const gate = [...little(HANDLER, 2), ...little(is64Bit ? 0x68 : 0x08, 2), 0, 0x8e, 0, 0];
    put(IDT + vector * gate.length * (is64Bit ? 2 : 1), is64Bit ? [...gate, ...little(0, 8)] : gate);
  }
  // MOV EDX, [EBX]: one of two pages; XOR EDX, EDX; the instruction, and a word at the end.
  put(CODE, [0x8b, 0x13, 0x31, 0xd2, ...instruction, 0xeb, 0xfe]);
  for (const at of [HANDLER, TARGET]) put(at, [0xeb, 0xfe]);
  put(STACK, frame.flatMap((word) => little(word, size)));
  const before = vcpu.readState();
  vcpu.writeState({
    ...before, rip: BigInt(CODE), rflags: flags, cr0: 0x11n, efer: is64Bit ? 0x500n : 0n,
    gpr: before.gpr.map((_, n) => (n === 4 ? BigInt(STACK) : n === 3 ? BigInt(isNear ? GDT : ELSEWHERE) : n === 0 ? BigInt(frame[0] ?? 0) : 0n)),
    segments: { ...before.segments, cs: is64Bit ? segment(0x68, 0xa09b) : segment(0x08, 0xc09b), ss: KERNEL_DATA, ds: data, es: data, fs: data, gs: data },
    gdtr: { base: BigInt(GDT), limit: LIMIT }, idtr: { base: BigInt(IDT), limit: 0xfff },
  });
  vcpu.run(4);
  const { gpr, ...state } = vcpu.readState();
  return { ...state, gpr: gpr.with(3, 0n), retired: vcpu.retired, stack: [...memory.read(STACK - 64, 128)!], descriptors: [...memory.read(GDT, LIMIT + 1)!] };
}

function expectNoDifference(instruction: readonly number[], frame: readonly (number | bigint)[], setting: Setting): void {
  expect(after(instruction, frame, setting, true)).toEqual(after(instruction, frame, setting, false));
}

describe.each([['32-bit', false], ['64-bit', true]] as const)('%s code that loads a segment register', (_, is64Bit) => {
  const moves = { 'MOV ES': [0x8e, 0xc0], 'MOV DS': [0x8e, 0xd8], 'MOV FS': [0x8e, 0xe0], 'MOV GS': [0x8e, 0xe8], 'MOV SS': [0x8e, 0xd0], 'POP FS': [0x0f, 0xa1], 'POP GS': [0x0f, 0xa9] };
  it.each(Object.entries(is64Bit ? moves : { ...moves, 'POP ES': [0x07], 'POP DS': [0x1f] }))('%s: of any kind, near or far', (_name, instruction) => {
    for (const selector of SELECTORS) expectNoDifference(instruction, [selector], { is64Bit, data: KERNEL_DATA });
    for (const selector of SELECTORS) expectNoDifference(instruction, [selector], { is64Bit, data: segment(0, 0x1_0000) });
  });
});

describe.each([['IRETD', false], ['IRETQ', true]] as const)('%s', (_, is64Bit) => {
  const instruction = is64Bit ? [0x48, 0xcf] : [0xcf];
  const [kernel, user] = is64Bit ? [0x68, 0x73] : [0x08, 0x1b];
  const frames = (code: number, flags: number, stack: number): (number | bigint)[] => [TARGET, code, flags, USER_STACK, stack];

  it('returns to code and stack of any kind, near or far', () => {
    for (const data of [KERNEL_DATA, USER_DATA, segment(0, 0x1_0000)]) {
      for (const code of SELECTORS) expectNoDifference(instruction, frames(code, 0x202, (code & 3) === 3 ? 0x23 : 0x10), { is64Bit, data });
      for (const stack of SELECTORS) expectNoDifference(instruction, frames(user, 0x202, stack), { is64Bit, data });
      for (const stack of SELECTORS) expectNoDifference(instruction, frames(kernel, 0x202, stack), { is64Bit, data });
    }
  });

  it('takes flags of any kind, near or far', () => {
    for (let bit = 0; bit < 22; bit++) {
      for (const code of [kernel, user]) {
        // RF is gone when the next instruction has been executed.
        const frame = frames(code, 2 | (1 << bit), code === user ? 0x23 : 0);
        expectNoDifference(instruction, frame, { is64Bit, data: USER_DATA });
        expectNoDifference(instruction, frame, { is64Bit, data: USER_DATA, flags: 0x3ad7n });
      }
    }
  });

  it('is told by what it does, not only by being the same twice', () => {
    const { rip, rflags, segments, gpr } = after(instruction, frames(user, 0x3246, 0x23), { is64Bit, data: USER_DATA }, true) as VcpuState;
    expect([rip, rflags, gpr[4]]).toEqual([BigInt(TARGET), 0x3246n, BigInt(USER_STACK)]);
    expect([segments.cs.selector, segments.ss.selector, segments.ss.attributes]).toEqual([user, 0x23, 0xc0f3]);
  });

  it('goes nowhere when the address is not canonical', () => {
    if (is64Bit) expectNoDifference(instruction, [0x8000_0000_0000n, user, 2, USER_STACK, 0x23], { is64Bit, data: USER_DATA });
    expectNoDifference(instruction, [-1, user, 2, USER_STACK, 0x23], { is64Bit, data: USER_DATA });
  });
});
