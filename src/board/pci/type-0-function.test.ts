import { beforeEach, describe, expect, it } from 'vitest';
import type { IoHandler, PciFunctionDescription } from '../../contracts/index.ts';
import { type FakeSlot, fakeSlot } from '../testing.ts';
import type { Type0Function } from './type-0-function.ts';

const IDENTITY = { vendor: 0x1234, device: 0x5678, classCode: 0x02_0000, revision: 3, subsystemVendor: 0x1af4, subsystem: 0x1100 };
const COMMAND = 0x04;
const STATUS = 0x06;

/** Remembers what it was asked. */
class Registers implements IoHandler {
  readonly calls: string[] = [];
  read(offset: number, size: number): number {
    this.calls.push(`read ${offset} ${size}`);
    return 0xa5;
  }
  write(offset: number, size: number, value: number): void {
    this.calls.push(`write ${offset} ${size} ${value}`);
  }
}

let slot: FakeSlot;
beforeEach(() => {
  slot = fakeSlot('card');
});

function plug(description: Partial<PciFunctionDescription>): Type0Function {
  slot.pci({ identity: IDENTITY, bars: [], ...description });
  return slot.functions.at(-1) as Type0Function;
}

describe('the header (PCI 3.0 §6.2)', () => {
  it('says who it is, and lets nobody change it', () => {
    const pci = plug({});
    for (const register of [0x00, 0x08, 0x2c]) pci.writeConfig(register, 4, 0xffff_ffff);
    expect([pci.readConfig(0, 4), pci.readConfig(8, 4), pci.readConfig(0x2c, 4)]).toEqual([0x5678_1234, 0x0200_0003, 0x1100_1af4]);
    expect(pci.readConfig(0x0e, 1)).toBe(0);
  });

  it('has the command bits of §6.2.2 that mean something here, and the interrupt line as a note', () => {
    const pci = plug({ interruptPin: true });
    pci.writeConfig(COMMAND, 2, 0xffff);
    expect(pci.readConfig(COMMAND, 2)).toBe(0x0547);
    pci.writeConfig(0x3c, 2, 0xff0b);
    expect(pci.readConfig(0x3c, 2)).toBe(0x010b); // the pin cannot be written
  });

  it('keeps device-specific registers with the bits that can be written, and tells the device of every write', () => {
    const seen: number[] = [];
    const pci = plug({
      registers: [{ at: 0x60, bytes: Uint8Array.of(0x12, 0x34), writable: Uint8Array.of(0x0f, 0) }],
      configured: (register) => seen.push(register),
    });
    seen.length = 0;
    pci.writeConfig(0x60, 2, 0xffff);
    expect([pci.readConfig(0x60, 2), seen]).toEqual([0x341f, [0x60]]);
    pci.reset();
    expect([pci.readConfig(0x60, 2), seen.length]).toEqual([0x3412, 2]);
  });
});

