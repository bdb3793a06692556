import { expect, it } from 'vitest';
import { ManualClock } from '../testing.ts';
import { Telemetry, TELEMETRY_SIGNATURE } from './telemetry.ts';

it('reports what the guest wrote', () => {
  const clock = new ManualClock(7000);
  const telemetry = new Telemetry({ clock });
  for (const [offset, value] of [
    [0, 1000],
    [4, 2],
    [8, 0xffff_fff0],
    [12, 1],
  ] as const)
    telemetry.write(offset, 4, value);
  expect(telemetry.report).toEqual({ periods: 1000, deadlineMisses: 2, worstLatency: 0xffff_fff0, heartbeats: 1, lastHeartbeat: 7000 });
  expect([telemetry.read(0, 4), telemetry.read(8, 4), telemetry.read(12, 4)]).toEqual([1000, 0xffff_fff0, TELEMETRY_SIGNATURE]);
});

it('calls back at each heartbeat, and forgets everything at reset', () => {
  const telemetry = new Telemetry({ clock: new ManualClock() });
  const periods: number[] = [];
  telemetry.onHeartbeat = (report) => periods.push(report.periods);
  telemetry.write(0, 4, 5);
  telemetry.write(12, 4, 0);
  telemetry.reset();
  telemetry.write(12, 4, 0);
  expect(periods).toEqual([5, 0]);
});

it('ignores writes that are not whole registers', () => {
  const telemetry = new Telemetry({ clock: new ManualClock() });
  telemetry.write(0, 1, 9);
  telemetry.write(2, 4, 9);
  expect(telemetry.report.periods).toBe(0);
});
