// The vCPU as the scheduler and the devices see it: exact counting, events at instruction boundaries, code that changes.
import { beforeEach, describe, expect, it } from 'vitest';
import { ExitReason, type IoSpace, type PhysicalMemory, type Vcpu, type VcpuState, type VcpuWiring } from '../contracts/index.ts';
import { createSoftEngine } from './index.ts';
import { silentWiring } from './testing.ts';

const CODE = 0x1000;
const STACK = 0x8000;
const IDT = 0x2000;
const GDT = 0x3000;
const HANDLER = 0x5000;

let memory: PhysicalMemory;
let vcpu: Vcpu;
let vectors: number[];
let onWrite: (port: number, value: number) => void;

const io: IoSpace = {
  read: () => 0xff,
  write: (_space, port, _size, value) => onWrite(port, value),
};
const wiring = silentWiring({
  io,
  acknowledgeInterrupt: () => {
    vcpu.setInterruptPin(false);
    return vectors.shift() ?? -1;
  },
});

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.trim().split(/\s+/).map((byte) => Number.parseInt(byte, 16)));
const load = (at: number, hex: string): void => void memory.write(at, bytes(hex));
const reg = (n: number): number => Number(vcpu.readState().gpr[n]);
const flat = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });

/** 32-bit flat protected mode with an IDT whose gates all lead to HANDLER. */
function start(hex: string, rflags = 2n): void {
  load(CODE, hex);
  const before = vcpu.readState();
  const data = flat(16, 0xc093);
  vcpu.writeState({
    ...before, rip: BigInt(CODE), rflags, cr0: 0x11n, gpr: before.gpr.map((_, n) => (n === 4 ? BigInt(STACK) : 0n)),
    segments: { ...before.segments, cs: flat(8, 0xc09b), ds: data, es: data, ss: data, fs: data, gs: data },
    gdtr: { base: BigInt(GDT), limit: 23 }, idtr: { base: BigInt(IDT), limit: 0x7ff },
  });
}

beforeEach(() => {
  const engine = createSoftEngine();
  memory = engine.createMemory([{ base: 0, size: 0x10_0000, access: 'rw' }], 1);
  vcpu = engine.createVm(memory, 1, { log: () => undefined }).createVcpu(0, wiring);
  vectors = [];
  onWrite = () => undefined;
  load(GDT, '00 00 00 00 00 00 00 00  ff ff 00 00 00 9b cf 00  ff ff 00 00 00 93 cf 00');
  for (let vector = 0; vector < 256; vector++) load(IDT + vector * 8, '00 50 08 00 00 8e 00 00');
  load(HANDLER, '43 cf'); // inc ebx; iret
});

describe('counting', () => {
  it('retires exactly the budget, wherever that lies in a block', () => {
    start('40 40 40 40 eb fa'); // four INC EAX, JMP back
    for (const budget of [1, 2, 3, 7, 1000]) {
      expect(vcpu.run(budget)).toBe(ExitReason.Budget);
      expect(vcpu.retired).toBe(budget);
    }
    expect(reg(0)).toBe(811); // 1013 instructions, four of five increment
  });

  it('counts one REP iteration as one instruction, and stops between two', () => {
    start('b9 64 00 00 00  bf 00 60 00 00  f3 aa  90'); // mov ecx, 100; mov edi, 0x6000; rep stosb
    vcpu.run(2 + 40);
    expect([vcpu.retired, reg(1), reg(7)]).toEqual([42, 60, 0x6028]);
    vcpu.run(60);
    expect([reg(1), Number(vcpu.readState().rip)]).toEqual([0, CODE + 12]);
  });

  it('gives the same state for one long run and many short ones', () => {
    const program = 'b9 00 01 00 00  01 c8  0f af c1  d1 c0  e2 f7  eb fe'; // a loop of ADD, IMUL, ROL
    start(program);
    vcpu.run(900);
    const whole = vcpu.readState();
    start(program);
    for (let i = 0; i < 900; i++) vcpu.run(1);
    expect(vcpu.readState()).toEqual(whole);
  });

  it('reads the time-stamp counter as its wiring would, at the very instruction', () => {
    const [nanos, thousandths, instructionsPerMicrosecond] = [5_000_000_000, 700, 30];
    const expected = (retired: number): number => nanos + Math.floor((retired * 1000 + thousandths) / instructionsPerMicrosecond);
    const clocked: VcpuWiring = { ...wiring, timestamp: () => expected(vcpu.retired), timeBase: (into) => Object.assign(into, { nanos, thousandths, instructionsPerMicrosecond }) };
    for (const hotAfter of [0, 1000]) {
      const engine = createSoftEngine({ hotAfter });
      memory = engine.createMemory([{ base: 0, size: 0x10_0000, access: 'rw' }], 1);
      vcpu = engine.createVm(memory, 1, { log: () => undefined }).createVcpu(0, clocked);
      start('90 90 0f 31 90 90 eb fe'); // two NOPs, RDTSC
      vcpu.run(100);
      expect(reg(0) + reg(2) * 2 ** 32).toBe(expected(3));
    }
  });

  it('pushes a selector zero-extended to the operand size', () => {
    memory.write(STACK - 8, new Uint8Array(8).fill(0xff));
    start('0e  66 1e  eb fe'); // push cs; push ds with 16 bits
    vcpu.run(2);
    const stack = new DataView((memory.read(STACK - 8, 8) as Uint8Array<ArrayBuffer>).buffer);
    expect([reg(4), stack.getUint32(4, true), stack.getUint16(2, true), stack.getUint16(0, true)]).toEqual([STACK - 6, 8, 16, 0xffff]);
  });

  it('says how far it is, and can be cut short, from inside a port access', () => {
    start('90 e6 80  40 40 40 40 40 40  eb fe'); // nop; out 0x80, al; inc eax…
    let seen = -1;
    onWrite = () => {
      seen = vcpu.retired;
      vcpu.limit(3);
    };
    vcpu.run(1000);
    expect([seen, vcpu.retired, reg(0)]).toEqual([2, 5, 3]);
  });
});

