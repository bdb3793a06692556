// VIRTIO 1.2 §5.1.6.5.
import { beforeEach, describe, expect, it } from 'vitest';
import { ReceiveFilter } from './receive-filter.ts';
import { bytesOf, counting, EVERYONE, frame, GUEST, PEER, tagged } from './testing.ts';

const GROUP = 0x0100_5e00_0001;
const [RX, MAC, VLAN] = [0, 1, 2];

describe('a receive filter', () => {
  let filter: ReceiveFilter;
  const passes = (bytes: Uint8Array): boolean => filter.passes(bytes, 0, bytes.length);
  const to = (address: number): boolean => passes(frame(address, PEER, 0x88b5, counting(50)));
  const obey = (kind: number, command: number, ...data: number[]): boolean => filter.obey(kind, command, Uint8Array.from(data));

  beforeEach(() => {
    filter = new ReceiveFilter(GUEST);
  });

  it('passes everything to a driver that cannot ask', () => {
    filter.begin(false, false);
    expect([to(GUEST), to(PEER), to(GROUP), to(EVERYONE), passes(tagged(GUEST, PEER, 9, 0x88b5, counting(50)))]).toEqual([true, true, true, true, true]);
  });

  it('passes to one that can what is for it and for everybody', () => {
    filter.begin(true, false);
    expect([to(GUEST), to(PEER), to(GROUP), to(EVERYONE)]).toEqual([true, false, false, true]);
  });

  it.each([
    ['promiscuous', 0, [true, true, true, true]],
    ['all of multicast', 1, [true, false, true, true]],
    ['all of unicast', 2, [true, true, false, true]],
    ['no unicast', 4, [false, false, false, true]],
    ['no broadcast', 5, [true, false, false, false]],
  ])('has the mode: %s', (_, command, expected) => {
    filter.begin(true, false);
    expect(obey(RX, command, 1)).toBe(true);
    expect([to(GUEST), to(PEER), to(GROUP), to(EVERYONE)]).toEqual(expected);
    obey(RX, command, 0);
    expect([to(GUEST), to(PEER), to(GROUP), to(EVERYONE)]).toEqual([true, false, false, true]);
  });

  it('has a table of addresses, and passes all of a kind when there are too many', () => {
    filter.begin(true, false);
    expect(obey(MAC, 0, 1, 0, 0, 0, ...bytesOf(PEER, 6), 0, 0, 0, 0)).toBe(true);
    expect([to(PEER), to(0x0200_0000_0009), to(GROUP)]).toEqual([true, false, false]);
    const many = Array.from({ length: 65 }, (_, i) => bytesOf(0x0100_5e00_1000 + i, 6)).flat();
    expect(obey(MAC, 0, 0, 0, 0, 0, 65, 0, 0, 0, ...many)).toBe(true);
    expect([to(PEER), to(GROUP)]).toEqual([false, true]);
  });

  it('has VLANs, for a driver that names them', () => {
    filter.begin(true, true);
    const inVlan = (tag: number): boolean => passes(tagged(GUEST, PEER, tag, 0x88b5, counting(50)));
    expect([to(GUEST), inVlan(7)]).toEqual([true, false]);
    expect([obey(VLAN, 0, 7, 0), inVlan(7), inVlan(0xe007), inVlan(8)]).toEqual([true, true, true, false]);
    expect([obey(VLAN, 1, 7, 0), inVlan(7)]).toEqual([true, false]);
  });

  it('refuses commands that make no sense', () => {
    filter.begin(true, true);
    expect([obey(9, 0, 1), obey(RX, 6, 1), obey(RX, 0), obey(MAC, 0, 1, 0, 0, 0, 1), obey(MAC, 1, 1, 2, 3, 4, 5, 6), obey(VLAN, 0, 0, 0x10), obey(VLAN, 2, 1, 0)]).toEqual(new Array(7).fill(false));
  });

  it('comes back as it was saved', () => {
    filter.begin(true, true);
    obey(RX, 5, 1);
    obey(VLAN, 0, 7, 0);
    obey(MAC, 0, 0, 0, 0, 0, 1, 0, 0, 0, ...bytesOf(GROUP, 6));
    const saved: unknown = JSON.parse(JSON.stringify(filter.save()));
    filter = new ReceiveFilter(GUEST);
    filter.restore(saved);
    expect([to(EVERYONE), to(GROUP), passes(tagged(GUEST, PEER, 7, 0x88b5, counting(50)))]).toEqual([false, true, true]);
  });
});