describe('base address registers (§6.2.5)', () => {
  it('read back their size when ones are written, with the bits that say what they are', () => {
    const handler = new Registers();
    const pci = plug({
      bars: [
        { kind: 'pio', size: 32, handler },
        { kind: 'mmio', size: 0x2000, handler },
        { kind: 'mmio', size: 0x1_0000, handler, wide: true, prefetchable: true },
        undefined,
        { kind: 'memory', size: 0x10_0000, name: 'frames', prefetchable: true },
      ],
    });
    const sized = [0, 1, 2, 3, 4, 5].map((bar) => {
      pci.writeConfig(0x10 + 4 * bar, 4, 0xffff_ffff);
      return pci.readConfig(0x10 + 4 * bar, 4);
    });
    expect(sized).toEqual([0xffff_ffe1, 0xffff_e000, 0xffff_000c, 0xffff_ffff, 0xfff0_0008, 0]);
  });

  it('answer where the guest put them while their space is enabled, at offsets of their own', () => {
    const ports = new Registers();
    const registers = new Registers();
    const pci = plug({
      bars: [
        { kind: 'pio', size: 16, handler: ports },
        { kind: 'mmio', size: 4096, handler: registers },
      ],
    });
    pci.writeConfig(0x10, 4, 0xd000);
    pci.writeConfig(0x14, 4, 0xe123_4000);
    expect([pci.barAddress(0), pci.barAddress(1)]).toEqual([0xd000, 0xe123_4000]);
    slot.bus.write('pio', 0xd00c, 4, 7);
    expect(slot.bus.read('mmio', 0xe123_4010, 2)).toBe(0xa5);
    expect([ports.calls, registers.calls]).toEqual([['write 12 4 7'], ['read 16 2']]);
    pci.writeConfig(COMMAND, 2, 0x0001);
    expect([pci.barAddress(0), pci.barAddress(1), slot.bus.read('mmio', 0xe123_4010, 2)]).toEqual([0xd000, undefined, 0xffff]);
    pci.writeConfig(COMMAND, 2, 0x0002);
    expect([pci.barAddress(0), slot.bus.read('pio', 0xd00c, 1)]).toEqual([undefined, 0xff]);
  });

  it('are nowhere at address 0 and beyond their space', () => {
    const handler = new Registers();
    const pci = plug({
      bars: [
        { kind: 'pio', size: 16, handler },
        { kind: 'mmio', size: 4096, handler, wide: true },
      ],
    });
    pci.writeConfig(0x10, 4, 0);
    expect(pci.barAddress(0)).toBeUndefined();
    pci.writeConfig(0x10, 4, 0x1_0000);
    expect(pci.barAddress(0)).toBeUndefined();
    pci.writeConfig(0x18, 4, 0x0000_0012);
    pci.writeConfig(0x14, 4, 0x3456_7000);
    expect(pci.barAddress(1)).toBe(0x12_3456_7000);
    expect(slot.bus.read('mmio', 0x12_3456_7004, 4)).toBe(0xa5);
    pci.writeConfig(0x18, 4, 0xffff_ffff);
    expect(pci.barAddress(1)).toBeUndefined();
  });

  it('answer behind what the board claims, and the first placed answers before the second', () => {
    const board = new Registers();
    const first = new Registers();
    const second = new Registers();
    slot.bus.claim({ space: 'pio', base: 0xd004, size: 4 }, 'board', board);
    const a = plug({ bars: [{ kind: 'pio', size: 16, handler: first }] });
    const b = plug({ bars: [{ kind: 'pio', size: 16, handler: second }] });
    a.writeConfig(0x10, 4, 0xd000);
    b.writeConfig(0x10, 4, 0xd000);
    for (const port of [0xd000, 0xd004, 0xd008]) slot.bus.write('pio', port, 1, 1);
    expect([board.calls, first.calls, second.calls]).toEqual([['write 0 1 1'], ['write 0 1 1', 'write 8 1 1'], []]);
    a.writeConfig(0x10, 4, 0xe000);
    slot.bus.write('pio', 0xd008, 1, 2);
    expect(second.calls).toEqual(['write 8 1 2']);
  });

  it('are as after power-on when the function is reset', () => {
    const pci = plug({ bars: [{ kind: 'memory', size: 4096, name: 'bytes' }] });
    const bytes = pci.memoryOf(0) as Uint8Array;
    bytes[5] = 1;
    pci.reset();
    expect([pci.barAddress(0), pci.readConfig(0x10, 4), pci.readConfig(COMMAND, 2), bytes[5]]).toEqual([undefined, 0, 0, 0]);
  });

  it('refuse descriptions that no hardware could have', () => {
    const handler = new Registers();
    const bars: PciFunctionDescription['bars'][] = [
      [{ kind: 'pio', size: 512, handler }],
      [{ kind: 'pio', size: 3, handler }],
      [{ kind: 'mmio', size: 24, handler }],
      [{ kind: 'memory', size: 2048, name: 'small' }],
      [{ kind: 'mmio', size: 4096, handler, wide: true }, { kind: 'mmio', size: 4096, handler }],
      [undefined, undefined, undefined, undefined, undefined, { kind: 'mmio', size: 4096, handler, wide: true }],
    ];
    for (const candidate of bars) expect(() => plug({ bars: candidate })).toThrow(expect.objectContaining({ code: 'BH216' }));
    expect(() => plug({ bars: [{ kind: 'memory', size: 0x4000_0000, name: 'everything' }] })).toThrow(expect.objectContaining({ code: 'BH401' }));
  });
});