describe('events', () => {
  it('takes an interrupt raised by a device at the very next instruction', () => {
    start('e6 80 40 40 eb fe', 0x202n); // out; inc eax; inc eax
    vectors = [0x40];
    onWrite = () => vcpu.setInterruptPin(true);
    vcpu.run(2);
    expect([reg(0), reg(3)]).toEqual([0, 1]); // OUT, then the handler's INC EBX
  });

  it('holds it while IF is clear, and one instruction longer after STI', () => {
    start('90 fb 40 40 eb fe'); // nop; sti; inc eax; inc eax
    vectors = [0x40];
    vcpu.setInterruptPin(true);
    vcpu.run(3);
    expect([reg(0), reg(3)]).toEqual([1, 0]);
    vcpu.run(1);
    expect([reg(0), reg(3)]).toEqual([1, 1]);
  });

  it('sleeps at HLT until an interrupt comes', () => {
    start('f4 40 eb fe', 0x202n);
    expect(vcpu.run(100)).toBe(ExitReason.Halt);
    expect(vcpu.retired).toBe(1);
    vectors = [0x40];
    vcpu.setInterruptPin(true);
    expect(vcpu.run(3)).toBe(ExitReason.Budget);
    expect([reg(0), reg(3)]).toEqual([1, 1]);
  });

  it('waits for SIPI after INIT, and starts at its vector in real mode', () => {
    start('eb fe');
    vcpu.inject({ kind: 'init' });
    expect(vcpu.run(10)).toBe(ExitReason.WaitForSipi);
    load(0x9000, '40 eb fe');
    vcpu.inject({ kind: 'sipi', vector: 9 });
    expect(vcpu.run(1)).toBe(ExitReason.Budget);
    const { segments, rip } = vcpu.readState();
    expect([segments.cs.selector, rip, reg(0)]).toEqual([0x900, 1n, 1]);
  });

  it('takes a SIPI that follows INIT at once, and forgets one that came before it', () => {
    start('eb fe');
    load(0x9000, '40 eb fe');
    vcpu.inject({ kind: 'sipi', vector: 8 });
    vcpu.inject({ kind: 'init' });
    expect(vcpu.run(10)).toBe(ExitReason.WaitForSipi);
    vcpu.inject({ kind: 'init' });
    vcpu.inject({ kind: 'sipi', vector: 9 });
    expect(vcpu.run(1)).toBe(ExitReason.Budget);
    expect([vcpu.readState().segments.cs.selector, reg(0)]).toEqual([0x900, 1]);
  });

  it('traps after every instruction while TF is set', () => {
    start('40 40 eb fe', 0x102n);
    vcpu.run(1 + 2); // INC EAX, the handler's INC EBX and IRET
    expect([reg(0), reg(3)]).toEqual([1, 1]);
  });

  it('ends in shutdown with a reason when a fault cannot be delivered', () => {
    start('0f 0b');
    vcpu.writeState({ ...vcpu.readState(), idtr: { base: 0n, limit: 0 } });
    expect(vcpu.run(10)).toBe(ExitReason.Shutdown);
    expect(vcpu.detail).toContain('triple fault: exception 6');
  });
});

