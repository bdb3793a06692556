// Rules of QEMU's "Device Specification for Inter-VM shared memory device", revision 1.
import { beforeEach, describe, expect, it } from 'vitest';
import { type FakeSlot, fakeSlot } from '../../board/index.ts';
import { SharedWindow } from '../../base/index.ts';
import type { ChannelBackend } from '../../contracts/index.ts';
import { Ivshmem } from './ivshmem.ts';

const BYTES = 0x2000;
const BARS = [0x10, 0x14, 0x18];
const COMMAND = 0x04;

class FakeChannel implements ChannelBackend {
  readonly memory = new SharedWindow(new SharedArrayBuffer(BYTES), true);
  readonly id = 3;
  readonly rings: (readonly [number, number])[] = [];
  forgotten = 0;
  hear: (vector: number) => void = () => undefined;

  ring(peer: number, vector: number): void {
    this.rings.push([peer, vector]);
  }

  listen(rung: (vector: number) => void): void {
    this.hear = rung;
  }

  forget(): void {
    this.forgotten++;
  }
}

let slot: FakeSlot;
let channel: FakeChannel;
let chip: Ivshmem;

function plug(vectors: number): void {
  slot = fakeSlot();
  channel = new FakeChannel();
  chip = new Ivshmem({ channel, vectors, pci: (description) => slot.pci(description) });
}

const pci = () => slot.functions[0]!;
const bar = (index: number): number => (pci().readConfig(BARS[index] as number, 4) & ~0xf) >>> 0;
const read = (register: number): number => slot.bus.read('mmio', bar(0) + register, 4);
const write = (register: number, value: number): void => slot.bus.write('mmio', bar(0) + register, 4, value);

describe('on PCI', () => {
  beforeEach(() => plug(2));

  it('is 1af4:1110 revision 1, a RAM controller, with its memory in a 64-bit prefetchable BAR 2', () => {
    expect([pci().readConfig(0, 4), pci().readConfig(8, 4)]).toEqual([0x1110_1af4, 0x0500_0001]);
    expect(pci().readConfig(0x18, 4) & 0xf).toBe(0xc);
    pci().writeConfig(0x18, 4, 0xffff_ffff);
    expect((pci().readConfig(0x18, 4) & ~0xf) >>> 0).toBe(-BYTES >>> 0);
  });

  it('shows the shared bytes, which the bus can tell from a device', () => {
    slot.bus.write('mmio', bar(2) + 0x10, 4, 0xcafe_f00d);
    expect(channel.memory.read(0x10, 4)).toBe(0xcafe_f00d);
    expect([slot.bus.sharedAt?.(bar(2) + 0x10, 8)?.window, slot.bus.sharedAt?.(bar(2), 8)?.base]).toEqual([channel.memory, bar(2)]);
    expect(slot.bus.sharedAt?.(bar(0), 4)).toBeUndefined();
    expect(slot.bus.sharedAt?.(bar(2) + BYTES - 4, 8)).toBeUndefined();
  });

  it('keeps its memory over a reset: it is the peers\' too', () => {
    slot.bus.write('mmio', bar(2), 4, 5);
    chip.reset();
    expect([channel.memory.read(0, 4), channel.forgotten]).toEqual([5, 1]);
  });
});

describe('registers', () => {
  beforeEach(() => plug(0));

  it('tell the position and nothing of what is reserved or write-only', () => {
    expect([read(8), read(12), read(16), read(0xfc)]).toEqual([3, 0, 0, 0]);
    expect(slot.bus.read('mmio', bar(0) + 8, 1)).toBe(3);
  });

  it('ring the doorbell of a peer: bits 31–16 who, 15–0 which', () => {
    write(12, 0x0002_0001);
    write(12, 0xffff_ffff);
    slot.bus.write('mmio', bar(0) + 12, 2, 1); // half a register
    expect(channel.rings).toEqual([[2, 1], [0xffff, 0xffff]]);
  });
});

describe('without MSI-X', () => {
  beforeEach(() => plug(0));

  it('asserts INTA# while Status and Mask have a bit in common', () => {
    channel.hear(0);
    expect(pci().interruptAsserted).toBe(false);
    write(0, 1);
    expect(pci().interruptAsserted).toBe(true);
    write(0, 0);
    expect(pci().interruptAsserted).toBe(false);
  });

  it('clears Status when it is read', () => {
    write(0, 1);
    channel.hear(0);
    expect([read(4), read(4), pci().interruptAsserted]).toEqual([1, 0, false]);
  });

  it('begins anew at a reset', () => {
    write(0, 1);
    channel.hear(0);
    chip.reset();
    expect([read(0), read(4), pci().interruptAsserted]).toEqual([0, 0, false]);
  });

  it('comes back from a saved state', () => {
    write(0, 1);
    channel.hear(0);
    const state = chip.save();
    chip.reset();
    chip.restore(state);
    expect(pci().interruptAsserted).toBe(true);
  });
});

describe('with MSI-X', () => {
  beforeEach(() => {
    plug(2);
    slot.bus.write('mmio', bar(1), 4, 0xfee0_0000); // vector 0
    slot.bus.write('mmio', bar(1) + 8, 4, 0x41);
    slot.bus.write('mmio', bar(1) + 12, 4, 0);
  });

  const enable = (): void => {
    const capability = pci().readConfig(0x34, 1);
    pci().writeConfig(capability + 2, 2, 0x8000);
  };

  it('sends the message of the vector that was rung, and no INTx#', () => {
    enable();
    write(0, 1);
    channel.hear(0);
    expect([slot.msis, read(4), pci().interruptAsserted]).toEqual([[[0xfee0_0000, 0x41]], 0, false]);
  });

  it('drops what is rung before the guest has enabled it', () => {
    channel.hear(0);
    enable();
    expect(slot.msis).toEqual([]);
  });

  it('goes silent while the guest forbids bus mastering', () => {
    enable();
    pci().writeConfig(COMMAND, 2, 2);
    channel.hear(0);
    expect(slot.msis).toEqual([]);
  });
});
