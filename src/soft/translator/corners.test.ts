// Corners where translated code could do something else than the interpreter: the same code on both, every block translated before it runs.
import { describe, expect, it } from 'vitest';
import type { PhysicalMemory, Vcpu, VcpuState } from '../../contracts/index.ts';
import { createSoftEngine, type SoftEngineOptions } from '../index.ts';
import { silentWiring } from '../testing.ts';

const CODE = 0x1000;
const STACK = 0x8000;
const IDT = 0x2000;
const GDT = 0x3000;
const DIRECTORY = 0x9000;
const TABLE = 0xa000;
const HANDLER = 0x5000;
const PAGING = 0x8001_0011n;

interface Bench {
  readonly vcpu: Vcpu;
  readonly memory: PhysicalMemory;
  readonly vectors: number[];
  load(at: number, hex: string): void;
  put32(at: number, value: number): void;
  start(rip: number, cr0?: bigint): void;
}

/** 32-bit flat protected mode; every exception counts EBX up and stays there. */
function bench(options: SoftEngineOptions): Bench {
  const vectors: number[] = [];
  const wiring = silentWiring({
    io: { read: () => 0xff, write: (_space, _port, _size, value) => vcpu.limit(value) },
    cpuid: { lookup: (_leaf, _subleaf, out) => void out.fill(0) },
    acknowledgeInterrupt: () => {
      vcpu.setInterruptPin(false);
      return vectors.shift() ?? -1;
    },
  });
  const engine = createSoftEngine(options);
  const memory = engine.createMemory([{ base: 0, size: 0x10_0000, access: 'rw' }], 1);
  const vcpu = engine.createVm(memory, 1, { log: () => undefined }).createVcpu(0, wiring);
  const load = (at: number, hex: string): void => void memory.write(at, Uint8Array.from(hex.trim().split(/\s+/), (byte) => Number.parseInt(byte, 16)));
  load(GDT, '00 00 00 00 00 00 00 00  ff ff 00 00 00 9b cf 00  ff ff 00 00 00 93 cf 00');
  for (let vector = 0; vector < 256; vector++) load(IDT + vector * 8, '00 50 08 00 00 8e 00 00');
  load(HANDLER, '43 eb fe');
  return {
    vcpu, memory, vectors, load,
    put32: (at, value) => void memory.write(at, new Uint8Array(Uint32Array.of(value).buffer)),
    start(rip, cr0 = 0x11n) {
      const flat = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });
      const data = flat(16, 0xc093);
      const before = vcpu.readState();
      vcpu.writeState({
        ...before, rip: BigInt(rip), rflags: 2n, cr0, cr3: BigInt(DIRECTORY), gpr: before.gpr.map((_, n) => (n === 4 ? BigInt(STACK) : 0n)),
        segments: { ...before.segments, cs: flat(8, 0xc09b), ds: data, es: data, ss: data, fs: data, gs: data },
        gdtr: { base: BigInt(GDT), limit: 23 }, idtr: { base: BigInt(IDT), limit: 0x7ff },
      });
    },
  };
}

/** What `scenario` leaves on both engines: registers and count. */
function both(scenario: (machine: Bench) => void): void {
  const [interpreted, translated] = ([{ translation: 'none' }, { hotAfter: 0 }] as const).map((options) => {
    const machine = bench(options);
    scenario(machine);
    return { state: machine.vcpu.readState(), retired: machine.vcpu.retired };
  });
  expect(translated).toEqual(interpreted);
}

