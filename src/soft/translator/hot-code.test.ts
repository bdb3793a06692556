// Hot loops as regions of many blocks do what the interpreter does: compared after every one of many short runs, wherever those end.
import { describe, expect, it } from 'vitest';
import type { PhysicalMemory, Vcpu, VcpuState } from '../../contracts/index.ts';
import { createSoftEngine, type SoftEngineOptions } from '../index.ts';
import { FakeWiring, LateCompiler } from '../testing.ts';
import { calleesOf, type RegionPlan } from './plan.ts';

const CODE = 0x1000;
const IDT = 0x2000;
const GDT = 0x3000;
const HANDLER = 0x5000;
const JUMP_TABLE = 0x6000;
const STACK = 0x8000;
const DIRECTORY = 0x9000;
const TABLE = 0xa000;

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.trim().split(/\s+/), (byte) => Number.parseInt(byte, 16));
const hex8 = (value: number): string => (value & 0xff).toString(16).padStart(2, '0');
/** A little-endian doubleword. */
const hex32 = (value: number): string => [0, 8, 16, 24].map((shift) => hex8(value >> shift)).join(' ');
const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

/**
 * 32-bit code behind paging: the first 36 pages are mapped to themselves but page 0x21, which lies at 0x15000, and page 0x22, which is
 * nowhere. Every exception stays in its handler.
 */
function machine(options: SoftEngineOptions, code: string): { readonly vcpu: Vcpu; readonly memory: PhysicalMemory; readonly log: readonly string[] } {
  const log: string[] = [];
  const engine = createSoftEngine(options);
  const memory = engine.createMemory([{ base: 0, size: 0x10_0000, access: 'rw' }], 1);
  const vcpu = engine.createVm(memory, 1, { log: (_, line) => log.push(line) }).createVcpu(0, new FakeWiring());
  memory.write(GDT, bytes('00 00 00 00 00 00 00 00  ff ff 00 00 00 9b cf 00  ff ff 00 00 00 93 cf 00'));
  for (let vector = 0; vector < 32; vector++) memory.write(IDT + vector * 8, bytes('00 50 08 00 00 8e 00 00'));
  memory.write(HANDLER, bytes('eb fe'));
  memory.write(DIRECTORY, words(TABLE | 3));
  for (let page = 0; page < 36; page++) memory.write(TABLE + page * 4, words(page === 0x22 ? 0 : ((page === 0x21 ? 0x15 : page) << 12) | 3));
  memory.write(CODE, bytes(code));
  // Something to read on both sides of 0x21000.
  for (const page of [0x15, 0x20]) memory.write(page << 12, Uint8Array.from({ length: 4096 }, (_, at) => (at * 167 + page) >>> 3));
  const flat = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });
  const data = flat(16, 0xc093);
  const before = vcpu.readState();
  vcpu.writeState({
    ...before, rip: BigInt(CODE), rflags: 2n, cr0: 0x8001_0011n, cr3: BigInt(DIRECTORY), gpr: before.gpr.map((_, n) => (n === 4 ? BigInt(STACK) : 0n)),
    segments: { ...before.segments, cs: flat(8, 0xc09b), ds: data, es: data, ss: data, fs: data, gs: data },
    gdtr: { base: BigInt(GDT), limit: 23 }, idtr: { base: BigInt(IDT), limit: 0xff },
  });
  return { vcpu, memory, log };
}

/** Runs the code on both, in slices of several lengths, and compares registers after each; returns what it leaves. */
function inStep(
  code: string, slices: number, prepare: (memory: PhysicalMemory) => void = () => undefined, options: SoftEngineOptions = {},
): { readonly state: VcpuState; readonly memory: PhysicalMemory } {
  const interpreted = machine({ translation: 'none' }, code);
  const translated = machine({ hotAfter: 20, ...options }, code);
  for (const { memory } of [interpreted, translated]) prepare(memory);
  for (let slice = 0; slice < slices; slice++) {
    const budget = 150 + ((slice * 97) % 211);
    interpreted.vcpu.run(budget);
    translated.vcpu.run(budget);
    expect(translated.vcpu.retired).toBe(interpreted.vcpu.retired);
    expect(translated.vcpu.readState()).toEqual(interpreted.vcpu.readState());
  }
  const [left, right] = [interpreted, translated].map(({ memory }) => memory.read(0, 0x2_4000));
  expect(left?.findIndex((byte, at) => byte !== right?.[at])).toBe(-1);
  expect(translated.log).toEqual([]);
  return { state: interpreted.vcpu.readState(), memory: interpreted.memory };
}