describe('an interrupt inside a repeated instruction', () => {
  const RF = 0x1_0000;
  /** What the interrupt saved as EFLAGS, after `before` instructions of which the last ones are iterations. */
  function savedFlags(hex: string, before: number): number {
    start(hex, 0x202n);
    vcpu.run(before);
    vectors = [0x40];
    vcpu.setInterruptPin(true);
    vcpu.run(1);
    return new DataView(memory.bytes.buffer, memory.offsetOf(reg(4) + 8, 4)).getUint32(0, true);
  }
  const MOVS = 'b9 05 00 00 00  be 00 60 00 00  bf 00 70 00 00';

  it.each([
    ['REP MOVS', `${MOVS} f3 a5`],
    ['REPE CMPS', `${MOVS} f3 a6`],
    ['REP OUTS', `${MOVS} f3 6e`],
    ['REP LODS', `${MOVS} f3 ac`],
  ])('saves RF set between two iterations of %s, and clear before the first and after the last (SDM 3B §18.3.1.1)', (_, code) => {
    expect([3, 4, 7, 8, 9].map((before) => savedFlags(`${code} 90 90 90 eb fe`, before) & RF)).toEqual([0, RF, RF, 0, 0]);
  });

  it('goes on where it was, and RF does not outlast it', () => {
    expect(savedFlags(`${MOVS} f3 a5 9c eb fe`, 5) & RF).toBe(RF);
    vcpu.run(1 + 3 + 1); // IRET, the other iterations, PUSHF
    expect([reg(1), Number(vcpu.readState().rflags) & RF]).toEqual([0, 0]);
  });

  it('so does REPNE SCAS where it ends because it has found something', () => {
    load(0x7000, '01 01 00 01 01');
    const code = 'b9 05 00 00 00  31 c0  bf 00 70 00 00  f2 ae 90 90 eb fe';
    expect([3, 4, 5, 6, 7].map((before) => savedFlags(code, before) & RF)).toEqual([0, RF, RF, 0, 0]);
  });
});

describe('a machine check', () => {
  const CR4_MCE = 0x40n;
  const RDMSR_STATUS = 'b9 01 04 00 00  0f 32'; // IA32_MC0_STATUS

  it('is reported in bank 0 and delivered as #MC, in HLT too', () => {
    start('f4 eb fe');
    vcpu.writeState({ ...vcpu.readState(), cr4: CR4_MCE });
    load(HANDLER, `43 ${RDMSR_STATUS} 89 c6 89 d7 b9 7a 01 00 00 0f 32 f4`);
    vcpu.run(10);
    vcpu.inject({ kind: 'machine-check', code: 0x0135, address: 0x1234_5678 });
    expect(vcpu.run(20)).toBe(ExitReason.Halt);
    // valid, uncorrected, enabled, with an address; restart possible, in progress
    expect([reg(3), reg(6), reg(7) >>> 0, reg(0)]).toEqual([1, 0x0135, 0xb400_0000, 0b101]);
  });

  it('shuts the processor down without CR4.MCE, and while another one is being handled', () => {
    start('eb fe');
    vcpu.inject({ kind: 'machine-check', code: 1 });
    expect([vcpu.run(10), vcpu.detail]).toEqual([ExitReason.Shutdown, 'machine check with CR4.MCE clear']);
    vcpu.reset(true);
    start('eb fe');
    load(HANDLER, 'eb fe');
    vcpu.writeState({ ...vcpu.readState(), cr4: CR4_MCE });
    vcpu.inject({ kind: 'machine-check', code: 1 });
    expect(vcpu.run(10)).toBe(ExitReason.Budget);
    vcpu.inject({ kind: 'machine-check', code: 1 });
    expect([vcpu.run(10), vcpu.detail]).toEqual([ExitReason.Shutdown, 'machine check while another was handled']);
  });
});

