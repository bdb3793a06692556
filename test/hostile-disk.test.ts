// Hostile guests at a shared disk, with the real broker's thread on a real file: what they do to a neighbour is no more than its weight
// allows, and they reach nothing but their own window. The numbers are printed: before, and during each misuse.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KiB, MiB } from '../src/base/index.ts';
import { nodeHost } from '../src/cli/node-host.ts';
import type { Grant, GrantedPort, LinkedPort } from '../src/contracts/index.ts';
import { BrokerCommand, DiskEnd, PortControl, VirtioBlk, waitingSlots } from '../src/shared/index.ts';
import { createDiskPort } from '../src/shared/disk/disk-end.ts';
import { overMmio, VirtioDriver } from '../src/shared/virtio/testing.ts';
import type { HostileStart, Misuse } from './support/hostile-disk-guest.ts';
import { Latencies, ShareWatch } from './support/neighbours.ts';

const WINDOW = 2 * MiB;
const MEASURED_MS = Number(process.env['BULKHEAD_HOSTILE_MS'] ?? 1500);
const GUEST = new URL('./support/hostile-disk-guest.ts', import.meta.url);
const MISUSES: readonly Misuse[] = ['flood', 'flush storm', 'stall', 'reset storm', 'broken rings', 'death'];
/** Enough to want something all the time, whoever else runs on the host. */
const IN_FLIGHT = 48;
const REQUEST_BYTES = 4096;

/** What a request costs a disk's broker beside its data, and what it may serve to one port before the other's turn comes (docs/shared.md). */
const COST_OF_ANY = 4096;
const QUANTUM = 64 * KiB;
const LARGEST = 64 * KiB + COST_OF_ANY;

interface Measured {
  readonly latencies: Latencies;
  readonly milliseconds: number;
  readonly watch: ShareWatch;
}

/** Reads and writes its own window with a queue that is never empty, and times each request. */
class Neighbour {
  readonly #end: DiskEnd;
  readonly #driver: VirtioDriver;
  readonly #sent = new Map<number, number>();
  #next = 0;
  /** Requests that were not answered as they should be. */
  wrong = 0;

  constructor(port: LinkedPort) {
    this.#end = new DiskEnd(port).awaitBroker();
    this.#driver = VirtioDriver.on(new VirtioBlk(this.#end, 1), overMmio).start(1n << 9n, 256);
  }