describe('memory of a function', () => {
  it('is in the map of the partition where the BAR lies, moves with it, and is gone while memory decoding is off', () => {
    const pci = plug({ bars: [{ kind: 'memory', size: 0x4000, name: 'frames' }] });
    const bytes = pci.memoryOf(0) as Uint8Array;
    const shown = () => slot.memory.map.filter(({ base }) => base >= 0xc000_0000);
    pci.writeConfig(0x10, 4, 0xd000_0000);
    expect(shown()).toEqual([{ base: 0xd000_0000, end: 0xd000_4000, offset: bytes.byteOffset, access: 'rw' }]);
    pci.writeConfig(0x10, 4, 0xd800_0000);
    expect(shown().map(({ base }) => base)).toEqual([0xd800_0000]);
    pci.writeConfig(COMMAND, 2, 0);
    expect(shown()).toEqual([]);
  });

  it('never hides RAM, the registers of the board or the memory of another function', () => {
    slot.bus.claim({ space: 'mmio', base: 0xd000_2000, size: 0x100 }, 'board', new Registers());
    const pci = plug({ bars: [{ kind: 'memory', size: 0x4000, name: 'a' }] });
    const other = plug({ bars: [{ kind: 'memory', size: 0x4000, name: 'b' }] });
    other.writeConfig(0x10, 4, 0xd100_0000);
    for (const base of [0x8_0000, 0xfec0_0000, 0xfee0_0000, 0xffff_c000, 0xd000_0000, 0xd100_0000]) {
      pci.writeConfig(0x10, 4, base);
      expect(pci.barAddress(0)).toBeUndefined();
    }
    pci.writeConfig(0x10, 4, 0xd200_0000);
    expect(pci.barAddress(0)).toBe(0xd200_0000);
  });
});

describe('the expansion ROM (§6.2.5.2)', () => {
  it('has a size of its own, answers only when both enables are set, and cannot be written', () => {
    const pci = plug({ rom: Uint8Array.of(0x55, 0xaa, 0x08) });
    pci.writeConfig(0x30, 4, 0xffff_fffe);
    expect(pci.readConfig(0x30, 4)).toBe(0xffff_f800);
    pci.writeConfig(0x30, 4, 0xe000_0000);
    expect(slot.bus.read('mmio', 0xe000_0000, 2)).toBe(0xffff);
    pci.writeConfig(0x30, 4, 0xe000_0001);
    expect([slot.bus.read('mmio', 0xe000_0000, 4), slot.bus.read('mmio', 0xe000_07ff, 1)]).toEqual([0xff08_aa55, 0xff]);
    slot.bus.write('mmio', 0xe000_0000, 1, 0);
    expect(slot.bus.read('mmio', 0xe000_0000, 1)).toBe(0x55);
    pci.writeConfig(COMMAND, 2, 0);
    expect(slot.bus.read('mmio', 0xe000_0000, 2)).toBe(0xffff);
  });
});