describe('CMPXCHG8B', () => {
  const GUARDED = '00 70 00 00';

  it('exchanges what is expected, else gives what is there; only ZF changes', () => {
    load(0x7000, '11 00 00 00 22 00 00 00');
    // stc; cmpxchg8b [0x7000] with EDX:EAX = 0; setz bl; mov ecx, 5; cmpxchg8b again; setz bh; setc cl
    start(`f9  0f c7 0d ${GUARDED}  0f 94 c3  b9 05 00 00 00  f0 0f c7 0d ${GUARDED}  0f 94 c7  0f 92 c1  eb fe`);
    vcpu.run(7);
    expect([reg(0), reg(2), reg(3) & 0xffff, reg(1)]).toEqual([0x11, 0x22, 0x0100, 0x01]);
    expect([...(memory.read(0x7000, 8) ?? [])]).toEqual([0, 0, 0, 0, 5, 0, 0, 0]);
  });

  it('does so across two pages', () => {
    load(0x7ffc, '11 00 00 00 22 00 00 00');
    start('0f c7 0d fc 7f 00 00  b3 01  0f c7 0d fc 7f 00 00  eb fe');
    vcpu.run(3);
    expect([...(memory.read(0x7ffc, 8) ?? [])]).toEqual([1, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe('code that changes', () => {
  it('runs what it just wrote into the next instruction', () => {
    start('c6 05 07 10 00 00 48  40  eb fe'); // mov byte [next], 0x48: INC EAX becomes DEC EAX
    vcpu.run(2);
    expect(reg(0)).toBe(0xffff_ffff);
  });

  it('runs what a loop patches into itself on every round', () => {
    // l: mov byte [p], cl; p: mov al, imm8 (patched); add ebx, eax; loop l
    start('b9 64 00 00 00  88 0d 0c 10 00 00  b0 00  01 c3  e2 f4  eb fe');
    vcpu.run(1 + 100 * 4);
    expect(reg(3)).toBe(5050);
  });

  it('runs what a device or loader put over old code, once it is told', () => {
    start('40 eb fd');
    vcpu.run(2);
    const engine = createSoftEngine();
    const other = engine.createMemory([{ base: 0, size: 0x10_0000, access: 'rw' }], 1);
    const vm = engine.createVm(other, 1, { log: () => undefined });
    const second = vm.createVcpu(0, wiring);
    other.write(CODE, bytes('40 eb fd'));
    second.writeState({ ...vcpu.readState(), rip: BigInt(CODE) });
    second.run(2);
    other.write(CODE, bytes('48 eb fd'));
    vm.memoryChanged(CODE, 3);
    second.run(2);
    expect(Number(second.readState().gpr[0])).toBe(1); // 1 + 1 − 1
  });

  it('runs an instruction across two pages as it is now, whichever page was written', () => {
    load(0x1ffe, 'b8 11 00 00 00  eb fe'); // mov eax, 0x11
    start('88 11  e9 f7 0f 00 00'); // mov [ecx], dl; jmp 0x1ffe
    const runAfterStoring = (at: number, value: number): number => {
      const state = vcpu.readState();
      vcpu.writeState({ ...state, rip: BigInt(CODE), gpr: state.gpr.map((old, n) => (n === 1 ? BigInt(at) : n === 2 ? BigInt(value) : old)) });
      vcpu.run(3);
      return reg(0);
    };
    expect(runAfterStoring(0x6000, 0)).toBe(0x11);
    expect(runAfterStoring(0x2000, 0x22)).toBe(0x2211);
    expect(runAfterStoring(0x1fff, 0x33)).toBe(0x2233);
  });
});

describe('debug registers', () => {
  it('a watched write traps once it is done, and the count of instructions stays exact', () => {
    // mov eax, 0x6000; mov dr0, eax; mov eax, 0x10402; mov dr7, eax; mov [0x6000], eax; mov [0x6004], eax; jmp $
    start('b8 00 60 00 00  0f 23 c0  b8 02 04 01 00  0f 23 f8  a3 00 60 00 00  a3 04 60 00 00  eb fe');
    vcpu.run(40);
    expect([reg(3), vcpu.retired]).toEqual([1, 40]);
  });

  it('an instruction breakpoint hits before its instruction, and RF lets that run', () => {
    load(HANDLER, '43  81 4c 24 08 00 00 01 00  cf'); // inc ebx; or dword [esp + 8], RF; iret
    // mov eax, 0x1010; mov dr0, eax; mov eax, 0x402; mov dr7, eax; 1010: inc ecx; inc ecx; jmp $
    start('b8 10 10 00 00  0f 23 c0  b8 02 04 00 00  0f 23 f8  41  41  eb fe');
    vcpu.run(40);
    expect([reg(3), reg(1)]).toEqual([1, 2]);
  });

  it('a single step waits until the instruction behind MOV SS is done', () => {
    load(HANDLER, '43 cf');
    // mov ecx, ss; pushfd; or dword [esp], TF; popfd; mov ss, ecx; inc edx; jmp $
    start('8c d1  9c  81 0c 24 00 01 00 00  9d  8e d1  42  eb fe');
    vcpu.run(6); // up to INC EDX
    expect([reg(2), reg(3)]).toEqual([1, 0]);
    vcpu.run(1); // the first instruction of the handler
    expect(reg(3)).toBe(1);
  });
});

describe('where there is no RAM', () => {
  it('finds no instruction: the bus floats high', () => {
    start('b8 00 00 00 f0  ff e0'); // mov eax, 0xf0000000; jmp eax
    vcpu.run(4); // a faulting instruction counts as one
    expect(reg(3)).toBe(1); // the handler of #UD ran
  });
});