describe('hot code', () => {
  it('reaches two pages through one register, an operand across both, and faults behind them', () => {
    // esi = 0x20ff0, ecx = 3000; loop: eax = [esi]; … [esi+4]; edx = [esi+0xe] (on both pages); [esi+0x10] += eax; [esi-8] ^= edx; …; dec ecx; jnz
    const { state } = inStep(
      'be f0 0f 02 00 b9 b8 0b 00 00 8b 06 01 c8 89 46 04 8b 56 0e 01 d0 01 46 10 31 56 f8 8b 6e f8 0f b6 7e 0f 01 fd 89 2e 49 75 e0 ' +
      '8b 86 00 10 00 00 8b 86 10 10 00 00 eb fe', // then eax = [esi+0x1000]; eax = [esi+0x1010], where no page is
      170,
    );
    expect([state.rip, state.cr2, state.gpr[1]]).toEqual([BigInt(HANDLER), 0x2_2000n, 0n]);
  });

  it('pushes, calls and returns on a stack across two pages', () => {
    // esp = 0x21008; loop: push eax, ecx, edx, esi; call; add eax, [esp+4]; mov [esp+12], eax; four pops; …; dec ecx; jnz
    const { state } = inStep(
      'bc 08 10 02 00 b9 b8 0b 00 00 50 51 52 56 e8 13 00 00 00 03 44 24 04 89 44 24 0c 5a 5e 5f 5d 01 ea 49 75 e6 eb fe ' +
      '55 89 e5 83 ec 08 03 45 10 89 45 fc 8b 55 fc 89 55 f8 c9 c3', // with a frame of its own, through ebp
      330,
    );
    expect([state.gpr[1], state.gpr[4]]).toEqual([0n, 0x2_1008n]);
  });

  it('goes on from an operand across two pages to others near it', () => {
    // esi = 0x20ff0, edi = 0, ecx = 3000; loop: lea ebp, [esi+edi]; eax = [ebp+0xe]; eax += [ebp+0x12]; [ebp+0x16] += eax; [ebp-4] += ecx; …
    inStep('be f0 0f 02 00 b9 b8 0b 00 00 8d 2c 3e 8b 45 0e 03 45 12 01 45 16 8b 55 fc 01 ca 89 55 fc 49 75 e9 eb fe', 120);
  });

  it.each([
    '01 d8', '29 d8', '39 d8', '11 d8', '19 d8', '21 d8', // add, sub, cmp, adc, sbb, and
    '40', '48', '39 d8 40', '01 d8 48', '11 d8 40', 'c1 e0 05 40', 'c1 c0 09 48', '40 48', '29 d8 48', // inc and dec, and behind others, whose CF stays
    'c1 e0 05', 'c1 e8 07', 'c1 f8 03', 'c1 c0 09', 'd1 c8', '0f a4 d8 04', '0f ac d8 09', 'd3 e0', 'd3 c8', 'd1 d0', 'd1 d8', // shifts and rotates
    '0f af c3', '69 c3 03 02 01 00', 'f7 e3', 'f7 eb', 'f7 d8', // imul, mul, neg
    '00 d8', '38 d8', '28 d8', '10 d8', 'fe c0', 'fe c8', 'c0 e0 03', 'c0 f8 02', 'd0 c8', '66 29 d8', '66 39 d8', '66 c1 f8 02', '66 d1 e0', '66 0f af c3',
    'f9', 'f5', '85 d8', '0f c1 c3', '0f b1 da', '0f ba e0 03', '0f bc d3', // stc, cmc, test, xadd, cmpxchg, bt, bsf
  ])('leaves with the flags of %s, where it sets them and where its loop begins', (setter) => {
    // A store to the page of the code is the interpreter's. What the flags are then is added up: pushf; pop edx; add edi, edx; rol edi, 3.
    const look = 'a3 80 1f 00 00 9c 5a 01 d7 c1 c7 03';
    const values = '69 ff 0d 66 19 00 89 f8 69 db 05 84 08 08 43'; // edi ×= …; eax = edi; ebx = ebx × … + 1
    for (const loop of [`${setter} ${look} ${values} 49 75`, `8b 15 84 1f 00 00 ${look} ${values} 49 ${setter} e3 02 eb`]) {
      const back = -(bytes(loop).length + 1);
      const { state } = inStep(`bf 79 56 34 12 bb b9 79 37 9e b9 58 02 00 00 ${loop} ${(back & 0xff).toString(16)} eb fe`, 60);
      expect(state.gpr[1]).toBe(0n);
    }
  });

  it('jumps through a table, mostly to what it knows', () => {
    // ecx = 5000; loop: ebx = ebx × 0x19660d + 0x3c6ef35f; eax = ebx >> 27; above 28 go on, else jmp [0x6000 + (eax & 7) × 4]
    const { state } = inStep(
      'b9 88 13 00 00 bb 39 30 00 00 69 db 0d 66 19 00 81 c3 5f f3 6e 3c 89 d8 c1 e8 1b 83 f8 1c 77 1c 83 e0 07 ff 24 85 00 60 00 00 ' +
      '46 eb 0f 01 df 72 0b 42 eb 08 31 da eb 04 53 5d 29 ef 49 75 cb eb fe',
      280,
      // Five cases; the last entries lead to the end of the loop, to a case again, and, far away, to code of its own that comes back.
      (memory) => {
        memory.write(JUMP_TABLE, words(0x102a, 0x102d, 0x1034, 0x1038, 0x103a, 0x103c, 0x102a, 0x7000));
        memory.write(0x7000, bytes('47 e9 36 a0 ff ff'));
      },
    );
    expect(state.gpr[1]).toBe(0n);
  });

  it('calls itself, deeper than frames of the host go, and comes back everywhere', () => {
    // for ever: edi += fib(14), recursively
    const { state } = inStep('b8 0e 00 00 00 e8 04 00 00 00 01 c7 eb f2 53 83 f8 02 72 13 89 c3 48 e8 f2 ff ff ff 93 83 e8 02 e8 e9 ff ff ff 01 d8 5b c3', 300);
    expect(Number(state.gpr[7]) % 377).toBe(0);
    // 200 deep and back, for ever: edx = 200; call 1: dec edx; jz 2; call 1; 2: inc ecx; ret
    inStep('ba c8 00 00 00 e8 02 00 00 00 eb f4 4a 74 05 e8 f8 ff ff ff 41 c3', 200);
  });

  it.each([2, 5, 10])('calls what was translated with it, between functions that the x87 needs (a compiler that takes %i turns)', (patience) => {
    // fninit; fldpi; fld1; for ever: esi = each function but the last, call esi; inc ecx. Function n: an x87 instruction of its own; call n + 1;
    // lea edi, [edi*2+n]; ret. The last one: inc edx; ret.
    const arithmetic = ['d8 c1', 'd8 c9', 'd9 fa', 'd8 e1', 'd8 f1', 'd9 fc', 'd8 c9', 'd8 c1']; // fadd, fmul, fsqrt, fsub, fdiv, frndint, fmul, fadd
    const functions = arithmetic.map((instruction, n) => `${instruction} e8 05 00 00 00 8d 7c 3f 0${n} c3`);
    const { state } = inStep(`db e3 d9 eb d9 e8 be 1b 10 00 00 ff d6 83 c6 0c 81 fe 7b 10 00 00 75 f3 41 eb eb ${functions.join(' ')} 42 c3`, 300, () => undefined, { translation: () => new LateCompiler(patience) });
    expect(Number(state.gpr[1])).toBeGreaterThan(100);
  });

  it.each([1, 3, 20])('goes on behind each of its calls when the interpreter has finished that one (a compiler that takes %i turns)', (patience) => {
    // ecx = 4000; esi = 0x20f00; loop: call f, through ebp; at 3000 esi = 0x20ffe, an operand on two pages, so that the interpreter does it; dec ecx; jnz.
    // f: edx = 1; when ecx is odd, call g; eax += ebx; edi += edx + CF. call g; unless CF: eax ^= edi; rol eax, 5. call g; edi -= eax + CF; ret.
    // g: ebx = [esi]; fnop, so that it is no part of f's region; [esi] += ecx; ret.
    const { state } = inStep(
      'b9 a0 0f 00 00 be 00 0f 02 00 bd 23 10 00 00 ff d5 81 f9 b8 0b 00 00 75 05 be fe 0f 02 00 49 75 ee eb fe ba 01 00 00 00 f6 c1 01 74 09 e8 18 00 00 00 ' +
      '01 d8 11 d7 e8 0f 00 00 00 72 05 31 f8 c1 c0 05 e8 03 00 00 00 19 c7 c3 8b 1e d9 d0 01 0e c3',
      460, () => undefined, { translation: () => new LateCompiler(patience) },
    );
    expect(state.gpr[1]).toBe(0n);
  });

  it('has instructions across two pages in it: their second half changes, and so does the page that it is on', () => {
    // ecx = 600, call 0x10ffc; [0x11000] = 1, the same; the table's entry of 0x11000 leads to 0x12000, INVLPG, the same; for ever. 0x10ffc: add ebx, 1; dec ecx; jnz; ret
    const calling = (from: number): string => `b9 58 02 00 00 e8 ${hex32(0x1_0ffc - (from + 10))}`;
    const { state } = inStep(
      `${calling(0x1000)} c6 05 00 10 01 00 01 ${calling(0x1011)} c7 05 ${hex32(TABLE + 0x11 * 4)} 03 20 01 00 0f 01 3d 00 10 01 00 ${calling(0x102c)} eb fe`,
      60,
      (memory) => {
        memory.write(0x1_0ffc, bytes('81 c3 01 00  00 00 49 75 f7 c3'));
        memory.write(0x1_2000, bytes('02 00 49 75 f7 c3'));
      },
    );
    expect([state.gpr[1], state.gpr[3]]).toEqual([0n, 600n * (0x1n + 0x1_0001n + 0x2_0001n)]);
  });

  it('calls what returns to the next page', () => {
    // ecx = 2000, call 0x10ffb; for ever. 0x10ffb: call 0x12100; dec ecx; jnz; ret. 0x12100: inc ebx; call edi, where that is; ret
    const { state } = inStep(`b9 d0 07 00 00 bf 08 21 01 00 e8 ${hex32(0x1_0ffb - 0x100f)} eb fe`, 120, (memory) => {
      memory.write(0x1_0ffb, bytes(`e8 ${hex32(0x1100)} 49 75 f8 c3`));
      memory.write(0x1_2100, bytes('43 ff d7 c3  90 90 90 90  46 c3'));
    });
    expect([state.gpr[1], state.gpr[3], state.gpr[6]]).toEqual([0n, 2000n, 2000n]);
  });

  describe('of short functions on another page', () => {
    const FUNCTIONS = 0x4000;
    const OTHER_FUNCTIONS = 0x1_5000;
    const LOOP = 0xb000;
    /** Calls functions at these offsets of their page, with code in between; ecx = 600; loop: …; dec ecx; jnz. `at`: where all this begins. */
    const calling = (at: number, ...parts: readonly (number | string)[]): string => {
      let code = 'b9 58 02 00 00';
      for (const part of parts) code += ` ${typeof part === 'string' ? part : `e8 ${hex32(FUNCTIONS + part - (at + bytes(code).length + 5))}`}`;
      return `${code} 49 75 ${hex8(5 - (bytes(code).length + 3))}`;
    };
    /** The region of the loop and what it calls: as many functions as are part of it. */
    class Watching extends LateCompiler {
      called = 0;
      planned = 0;
      override submit(id: number, plans: readonly RegionPlan[]): void {
        for (const plan of plans) this.called = Math.max(this.called, calleesOf(plan).length);
        this.planned += plans.filter((plan) => calleesOf(plan).length > 0).length;
        super.submit(id, plans);
      }
    }
    const run = (code: string, functions: string, others = ''): { readonly state: VcpuState; readonly called: number; readonly planned: number } => {
      const compiler = new Watching(1);
      const prepare = (memory: PhysicalMemory): void => {
        memory.write(FUNCTIONS, bytes(functions));
        memory.write(LOOP, bytes(`${calling(LOOP, 0)} c3`));
        memory.write(OTHER_FUNCTIONS, bytes(`${others} 90`));
      };
      const { state } = inStep(code, 120, prepare, { translation: () => compiler });
      return { state, called: compiler.called, planned: compiler.planned };
    };
    const registers = ({ gpr }: VcpuState, ...numbers: readonly number[]): bigint[] => numbers.map((n) => gpr[n] as bigint);

    it('is in the regions of its callers', () => {
      // eax += ebx; inc eax. Functions: ebx = [esp]; – if al & 1, dec edx, else inc edx; – jmp [0x4018], which leads to 0x401c: edi += ebx
      const { state, called } = run(
        `${calling(CODE, 0, 4, 0x10, '01 d8 40')} eb fe`,
        '8b 1c 24 c3  a8 01 74 02 42 c3 4a c3  90 90 90 90  ff 25 18 40 00 00 90 90  1c 40 00 00  01 df c3',
      );
      expect(called).toBe(3);
      expect(registers(state, 1, 3, 7)).toEqual([0n, 0x100an, BigInt.asUintN(32, 600n * 0x100an)]);
    });

    it('is what has been stored there since', () => {
      // inc edx; the loop again, after a store that makes it inc esi; once more, after another that makes it inc edi
      const call = (at: number): string => `e8 ${hex32(LOOP - (at + 5))}`;
      const store = (value: string): string => `c6 05 00 40 00 00 ${value}`;
      const { state, called, planned } = run(`${call(CODE)} ${store('46')} ${call(CODE + 12)} ${store('47')} ${call(CODE + 24)} eb fe`, '42 c3');
      expect(called).toBe(1);
      // Each time the loop's region is made anew.
      expect(planned).toBe(3);
      expect(registers(state, 2, 6, 7)).toEqual([600n, 600n, 600n]);
    });

    it('is on the page that is there now', () => {
      // inc edx; the loop again with another page in this one's place: [its entry] = 0x15003; INVLPG [0x4000]
      const map = `c7 05 ${hex32(TABLE + 4 * 4)} 03 50 01 00 0f 01 3d 00 40 00 00`;
      const { state, called } = run(`e8 ${hex32(LOOP - (CODE + 5))} ${map} e8 ${hex32(LOOP - (CODE + 27))} eb fe`, '42 c3', '83 c2 05 c3');
      expect(called).toBe(1);
      expect(registers(state, 1, 2)).toEqual([0n, 3600n]);
    });

    it('does not always return where it was called', () => {
      // unless (ecx & 1) == 0, [esp] += 1, behind inc edx; ret. Then: inc edx; inc esi
      const { state, called } = run(`${calling(CODE, 0, '42 46')} eb fe`, 'f6 c1 01 74 04 83 04 24 01 c3');
      expect(called).toBe(1);
      expect(registers(state, 1, 2, 6)).toEqual([0n, 300n, 600n]);
    });

    it('may go on behind the end of its page, and what follows the call has branches', () => {
      // f, 3 bytes before OTHER_FUNCTIONS: inc edx; inc esi; inc edx; inc esi; ret. Then: unless (ecx & 1) == 0, inc ebp
      const f = OTHER_FUNCTIONS - FUNCTIONS - 3;
      const before = (memory: PhysicalMemory): void => void memory.write(FUNCTIONS + f, bytes('42 46 42 46 c3'));
      const { state } = inStep(`${calling(CODE, f, 'f6 c1 01 74 01 45')} eb fe`, 120, before);
      expect(registers(state, 1, 2, 5, 6)).toEqual([0n, 1200n, 300n, 1200n]);
    });

    it('is called behind what changes registers elsewhere, on one of two ways', () => {
      // esi = 0x20100; the loop: eax = [esi]; eax += [esi+4]; when ecx is odd: push ecx; ecx = 0x10; rep lodsb; pop ecx; call ebx = [esp]; ret.
      // edi += [esi]; edi += [esi+4]; edi += eax
      const head = '8b 06 03 46 04 f6 c1 01 74 0e 51 b9 10 00 00 00 f3 ac 59';
      const { called } = run(`be 00 01 02 00 ${calling(CODE + 5, head, 0, '03 3e 03 7e 04 01 c7')} eb fe`, '8b 1c 24 c3');
      expect(called).toBe(1);
    });

    it('faults where it is', () => {
      // eax = [esi]; add esi, 0x10, from 0x21000 to the end of the page
      const { state, called } = run(`be 00 10 02 00 ${calling(CODE + 5, 0)} eb fe`, '8b 06 83 c6 10 c3');
      expect(called).toBe(1);
      expect([state.rip, state.cr2, state.gpr[1]]).toEqual([BigInt(HANDLER), 0x2_2000n, 600n - 256n]);
    });
  });

  it.each([0, 64])('compares texts in every way, from the %ith on', (first) => {
    // CR4.OSFXSR; esi = 0x20000; edi = 400; loop: xmm0 = [esi]; xmm1 = [esi+3]; each comparison: eax = esi & 15, edx = esi >> 2 & 31; PCMPxSTRx; flags, ECX
    // and XMM0 into ebx; …; inc esi; dec edi; jnz
    const comparisons = Array.from({ length: 64 }, (_, n) => {
      const control = first + n;
      const comparison = `66 0f 3a 6${control & 3} c8 ${hex8((control * 37) & 0x7f)}`;
      return `89 f0 83 e0 0f 89 f2 c1 ea 02 83 e2 1f ${comparison} 9c 5a 01 cb 01 d3 66 0f 7e c2 c1 c3 05 01 d3 f3 0f 6f 06`;
    });
    const loop = `f3 0f 6f 06 f3 0f 6f 4e 03 ${comparisons.join(' ')} 46 4f`;
    const back = -(loop.trim().split(/\s+/).length + 6);
    const { state } = inStep(`b8 00 02 00 00 0f 22 e0 be 00 00 02 00 bf 90 01 00 00 ${loop} 0f 85 ${hex32(back)} eb fe`, 800);
    expect(Number(state.gpr[6]) - 0x2_0000).toBeGreaterThan(100);
  });
});