describe('translated as interpreted', () => {
  it('a system call to its own page goes on there, with the rights of the other level', () => {
    for (let budget = 20; budget < 50; budget++) {
      both(({ load, start, vcpu }) => {
        // IA32_SYSENTER_CS, ESP and EIP (CODE + 0x30, on this page); sysenter; there: inc ebx, call the next instruction, and sysexit back to the sysenter
        load(CODE, 'b9 74 01 00 00 b8 08 00 00 00 31 d2 0f 30  41 b8 00 70 00 00 0f 30  41 b8 30 10 00 00 0f 30  0f 34');
        load(CODE + 0x30, '43 46 e8 00 00 00 00 5f 46 ba 1e 10 00 00 b9 00 70 00 00 0f 35');
        start(CODE);
        vcpu.run(budget);
        expect(vcpu.readState().gpr[3]).toBeGreaterThan(0n);
      });
    }
  });

  it('a run that a port access cuts short ends where it says, in whatever block that is', () => {
    for (let left = 0; left < 12; left++) {
      both(({ load, start, vcpu }) => {
        // inc eax; out 0x80, al; three blocks in a row, and back
        load(CODE, `b0 ${left.toString(16).padStart(2, '0')} e6 80 41 eb 00 42 42 eb 00 43 43 43 eb f0`);
        start(CODE);
        vcpu.run(1000);
        expect(vcpu.retired).toBe(2 + left);
      });
    }
  });

  it('a repeated string instruction ends with the budget, and so does what follows it', () => {
    for (let budget = 1; budget < 40; budget++) {
      both(({ load, start, vcpu }) => {
        load(CODE, 'bf 00 80 00 00 b9 0b 00 00 00 f3 ab 41 eb 00 42 42 eb 00 43 43 43 eb e8'); // edi, ecx = 11; rep stosd; three blocks, and back
        start(CODE);
        vcpu.run(budget);
        expect(vcpu.retired).toBe(budget);
      });
    }
  });

  it('an instruction across two pages is another one when the second page is, and faults when there is none', () => {
    both(({ load, put32, start, vcpu }) => {
      put32(DIRECTORY, TABLE | 3);
      for (let page = 0; page < 32; page++) put32(TABLE + page * 4, (page * 0x1000) | 3);
      load(0x1_0ffe, 'b8 11'); // mov eax, imm32, of which three bytes lie on the next page: 0x11000 or 0x12000
      load(0x1_1000, '11 00 00 c3');
      load(0x1_2000, '22 00 00 c3');
      // three times: call it; then map its second page elsewhere
      load(CODE, 'be fe 0f 01 00  ff d6 01 c2  c7 05 44 a0 00 00 03 20 01 00  0f 01 3d 00 10 01 00  ff d6 01 c2  83 25 44 a0 00 00 fe  0f 01 3d 00 10 01 00  ff d6');
      start(CODE, PAGING);
      vcpu.run(60);
      const { gpr } = vcpu.readState();
      expect([gpr[2], gpr[3]]).toEqual([0x1111n + 0x2211n, 1n]);
    });
  });

  it('code where there is no memory is undefined, whatever the page before had at that place', () => {
    both(({ load, start, vcpu }) => {
      load(CODE, '41 83 f9 05 72 fa  b8 00 10 00 c0  ff e0'); // count ECX to 5; jump to the same place at 3 GiB
      start(CODE);
      vcpu.run(200);
      expect(vcpu.readState().gpr[3]).toBe(1n);
    });
  });

  it('a near call with a 16-bit operand goes to its target cut to 16 bits', () => {
    both(({ load, start, vcpu }) => {
      load(0x1_1000, '66 e8 0c 00 eb fe');
      load(0x1_1010, 'b8 aa 00 00 00 eb fe');
      load(0x1010, 'b8 bb 00 00 00 eb fe');
      for (const [rip, budget] of [[0x1_1010, 5], [0x1_1004, 3], [0x1_1000, 20]] as const) {
        start(rip);
        vcpu.run(budget);
      }
      expect(vcpu.readState().gpr[0]).toBe(0xbbn);
    });
  });

  it('flags pass through a block that ends in a near jump with a 16-bit operand', () => {
    both(({ load, start, vcpu }) => {
      load(0x1_1000, '31 f6 83 fe 01 74 02 85 f6 89 d2 66 eb 21'); // ZF set; two ways meet; jump, cut to 0x102f
      load(0x1_102f, '31 c0 eb fe');
      load(0x102f, '0f 94 c3 eb fe'); // setz bl
      for (const [rip, budget] of [[0x1_102f, 6], [0x1_1009, 1], [0x1_1007, 1], [0x1_1000, 30]] as const) {
        start(rip);
        vcpu.run(budget);
      }
      expect(vcpu.readState().gpr[3]).toBe(1n);
    });
  });

  it('a read across 4 GiB faults in a flat segment', () => {
    both(({ load, put32, start, vcpu }) => {
      put32(DIRECTORY, TABLE | 0x63);
      put32(DIRECTORY + 4092, 0xb063);
      for (let page = 0; page < 0x100; page++) put32(TABLE + page * 4, (page << 12) | 0x63);
      put32(0xb000 + 4092, 0x7063);
      load(CODE, 'a1 fe ff ff ff 90 90 eb fe'); // mov eax, [0xfffffffe]
      start(CODE, PAGING);
      vcpu.run(20);
      expect(vcpu.readState().gpr[3]).toBe(1n);
    });
  });

  it('a page walk that sets a flag among the code it runs for does not spoil the count', () => {
    both(({ load, put32, start, vcpu }) => {
      put32(DIRECTORY, TABLE | 0x27);
      for (let page = 0; page < 0x100; page++) put32(TABLE + page * 4, (page << 12) | (page === 0x20 ? 0x03 : 0x63));
      load(TABLE + 0x84, '90 90 a1 00 00 02 00 41 eb fd'); // beside the entry of page 0x20: read it, then count ECX for ever
      start(TABLE + 0x84, PAGING);
      vcpu.run(1000);
      expect([vcpu.retired, vcpu.readState().gpr[1]]).toEqual([1000, 499n]);
    });
  });

  it('no interrupt comes between STI and the instruction behind it, even where a run ends between them', () => {
    both(({ load, memory, start, vcpu, vectors }) => {
      load(CODE, '90 fb f4 eb fe'); // nop; sti; hlt
      start(CODE);
      vcpu.run(2);
      vectors.push(0x40);
      vcpu.setInterruptPin(true);
      vcpu.run(4);
      vcpu.run(4);
      const returnAddress = new DataView((memory.read(Number(vcpu.readState().gpr[4]), 4) as Uint8Array<ArrayBuffer>).buffer).getUint32(0, true);
      expect(returnAddress).toBe(CODE + 3); // behind HLT
    });
  });

  it('calls nest as deep as the guest likes', () => {
    both(({ load, put32, start, vcpu }) => {
      // A page of `call [0x6000]`, which calls the page again.
      put32(0x6000, CODE);
      for (let at = 0; at < 99; at++) load(CODE + at * 6, 'ff 15 00 60 00 00');
      start(CODE);
      vcpu.run(3000);
    });
  });
});
