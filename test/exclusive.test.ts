// The same device owned and shared: a guest of ours uses each both ways, and one word of the manifest is the difference.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEVICES, manifestOf, type MeasuredDevice, type Way } from '../bench/io/manifests.ts';
import { MiB } from '../src/base/index.ts';
import { hostInterface } from './support/host-interface.ts';
import { lineEcho } from './support/line-echo.ts';
import { LiveMachine, machineOf } from './support/live-machine.ts';

const COUNT = 40;
const TIMEOUT = 120_000;
const folder = mkdtempSync(join(tmpdir(), 'bulkhead-exclusive-'));
const taps = [4, 5].map((use) => hostInterface(use, 'Ethernet on an interface of the host, exclusive and shared')).filter((tap) => tap !== undefined);
afterAll(() => {
  for (const tap of taps) tap[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});
beforeAll(() => {
  for (const name of ['shared', 'own0', 'own1']) {
    writeFileSync(join(folder, `${name}.img`), '');
    truncateSync(join(folder, `${name}.img`), 128 * MiB);
  }
});

const hasWays = (device: MeasuredDevice, way: Way): boolean => !(device === 'line' && way === 'shared');

describe.each(DEVICES.filter((device) => device !== 'ethernet' || taps.length === 2))('%s', (device) => {
  // Ways to shared consoles are opened by the command line, not by the machine: test/console-ways.test.ts has them.
  it.each((['exclusive', 'shared'] as const).filter((way) => hasWays(device, way)))('%s: every round trip comes back', { timeout: TIMEOUT }, async (way) => {
    const machine = machineOf(manifestOf(device, way, false, { folder, taps, count: COUNT }));
    const [spec] = machine.partitions[0]!.devices.filter(({ name }) => name === 'thing');
    expect(spec?.shared).toBe(way === 'shared' ? 'thing' : undefined);
    await using live = new LiveMachine(machine, 'host');
    live.running.startAll();
    using _echo = device === 'line' ? lineEcho(join(folder, 'line0')) : undefined;
    await live.until(`${device} has made its round trips`, () => /^(done|fail)$/m.test(live.console('meter')), TIMEOUT);
    expect(live.console('meter')).toMatch(new RegExp(`result ${device} latency count ${COUNT} median \\d+ p99 \\d+ worst \\d+$`, 'm'));
    expect(live.console('meter')).toMatch(/^done$/m);
    // Nobody stands between a partition and what it has to itself: there is not even a port.
    expect(live.running.ports().filter(({ partition }) => partition === 'meter').length).toBe(way === 'shared' ? 1 : 0);
  });
});
