import { describe, expect, it } from 'vitest';
import { type LiveStatus, statusTable } from './status-view.ts';

const status = (more: Partial<LiveStatus>): LiveStatus => ({ name: 'control', state: 'running', restarts: 0, retired: 5e6, guestTime: 2e9, mips: 12.3, ...more });

describe('the status table', () => {
  it('has a row for each partition', () => {
    const lines = statusTable([status({}), status({ name: 'vision', periods: 10, deadlineMisses: 1 })]).split('\n');
    expect(lines[1]).toMatch(/^control +running +5,000,000 +12\.3 +2\.0s +0 +- +- +-/);
    expect(lines[2]).toMatch(/^vision .* 10 +1 +-/);
  });

  it('says below it what devices did wrong, and nothing where they did not', () => {
    const text = statusTable([status({ dmaViolations: 1 }), status({ name: 'vision', dmaViolations: 12_345, stoppedDevices: 2 }), status({ name: 'hmi' })]);
    expect(text.split('\n').slice(4)).toEqual([
      'control: 1 DMA access refused',
      'vision: 12,345 DMA accesses refused',
      'vision: 2 devices stopped: see its log',
      '',
    ]);
  });
});
