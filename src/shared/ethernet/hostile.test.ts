/**
 * A hostile port among innocent ones: what it costs its neighbours. Time is the broker's own work, 1 µs for each frame it makes and half a
 * nanosecond for each byte, so that the figures are the same on any host. They are printed: latency and throughput of neighbours, before
 * and during.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { Nanos } from '../../contracts/index.ts';
import { EthernetBroker } from './ethernet-broker.ts';
import { createNetworkPort, NetworkEnd } from './network-port.ts';
import type { Packet, StationAddress } from './packet.ts';
import { counting, EVERYONE, frame, ip, offloadHeader, tcp } from './testing.ts';

const PER_FRAME: Nanos = 1000;
const PER_BYTE: Nanos = 0.5;
const DURATION: Nanos = 60e6;
const PING_EVERY: Nanos = 200_000;
const DEPTH = 256;

const station = (number: number): StationAddress => 0x0200_0000_0001 + number;
/** Bulk goes from the first to the second, pings from the third to the fourth and back; the fifth is hostile. */
const [SENDER, RECEIVER, ASKING, ANSWERING, HOSTILE] = [0, 1, 2, 3, 4] as const;

interface Figures {
  /** Of pings there and back, in microseconds. */
  readonly median: number;
  readonly worst: number;
  /** Of bulk, in MB/s. */
  readonly throughput: number;
}

class Arena {
  now: Nanos = 0;
  readonly ends: NetworkEnd[];
  readonly broker: EthernetBroker;
  readonly #target = new Uint8Array(70_000);
  readonly #bulk = frame(station(RECEIVER), station(SENDER), 0x88b5, counting(1400));
  readonly #pings = [frame(station(ANSWERING), station(ASKING), 0x88b6, counting(64)), frame(station(ASKING), station(ANSWERING), 0x88b6, counting(64))] as const;

  constructor() {
    const ports = [0, 1, 2, 3, 4].map((number) => ({
      description: { name: `p${number}`, address: station(number), membership: { mode: 'access', vlan: 1 } as const, storm: { broadcast: 1000, multicast: 1000, unknown: 1000 } },
      buffers: createNetworkPort({ address: station(number), mtu: 1500 }),
      share: { weight: 1 },
      depth: DEPTH,
      wake: () => undefined,
    }));
    const worked = (_: number, direction: 'in' | 'out', packet: Packet): void => {
      if (direction === 'in') this.now += PER_FRAME;
      else this.now += PER_FRAME * Math.ceil(packet.length / 1514) + PER_BYTE * packet.length;
    };
    this.broker = new EthernetBroker({ ports, mtu: 1500, now: () => this.now, tap: worked });
    this.ends = ports.map(({ buffers }) => new NetworkEnd(buffers, DEPTH, () => undefined));
    while (this.broker.round() === 0);
    for (const end of this.ends) end.admit();
  }

  end(number: number): NetworkEnd {
    return this.ends[number] as NetworkEnd;
  }

