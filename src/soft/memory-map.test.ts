/** Bytes beside RAM, as running code meets them: display memory, shadowed ROM, and ranges that move in the middle of it all. */
import { beforeEach, expect, it } from 'vitest';
import { type GuestMemory, createPhysicalMemory } from '../board/memory.ts';
import type { IoSpace, Vcpu, VcpuState, Vm } from '../contracts/index.ts';
import { createSoftEngine } from './engine.ts';
import { reservedBytes } from './layout.ts';
import { silentWiring } from './testing.ts';

const CODE = 0x1000;
const FRAMES = 0xd000_0000;

let memory: GuestMemory;
let vm: Vm;
let vcpu: Vcpu;
let busAccesses: string[];
let onPort: (value: number) => void;

const io: IoSpace = {
  read: (space, address, size) => {
    busAccesses.push(`read ${space} ${address.toString(16)} ${size}`);
    return 0xffff_ffff >>> (32 - 8 * size);
  },
  write: (space, address, _size, value) => {
    if (space === 'pio') onPort(value);
    else busAccesses.push(`write ${space} ${address.toString(16)}`);
  },
};
const wiring = silentWiring({
  io,
  cpuid: { lookup: (_, __, out) => out.fill(0) },
});

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.trim().split(/\s+/).map((byte) => Number.parseInt(byte, 16)));
const reg = (n: number): number => Number(vcpu.readState().gpr[n]);
const flat = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });

/** 32-bit flat protected mode. */
function start(hex: string, at: number = CODE): void {
  memory.write(at, bytes(hex));
  enter(at);
}

function enter(at: number): void {
  const before = vcpu.readState();
  const data = flat(16, 0xc093);
  vcpu.writeState({
    ...before,
    rip: BigInt(at),
    rflags: 2n,
    cr0: 0x11n,
    gpr: before.gpr.map((_, n) => (n === 4 ? 0x8000n : 0n)),
    segments: { ...before.segments, cs: flat(8, 0xc09b), ds: data, es: data, ss: data, fs: data, gs: data },
  });
}

beforeEach(() => {
  memory = createPhysicalMemory([{ base: 0, size: 0x10_0000, access: 'rw' }], reservedBytes(1), 0x10_0000);
  vm = createSoftEngine().createVm(memory, 1, { log: () => undefined });
  vcpu = vm.createVcpu(0, wiring);
  busAccesses = [];
  onPort = () => undefined;
});

it('loads and stores reach display memory without a call', () => {
  const frames = memory.reserve(0x4000, 'frames');
  memory.overlay(FRAMES, 0x4000, frames, 'rw');
  // mov dword [FRAMES+0x123c], 0x11223344; mov eax, [FRAMES+0x123d]; mov edi, FRAMES; mov ecx, 0x1000; mov al, 0x55; rep stosb
  start('c7 05 3c 12 00 d0 44 33 22 11  a1 3d 12 00 d0  89 c3  bf 00 00 00 d0  b9 00 10 00 00  b0 55  f3 aa  eb fe');
  vcpu.run(6 + 0x1000);
  expect(reg(3)).toBe(0x0011_2233);
  expect([memory.bytes[frames], memory.bytes[frames + 0xfff], memory.bytes[frames + 0x123c]]).toEqual([0x55, 0x55, 0x44]);
  expect(busAccesses).toEqual([]);
});

it('a range moved in the middle of a block is where it is from the very next instruction on', () => {
  const frames = memory.reserve(0x1000, 'frames');
  memory.bytes[frames] = 0x77;
  let shown = memory.overlay(FRAMES, 0x1000, frames, 'rw');
  onPort = (value) => {
    shown[Symbol.dispose]();
    if (value === 1) shown = memory.overlay(FRAMES + 0x10_0000, 0x1000, frames, 'rw');
  };
  // mov al,[FRAMES]; mov bl,al; mov al,1; out 0x80,al; mov cl,[FRAMES]; mov dl,[FRAMES+1 MiB]; mov al,2; out 0x80,al; mov dh,[FRAMES+1 MiB]
  start('a0 00 00 00 d0  88 c3  b0 01  e6 80  8a 0d 00 00 00 d0  8a 15 00 00 10 d0  b0 02  e6 80  8a 35 00 00 10 d0  eb fe');
  vcpu.run(9);
  expect([reg(3) & 0xff, reg(1) & 0xff, reg(2) & 0xffff]).toEqual([0x77, 0xff, 0xff77]);
  expect(busAccesses).toEqual(['read mmio d0000000 1', 'read mmio d0100000 1']);
});

it('ROM in front of RAM is what is read and run; stores go to the bus, RAM keeps its bytes', () => {
  const rom = memory.reserve(0x1000, 'rom');
  memory.bytes.set(bytes('b8 0d 60 00 00  c7 05 00 40 00 00 01 00 00 00  eb fe'), rom); // mov eax, 0x600d; mov dword [0x4000], 1
  memory.write(0x4000, bytes('40 40 40 40'));
  memory.overlay(0x4000, 0x1000, rom, 'ro');
  enter(0x4000);
  vcpu.run(2);
  expect([reg(0), busAccesses]).toEqual([0x600d, ['write mmio 4000']]);
  expect(memory.read(0x4000, 4)).toEqual(bytes('40 40 40 40'));
});

it('code that switches what lies under itself goes on in the new bytes', () => {
  const rom = memory.reserve(0x1000, 'rom');
  memory.bytes.set(bytes('b0 01 e6 80 b3 11 eb fe'), rom); // mov al,1; out 0x80,al; mov bl,0x11
  memory.write(0x4000, bytes('b0 01 e6 80 b3 22 eb fe')); //  the same, but mov bl,0x22
  const shadow = memory.overlay(0x4000, 0x1000, rom, 'ro');
  onPort = () => shadow[Symbol.dispose]();
  enter(0x4000);
  vcpu.run(3);
  expect(reg(3)).toBe(0x22);
  // Run once more from the start: nothing decoded from ROM is left behind.
  onPort = () => undefined;
  enter(0x4000);
  vcpu.run(3);
  expect(reg(3)).toBe(0x22);
});

it('code changed by DMA runs as changed', () => {
  start('b3 11 eb fc'); // mov bl, 0x11; jmp back
  vcpu.run(10);
  expect(reg(3)).toBe(0x11);
  memory.written(CODE, 4); // as DMA does, before it stores
  memory.write(CODE + 1, bytes('22'));
  vcpu.run(2);
  expect(reg(3)).toBe(0x22);
});

it('a machine taken down observes its memory no more', () => {
  vm[Symbol.dispose]();
  memory.overlay(FRAMES, 0x1000, memory.reserve(0x1000, 'frames'), 'rw');
  memory.written(CODE, 4);
  expect(memory.map.at(-1)?.base).toBe(FRAMES);
});
