// What a hostile partition costs its neighbours by the host's clock, at everything but the disk (test/hostile-disk.test.ts): real threads, real
// brokers. Latency and throughput of neighbours are printed, idle and during each misuse; what is held to is no time but the wall itself: nobody
// is behind by more than a turn, nothing of a neighbour's is lost, and the hostile one gets no more than its grant.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomFillSync } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ByteRing, KiB, MiB, ms, ring } from '../src/base/index.ts';
import { ConsolePumps } from '../src/cli/console-pumps.ts';
import { nodeHost } from '../src/cli/node-host.ts';
import type { Clock, Grant, GrantedPort, LinkedPort, Machine, NetworkSource, SharedResource } from '../src/contracts/index.ts';
import { type MachineHost, RunningMachine, type ThreadStart } from '../src/hypervisor/index.ts';
import {
  BrokerCommand,
  ChannelEnd,
  createChannel,
  createPort,
  EntropyEnd,
  NetworkEnd,
  PortControl,
  readPort,
  VirtioRng,
} from '../src/shared/index.ts';
import { CHEAPEST_FRAME_BYTES } from '../src/shared/ethernet/ethernet-broker.ts';
import { counting, frame } from '../src/shared/ethernet/testing.ts';
import { OFFLOAD_BYTES } from '../src/shared/ethernet/packet.ts';
import { overPci, VirtioDriver } from '../src/shared/virtio/testing.ts';
import type { EchoStart } from './support/echoing-peer.ts';
import type { HostileStart, NetworkMisuse } from './support/hostile-neighbour.ts';
import { Latencies, ShareWatch } from './support/neighbours.ts';

const MEASURED_MS = Number(process.env['BULKHEAD_HOSTILE_MS'] ?? 1000);
const TIMEOUT = 30_000;
const HOSTILE = new URL('./support/hostile-neighbour.ts', import.meta.url);
const hostClock: Clock = { now: () => performance.now() * ms, at: () => ({ [Symbol.dispose]: () => undefined }) };
const word = (): Int32Array => new Int32Array(new SharedArrayBuffer(4));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Hostile Workers of the present test. */
const workers: Worker[] = [];
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.terminate();
});

