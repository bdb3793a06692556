import { describe, expect, it } from 'vitest';
import { AddressTable, AGEING_NANOS } from './address-table.ts';

describe('the address table of a switch', () => {
  it('knows where a station was heard last, in each VLAN by itself', () => {
    const table = new AddressTable([16, 16]);
    table.learn(0x0200_0000_0001, 1, 0, 0);
    table.learn(0x0200_0000_0001, 2, 1, 0);
    expect([table.find(0x0200_0000_0001, 1, 1), table.find(0x0200_0000_0001, 2, 1), table.find(0x0200_0000_0001, 3, 1)]).toEqual([0, 1, -1]);
    table.learn(0x0200_0000_0001, 1, 1, 5);
    expect([table.find(0x0200_0000_0001, 1, 6), table.count(0), table.count(1)]).toEqual([1, 0, 2]);
  });

  it('forgets who says nothing for 300 s (802.1Q §8.8.3), and whose cable was pulled', () => {
    const table = new AddressTable([16]);
    table.learn(7, 1, 0, 0);
    expect([table.find(7, 1, AGEING_NANOS), table.find(7, 1, AGEING_NANOS + 1)]).toEqual([0, -1]);
    table.learn(7, 1, 0, 10);
    table.forget(0);
    expect([table.find(7, 1, 10), table.count(0)]).toEqual([-1, 0]);
  });

  it('lets a port that makes up addresses push out none of its neighbours’', () => {
    const table = new AddressTable([100_000, 100_000, 10]);
    for (let i = 0; i < 64; i++) table.learn(0x0200_0000_0000 + i * 7919, 1, 0, 0);
    for (let i = 0; i < 100_000; i++) table.learn(0x0600_0000_0000 + i, 1, 1, 1);
    for (let i = 0; i < 64; i++) expect(table.find(0x0200_0000_0000 + i * 7919, 1, 2)).toBe(0);
    for (let i = 0; i < 1000; i++) table.learn(0x0a00_0000_0000 + i, 1, 2, 1);
    expect(table.count(2)).toBeLessThanOrEqual(10);
  });
});