describe('capabilities (§6.7)', () => {
  it('are linked from the header, around registers of the device, and announced in the status register', () => {
    const pci = plug({
      msi: 1,
      registers: [{ at: 0x48, bytes: Uint8Array.of(1) }],
      capabilities: [{ id: 0x09, body: Uint8Array.of(5, 0xaa, 0xbb), writable: Uint8Array.of(0, 0xff, 0) }],
    });
    expect(pci.readConfig(STATUS, 2) & 0x10).toBe(0x10);
    const ids: number[] = [];
    for (let at = pci.readConfig(0x34, 1); at !== 0; at = pci.readConfig(at + 1, 1)) ids.push(pci.readConfig(at, 1));
    expect(ids).toEqual([0x05, 0x09]);
    const vendor = pci.readConfig(pci.readConfig(0x34, 1) + 1, 1);
    pci.writeConfig(vendor, 4, 0x1122_3344);
    expect(pci.readConfig(vendor, 4)).toBe(0x1105_0009); // the second byte of the body is what can be written
  });

  it('are none in a function without', () => {
    const pci = plug({});
    expect([pci.readConfig(0x34, 1), pci.readConfig(STATUS, 2)]).toEqual([0, 0]);
  });
});

describe('INTx# (§2.2.6, §6.2.3)', () => {
  it('is a level that shows in the status register, and on the wire unless disabled', () => {
    const pci = plug({ interruptPin: true });
    pci.setInterrupt(true);
    expect([pci.interruptAsserted, pci.readConfig(STATUS, 2) & 8]).toEqual([true, 8]);
    pci.writeConfig(COMMAND, 2, 0x0400);
    expect([pci.interruptAsserted, pci.readConfig(STATUS, 2) & 8]).toEqual([false, 8]);
    pci.writeConfig(COMMAND, 2, 0);
    expect(pci.interruptAsserted).toBe(true);
    pci.setInterrupt(false);
    expect([pci.interruptAsserted, pci.readConfig(STATUS, 2) & 8]).toEqual([false, 0]);
  });

  it('is silent while messages are used', () => {
    const pci = plug({ interruptPin: true, msi: 1 });
    pci.setInterrupt(true);
    pci.writeConfig(pci.readConfig(0x34, 1) + 2, 2, 1);
    expect([pci.usesMessages, pci.interruptAsserted]).toEqual([true, false]);
  });
});

describe('bus mastering', () => {
  it('opens and closes the way to RAM; what is refused is a master abort in the status register, cleared by writing one', () => {
    const pci = plug({});
    expect([pci.dma.write32(0x1000, 0xdead_beef), pci.dma.read32(0x1000)]).toEqual([true, 0xdead_beef]);
    pci.writeConfig(COMMAND, 2, 0);
    expect([pci.dma.write32(0x1000, 1), pci.dma.read32(0x1000), pci.dma.violations]).toEqual([false, undefined, 2]);
    expect(pci.readConfig(STATUS, 2)).toBe(0x2000);
    pci.writeConfig(STATUS, 2, 0x2000);
    expect(pci.readConfig(STATUS, 2)).toBe(0);
    pci.writeConfig(COMMAND, 2, 4);
    expect(slot.memory.read(0x1000, 4)).toEqual(Uint8Array.of(0xef, 0xbe, 0xad, 0xde));
  });
});

describe('saving and restoring', () => {
  it('brings back configuration, places, messages held back and the level of the interrupt', () => {
    const describeCard = (): Partial<PciFunctionDescription> => ({
      interruptPin: true,
      msix: { vectors: 3, bar: 1 },
      bars: [{ kind: 'pio', size: 16, handler: new Registers() }],
    });
    const pci = plug(describeCard());
    pci.writeConfig(0x10, 4, 0xd000);
    pci.setInterrupt(true);
    const table = pci.barAddress(1) as number;
    slot.bus.write('mmio', table + 16, 4, 0xfee0_0000);
    slot.bus.write('mmio', table + 16 + 8, 4, 0x41);
    pci.writeConfig(pci.readConfig(0x34, 1) + 2, 2, 0x8000);
    pci.signal(1);
    const state = structuredClone(pci.save());

    slot = fakeSlot('card');
    const copy = plug(describeCard());
    copy.restore(state);
    expect([copy.barAddress(0), copy.barAddress(1), copy.usesMessages]).toEqual([0xd000, table, true]);
    expect(copy.save()).toEqual(state);
    slot.bus.write('mmio', table + 16 + 12, 4, 0);
    expect(slot.msis).toEqual([[0xfee0_0000, 0x41]]);
  });
});