/** Resolves when it is at work. Rejects when it fails at that. */
async function letLoose(start: HostileStart): Promise<void> {
  const worker = new Worker(HOSTILE, { workerData: start });
  workers.push(worker);
  const failed = new Promise<never>((_, reject) => worker.once('error', reject));
  const atWork = async (): Promise<void> => {
    while (Atomics.load(start.rounds, 0) < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await Promise.race([atWork(), failed]);
}

describe('neighbours on a shared network', () => {
  const [ASKING, ANSWERING, ATTACKER] = [0, 1, 2] as const;
  const station = (number: number): number => 0x0200_0000_0001 + number;
  const FRAME = frame(station(ANSWERING), station(ASKING), 0x88b5, counting(1400));
  const COST = FRAME.length + OFFLOAD_BYTES;
  const PING = frame(station(ANSWERING), station(ASKING), 0x88b6, counting(64));
  const PONG = frame(station(ASKING), station(ANSWERING), 0x88b6, counting(64));
  /** So much may be served to one port before the other's turn comes. */
  const QUANTUM = 64 * KiB;
  const DEPTH = 256;
  const NETWORK: NetworkSource = {
    uplink: { kind: 'none' },
    uplinkVlan: { mode: 'access', vlan: 1 },
    subnet: '10.0.2.0/24',
    mtu: 1500,
    forwards: [],
    loopback: [],
  };
  const grants = ['asking', 'answering', 'hostile'].map((partition, number): Grant => {
    const mac = `02:00:00:00:00:0${1 + number}`;
    return {
      partition,
      access: 'rw',
      network: { mac, vlan: NETWORK.uplinkVlan, storm: { broadcast: 1000, multicast: 1000, unknown: 1000 } },
    };
  });
  const resource: SharedResource = { name: 'lan', kind: 'ethernet', grants, network: NETWORK };
  const ports = grants.map((grant): GrantedPort => ({ grant, device: 'eth0', port: createPort(resource, grant)!, alarm: word() }));
  const command = new BrokerCommand();
  const target = new Uint8Array(70_000);
  const messages: string[] = [];
  let ends: NetworkEnd[];
  let gone: Promise<void>;

  beforeAll(async () => {
    gone = new Promise((resolve) => {
      nodeHost().startBroker!(
        { resource, ports, command: command.buffer },
        { log: (_, message) => messages.push(message), exited: () => resolve() },
      );
    });
    ends = ports.slice(0, 2).map(({ port }) => new NetworkEnd(port, DEPTH, () => ring(command.alarm)));
    while (!ends.every(({ connected }) => connected)) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      for (const end of ends) end.admit();
    }
  }, TIMEOUT);
  afterAll(async () => {
    command.stop();
    await gone;
  }, TIMEOUT);

  const counters = (number: number) => readPort({ kind: 'ethernet', port: ports[number]!.port });
  /** Frames of a kind that have come; others are taken and forgotten. Sleeps for at most a millisecond when there are none. */
  const heard = (number: number, type: number): number => {
    const { alarm } = ports[number]!;
    const seen = Atomics.load(alarm, 0);
    const take = (): number => {
      let count = 0;
      ends[number]!.admit();
      for (let length = ends[number]!.receive(target); length > 0; length = ends[number]!.receive(target))
        if (target[13] === type && target[11] === 2 - number) count++;
      return count;
    };
    const count = take();
    if (count > 0) return count;
    Atomics.wait(alarm, 0, seen, 1);
    return take();
  };

  /** First one ping after the other, then as many frames as go. */
  const measure = (contested = 0) => {
    const latencies = new Latencies();
    for (const over = performance.now() + MEASURED_MS; performance.now() < over; ) {
      // A ping that is lost shows as one that took a quarter of the test's time.
      const sent = performance.now();
      while (!ends[ASKING]!.send(PING)) ends[ASKING]!.admit();
      while (heard(ANSWERING, 0xb6) === 0 && performance.now() < sent + TIMEOUT / 4);
      while (!ends[ANSWERING]!.send(PONG)) ends[ANSWERING]!.admit();
      while (heard(ASKING, 0xb6) === 0 && performance.now() < sent + TIMEOUT / 4);
      latencies.add(performance.now() - sent);
    }
    const watch = new ShareWatch(() => {
      const { framesIn: theirs = 0 } = counters(ATTACKER);
      const { framesIn: mine = 0, waiting = 0 } = counters(ASKING);
      // One is in the broker's hands: taken, and not counted yet.
      return { theirs: theirs * CHEAPEST_FRAME_BYTES, mine: mine * COST, waiting: Math.max(0, waiting - 1) * COST };
    }, QUANTUM);
    const before = counters(ASKING);
    let [sent, received] = [0, 0];
    const start = performance.now();
    /** Longer where the other port left too little to judge by: on a busy host this thread seldom sees both at work. */
    const goesOn = (): boolean => performance.now() < start + (watch.contested < contested ? 5 : 1) * MEASURED_MS;
    while (goesOn() || received < sent) {
      ends[ASKING]!.admit();
      watch.look();
      // No more on the way than the receiver's queue has room for: what is lost then is lost to somebody else's frames.
      if (goesOn()) while (sent - received < DEPTH / 8 && ends[ASKING]!.send(FRAME)) sent++;
      watch.filled();
      received += heard(ANSWERING, 0xb5);
      if (performance.now() > start + 20 * MEASURED_MS) break;
    }
    const mibPerSecond = (received * FRAME.length) / MiB / ((performance.now() - start) / 1000);
    const after = counters(ASKING);
    return { latencies, mibPerSecond, sent, received, lost: after['lost']! - before['lost']!, watch };
  };
  const line = (what: string, { latencies, mibPerSecond, watch }: ReturnType<typeof measure>): string =>
    `network, ${what}: ${latencies.count} round trips, ${latencies}; ${mibPerSecond.toFixed(1)} MiB/s; of ${(watch.contested / MiB).toFixed(1)} MiB served while it had something waiting, never more than ${(watch.lead / KiB).toFixed(0)} KiB behind`;

  it('idle', { timeout: TIMEOUT }, () => {
    const idle = measure();
    console.log(line('idle', idle));
    expect([idle.received, idle.lost]).toEqual([idle.sent, 0]);
  });

  it.each<NetworkMisuse>(['short frames to a neighbour', 'broadcasts', 'frames to nobody', 'another’s address', 'resets'])(
    '%s',
    { timeout: TIMEOUT },
    async (misuse) => {
      const { port, grant } = ports[ATTACKER]!;
      const before = counters(ATTACKER);
      const linked: LinkedPort = { resource: 'lan', kind: 'ethernet', grant, port, alarm: command.alarm };
      await letLoose({ kind: 'network', port: linked, misuse, self: station(ATTACKER), victim: station(ANSWERING), rounds: word() });
      const during = measure(MiB);
      const after = counters(ATTACKER);
      console.log(`${line(misuse, during)}; ${after['framesIn']! - before['framesIn']!} hostile frames`);
      expect(after['framesIn']! + after['dropped']!).toBeGreaterThan(before['framesIn']! + before['dropped']!);
      expect([during.received, during.lost]).toEqual([during.sent, 0]);
      expect(during.watch.lead).toBeLessThanOrEqual(2 * (QUANTUM + COST) + 2 * QUANTUM);
    },
  );
});

describe('neighbours at shared memory', () => {
  const ROUND_TRIPS = 5000;
  const OWN_DOORBELLS = 1_000_000;
  const HOSTILE_DOORBELLS = 1000;

  /** Doorbells there and back, from this thread to another one. */
  const run = async (isFlooded: boolean) => {
    const rates = [OWN_DOORBELLS, OWN_DOORBELLS, HOSTILE_DOORBELLS];
    const [own, peer, hostile] = createChannel(
      64 * KiB,
      rates.map((doorbellsPerSecond) => ({ writable: true, vectors: 4, doorbellsPerSecond, alarm: word() })),
    );
    const stop = word();
    const over = new SharedArrayBuffer(8);
    const { alarms } = own!.channel;
    let [answers, strangers] = [0, 0];
    const end = new ChannelEnd(own!, hostClock, ring);
    end.listen((vector) => {
      if (vector === 0) answers++;
      else strangers++;
    });
    const listening = word();
    const echo: EchoStart = { end: peer!, asking: 0, stop, listening };
    workers.push(new Worker(new URL('./support/echoing-peer.ts', import.meta.url), { workerData: echo }));
    if (isFlooded)
      workers.push(
        new Worker(new URL('./support/flooding-peer.ts', import.meta.url), {
          workerData: { end: hostile, stop: over, vectors: [1, 2, 3] },
        }),
      );
    await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('online', resolve))));
    while (Atomics.load(listening, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    if (isFlooded) await Atomics.waitAsync(new Int32Array(over), 1, 0).value;
    const latencies = new Latencies();
    const start = performance.now();
    while (latencies.count < ROUND_TRIPS && performance.now() < start + 5 * MEASURED_MS) {
      const sent = performance.now();
      const before = answers;
      end.ring(1, 0);
      while (answers === before && performance.now() < sent + TIMEOUT / 4) {
        const seen = Atomics.load(alarms[0]!, 0);
        end.admit();
        if (answers === before) Atomics.wait(alarms[0]!, 0, seen, 1);
      }
      // What starting the other thread took is no latency.
      if (before > 0) latencies.add(performance.now() - sent);
    }
    const seconds = (performance.now() - start) / 1000;
    const ringing = readPort({ kind: 'memory', port: own!.port, channel: own!.channel })['served']!;
    const rung = readPort({ kind: 'memory', port: hostile!.port, channel: hostile!.channel })['served']!;
    Atomics.store(stop, 0, 1);
    Atomics.store(new Int32Array(over), 0, 1);
    console.log(
      `doorbells, ${isFlooded ? 'flooded' : 'idle'}: ${latencies.count} round trips, ${latencies}; ${(latencies.count / seconds).toFixed(0)} a second; ${rung} hostile doorbells rung, ${strangers} heard`,
    );
    return { answers, ringing, rung, strangers, seconds };
  };

  it('hear each other’s doorbells, each of them, and no more of a flood than was granted', { timeout: TIMEOUT }, async () => {
    await run(false);
    for (const worker of workers.splice(0)) await worker.terminate();
    const { answers, ringing, rung, strangers, seconds } = await run(true);
    // Each that was rung was answered, and none twice.
    expect(answers).toBe(ringing);
    expect(rung).toBeGreaterThan(1000);
    expect(strangers).toBeLessThanOrEqual((seconds + 1 / 50) * HOSTILE_DOORBELLS + 1);
  });
});

