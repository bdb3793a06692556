import { beforeEach, describe, expect, it } from 'vitest';
import type { PciFunctionDescription } from '../../contracts/index.ts';
import { type FakeSlot, fakeSlot } from '../testing.ts';
import { msiXRangeBytes } from './msi-x.ts';
import type { Type0Function } from './type-0-function.ts';

const IDENTITY = { vendor: 0x1234, device: 0x5678, classCode: 0 };

let slot: FakeSlot;
beforeEach(() => {
  slot = fakeSlot();
});

function plug(description: Partial<PciFunctionDescription>): { pci: Type0Function; capability: number } {
  slot.pci({ identity: IDENTITY, bars: [], ...description });
  const pci = slot.functions.at(-1) as Type0Function;
  return { pci, capability: pci.readConfig(0x34, 1) };
}

describe('MSI (PCI 3.0 §6.8.1)', () => {
  const enable = (pci: Type0Function, at: number, allocated: number) => {
    pci.writeConfig(at + 4, 4, 0xfee0_1000);
    pci.writeConfig(at + 12, 2, 0x4070);
    pci.writeConfig(at + 2, 2, 1 | (allocated << 4));
  };

  it('says what it can: 64-bit address, masks, and how many messages it asks for', () => {
    for (const [messages, control] of [[1, 0x180], [8, 0x186], [32, 0x18a]] as const) {
      const { pci, capability } = plug({ msi: messages });
      expect([pci.readConfig(capability, 1), pci.readConfig(capability + 2, 2)]).toEqual([0x05, control]);
      expect([pci.usesMessages, pci.messages]).toEqual([false, 0]);
    }
  });

  it('puts the number of the message into the low bits of the data', () => {
    const { pci, capability } = plug({ msi: 8 });
    enable(pci, capability, 3);
    expect([pci.usesMessages, pci.messages]).toEqual([true, 8]);
    pci.signal(0);
    pci.signal(5);
    expect(slot.msis).toEqual([[0xfee0_1000, 0x4070], [0xfee0_1000, 0x4075]]);
  });

  it('folds vectors when software allocated fewer messages, and never counts more than the function has', () => {
    const { pci, capability } = plug({ msi: 4 });
    enable(pci, capability, 1);
    pci.signal(3);
    pci.signal(2);
    expect(slot.msis.map(([, data]) => data)).toEqual([0x4071, 0x4070]);
    pci.writeConfig(capability + 2, 2, 1 | (7 << 4));
    expect(pci.messages).toBe(4);
  });

  it('holds a masked message back as pending, once, and sends it when the mask goes', () => {
    const { pci, capability } = plug({ msi: 4 });
    enable(pci, capability, 2);
    pci.writeConfig(capability + 16, 4, 0xffff_ffff);
    expect(pci.readConfig(capability + 16, 4)).toBe(0x0f); // of messages that there are not, none can be masked
    pci.signal(2);
    pci.signal(2);
    expect([slot.msis.length, pci.readConfig(capability + 20, 4)]).toEqual([0, 4]);
    pci.writeConfig(capability + 16, 4, 0x0b);
    expect([slot.msis, pci.readConfig(capability + 20, 4)]).toEqual([[[0xfee0_1000, 0x4072]], 0]);
  });

  it('is a write of a bus master: none without it, and to RAM it is DMA, checked like any other', () => {
    const { pci, capability } = plug({ msi: 1 });
    enable(pci, capability, 0);
    pci.writeConfig(0x04, 2, 0);
    pci.signal(0);
    expect(slot.msis).toEqual([]);
    pci.writeConfig(0x04, 2, 4);
    pci.writeConfig(capability + 4, 4, 0x2000);
    pci.signal(0);
    expect(slot.memory.read(0x2000, 4)).toEqual(Uint8Array.of(0x70, 0x40, 0, 0));
    pci.writeConfig(capability + 8, 4, 1);
    pci.signal(0);
    expect([slot.msis, pci.dma.violations]).toEqual([[], 1]);
  });

  it('cannot have a number of messages that the capability cannot say', () => {
    for (const messages of [0, 3, 64]) expect(() => plug({ msi: messages })).toThrow(expect.objectContaining({ code: 'BH216' }));
  });
});

