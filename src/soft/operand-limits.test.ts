// Every byte of a memory operand must lie within the limit of its segment (SDM 3A §5.3), however large the operand is.
import { describe, expect, it } from 'vitest';
import { ExitReason, type VcpuState } from '../contracts/index.ts';
import { GENERAL_PROTECTION } from '../x86/vectors.ts';
import { createSoftEngine } from './index.ts';
import { silentWiring } from './testing.ts';

const CODE = 0x1000;
const LIMIT = 0x3fff;
const SETTINGS = 0x600n; // OSFXSR, OSXMMEXCPT

const segment = (selector: number, attributes: number, limit = 0xffff_ffff): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit, attributes });

/** Runs 32-bit code whose DS ends at LIMIT, with EDI = `address`: the exception that it raises, or −1. */
function run(code: readonly number[], address: number, instructions = 1): number {
  const engine = createSoftEngine();
  const memory = engine.createMemory([{ base: 0, size: 0x1_0000, access: 'rw' }], 1);
  const vcpu = engine.createVm(memory, 1, { log: () => undefined }).createVcpu(0, silentWiring({
    io: { read: () => 0xff, write: () => undefined },
  }));
  memory.write(CODE, Uint8Array.from(code));
  const before = vcpu.readState();
  const data = segment(16, 0xc093);
  const ds = segment(24, 0x4093, LIMIT);
  vcpu.writeState({
    ...before, cr0: 0x11n, cr4: SETTINGS, rip: BigInt(CODE), rflags: 2n, idtr: { base: 0n, limit: 0 },
    gpr: before.gpr.map((_, n) => (n === 7 ? BigInt(address) : 0n)),
    segments: { ...before.segments, cs: segment(8, 0xc09b), ss: data, ds, es: data, fs: data, gs: data },
  });
  return vcpu.run(instructions) === ExitReason.Shutdown ? Number(/exception (\d+)/.exec(vcpu.detail)?.[1]) : -1;
}

/** ModRM `[edi]`; the opcode's extension goes above. */
const EDI = 7;
const extension = (n: number): number => (n << 3) | EDI;

describe('an operand at the end of a segment', () => {
  it.each([
    ['MOV, 4 bytes', [0x8b, EDI], 4],
    ['MOV, 2 bytes', [0x66, 0x8b, EDI], 2],
    ['MOV from a segment register, 2 bytes whatever the operand size', [0x8c, extension(3)], 2],
    ['SMSW, 2 bytes', [0x0f, 0x01, extension(4)], 2],
    ['BOUND, two of 4 bytes', [0x62, EDI], 8],
    ['LGDT', [0x0f, 0x01, extension(2)], 6],
    ['CMPXCHG8B', [0x0f, 0xc7, extension(1)], 8],
    ['BT by a number', [0x0f, 0xba, extension(4), 31], 4],
    ['FLD m32', [0xd9, extension(0)], 4],
    ['FLD m64', [0xdd, extension(0)], 8],
    ['FLD m80', [0xdb, extension(5)], 10],
    ['FILD m16', [0xdf, extension(0)], 2],
    ['FISTP m64', [0xdf, extension(7)], 8],
    ['FLDCW', [0xd9, extension(5)], 2],
    ['FNSTSW', [0xdd, extension(7)], 2],
    ['FNSTENV', [0xd9, extension(6)], 28],
    ['FNSTENV with 16-bit operands', [0x66, 0xd9, extension(6)], 14],
    ['FNSAVE', [0xdd, extension(6)], 108],
    ['FNSAVE with 16-bit operands', [0x66, 0xdd, extension(6)], 94],
    ['MOVQ', [0x0f, 0x6f, EDI], 8],
    ['MOVUPS', [0x0f, 0x10, EDI], 16],
    ['MOVSS', [0xf3, 0x0f, 0x10, EDI], 4],
    ['MASKMOVQ, whatever the mask', [0x0f, 0xf7, 0xc1], 8],
  ])('%s', (_, code, bytes) => {
    expect([run(code, LIMIT + 1 - bytes), run(code, LIMIT + 2 - bytes)]).toEqual([-1, GENERAL_PROTECTION]);
  });

  it('is reached by the index of a bit string, which is signed: BT [EDI], ECX', () => {
    const bt = (index: number): number => run([0xb9, ...[0, 8, 16, 24].map((shift) => (index >> shift) & 0xff), 0x0f, 0xa3, (1 << 3) | EDI], LIMIT - 3, 2);
    expect([bt(0), bt(31), bt(32), bt(-1)]).toEqual([-1, -1, GENERAL_PROTECTION, -1]);
  });

  it('is not touched by what names it only: LEA, NOP', () => {
    expect([run([0x8d, EDI], LIMIT + 100), run([0x0f, 0x1f, EDI], LIMIT + 100)]).toEqual([-1, -1]);
  });
});