describe('neighbours at the host’s random numbers', () => {
  const RATE = 1 * MiB;
  const linked = (partition: string): LinkedPort => ({
    resource: 'random',
    kind: 'entropy',
    grant: { partition, access: 'rw', rate: { bytesPerSecond: RATE } },
    port: { control: PortControl.create(), lanes: {} },
    alarm: word(),
  });

  it('get theirs while another one draws all it may', { timeout: TIMEOUT }, async () => {
    const mine = linked('neighbour');
    const theirs = linked('hostile');
    const driver = VirtioDriver.on(new VirtioRng(new EntropyEnd(mine, (bytes) => void randomFillSync(bytes)), hostClock), overPci).start(
      0n,
      16,
    );
    const measure = async (what: string): Promise<void> => {
      const latencies = new Latencies();
      const start = performance.now();
      let asked = 0;
      for (; performance.now() < start + MEASURED_MS; asked++) {
        const sent = performance.now();
        driver.queue(0).send({ writable: [64] });
        if (driver.queue(0).take().length === 1) latencies.add(performance.now() - sent);
        // A hundredth of what is granted: it never has to wait for its own rate.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      console.log(
        `random numbers, ${what}: ${latencies.count} draws of 64 bytes, ${latencies}; ${(latencies.count / ((performance.now() - start) / 1000)).toFixed(0)} a second`,
      );
      // At once, each of them: what others draw is not its concern.
      expect(latencies.count).toBe(asked);
    };
    await measure('idle');
    const drawn = (): number => readPort(theirs)['bytesOut']!;
    const start = performance.now();
    await letLoose({ kind: 'entropy', port: theirs, rounds: word() });
    await measure('another one draws all it may');
    const bytes = drawn();
    const seconds = (performance.now() - start) / 1000;
    console.log(
      `random numbers: ${(bytes / seconds / MiB).toFixed(2)} MiB/s drawn by the hostile one, of ${(RATE / MiB).toFixed(0)} granted`,
    );
    expect(bytes).toBeGreaterThan(RATE / 4);
    // Its rate, and what can be saved up in a quarter of a second.
    expect(bytes).toBeLessThanOrEqual(RATE * (seconds + 0.25) + 4096);
  });
});