  async measure(milliseconds: number, watch: ShareWatch): Promise<Measured> {
    const latencies = new Latencies();
    const start = performance.now();
    for (;;) {
      const isOver = performance.now() - start >= milliseconds;
      if (isOver && this.#sent.size === 0) break;
      watch.look();
      if (!isOver) {
        this.#fill();
        watch.filled();
      }
      this.#end.admit();
      for (const { head, data } of this.#driver.queue(0).take()) {
        const sent = this.#sent.get(head);
        this.#sent.delete(head);
        if (sent !== undefined) latencies.add(performance.now() - sent);
        if (data.at(-1) !== 0) this.wrong++;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { latencies, milliseconds: performance.now() - start, watch };
  }

  #fill(): void {
    const queue = this.#driver.queue(0);
    while (this.#sent.size < IN_FLIGHT) {
      const sector = (this.#next++ % (WINDOW / REQUEST_BYTES)) * (REQUEST_BYTES / 512);
      const isWrite = this.#next % 4 === 0;
      const header = new Uint8Array(16);
      header[0] = isWrite ? 1 : 0;
      new DataView(header.buffer).setUint32(8, sector, true);
      const head = isWrite ? queue.add({ readable: [header, new Uint8Array(REQUEST_BYTES).fill(0x11)], writable: [1] }) : queue.add({ readable: [header], writable: [REQUEST_BYTES, 1] });
      this.#sent.set(head, performance.now());
    }
    this.#driver.access.notify(0);
  }
}

describe('a shared disk among hostile guests', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-hostile-disk-'));
  const image = join(folder, 'disk.raw');
  const command = new BrokerCommand();
  const words = (): Int32Array => new Int32Array(new SharedArrayBuffer(4));
  const grant = (partition: string, index: number, more: Partial<Grant> = {}): GrantedPort => ({
    grant: { partition, access: 'rw', window: { offset: index * WINDOW, size: WINDOW }, ...more },
    device: 'vda',
    port: createDiskPort(),
    alarm: words(),
  });
  const ports = [grant('neighbour', 0), grant('hostile', 1), grant('bystander', 2, { weight: 1 })];
  const linked = (index: number): LinkedPort => ({ resource: 'disk0', kind: 'disk', grant: ports[index]!.grant, port: ports[index]!.port, alarm: command.alarm });
  const messages: string[] = [];
  let gone: Promise<void>;
  let neighbour: Neighbour;

  beforeAll(async () => {
    writeFileSync(image, Buffer.alloc(3 * WINDOW, 0x77));
    gone = new Promise((resolve) => {
      const resource = { name: 'disk0', kind: 'disk', grants: ports.map((port) => port.grant), disk: { image, files: [] } } as const;
      nodeHost().startBroker!({ resource, ports, command: command.buffer }, { log: (_, message) => messages.push(message), exited: () => resolve() });
    });
    // The worker is started by events of this thread; only then may it block.
    while (!new PortControl(ports[0]!.port).settled && messages.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    neighbour = new Neighbour(linked(0));
    await neighbour.measure(300, watch());
    const before = await neighbour.measure(MEASURED_MS, watch());
    console.log(`alone: ${line(before)}`);
  }, 120_000);
  afterAll(async () => {
    command.stop();
    await gone;
    rmSync(folder, { recursive: true, force: true });
  });

  /** Costs as far as the counters show them: of the neighbour all, of others at least so much. */
  const costOf = (index: number): number => {
    const { served, bytesIn, bytesOut } = new PortControl(ports[index]!.port).statistics;
    return served * COST_OF_ANY + bytesIn + bytesOut;
  };
  const watch = (): ShareWatch =>
    new ShareWatch(() => {
      const [theirs, mine] = [costOf(1), costOf(0)];
      // One is in the broker's hands: taken, and not counted yet.
      return { theirs, mine, waiting: Math.max(0, waitingSlots(ports[0]!.port) - 1) * (COST_OF_ANY + REQUEST_BYTES) };
    }, LARGEST);

  function line({ latencies, milliseconds }: Measured): string {
    return `${((latencies.count / milliseconds) * 1000).toFixed(0)} operations a second of ${REQUEST_BYTES} bytes, ${latencies}`;
  }

  it.each(MISUSES)('%s', { timeout: 120_000 }, async (misuse) => {
    const rounds = words();
    const start: HostileStart = { port: linked(1), misuse, rounds };
    const theirs = new PortControl(ports[1]!.port);
    let guest = new Worker(GUEST, { workerData: start });
    const atWork = async (until: number): Promise<void> => {
      while (Atomics.load(rounds, 0) < until) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await atWork(4);
    let isOver = misuse !== 'death';
    const deaths = (async () => {
      for (; !isOver; await atWork(Atomics.load(rounds, 0) + 4)) {
        // As a machine does: the thread is ended wherever it is, and its port begins anew in its name.
        await guest.terminate();
        theirs.begin();
        guest = new Worker(GUEST, { workerData: start });
      }
    })();
    const [served, taken] = [costOf(0), costOf(1)];
    const during = await neighbour.measure(MEASURED_MS, watch());
    const share = (costOf(0) - served) / Math.max(1, costOf(0) - served + costOf(1) - taken);
    isOver = true;
    await deaths;
    await guest.terminate();
    theirs.begin();
    const { lead, contested } = during.watch;
    console.log(
      `${misuse}: ${line(during)}; ${(share * 100).toFixed(0)} % of all cost; of ${(contested / MiB).toFixed(1)} MiB served while it had something waiting, never more than ${(lead / KiB).toFixed(0)} KiB behind; ${Atomics.load(rounds, 0)} hostile rounds`,
    );

    expect(neighbour.wrong).toBe(0);
    expect(during.latencies.count).toBeGreaterThan(0);
    if (misuse === 'flood') expect(contested).toBeGreaterThan(0);
    // Of equal weights each gets half: while both want something, none is ahead by more than a turn and a request of each. At either end of
    // a stretch, the numbers may be a request apart. How fast all of that is depends on who else wants the host's processors.
    expect(lead).toBeLessThanOrEqual(2 * (QUANTUM + LARGEST) + 2 * LARGEST);
  });

  it('afterwards nobody else’s bytes have changed, and the disk still serves', { timeout: 60_000 }, async () => {
    const after = await neighbour.measure(MEASURED_MS, watch());
    console.log(`afterwards: ${line(after)}`);
    expect(neighbour.wrong).toBe(0);
    expect(after.latencies.count).toBeGreaterThan(0);
    const bystander = VirtioDriver.on(new VirtioBlk(new DiskEnd(linked(2)).awaitBroker(), 1), overMmio).start(0n, 16);
    expect(bystander.access.readConfig(0, 4)).toBe(WINDOW / 512);
    const { readFileSync } = await import('node:fs');
    const bytes = readFileSync(image);
    expect(bytes.subarray(2 * WINDOW).every((byte) => byte === 0x77)).toBe(true);
    expect(bytes.subarray(0, WINDOW).every((byte) => byte === 0x77 || byte === 0x11)).toBe(true);
    expect(bytes.subarray(WINDOW, 2 * WINDOW).every((byte) => byte === 0x77 || byte === 0xee)).toBe(true);
  });
});
