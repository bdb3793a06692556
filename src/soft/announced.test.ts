// An instruction that CPUID does not announce does not exist: #UD (SDM 2, "Exceptions" of each instruction).
import { describe, expect, it } from 'vitest';
import { ExitReason, type VcpuState } from '../contracts/index.ts';
import { featuresOf } from '../x86/features.ts';
import { DEVICE_NOT_AVAILABLE, GENERAL_PROTECTION, INVALID_OPCODE } from '../x86/vectors.ts';
import { createCpuidModel, createSoftEngine } from './index.ts';
import { silentWiring } from './testing.ts';

const CODE = 0x1000;
const flat = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });

const PE = 1n;
const TS = 8n;
const OSXSAVE_OSXMMEXCPT_OSFXSR = 0x4_0600n;

/** A vCPU and how to run code on it: 32-bit, without an interrupt table. Gives the exception that was raised, or −1. */
function processor(features: ReadonlySet<string>): (hex: string, cr0?: bigint, instructions?: number) => number {
  const engine = createSoftEngine();
  const memory = engine.createMemory([{ base: 0, size: 0x1_0000, access: 'rw' }], 1);
  const vcpu = engine.createVm(memory, 1, { log: () => undefined }).createVcpu(0, silentWiring({
    io: { read: () => 0xff, write: () => undefined },
    cpuid: createCpuidModel({ vcpuId: 0, vcpus: 1, features }),
  }));
  return (hex, cr0 = PE, instructions = 1) => {
    memory.write(CODE, Uint8Array.from(hex.split(' '), (byte) => Number.parseInt(byte, 16)));
    const before = vcpu.readState();
    const data = flat(16, 0xc093);
    vcpu.writeState({
      ...before,
      cr0,
      cr4: OSXSAVE_OSXMMEXCPT_OSFXSR,
      rip: BigInt(CODE),
      rflags: 2n,
      idtr: { base: 0n, limit: 0 },
      segments: { ...before.segments, cs: flat(8, 0xc09b), ss: data, ds: data, es: data, fs: data, gs: data },
    });
    return vcpu.run(instructions) === ExitReason.Shutdown ? Number(/exception (\d+)/.exec(vcpu.detail)?.[1]) : -1;
  };
}

describe.each([
  ['sse3', 'f2 0f 7c c1'],
  ['ssse3', '66 0f 38 00 c1'],
  ['sse4_1', '66 0f 38 17 c1'],
  ['sse4_2', 'f2 0f 38 f1 c1'],
  ['popcnt', 'f3 0f b8 c1'],
  ['movbe', '0f 38 f0 05 00 20 00 00'],
  ['xsave', '0f 01 d0'],
  ['rdtscp', '0f 01 f9'],
  ['monitor', '0f 01 c8'],
])('%s', (feature, code) => {
  it('can be used when it is announced, and only then', () => {
    expect([processor(featuresOf())(code), processor(featuresOf('x86-64-v2', { [feature]: false }))(code)]).toEqual([-1, INVALID_OPCODE]);
  });
});

// SDM 4 table 2-2: a register exists with its feature. MOV ECX, index; RDMSR.
describe.each([
  ['IA32_TSC_ADJUST', 'tsc_adjust', '3b 00 00 00'],
  ['IA32_ARCH_CAPABILITIES', 'arch_capabilities', '0a 01 00 00'],
  ['IA32_MCG_CAP', 'mca', '79 01 00 00'],
  ['IA32_MCG_STATUS', 'mca', '7a 01 00 00'],
  ['IA32_MC0_CTL', 'mca', '00 04 00 00'],
  ['IA32_TSC_AUX', 'rdtscp', '03 01 00 c0'],
])('%s', (_register, feature, index) => {
  it(`is there when ${feature} is announced, and only then`, () => {
    const read = `b9 ${index} 0f 32`;
    const without = featuresOf('x86-64-v2', { [feature]: false });
    expect([processor(featuresOf())(read, PE, 2), processor(without)(read, PE, 2)]).toEqual([-1, GENERAL_PROTECTION]);
  });
});

describe('parts of XSAVE', () => {
  const GET_IN_USE = 'b9 01 00 00 00 0f 01 d0';
  const RESTORE_COMPACTED = 'c7 05 0c 22 00 00 00 00 00 80 0f ae 2d 00 20 00 00';

  it.each([
    ['XGETBV with ECX = 1', 'xgetbv1', GET_IN_USE],
    ['XRSTOR of the compacted form', 'xsavec', RESTORE_COMPACTED],
  ])('%s raises #GP(0) without %s (SDM 1 §13.2, §13.8)', (_what, feature, code) => {
    const without = featuresOf('x86-64-v2', { [feature]: false });
    expect([processor(featuresOf())(code, PE, 2), processor(without)(code, PE, 2)]).toEqual([-1, GENERAL_PROTECTION]);
  });
});

describe('what is always there', () => {
  it('is not gone with a level: LAHF in 32-bit code, CMPXCHG8B, SSE2', () => {
    for (const code of ['9f', '0f c7 0d 00 20 00 00', '66 0f fc c1']) expect(processor(featuresOf('x86-64'))(code)).toBe(-1);
  });
});

describe('the same SSE code', () => {
  const MOVAPS = '0f 28 c1';
  const CLTS_MOVAPS = '0f 06 0f 28 c1';

  it('faults while CR0.TS is set, and runs when it is clear, as often as that changes', () => {
    const run = processor(featuresOf());
    expect([PE, PE | TS, PE, PE | TS].map((cr0) => run(MOVAPS, cr0))).toEqual([-1, DEVICE_NOT_AVAILABLE, -1, DEVICE_NOT_AVAILABLE]);
  });

  it('runs behind CLTS', () => {
    expect(processor(featuresOf())(CLTS_MOVAPS, PE | TS, 2)).toBe(-1);
  });
});
