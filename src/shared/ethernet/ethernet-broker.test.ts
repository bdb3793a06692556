import { describe, expect, it } from 'vitest';
import type { AttachedWire, VlanMembership } from '../../contracts/index.ts';
import type { FairShare } from '../fair-queue.ts';
import { EthernetBroker } from './ethernet-broker.ts';
import { createNetworkPort, NetworkEnd } from './network-port.ts';
import type { StationAddress } from './packet.ts';
import { counting, EVERYONE, frame, GUEST, ip, offloadHeader, PEER, tcp, THIRD } from './testing.ts';

const STORM = { broadcast: 1000, multicast: 1000, unknown: 1000 };
const ACCESS: VlanMembership = { mode: 'access', vlan: 1 };

interface Station {
  readonly name: string;
  readonly address: StationAddress;
  readonly share?: FairShare;
  readonly depth?: number;
}

/** A network of partitions, all in this thread. */
class Lab {
  now = 0;
  readonly ends: NetworkEnd[];
  readonly woken: number[];
  readonly broker: EthernetBroker;
  readonly #target = new Uint8Array(70_000);

  constructor(stations: readonly Station[], wire?: AttachedWire) {
    const ports = stations.map(({ name, address, share = { weight: 1 }, depth = 64 }, number) => ({
      description: { name, address, membership: ACCESS, storm: STORM },
      buffers: createNetworkPort({ address, mtu: 1500 }),
      share,
      depth,
      wake: () => {
        this.woken[number] = (this.woken[number] ?? 0) + 1;
      },
    }));
    this.woken = stations.map(() => 0);
    this.broker = new EthernetBroker({
      ports,
      mtu: 1500,
      now: () => this.now,
      ...(wire === undefined ? {} : { uplink: { kind: 'wire', description: { name: 'uplink', membership: ACCESS, storm: STORM }, wire } as const }),
    });
    this.ends = ports.map(({ buffers, depth }) => new NetworkEnd(buffers, depth, () => undefined));
    this.round();
  }

  /** The broker does all it may, and the partitions look. */
  round(): void {
    while (this.broker.round() === 0);
    for (const end of this.ends) end.admit();
  }

  end(number: number): NetworkEnd {
    return this.ends[number] as NetworkEnd;
  }

  send(number: number, to: StationAddress, from: StationAddress, payload = counting(46)): boolean {
    return this.end(number).send(frame(to, from, 0x88b5, payload));
  }

