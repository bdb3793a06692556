/** Memory that another partition stores to at any moment, as running code meets it: every aligned access is one, LOCK or not. */
import { beforeEach, describe, expect, it } from 'vitest';
import { SharedWindow } from '../base/index.ts';
import { type GuestMemory, createPhysicalMemory } from '../board/memory.ts';
import type { IoSpace, Vcpu, VcpuState } from '../contracts/index.ts';
import { createSoftEngine } from './engine.ts';
import { reservedBytes } from './layout.ts';
import { silentWiring } from './testing.ts';

const CODE = 0x1000;
const SHARED = 0xd000_0000;
const BYTES = 0x1000;

/** After each load of the vCPU the peer does something. */
class BusyWindow extends SharedWindow {
  afterLoad: () => void = () => undefined;

  override load(offset: number, into: DataView, at: number, size: number): void {
    super.load(offset, into, at, size);
    this.afterLoad();
  }
}

let memory: GuestMemory;
let vcpu: Vcpu;
let window: BusyWindow;
let words: Uint32Array;
let busAccesses: number;

const io: IoSpace = {
  read: (_space, _address, size) => {
    busAccesses++;
    return 2 ** (8 * size) - 1;
  },
  write: () => {
    busAccesses++;
  },
  sharedAt: (address, size) => (address >= SHARED && address + size <= SHARED + BYTES ? { base: SHARED, window } : undefined),
};
const wiring = silentWiring({
  io,
  cpuid: { lookup: (_, __, out) => out.fill(0) },
});

const flat = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });
const reg = (n: number): number => Number(vcpu.readState().gpr[n]);
const flags = (): number => Number(vcpu.readState().rflags);

/** 32-bit flat protected mode; EDI is where the shared memory begins, the other registers hold 0 or what is given. */
function start(hex: string, registers: Readonly<Record<number, number>> = {}): void {
  memory.write(CODE, Uint8Array.from(hex.trim().split(/\s+/).map((byte) => Number.parseInt(byte, 16))));
  const before = vcpu.readState();
  const data = flat(16, 0xc093);
  vcpu.writeState({
    ...before,
    rip: BigInt(CODE),
    rflags: 2n,
    cr0: 0x11n,
    gpr: before.gpr.map((_, n) => BigInt(registers[n] ?? (n === 4 ? 0x8000 : n === 7 ? SHARED : 0))),
    segments: { ...before.segments, cs: flat(8, 0xc09b), ds: data, es: data, ss: data, fs: data, gs: data },
  });
}

beforeEach(() => {
  memory = createPhysicalMemory([{ base: 0, size: 0x10_0000, access: 'rw' }], reservedBytes(1));
  vcpu = createSoftEngine().createVm(memory, 1, { log: () => undefined }).createVcpu(0, wiring);
  window = new BusyWindow(new SharedArrayBuffer(BYTES), true);
  words = new Uint32Array(window.buffer);
  busAccesses = 0;
});

describe('memory shared with other partitions', () => {
  it('is loaded from and stored to without the bus, strings and SSE included', () => {
    words.set([0x1122_3344, 0x5566_7788, 0x99aa_bbcc, 0xddee_ff00]);
    // mov eax,[edi]; mov [edi+0x10],ax; mov bl,[edi+3]; mov [edi+0x12],bl; lea esi,[edi]; add edi,0x20; mov ecx,4; rep movsd
    start('8b 07  66 89 47 10  8a 5f 03  88 5f 12  8d 37  83 c7 20  b9 04 00 00 00  f3 a5  eb fe');
    vcpu.run(12);
    expect([...words.subarray(0, 12)].map((word) => word.toString(16))).toEqual(
      ['11223344', '55667788', '99aabbcc', 'ddeeff00', '113344', '0', '0', '0', '11223344', '55667788', '99aabbcc', 'ddeeff00'],
    );
    expect(busAccesses).toBe(0);
  });

  it('takes an unaligned access apart', () => {
    // mov dword [edi+1], 0x44332211; mov eax,[edi+1]; mov dword [edi+0xffe], -1 (leaves the window: half of it goes to the bus)
    start('c7 47 01 11 22 33 44  8b 47 01  eb fe');
    vcpu.run(3);
    expect([reg(0), words[0], words[1]]).toEqual([0x4433_2211, 0x3322_1100, 0x44]);
  });

  it('drops the stores of a partition that may only read', () => {
    window = new BusyWindow(window.buffer, false);
    words[0] = 5;
    start('f0 ff 07  c7 07 09 00 00 00  8b 07  eb fe'); // lock inc dword [edi]; mov dword [edi],9; mov eax,[edi]
    vcpu.run(4);
    expect([reg(0), words[0]]).toEqual([5, 5]);
  });

  it('runs a read-modify-write again when the peer stored in between, with the flags it had before', () => {
    let stores = 3;
    window.afterLoad = () => {
      if (stores-- > 0) words[0] = (words[0] as number) + 100;
    };
    words[0] = 1;
    start('f9  f0 83 17 05  eb fe'); // stc; lock adc dword [edi],5
    vcpu.run(6); // the three tries that came to nothing count as instructions
    expect([words[0], flags() & 1]).toEqual([307, 0]);
  });

  it.each([
    ['lock xadd [edi],eax', 'f0 0f c1 07', 7, [47, 40]],
    ['xchg [edi],eax', '87 07', 7, [7, 40]],
    ['lock cmpxchg [edi],ecx, when it fails', 'f0 0f b1 0f', 7, [40, 40]],
    ['lock cmpxchg [edi],ecx, when it succeeds', 'f0 0f b1 0f', 40, [9, 40]],
    ['lock bts dword [edi],2', 'f0 0f ba 2f 02', 0, [44, 0]],
    ['lock neg dword [edi]', 'f0 f7 1f', 0, [0xffff_ffd8, 0]],
    ['or byte [edi],3', '80 0f 03', 0, [43, 0]],
  ])('makes one access of %s', (_, code, eax, [memoryAfter, eaxAfter]) => {
    let stores = 1;
    words[0] = 1;
    window.afterLoad = () => {
      if (stores-- > 0) words[0] = 40;
    };
    start(`${code} eb fe`, { 0: eax, 1: 9, 7: SHARED });
    vcpu.run(3);
    expect([words[0], reg(0)]).toEqual([memoryAfter, eaxAfter]);
  });

  it('makes one access of CMPXCHG8B', () => {
    let stores = 1;
    window.afterLoad = () => {
      if (stores-- > 0) words.set([1, 2]);
    };
    start('f0 0f c7 0f eb fe', { 0: 1, 2: 2, 3: 10, 1: 20, 7: SHARED }); // lock cmpxchg8b [edi]
    vcpu.run(3);
    expect([words[0], words[1], flags() & 0x40]).toEqual([10, 20, 0x40]);
  });

  it('never goes round for ever: a peer that stores at each load costs tries, each of them an instruction', () => {
    window.afterLoad = () => {
      words[0] = (words[0] as number) + 1;
    };
    start('f0 ff 07  eb fe');
    vcpu.run(1000);
    expect(vcpu.retired).toBe(1000);
    expect(words[0]).toBe(1000);
  });
});
