// What lies at the end of the address space: operands that cross 4 GiB outside 64-bit mode (SDM 3A §5.3; what processors do), and near
// branches beyond the limit of CS.
import { describe, expect, it } from 'vitest';
import { ExitReason, type Vcpu, type VcpuState } from '../contracts/index.ts';
import { GENERAL_PROTECTION, STACK_FAULT } from '../x86/vectors.ts';
import { createSoftEngine } from './index.ts';
import { silentWiring } from './testing.ts';

const CODE = 0x1000;
const flat = (selector: number, attributes: number, base = 0n): VcpuState['segments']['cs'] => ({
  selector, base, limit: 0xffff_ffff, attributes,
});

/** Runs 32-bit code without an interrupt table: the exception it ends in (−1: none), and the vCPU. */
function run(hex: string, { gsBase = 0n, instructions = 8, codeLimit = 0xffff_ffff } = {}): readonly [exception: number, vcpu: Vcpu] {
  const engine = createSoftEngine();
  const memory = engine.createMemory([{ base: 0, size: 0x1_0000, access: 'rw' }], 1);
  const vcpu = engine.createVm(memory, 1, { log: () => undefined }).createVcpu(0, silentWiring({
    io: { read: (_space, _address, size) => 2 ** (size * 8) - 1, write: () => undefined },
  }));
  const code = `${hex} eb fe`;
  memory.write(CODE, Uint8Array.from(code.trim().split(/\s+/), (byte) => Number.parseInt(byte, 16)));
  const before = vcpu.readState();
  const data = flat(16, 0xc093);
  vcpu.writeState({
    ...before, cr0: 1n, cr4: 0x600n, rip: BigInt(CODE), rflags: 2n, idtr: { base: 0n, limit: 0 },
    gpr: before.gpr.map(() => 0n),
    segments: { ...before.segments, cs: { ...flat(8, 0xc09b), limit: codeLimit }, ss: data, ds: data, es: data, fs: data, gs: flat(16, 0xc093, gsBase) },
  });
  const exception = vcpu.run(instructions) === ExitReason.Shutdown ? Number(/exception (\d+)/.exec(vcpu.detail)?.[1]) : -1;
  return [exception, vcpu];
}

const ESP_2 = 'bc 02 00 00 00';
const ESP_TOP = 'bc fe ff ff ff';

describe('an operand that crosses 4 GiB', () => {
  it.each([
    ['MOV from memory', 'a1 fe ff ff ff', GENERAL_PROTECTION],
    ['MOV to memory', 'a3 fe ff ff ff', GENERAL_PROTECTION],
    ['through SS', '36 a1 fe ff ff ff', STACK_FAULT],
    ['with EBP as its base', 'bd fe ff ff ff  8b 45 00', STACK_FAULT],
    ['PUSH', `${ESP_2} 50`, STACK_FAULT],
    ['CALL', `${ESP_2} e8 00 00 00 00`, STACK_FAULT],
    ['POP', `${ESP_TOP} 58`, STACK_FAULT],
    ['RET', `${ESP_TOP} c3`, STACK_FAULT],
    ['PUSHA', `${ESP_2} 60`, STACK_FAULT],
    ['POP to memory', 'bc 00 20 00 00  8f 05 fe ff ff ff', GENERAL_PROTECTION],
    ['PUSH from memory', 'bc 00 20 00 00  ff 35 fe ff ff ff', GENERAL_PROTECTION],
    ['MOVS', 'be fe ff ff ff  bf 00 20 00 00  a5', GENERAL_PROTECTION],
    ['REP STOS', 'b9 03 00 00 00  bf fa ff ff ff  f3 ab', GENERAL_PROTECTION],
    ['FLD of 8 bytes', 'dd 05 fc ff ff ff', GENERAL_PROTECTION],
    ['FLD of 10 bytes, though both of its parts are whole', 'db 2d f8 ff ff ff', GENERAL_PROTECTION],
    ['MOVUPS', '0f 10 05 f8 ff ff ff', GENERAL_PROTECTION],
    ['CMPXCHG8B', '0f c7 0d fc ff ff ff', GENERAL_PROTECTION],
    ['FXSAVE', '0f ae 05 00 ff ff ff', GENERAL_PROTECTION],
  ])('%s', (_, code, vector) => {
    expect(run(code)[0]).toBe(vector);
  });

  it('may end there', () => {
    expect(run('a1 fc ff ff ff  a3 fc ff ff ff')[0]).toBe(-1);
    const [exception, vcpu] = run('50', { instructions: 1 });
    expect([exception, vcpu.readState().gpr[4]]).toEqual([-1, 0xffff_fffcn]);
  });

  it('goes on at 0 where only the segment’s base takes it there', () => {
    const [exception, vcpu] = run('c7 05 00 00 00 00 34 12 00 00  65 a1 ee ff ff ff', { gsBase: 0x10n });
    expect([exception, vcpu.readState().gpr[0]]).toEqual([-1, 0x1234_ffffn]);
  });
});

// SDM 2, JMP, CALL, RET, Jcc, LOOP: #GP(0) if the target lies beyond the limit of CS, and the instruction can be restarted.
describe('a near branch beyond the limit of CS', () => {
  const RCX = 1, RSP = 4;

  it.each([
    ['JMP', 'e9 fb 1f 00 00', 0],
    ['JMP through a register', 'b8 00 30 00 00  ff e0', 5],
    ['Jcc', '31 c0  0f 84 00 20 00 00', 2],
    ['CALL', 'bc 00 20 00 00  e8 f6 1f 00 00', 5, 0x2000n],
    ['CALL through memory', 'bc 00 20 00 00  c7 05 00 08 00 00 00 30 00 00  ff 15 00 08 00 00', 15, 0x2000n],
    ['RET', 'bc 00 20 00 00  68 00 30 00 00  c3', 10, 0x1ffcn],
    ['RET that releases parameters', 'bc 00 20 00 00  68 00 30 00 00  c2 08 00', 10, 0x1ffcn],
  ])('%s raises #GP itself, and the stack pointer is as it was', (_, code, at, stackPointer = 0n) => {
    const [exception, vcpu] = run(code, { codeLimit: 0x1fff });
    expect([exception, vcpu.readState().rip, vcpu.readState().gpr[RSP]]).toEqual([GENERAL_PROTECTION, BigInt(CODE + at), stackPointer]);
  });

  it('LOOP has counted nothing', () => {
    const [exception, vcpu] = run('b9 05 00 00 00  e2 7f', { codeLimit: CODE + 0x10 });
    expect([exception, vcpu.readState().rip, vcpu.readState().gpr[RCX]]).toEqual([GENERAL_PROTECTION, BigInt(CODE + 5), 5n]);
  });

  it('that is not taken is none: what is beyond the limit is the next instruction', () => {
    const [exception, vcpu] = run('31 c0  75 7f', { codeLimit: CODE + 3 });
    expect([exception, vcpu.readState().rip]).toEqual([GENERAL_PROTECTION, BigInt(CODE + 4)]);
  });
});