  /** Frames that wait at an end, taken out. */
  receive(number: number): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (let length = this.end(number).receive(this.#target); length > 0; length = this.end(number).receive(this.#target)) frames.push(this.#target.slice(0, length));
    return frames;
  }
}

const PAIR = [{ name: 'a', address: GUEST }, { name: 'b', address: PEER }];
const TRIO = [...PAIR, { name: 'c', address: THIRD }];

describe('a shared network', () => {
  it('is up once its broker knows of the port, and carries frames', () => {
    const lab = new Lab(PAIR);
    expect(lab.ends.map(({ connected }) => connected)).toEqual([true, true]);
    expect(lab.send(0, PEER, GUEST)).toBe(true);
    expect(lab.receive(1)).toEqual([]); // not before the receiver looks, at an instruction that is known
    lab.round();
    expect(lab.receive(1)).toEqual([frame(PEER, GUEST, 0x88b5, counting(46))]);
    expect(lab.woken[1]).toBeGreaterThan(0);
  });

  it('pads what is shorter than any frame on a wire (IEEE 802.3 §3.2.8)', () => {
    const lab = new Lab(PAIR);
    lab.send(0, PEER, GUEST, [1]);
    lab.round();
    expect([...lab.receive(1)[0]!]).toEqual([...frame(PEER, GUEST, 0x88b5, [1]), ...new Array(45).fill(0)]);
  });

  it('holds a sender back when its ring is full, and tells it when there is room', () => {
    const lab = new Lab(PAIR);
    let sent = 0;
    while (lab.send(0, PEER, GUEST)) sent++;
    expect(sent).toBe(64);
    let heard = 0;
    lab.end(0).listen(() => heard++);
    const woken = lab.woken[0]!;
    lab.round();
    expect([lab.woken[0]! > woken, heard, lab.send(0, PEER, GUEST)]).toEqual([true, 1, true]);
  });

  it('goes down with its partition, forgets what it was sending, and comes back', () => {
    const lab = new Lab(PAIR);
    lab.send(0, PEER, GUEST);
    lab.end(0)[Symbol.dispose]();
    lab.send(1, GUEST, PEER);
    lab.round();
    expect([lab.receive(1).length, lab.end(0).connected]).toEqual([0, true]);
    // What came before the new life is not for it.
    expect(lab.receive(0)).toEqual([]);
    lab.send(0, PEER, GUEST);
    lab.round();
    expect(lab.receive(1)).toHaveLength(1);
  });

  it('cuts for each receiver what it does not take as one', () => {
    const lab = new Lab(TRIO);
    lab.end(1).offloads = { checksum: true, tcp4: true, tcp6: true };
    const large = frame(PEER, GUEST, 0x0800, tcp({ from: ip('10.0.0.1'), to: ip('10.0.0.2') }, { fromPort: 1, toPort: 2, sequence: 0, flags: 0x10 }, counting(20_000)));
    const header = offloadHeader({ flags: 1, segmentation: 1, segmentSize: 1400, headerLength: 54, start: 34, offset: 16 });
    const record = Uint8Array.of(...header, ...large);
    lab.end(0).sendRecord(record);
    lab.round();
    const target = new Uint8Array(70_000);
    expect([lab.end(1).nextRecordBytes, lab.end(1).receiveRecord(target)]).toEqual([record.length, record.length]);
    expect(target.subarray(0, record.length)).toEqual(record);
    record.set([...THIRD.toString(16).padStart(12, '0').matchAll(/../g)].map(([byte]) => Number.parseInt(byte, 16)), 12);
    lab.end(0).sendRecord(record);
    lab.round();
    expect(lab.receive(2).map(({ length }) => length)).toEqual([...new Array(14).fill(1454), 54 + 400]);
  });

  it('leads out by a wire, one frame at a time', () => {
    const out: Uint8Array[] = [];
    const waiting: Uint8Array[] = [];
    const wire: AttachedWire = {
      connected: true,
      missed: 0,
      send: (bytes) => out.push(Uint8Array.from(bytes)) > 0,
      receive: (target) => {
        const next = waiting.shift();
        if (next !== undefined) target.set(next);
        return next?.length ?? 0;
      },
      listen: () => undefined,
      admit: () => undefined,
      [Symbol.dispose]: () => undefined,
    };
    const lab = new Lab(PAIR, wire);
    waiting.push(frame(GUEST, 0x0200_0000_00ff, 0x88b5, counting(50)), frame(EVERYONE, 0x0200_0000_00ff, 0x88b5, counting(50)));
    lab.round();
    expect([lab.receive(0).length, lab.receive(1).length]).toEqual([2, 1]);
    lab.send(1, 0x0200_0000_00ff, PEER);
    lab.round();
    expect(out).toEqual([frame(0x0200_0000_00ff, PEER, 0x88b5, counting(46))]);
  });
});

describe('walls', () => {
  /** Both senders offer all they can, all the time; the receiver takes what comes. Frames of each that arrive in so many rounds. */
  function contest(lab: Lab, rounds: number, nanosPerRound: number, length = 1000): number[] {
    const arrived = [0, 0];
    const frames = [GUEST, PEER].map((from) => frame(THIRD, from, 0x88b5, counting(length)));
    for (let round = 0; round < rounds; round++) {
      lab.now += nanosPerRound;
      for (const number of [0, 1]) while (lab.end(number).send(frames[number] as Uint8Array));
      lab.broker.round();
      for (const end of lab.ends) end.admit();
      for (const bytes of lab.receive(2)) arrived[bytes[11] === 1 ? 0 : 1]!++;
    }
    return arrived;
  }

  it('serve senders by weight, whoever offers more', () => {
    const lab = new Lab([{ ...TRIO[0]!, share: { weight: 3 } }, TRIO[1]!, TRIO[2]!]);
    const [heavy = 0, light = 0] = contest(lab, 150, 1e6);
    expect(heavy / light).toBeGreaterThan(2.7);
    expect(heavy / light).toBeLessThan(3.3);
  });

  it('hold a sender to its rate', () => {
    const lab = new Lab([{ ...TRIO[0]!, share: { weight: 1, rate: { bytesPerSecond: 1_000_000, burst: 100_000 } } }, TRIO[1]!, TRIO[2]!]);
    const [limited = 0, free = 0] = contest(lab, 200, 5e6);
    // One second: 1 MB and the burst, of frames of 1026 bytes with their header.
    expect(limited).toBeGreaterThan(950);
    expect(limited).toBeLessThan(1100);
    expect(free).toBeGreaterThan(4 * limited);
  });

  it('keep room at a receiver that is being flooded for those who do not flood it', () => {
    const lab = new Lab(TRIO);
    for (let i = 0; i < 50; i++) {
      while (lab.send(0, THIRD, GUEST));
      while (lab.broker.round() === 0);
      lab.end(0).admit();
    }
    expect(lab.broker.counters(0).lost).toBeGreaterThan(1000);
    lab.send(1, THIRD, PEER);
    lab.round();
    expect(lab.receive(2).filter((bytes) => bytes[11] === 2)).toHaveLength(1);
    expect(lab.broker.counters(1).lost).toBe(0);
  });

  it('let a receiver that takes nothing stop nobody', () => {
    const lab = new Lab(TRIO);
    const stalled = lab.end(2);
    for (let i = 0; i < 100; i++) {
      lab.send(0, THIRD, GUEST);
      lab.send(0, PEER, GUEST);
      while (lab.broker.round() === 0);
      lab.end(0).admit();
      lab.end(1).admit();
      expect(lab.receive(1)).toHaveLength(1);
    }
    stalled.admit();
    expect(lab.receive(2).length).toBeLessThanOrEqual(64);
    expect(lab.broker.counters(2).missed).toBeGreaterThan(30);
  });

  it('count a frame as one of 1,024 bytes at least: short ones are work too', () => {
    const lab = new Lab([{ ...TRIO[0]!, share: { weight: 1, rate: { bytesPerSecond: 1_024_000, burst: 10_240 } } }, TRIO[1]!, TRIO[2]!]);
    let sent = 0;
    const short = frame(THIRD, GUEST, 0x88b5, [1]);
    for (let round = 0; round < 100; round++) {
      lab.now += 10e6;
      while (lab.end(0).send(short));
      lab.round();
      sent += lab.receive(2).length;
    }
    expect(sent).toBeGreaterThan(990);
    expect(sent).toBeLessThan(1030);
  });

  it('survive a partition that comes and goes with frames on their way', () => {
    const lab = new Lab(TRIO);
    for (let i = 0; i < 500; i++) {
      lab.send(0, THIRD, GUEST);
      if (i % 3 === 0) lab.end(0).begin();
      if (i % 7 === 0) lab.end(2).begin();
      lab.send(1, THIRD, PEER);
      if (i % 2 === 0) lab.round();
      lab.receive(2);
    }
    lab.round();
    for (const end of lab.ends) end.admit();
    lab.receive(2);
    lab.send(0, THIRD, GUEST);
    lab.send(1, THIRD, PEER);
    lab.round();
    expect(lab.receive(2)).toHaveLength(2);
  });
});