  /** Bytes of bulk that arrived; the rest is taken and forgotten. */
  #drain(): number {
    const end = this.end(RECEIVER);
    let bytes = 0;
    end.admit();
    for (let length = end.receive(this.#target); length > 0; length = end.receive(this.#target)) bytes += this.#target[11] === 1 + SENDER ? length : 0;
    return bytes;
  }

  /** Everybody does what they do; `attack` is what the hostile one does in each round. */
  run(attack: (arena: Arena, round: number) => void): Figures {
    const from = this.now;
    const latencies: number[] = [];
    let sentAt: Nanos | undefined;
    let nextPing = this.now;
    let received = 0;
    for (let round = 0; this.now < from + DURATION; round++) {
      attack(this, round);
      while (this.end(SENDER).send(this.#bulk));
      if (sentAt === undefined && this.now >= nextPing && this.end(ASKING).send(this.#pings[0])) {
        sentAt = this.now;
        nextPing = this.now + PING_EVERY;
      }
      const before = this.now;
      this.broker.round();
      if (this.now === before) this.now += PER_FRAME;
      received += this.#drain();
      this.end(SENDER).admit();
      // Others hear what is sent to everybody; a ping is counted by its answer.
      if (this.#heard(ANSWERING)) this.end(ANSWERING).send(this.#pings[1]);
      if (this.#heard(ASKING) && sentAt !== undefined) {
        latencies.push(this.now - sentAt);
        sentAt = undefined;
      }
    }
    latencies.sort((a, b) => a - b);
    expect(latencies.length).toBeGreaterThan(10);
    return { median: latencies[latencies.length >> 1]! / 1000, worst: latencies.at(-1)! / 1000, throughput: (received / (this.now - from)) * 1000 };
  }

  #heard(number: number): boolean {
    const end = this.end(number);
    end.admit();
    let isPing = false;
    for (let length = end.receive(this.#target); length > 0; length = end.receive(this.#target)) isPing ||= this.#target[13] === 0xb6;
    return isPing;
  }
}

const LARGE = Uint8Array.of(
  ...offloadHeader({ flags: 1, segmentation: 1, segmentSize: 536, headerLength: 54, start: 34, offset: 16 }),
  ...frame(station(RECEIVER), station(HOSTILE), 0x0800, tcp({ from: ip('10.0.0.5'), to: ip('10.0.0.2') }, { fromPort: 1, toPort: 2, sequence: 0, flags: 0x10 }, counting(60_000))),
);
const flood = (bytes: Uint8Array) => ({ ends }: Arena): void => {
  ends[HOSTILE]!.admit();
  while (ends[HOSTILE]!.send(bytes));
};

const ATTACKS: readonly (readonly [string, (arena: Arena, round: number) => void])[] = [
  ['floods one neighbour with short frames', flood(frame(station(RECEIVER), station(HOSTILE), 0x88b5, [1]))],
  ['floods everybody with broadcasts', flood(frame(EVERYONE, station(HOSTILE), 0x88b5, counting(60)))],
  ['floods stations that do not exist', flood(frame(0x0200_0000_4444, station(HOSTILE), 0x88b5, counting(1400)))],
  ['speaks with its neighbours’ addresses', flood(frame(station(RECEIVER), station(SENDER), 0x88b5, counting(60)))],
  ['has others cut large packets into small segments', ({ ends }) => {
    ends[HOSTILE]!.admit();
    while (ends[HOSTILE]!.sendRecord(LARGE));
  }],
  ['sends what is no frame', ({ ends }, round) => {
    ends[HOSTILE]!.admit();
    while (ends[HOSTILE]!.sendRecord(Uint8Array.from({ length: 1 + (round % 50) }, (_, i) => i * 7)));
  }],
  ['takes nothing of what it is sent', ({ ends }) => {
    ends[ASKING]!.send(frame(station(HOSTILE), station(ASKING), 0x88b5, counting(1400)));
  }],
  ['is reset again and again', ({ ends }, round) => {
    const end = ends[HOSTILE]!;
    end.admit();
    for (let i = 0; i < 5; i++) end.send(frame(station(RECEIVER), station(HOSTILE), 0x88b5, counting(100)));
    if (round % 2 === 0) end.begin();
  }],
];

const rows: string[] = [];
const row = (what: string, { median, worst, throughput }: Figures): string => `${what.padEnd(52)} ${median.toFixed(0).padStart(8)} ${worst.toFixed(0).padStart(8)} ${throughput.toFixed(0).padStart(8)}`;

describe('a port that', () => {
  const before = new Arena().run(() => undefined);
  rows.push(row('before', before));
  afterAll(() => console.log([`${'neighbours of a port that …'.padEnd(52)} ${'median'.padStart(8)} ${'worst'.padStart(8)} ${'MB/s'.padStart(8)}`, ...rows].join('\n')));

  it.each(ATTACKS)('%s costs its neighbours no more than its weight', (name, attack) => {
    const during = new Arena().run(attack);
    rows.push(row(name, during));
    // Two ports ask for all they can get, with the same weight: half of it is the neighbour's, less what handling takes.
    expect(during.throughput).toBeGreaterThan(0.4 * before.throughput);
    // A ping waits for its turn twice, and in each round everybody else may use what 64 KiB cost.
    expect(during.worst).toBeLessThan(before.worst + 1000);
  });
});
