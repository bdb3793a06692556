import { describe, expect, it } from 'vitest';
import { Worker } from 'node:worker_threads';
import { ByteRing, ms } from '../base/index.ts';
import { ExitReason } from '../contracts/index.ts';
import { ConsolePort } from './console-port.ts';
import { PartitionLink } from './link.ts';
import { servePartition, serveUntilReload } from './serve.ts';
import { type ScriptedParts, scriptedPartition } from './testing.ts';

/** Runs `code` in another thread after `delay` ms; the thread sees `link`. */
function elsewhere(link: PartitionLink, delay: number, code: string): Promise<number> {
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     import(workerData.module).then(({ PartitionLink }) => {
       const link = PartitionLink.over(workerData.buffers);
       setTimeout(() => { ${code} }, ${delay});
     });`,
    { eval: true, workerData: { module: new URL('./link.ts', import.meta.url).href, buffers: link.buffers } },
  );
  return new Promise((resolve) => worker.on('exit', resolve));
}

const hostNow = (): number => performance.now() * ms;

describe('the loop of a partition', () => {
  it('ends a guest that never leaves its loop when the machine asks for it', async () => {
    const link = PartitionLink.create([], 1);
    const { partition } = scriptedPartition({ programs: () => [() => undefined], hostNow });
    const other = elsewhere(link, 20, 'link.requestStop()');
    expect(servePartition(partition, link, hostNow)).toEqual({ state: 'halted', reason: 'stopped' });
    expect(link.status('p', 2)).toMatchObject({ name: 'p', restarts: 2, retired: partition.retired });
    expect(partition.retired).toBeGreaterThan(20_000);
    await other;
  });

  it('leaves for a reload of devices and goes on afterwards; status says what devices did wrong', () => {
    const link = PartitionLink.create([], 1);
    const deviceFaults = () => ({ dmaViolations: 3, stoppedDevices: 1 });
    const { partition } = scriptedPartition({ programs: () => [() => undefined], hostNow, deviceFaults });
    link.requestReload();
    expect(serveUntilReload(partition, link, hostNow)).toBeUndefined();
    expect(link.status('p', 0)).toMatchObject({ dmaViolations: 3, stoppedDevices: 1 });
    link.requestStop();
    expect(serveUntilReload(partition, link, hostNow)).toEqual({ state: 'halted', reason: 'stopped' });
    link.rearm();
    expect(link.status('p', 0)).not.toHaveProperty('dmaViolations');
  });

  it('sleeps while the guest sleeps, and wakes for a stop at once', async () => {
    const link = PartitionLink.create([], 1);
    const { partition } = scriptedPartition({ programs: () => [() => ExitReason.Halt], hostNow });
    const other = elsewhere(link, 50, 'link.requestStop()');
    const before = link.heartbeat;
    servePartition(partition, link, hostNow);
    expect(link.heartbeat - before).toBeLessThan(5);
    await other;
  });

  it('wakes for typed input and lets the device have it', async () => {
    const link = PartitionLink.create(['com1'], 1);
    const port = new ConsolePort(link.buffers.consoles['com1']!);
    const typed: number[] = [];
    let parts: ScriptedParts | undefined;
    const { partition } = scriptedPartition({
      programs: (built) => {
        parts = built;
        return [() => ExitReason.Halt];
      },
      admitInput: () => {
        if (!port.admit()) return;
        for (let byte = port.input(); byte !== undefined; byte = port.input()) typed.push(byte);
        parts?.power.request('power-off', 0);
      },
      hostNow,
    });
    const other = elsewhere(link, 20, "link.sendInput('com1', Uint8Array.of(108, 115, 10))");
    expect(servePartition(partition, link, hostNow)).toEqual({ state: 'halted', reason: 'power-off' });
    expect(typed).toEqual([108, 115, 10]);
    await other;
  });

  it('turns a kill into a crash with registers, which stay readable after the thread is gone', async () => {
    const link = PartitionLink.create([], 1);
    const { partition } = scriptedPartition({ programs: () => [() => undefined], hostNow });
    const other = elsewhere(link, 150, 'link.requestKill()');
    const end = servePartition(partition, link, hostNow);
    expect(end).toMatchObject({ state: 'crashed', report: { kind: 'thread', cause: 'killed by the operator', vcpus: [{ id: 0 }] } });
    const [last] = link.lastRegisters();
    expect(last?.state.segments.cs).toEqual({ selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b });
    expect([last?.retired, last?.state.gpr[7], last?.state.cr0]).toEqual([Number(last?.state.rip), 7n, 0x11n]);
    await other;
  });

  it('publishes what the telemetry port heard', () => {
    const link = PartitionLink.create([], 1);
    const telemetry = { periods: 1000, deadlineMisses: 3, worstLatency: 250 };
    const { partition } = scriptedPartition({
      programs: ({ power }) => [() => void power.request('power-off', 0)],
      telemetry: () => telemetry,
    });
    servePartition(partition, link, hostNow);
    expect(link.status('p', 0)).toMatchObject({ periods: 1000, deadlineMisses: 3 });
    expect(link.worstLatency).toBe(250);
  });
});

describe('a console', () => {
  it('shows the device only what was there when the slice began', () => {
    const link = PartitionLink.create(['com1'], 1);
    const buffers = link.buffers.consoles['com1']!;
    const port = new ConsolePort(buffers);
    link.sendInput('com1', Uint8Array.of(1, 2));
    expect(port.input()).toBeUndefined();
    port.admit();
    link.sendInput('com1', Uint8Array.of(3));
    expect([port.input(), port.input(), port.input()]).toEqual([1, 2, undefined]);
    port.admit();
    expect(port.input()).toBe(3);
  });

  it('holds input back when the guest does not read, and never output', () => {
    const link = PartitionLink.create(['com1'], 1);
    const buffers = link.buffers.consoles['com1']!;
    const port = new ConsolePort(buffers);
    const paste = new Uint8Array(100_000);
    expect(link.sendInput('com1', paste)).toBeLessThan(paste.length);
    for (let i = 0; i < 1_000_000; i++) port.output(i);
    const output = ByteRing.over(buffers.output);
    expect(output.length + output.dropped).toBe(1_000_000);
  });
});