describe('neighbours at the machine’s consoles', () => {
  /** As `bulkhead run` looks at them. */
  const LOOK_MS = 10;
  /** As many lines as a look takes for sure, however late it comes. */
  const MOST_LINES = 1000;
  /** A look takes no more of one console. */
  const LARGEST_LOOK = 64 * KiB;
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-hostile-console-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('lose nothing, and are read in every look, while another one prints without a pause', { timeout: TIMEOUT }, async () => {
    const partition = (name: string) => ({
      name,
      cores: [0],
      devices: [{ name: 'com1', model: 'uart16550', ranges: [], irqs: [], options: {} }],
      onCrash: { action: 'halt', limit: 0 },
    });
    const starts = new Map<string, ThreadStart>();
    const host: MachineHost = {
      startThread(start, events) {
        starts.set(start.partition.name, start);
        return { terminate: () => events.exited() };
      },
      after: () => ({ [Symbol.dispose]: () => undefined }),
    };
    const machine = {
      name: 'cell',
      board: { cores: 1, memory: 1 },
      partitions: [partition('neighbour'), partition('hostile')],
    } as unknown as Machine;
    const running = new RunningMachine(machine, host, { pace: 'free' });
    running.startAll();
    using pumps = new ConsolePumps(running, folder);
    const neighbour = ByteRing.over(starts.get('neighbour')!.link.consoles['com1']!.output);
    const measure = async (what: string) => {
      const latencies = new Latencies();
      const sent = new Map<number, number>();
      // What was printed after the last look is no part of this.
      pumps.pump(() => undefined);
      let [text, next, largest, hostileBytes] = ['', 0, 0, 0];
      const start = performance.now();
      for (let nextLook = start; performance.now() < start + MEASURED_MS; ) {
        if (next - latencies.count < MOST_LINES) {
          sent.set(next, performance.now());
          for (const letter of `${next++}\n`) neighbour.pushByteDroppingOldest(letter.charCodeAt(0));
        }
        await turn();
        if (performance.now() < nextLook) continue;
        nextLook = performance.now() + LOOK_MS;
        pumps.pump((name, _, bytes) => {
          if (name === 'hostile') {
            largest = Math.max(largest, bytes.length);
            hostileBytes += bytes.length;
            return;
          }
          text += Buffer.from(bytes).toString('latin1');
        });
        for (const line of text.split('\n').slice(0, -1)) latencies.add(performance.now() - sent.get(Number(line))!);
        text = text.slice(text.lastIndexOf('\n') + 1);
        // All that was printed before the look is seen by it, whatever others print.
        expect(latencies.count).toBe(next);
      }
      const seconds = (performance.now() - start) / 1000;
      console.log(
        `consoles, ${what}: ${latencies.count} lines, ${latencies}; ${(latencies.count / seconds).toFixed(0)} lines a second; ${(hostileBytes / seconds / MiB).toFixed(1)} MiB/s of the hostile one shown`,
      );
      return { largest };
    };
    await measure('idle');
    const { output } = starts.get('hostile')!.link.consoles['com1']!;
    await letLoose({ kind: 'console', output, rounds: word() });
    const { largest } = await measure('another one prints without a pause');
    expect(largest).toBeLessThanOrEqual(LARGEST_LOOK);
    const [mine] = running.consoles('neighbour');
    const [theirs] = running.consoles('hostile');
    expect(mine?.lost).toBe(0);
    expect(theirs?.lost).toBeGreaterThan(0);
  });
});
