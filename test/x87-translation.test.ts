/**
 * x87 code translated, with the register stack in locals, against the same code interpreted: random programs with loops, branches
 * and calls, in which the stack rises, falls, over- and underflows. `BULKHEAD_CASES` programs (default 12), from `BULKHEAD_SEED`.
 */
import { describe, expect, it } from 'vitest';
import { MiB } from '../src/base/index.ts';
import { ExitReason } from '../src/contracts/index.ts';
import { type BareVcpu, bareVcpu, longModeState } from './support/bare-vcpu.ts';

const CODE = 0x10_0000;
const DATA = 0x20_0000;
const STACK = 0x30_0000;
const RESULTS = 0x60;
const IMAGE_BYTES = 108 + 512;
const LOOPS = 4000;
/** Lookups that make a block hot: each program is interpreted for a while before. */
const HOT_AFTER = LOOPS / 8;
const MOST_INSTRUCTIONS = 4_000_000;

const interpreted = bareVcpu(4 * MiB, { translation: 'none' });
const translated = bareVcpu(4 * MiB, { translation: 'immediate', hotAfter: HOT_AFTER });

const count = Number(process.env['BULKHEAD_CASES'] ?? 12);
const seed = Number(process.env['BULKHEAD_SEED'] ?? Date.now() & 0x7fff_ffff);

/** A multiplicative hash over a counter. */
function randomFrom(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b_79f5) | 0;
    const x = Math.imul(state ^ (state >>> 15), 1 | state);
    return ((Math.imul(x ^ (x >>> 13), 0x85eb_ca6b) ^ (x >>> 16)) >>> 0) % below;
  };
}
type Random = ReturnType<typeof randomFrom>;

/** `[rbx+n]`: two doubles, a single, integers, an extended; what is stored goes behind them. */
const LOADS = [[0xdd, 0x43, 0x00], [0xdd, 0x43, 0x08], [0xd9, 0x43, 0x10], [0xdb, 0x43, 0x14], [0xdf, 0x43, 0x18], [0xdf, 0x6b, 0x20], [0xdb, 0x6b, 0x30]];
const STORES = [[0xdd, 0x5b, 0x40], [0xd9, 0x5b, 0x48], [0xdb, 0x5b, 0x4c], [0xdf, 0x5b, 0x50], [0xdf, 0x7b, 0x58], [0xdd, 0x4b, 0x58]];
/** fadd, fmul, fcom, fsub, fsubr, fdiv, fdivr by ModRM.reg of D8 and DC. */
const ARITHMETIC = [0, 1, 2, 4, 5, 6, 7];

/** One instruction and by how much the stack falls. Denormals, infinities and the like come up by themselves. */
function instruction(random: Random): readonly [code: readonly number[], popped: number] {
  const sti = random(4);
  const reg = (ARITHMETIC[random(ARITHMETIC.length)] as number) << 3;
  switch (random(20)) {
    case 0: case 1: return [LOADS[random(LOADS.length)] as number[], -1];
    case 2: return [[0xd9, 0xe8 + random(7)], -1]; // fld1 … fldz
    case 3: return [[0xd9, 0xc0 + sti], -1];
    case 4: return [STORES[random(STORES.length - 1)] as number[], 1];
    case 5: return [[0xdd, 0xd8 + sti], 1]; // fstp st(i)
    case 6: return [[0xdd, 0xd0 + sti], 0]; // fst st(i)
    case 7: case 8: return [[0xd8, 0xc0 | reg | sti], 0];
    case 9: return [[0xdc, (reg === 0x10 ? 0xc0 : 0xc0 | reg) | sti], 0];
    case 10: return [[0xde, (reg === 0x10 ? 0xc0 : 0xc0 | reg) | (1 + random(3))], 1];
    case 11: return [[[0xd8, 0xdc, 0xda][random(3)] as number, 0x43 | reg, [0x10, 0x08, 0x14][random(3)] as number], 0];
    case 12: case 13: return [[0xd9, 0xc8 + sti], 0]; // fxch
    case 14: return [[0xd9, [0xe0, 0xe1, 0xe4, 0xe5, 0xfa, 0xfc, 0xfd][random(7)] as number], 0];
    case 15: return random(2) === 0 ? [[0xdb, 0xe8 + sti], 0] : [[0xdf, 0xe8 + sti], 1]; // fucomi, fucomip
    case 16: return [[0xda, 0xc0 + random(32)], 0]; // fcmovcc
    case 17: return [[[0xdf, 0xe0], [0x9b], [0xdb, 0xe2], [0xd9, 0xd0], [0xd9, 0x7b, 0x5c], [0xdd, 0x7b, 0x5e]][random(6)] as number[], 0];
    case 18: return random(6) === 0 ? [[0xdd, 0xc0 + sti], 0] : [[0xd9, 0xc9], 0]; // ffree
    default: break;
  }
  switch (random(12)) {
    case 0: return [[0x0f, 0x6f, 0x03, 0x0f, 0x77], 0]; // movq mm0, [rbx]; emms
    case 1: return [[0xda, 0xe9], 2]; // fucompp
    case 2: case 3: return [[0xd9, 0xf6 + random(2)], 0]; // fdecstp, fincstp
    default: return [[0xd9, 0xe1], 0]; // fabs
  }
}

