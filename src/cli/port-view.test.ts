import { describe, expect, it } from 'vitest';
import type { PortReport } from '../hypervisor/index.ts';
import { portTable } from './port-view.ts';

const disk = (counters: Readonly<Record<string, number>>): PortReport => ({
  resource: 'disk0',
  kind: 'disk',
  partition: 'hmi',
  device: 'vda',
  counters,
});

describe('the table of ports', () => {
  it('is not there where nothing is shared', () => {
    expect(portTable([])).toBe('');
  });

  it('has a row for each port, in units a person reads', () => {
    const lines = portTable([
      disk({ served: 12_345, bytesIn: 1.5 * 2 ** 20, bytesOut: 512, refusedWindow: 0, heldBack: 2_500_000, waiting: 3 }),
      { resource: 'lan', kind: 'ethernet', counters: { framesIn: 3, framesOut: 4, bytesIn: 2048, bytesOut: 10 } },
    ]).split('\n');
    expect(lines[0]).toMatch(/^shared +port +done +in +out +refused +failed +lost +held back +waiting$/);
    expect(lines[1]).toMatch(/^disk0 +hmi\.vda +12,345 +1\.5 MiB +512 B +0 +- +- +2\.5 ms +3$/);
    expect(lines[2]).toMatch(/^lan +uplink +7 +2\.0 KiB +10 B +- +- +- +- +-$/);
  });

  it('adds up what was refused, and says below it for which reasons', () => {
    const lines = portTable([disk({ served: 1, refusedAccess: 2, refusedWindow: 1000, failed: 1, dropped: 0 })]).split('\n');
    expect(lines[1]).toMatch(/ 1,002 +1 +0 /);
    expect(lines[2]).toBe('disk0, hmi.vda: 2 writing without the right to; 1,000 outside the window; 1 allowed, and the host could not');
  });
});
