// What lies at the end of the address space: operands that cross 4 GiB outside 64-bit mode (SDM 3A §5.3; what processors do).
import { describe, expect, it } from 'vitest';
import { ExitReason, type Vcpu, type VcpuState } from '../contracts/index.ts';
import { GENERAL_PROTECTION, STACK_FAULT } from '../x86/vectors.ts';
import { createCpuidModel, createSoftEngine } from './index.ts';

const CODE = 0x1000;
const flat = (selector: number, attributes: number, base = 0n): VcpuState['segments']['cs'] => ({
  selector, base, limit: 0xffff_ffff, attributes,
});

/** Runs 32-bit flat code without an interrupt table: the exception it ends in (−1: none), and the vCPU. */
function run(hex: string, { gsBase = 0n, instructions = 8 } = {}): readonly [exception: number, vcpu: Vcpu] {
  const engine = createSoftEngine();
  const memory = engine.createMemory([{ base: 0, size: 0x1_0000, access: 'rw' }], 1);
  const vcpu = engine.createVm(memory, 1, { log: () => undefined }).createVcpu(0, {
    io: { read: (_space, _address, size) => 2 ** (size * 8) - 1, write: () => undefined },
    cpuid: createCpuidModel({ vcpuId: 0, vcpus: 1 }),
    acknowledgeInterrupt: () => -1,
    readTaskPriority: () => 0,
    writeTaskPriority: () => undefined,
    readMsr: () => undefined,
    writeMsr: () => false,
    timestamp: () => 0,
  });
  const code = `${hex} eb fe`;
  memory.write(CODE, Uint8Array.from(code.trim().split(/\s+/), (byte) => Number.parseInt(byte, 16)));
  const before = vcpu.readState();
  const data = flat(16, 0xc093);
  vcpu.writeState({
    ...before, cr0: 1n, cr4: 0x600n, rip: BigInt(CODE), rflags: 2n, idtr: { base: 0n, limit: 0 },
    gpr: before.gpr.map(() => 0n),
    segments: { ...before.segments, cs: flat(8, 0xc09b), ss: data, ds: data, es: data, fs: data, gs: flat(16, 0xc093, gsBase) },
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