/** Instructions after which the stack mostly is as high as before. */
function sequence(random: Random, length: number): number[] {
  const code: number[] = [];
  let height = 0;
  for (let i = 0; i < length; i++) {
    const [bytes, popped] = instruction(random);
    code.push(...bytes);
    height -= popped;
  }
  for (; height > 0; height--) code.push(0xdd, 0xd8);
  for (; height < 0; height++) code.push(0xd9, 0xe8);
  if (random(8) === 0) code.push(0xdd, 0xd8);
  return code;
}

const near = (n: number): number[] => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, (n >> 24) & 0xff];

/** A loop with a branch on its counter's bits and a call of a function that may leave a number behind. */
function program(random: Random): Uint8Array {
  const callee = [...sequence(random, 3), ...(random(2) ? [0xd9, 0xee] : []), 0xc3];
  const calls = random(2) === 0;
  const aside = sequence(random, 1 + random(4));
  const setup = [
    0xdb, 0xe3, // fninit
    ...(random(3) === 0 ? [0xd9, 0x6b, 0x1c] : []), // fldcw [rbx+0x1c]
    ...Array.from({ length: 2 + random(3) }, () => LOADS[random(LOADS.length)] as number[]).flat(),
    0xb9, ...near(LOOPS), // mov ecx, LOOPS
  ];
  const head = [...sequence(random, 2 + random(8)), 0xf7, 0xc1, ...near(1 << random(3)), 0x74, aside.length, ...aside]; // test ecx, n; jz
  const tail = sequence(random, 1 + random(5));
  const call = calls ? [0xe8, 0, 0, 0, 0] : [];
  const loop = [...head, ...call, ...tail];
  const back = [0xff, 0xc9, 0x0f, 0x85, ...near(-(loop.length + 8))]; // dec ecx; jnz
  const end = [
    0x9c, 0x8f, 0x43, RESULTS, // pushf; pop [rbx+RESULTS]
    0x0f, 0xae, 0x83, ...near(0x100), // fxsave [rbx+0x100]
    0xdd, 0xb3, ...near(0x300), // fnsave [rbx+0x300]
    0xf4, // hlt
  ];
  const code = [...setup, ...loop, ...back, ...end];
  if (calls) {
    const at = setup.length + head.length;
    code.splice(at + 1, 4, ...near(code.length - (at + 5)));
  }
  return Uint8Array.from([...code, ...callee]);
}

function run({ memory, vcpu, changed }: BareVcpu, code: Uint8Array, data: Uint8Array): readonly string[] {
  memory.write(CODE, code);
  changed(CODE, code.length);
  memory.write(DATA, data);
  const state = longModeState(vcpu, { rip: BigInt(CODE), rflags: 2n });
  vcpu.writeState({ ...state, gpr: state.gpr.map(() => 0n).with(3, BigInt(DATA)).with(4, BigInt(STACK)) });
  let retired = 0;
  let reason: ExitReason = ExitReason.Budget;
  while (reason === ExitReason.Budget && retired < MOST_INSTRUCTIONS) {
    reason = vcpu.run(100_000);
    retired += vcpu.retired;
  }
  const { gpr, rip } = vcpu.readState();
  const bytes = memory.read(DATA, 0x300 + IMAGE_BYTES) as Uint8Array;
  return [`${reason}, ${retired} retired, RIP ${rip}`, gpr.join(), Buffer.from(bytes).toString('hex')];
}

function operands(random: Random): Uint8Array {
  const data = new Uint8Array(0x300 + IMAGE_BYTES);
  const view = new DataView(data.buffer);
  view.setFloat64(0, (random(2000) - 1000) / 64 + 0.1, true);
  view.setFloat64(8, random(8) === 0 ? 0 : 1 + 2 ** -20 * random(1000), true);
  view.setFloat32(0x10, random(1000) / 8, true);
  view.setInt32(0x14, random(2000) - 1000, true);
  view.setInt16(0x18, random(200) - 100, true);
  view.setUint16(0x1c, 0x7f | (random(4) << 8) | (random(4) << 10), true);
  view.setInt32(0x20, random(0x7fff_ffff), true);
  view.setBigUint64(0x30, (1n << 63n) | BigInt(random(0x7fff_ffff)), true);
  view.setUint16(0x38, 0x3ff0 + random(32), true);
  return data;
}

describe(`random x87 programs, seed ${seed}`, () => {
  it('leave the same numbers, tags, status, pointers, flags and counts when they are translated', () => {
    const wrong: string[] = [];
    for (let i = 0; i < count; i++) {
      const random = randomFrom(seed + i);
      const code = program(random);
      const data = operands(random);
      const [expected, found] = [run(interpreted, code, data), run(translated, code, data)];
      if (expected.some((line, n) => line !== found[n])) wrong.push(`program ${seed + i}: ${Buffer.from(code).toString('hex')}`);
    }
    expect(wrong).toEqual([]);
  }, 600_000);

  it('would notice another operand', () => {
    const random = randomFrom(seed);
    const code = program(random);
    const data = operands(random);
    const expected = run(interpreted, code, data);
    data[0] = (data[0] as number) ^ 1;
    expect(run(interpreted, code, data)).not.toEqual(expected);
  });
});