describe('MSI-X (§6.8.2)', () => {
  const ENABLE = 0x8000;
  const FUNCTION_MASK = 0x4000;
  const entry = (table: number, vector: number, data: number, control: number) => {
    slot.bus.write('mmio', table + 16 * vector, 4, 0xfee0_2000);
    slot.bus.write('mmio', table + 16 * vector + 4, 4, 0);
    slot.bus.write('mmio', table + 16 * vector + 8, 4, data);
    slot.bus.write('mmio', table + 16 * vector + 12, 4, control);
  };

  it('says how many vectors, and where table and pending bits are', () => {
    const { pci, capability } = plug({ msix: { vectors: 5, bar: 2 } });
    expect([0, 2, 4, 8].map((at) => pci.readConfig(capability + at, at === 0 ? 1 : at === 2 ? 2 : 4))).toEqual([0x11, 4, 2, 4096 | 2]);
    expect([msiXRangeBytes(1), msiXRangeBytes(256), msiXRangeBytes(257), msiXRangeBytes(2048)]).toEqual([8192, 8192, 16384, 65536]);
  });

  it('starts with every vector masked', () => {
    const { pci } = plug({ msix: { vectors: 2, bar: 0 } });
    const table = pci.barAddress(0) as number;
    expect([slot.bus.read('mmio', table + 12, 4), slot.bus.read('mmio', table + 28, 4)]).toEqual([1, 1]);
  });

  it('sends what the table says, each vector its own; vectors that there are not are dropped', () => {
    const { pci, capability } = plug({ msix: { vectors: 2, bar: 0 } });
    const table = pci.barAddress(0) as number;
    entry(table, 0, 0x51, 0);
    entry(table, 1, 0x62, 0);
    pci.signal(0);
    expect(slot.msis).toEqual([]); // not enabled
    pci.writeConfig(capability + 2, 2, ENABLE);
    expect([pci.usesMessages, pci.messages]).toEqual([true, 2]);
    for (const vector of [1, 0, 2, -1, 1.5e9]) pci.signal(vector);
    expect(slot.msis).toEqual([[0xfee0_2000, 0x62], [0xfee0_2000, 0x51]]);
  });

  it('holds back a masked vector, and every vector under the function mask, in pending bits that cannot be written', () => {
    const { pci, capability } = plug({ msix: { vectors: 40, bar: 0 } });
    const table = pci.barAddress(0) as number;
    const pending = () => [slot.bus.read('mmio', table + 4096, 4), slot.bus.read('mmio', table + 4100, 4)];
    entry(table, 3, 0x53, 1);
    entry(table, 35, 0x85, 0);
    pci.writeConfig(capability + 2, 2, ENABLE);
    pci.signal(3);
    expect([pending(), slot.msis]).toEqual([[8, 0], []]);
    slot.bus.write('mmio', table + 4096, 4, 0);
    slot.bus.write('mmio', table + 16 * 3 + 12, 4, 0);
    expect([pending(), slot.msis.length]).toEqual([[0, 0], 1]);
    pci.writeConfig(capability + 2, 2, ENABLE | FUNCTION_MASK);
    pci.signal(35);
    pci.signal(3);
    expect([pending(), slot.msis.length]).toEqual([[8, 8], 1]);
    pci.writeConfig(capability + 2, 2, ENABLE);
    expect([pending(), slot.msis.slice(1).map(([, data]) => data)]).toEqual([[0, 0], [0x53, 0x85]]);
  });

  it('keeps no bits that mean nothing: address bits 1:0, reserved bits of vector control', () => {
    const { pci } = plug({ msix: { vectors: 1, bar: 0 } });
    const table = pci.barAddress(0) as number;
    for (let at = 0; at < 16; at += 4) slot.bus.write('mmio', table + at, 4, 0xffff_ffff);
    expect([0, 4, 8, 12].map((at) => slot.bus.read('mmio', table + at, 4))).toEqual([0xffff_fffc, 0xffff_ffff, 0xffff_ffff, 1]);
    slot.bus.write('mmio', table + 9, 2, 0x1234);
    expect(slot.bus.read('mmio', table + 8, 4)).toBe(0xff12_34ff);
  });

  it('refuses a table in a BAR that is something else, and vectors beyond 2,048', () => {
    const handler = { read: () => 0, write: () => undefined };
    const refused = expect.objectContaining({ code: 'BH216' });
    expect(() => plug({ bars: [{ kind: 'mmio', size: 4096, handler }], msix: { vectors: 1, bar: 0 } })).toThrow(refused);
    expect(() => plug({ msix: { vectors: 2049, bar: 0 } })).toThrow(refused);
    expect(() => plug({ msix: { vectors: 1, bar: 6 } })).toThrow(refused);
  });
});
