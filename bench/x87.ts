/**
 * `node bench/x87.ts [--interpret] [WORD …]`: what one x87 instruction costs on the software engine, in nanoseconds, as the difference
 * between a loop with many of them and the same loop without, in CPU time of this thread. Values stay ordinary: normal numbers, all masked.
 * Words choose the lines whose name has one of them; `--interpret` leaves the translator out.
 */
import { parseArgs } from 'node:util';
import { MiB } from '../src/base/index.ts';
import { ExitReason } from '../src/contracts/index.ts';
import { bareVcpu, longModeState } from '../test/support/bare-vcpu.ts';
import { markdownTable } from './report.ts';

const { values: options, positionals } = parseArgs({ options: { interpret: { type: 'boolean' } }, allowPositionals: true });

const CODE = 0x10_0000;
const DATA = 0x20_0000;
const UNROLLED = 16;
const ROUNDS = 7;
const FEW_LOOPS = 500;
/** Loops are so many that a round takes about this long, ms. */
const ROUND_TIME = 60;

/** ST(0) is 1.5, ST(1) is 1 + 2^-40 before the loop; [rbx] holds doubles and what the loops store, rdi is scratch. */
const CASES: Readonly<Record<string, readonly number[]>> = {
  'fadd st, st(1)': [0xd8, 0xc1],
  'fmul st, st(1)': [0xd8, 0xc9],
  'fdiv st, st(1)': [0xd8, 0xf1],
  'fadd m64': [0xdc, 0x03],
  'fmul m64': [0xdc, 0x4b, 0x08],
  'fdiv m64': [0xdc, 0x73, 0x08],
  'fadd m32': [0xd8, 0x43, 0x10],
  'fiadd m32': [0xda, 0x43, 0x14],
  'fld st(1); fsqrt; fstp st(0)': [0xd9, 0xc1, 0xd9, 0xfa, 0xdd, 0xd8],
  'fld st(1); fstp st(0)': [0xd9, 0xc1, 0xdd, 0xd8],
  'fld m64; fstp m64': [0xdd, 0x03, 0xdd, 0x5b, 0x20],
  'fld m32; fstp m32': [0xd9, 0x43, 0x10, 0xd9, 0x5b, 0x20],
  'fld m80; fstp m80': [0xdb, 0x6b, 0x30, 0xdb, 0x7b, 0x40],
  'fild m32; fistp m32': [0xdb, 0x43, 0x14, 0xdb, 0x5b, 0x20],
  'fld m64; fmul m64; faddp': [0xdd, 0x03, 0xdc, 0x4b, 0x08, 0xde, 0xc1],
  fxch: [0xd9, 0xc9],
  fchs: [0xd9, 0xe0],
  'fcom st(1)': [0xd8, 0xd1],
  'fucomi st, st(1)': [0xdb, 0xe9],
  'fcom st(1); fnstsw ax': [0xd8, 0xd1, 0xdf, 0xe0],
  'fld1; fstp st(0)': [0xd9, 0xe8, 0xdd, 0xd8],
  frndint: [0xd9, 0xfc],
  'fld st(1); frndint; fstp st(0)': [0xd9, 0xc1, 0xd9, 0xfc, 0xdd, 0xd8],
  fsin: [0xd9, 0xfe],
  'fld st(1); f2xm1; fstp st(0)': [0xd9, 0xc1, 0xd9, 0xf0, 0xdd, 0xd8],
  'fxam; fnstsw ax': [0xd9, 0xe5, 0xdf, 0xe0],
  'fnstcw m16; fldcw m16': [0xd9, 0x7b, 0x28, 0xd9, 0x6b, 0x28],
  'addsd xmm0, xmm1': [0xf2, 0x0f, 0x58, 0xc1],
  'mulsd xmm0, [rbx+8]': [0xf2, 0x0f, 0x59, 0x43, 0x08],
  nop: [0x90],
};

const { memory, vcpu, changed } = bareVcpu(4 * MiB, { translation: options.interpret ? 'none' : 'immediate' });

/** CPU time of so many loops, ms. */
function run(body: readonly number[], loops: number): number {
  const unrolled = Array.from({ length: UNROLLED }, () => body).flat();
  const setup = [
    0xdb, 0xe3, // fninit
    0xdd, 0x43, 0x08, // fld qword [rbx+8]
    0xdd, 0x03, // fld qword [rbx]
    0xf2, 0x0f, 0x10, 0x03, // movsd xmm0, [rbx]
    0xf2, 0x0f, 0x10, 0x4b, 0x08, // movsd xmm1, [rbx+8]
    0xb9, loops & 0xff, (loops >> 8) & 0xff, (loops >> 16) & 0xff, loops >>> 24, // mov ecx, loops
  ];
  const end = [0xff, 0xc9, 0x0f, 0x85]; // dec ecx; jnz
  const back = -(unrolled.length + end.length + 4);
  const code = Uint8Array.from([...setup, ...unrolled, ...end, back & 0xff, (back >> 8) & 0xff, (back >> 16) & 0xff, (back >> 24) & 0xff, 0xf4]);
  memory.write(CODE, code);
  changed(CODE, code.length);
  const data = new DataView(new ArrayBuffer(0x50));
  data.setFloat64(0, 1.5 + 2 ** -30, true);
  data.setFloat64(8, 1 + 2 ** -40, true);
  data.setFloat32(0x10, 1.25, true);
  data.setInt32(0x14, 1234, true);
  data.setBigUint64(0x30, 0xc000_0000_0000_1234n, true);
  data.setUint16(0x38, 0x3fff, true);
  memory.write(DATA, new Uint8Array(data.buffer));
  const state = longModeState(vcpu, { rip: BigInt(CODE) });
  vcpu.writeState({ ...state, gpr: state.gpr.with(3, BigInt(DATA)).with(4, 0x30_0000n) });
  const before = process.threadCpuUsage();
  for (;;) {
    const reason = vcpu.run(1_000_000);
    if (reason === ExitReason.Halt) break;
    if (reason !== ExitReason.Budget) throw new Error(`the loop ended with ${reason}: ${vcpu.detail}`);
  }
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

/** The shortest of some rounds: what else goes on in the machine only adds. */
const least = (body: readonly number[], loops: number): number => Math.min(...Array.from({ length: ROUNDS }, () => run(body, loops)));

const chosen = Object.entries(CASES).filter(([name]) => positionals.length === 0 || positionals.some((word) => name.includes(word)));
for (let i = 0; i < 20; i++) for (const [, body] of chosen) run(body, FEW_LOOPS); // compiled before it is measured
const rows = chosen.map(([name, body]): readonly string[] => {
  const loops = Math.ceil((FEW_LOOPS * ROUND_TIME) / Math.max(0.1, least(body, FEW_LOOPS)));
  const each = ((least(body, loops) - least([], loops)) * 1e6) / (loops * UNROLLED);
  return [name, each.toFixed(1)];
});
console.log(markdownTable([{ title: 'instructions' }, { title: 'ns', align: 'right' }], rows));
