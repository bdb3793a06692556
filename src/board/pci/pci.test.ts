import { beforeEach, describe, expect, it } from 'vitest';
import { SystemBus } from '../bus.ts';
import { ConfigurationMechanism1 } from './configuration-mechanism-1.ts';
import { HostBridge } from './host-bridge.ts';

const ADDRESS = 0xcf8;
const DATA = 0xcfc;

let bus: SystemBus;
let resetControl: number[];

beforeEach(() => {
  bus = new SystemBus();
  resetControl = [];
  const pci = new ConfigurationMechanism1({ resetControl: { read: () => 0x02, write: (_, value) => resetControl.push(value) } });
  pci.plug(0, 0, new HostBridge());
  bus.claim({ space: 'pio', base: 0xcf8, size: 8 }, 'pci', pci);
});

const out = (port: number, size: 1 | 2 | 4, value: number) => bus.write('pio', port, size, value);
const inp = (port: number, size: 1 | 2 | 4) => bus.read('pio', port, size);

describe('configuration mechanism #1', () => {
  it('passes the probe of Linux: the address register keeps a dword and ignores bytes', () => {
    out(0xcfb, 1, 0x01);
    out(ADDRESS, 4, 0x8000_0000);
    expect(inp(ADDRESS, 4)).toBe(0x8000_0000);
    out(0xcfb, 1, 0x00);
    expect(inp(ADDRESS, 4)).toBe(0x8000_0000);
  });

  it('finds a host bridge at 00:00.0', () => {
    out(ADDRESS, 4, 0x8000_0000);
    expect(inp(DATA, 4)).toBe(0x1237_8086);
    out(ADDRESS, 4, 0x8000_0008);
    expect([inp(DATA + 2, 2), inp(DATA + 3, 1)]).toEqual([0x0600, 0x06]);
  });

  it('reads absent functions, other buses and a disabled address as ones', () => {
    for (const address of [0x8000_0800, 0x8000_0100, 0x8001_0000, 0x0000_0000]) {
      out(ADDRESS, 4, address);
      expect([inp(DATA, 4), inp(DATA, 2), inp(DATA, 1)]).toEqual([0xffff_ffff, 0xffff, 0xff]);
    }
  });

  it('lets only the existing command bits be written', () => {
    out(ADDRESS, 4, 0x8000_0004);
    out(DATA, 2, 0xffff);
    expect(inp(DATA, 2)).toBe(0x0107);
    out(ADDRESS, 4, 0x8000_0000);
    out(DATA, 4, 0);
    expect(inp(DATA, 4)).toBe(0x1237_8086);
  });

  it('leaves byte accesses at 0xCF9 to the reset control register', () => {
    out(0xcf9, 1, 0x06);
    expect([resetControl, inp(0xcf9, 1)]).toEqual([[0x06], 0x02]);
    out(ADDRESS, 4, 0xffff_ffff);
    expect(resetControl).toHaveLength(1);
  });
});
