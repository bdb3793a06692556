/**
 * Guests that send whatever they like: to the switch, to the gateway and through virtio-net, broken and half-right, at any moment. Nothing
 * throws, nothing loops, what a neighbour hears is well-formed, and what is kept is bounded. BULKHEAD_FUZZ_OPERATIONS asks for more,
 * BULKHEAD_FUZZ_SEED repeats a run.
 */
import { expect, it } from 'vitest';
import { checkReceived } from '../../board/index.ts';
import type { AccessSize, VlanMembership } from '../../contracts/index.ts';
import { type DriverQueue, TRANSPORTS, VirtioDriver } from '../virtio/testing.ts';
import { EthernetBroker } from './ethernet-broker.ts';
import { parseSubnet } from './nat/ipv4.ts';
import { FakeHost, GATEWAY, GATEWAY_IP, GUEST_IP, RESOLVER_IP, SERVER_IP } from './nat/testing.ts';
import { createNetworkPort, NetworkEnd } from './network-port.ts';
import { type Packet, SEGMENT_NONE, type StationAddress } from './packet.ts';
import { bytesOf, EVERYONE, frame, GUEST, icmp, ipv4, offloadHeader, PEER, tcp, THIRD, udp } from './testing.ts';
import { VirtioNet } from './virtio-net.ts';

const env = (globalThis as { process?: { env: Readonly<Record<string, string | undefined>> } }).process?.env ?? {};
const OPERATIONS = Number(env['BULKHEAD_FUZZ_OPERATIONS'] ?? 45_000);
const SEED = Number(env['BULKHEAD_FUZZ_SEED'] ?? Date.now() % 0x1_0000_0000);
const MTU = 1500;
const STORM = { broadcast: 1e6, multicast: 1e6, unknown: 1e6 };

/** xorshift32 (Marsaglia 2003). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  below(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % limit;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** Small numbers, single bits, numbers near an edge, any. */
  odd(limit = 2 ** 32): number {
    const kind = this.below(4);
    return (kind === 0 ? this.below(20) : kind === 1 ? 2 ** this.below(32) : kind === 2 ? 2 ** 32 - 1 - this.below(70) : this.below(2 ** 32 - 1)) % limit;
  }

  bytes(length: number): number[] {
    return Array.from({ length }, () => this.below(256));
  }
}

/** One packet of those that mean something here. */
function packetOf(random: Random, from: number): number[] {
  const fields = { from: random.below(20) === 0 ? random.odd() : from, to: random.pick([GATEWAY_IP, RESOLVER_IP, SERVER_IP, SERVER_IP, SERVER_IP, GUEST_IP + 1, 0xffff_ffff, random.odd()]), ttl: random.below(30) === 0 ? random.below(2) : 64 };
  const data = random.bytes(random.below(random.below(10) === 0 ? 1400 : 60));
  const ports = { fromPort: 1000 + random.below(6), toPort: random.pick([53, 80, 7000, random.below(65_536)]) };
  switch (random.below(8)) {
    case 0:
      return udp(fields, ports.fromPort, ports.toPort, data);
    case 1:
      return icmp(fields, random.pick([8, 0, 3, random.below(256)]), random.below(3), data);
    case 2:
      return ipv4({ ...fields, protocol: random.below(256), fragment: random.below(3) === 0 ? random.below(65_536) : 0x4000 }, data);
    case 3:
      return udp({ ...fields, from: 0, to: 0xffff_ffff }, 68, 67, [1, 1, 6, 0, ...random.bytes(24), ...bytesOf(random.pick([GUEST, PEER]), 6), ...new Array(202).fill(0), 99, 130, 83, 99, 53, 1, random.below(9), ...random.bytes(random.below(20))]);
    default:
      return tcp(fields, { ...ports, sequence: random.below(3) === 0 ? random.odd() : 5000 + random.below(40), acknowledgement: random.below(3) === 0 ? random.odd() : 0x1000_0001 + random.below(200), flags: random.pick([0x02, 0x02, 0x02, 0x10, 0x18, 0x11, 0x04, 0x12, random.below(256)]), window: random.odd(65_536), options: random.bytes(4 * random.below(4)) }, data);
  }
}

const ARP = (random: Random): number[] => [0, 1, 8, 0, 6, 4, 0, 1 + random.below(3), ...bytesOf(random.pick([GUEST, PEER, random.odd()]), 6), ...bytesOf(random.pick([GUEST_IP, GUEST_IP + 1, random.odd()]), 4), ...random.bytes(6), ...bytesOf(random.pick([GATEWAY_IP, GUEST_IP]), 4)];

/** A record of a guest: mostly a frame, often spoilt, with an offload header that is mostly none. */
function recordOf(random: Random, self: StationAddress, address: number): Uint8Array {
  const to = random.pick([GATEWAY, GATEWAY, GUEST, PEER, THIRD, EVERYONE, 0x0100_5e00_0001, random.odd()]);
  const from = random.below(15) === 0 ? random.odd() : self;
  const [type, payload] = random.pick<() => [number, number[]]>([
    () => [0x0800, packetOf(random, address)],
    () => [0x0800, packetOf(random, address)],
    () => [0x0800, packetOf(random, address)],
    () => [0x0806, ARP(random)],
    () => [random.pick([0x86dd, 0x88b5, 0x8100, random.below(65_536)]), random.bytes(random.below(100))],
  ])();
  const isTagged = random.below(6) === 0;
  const body = isTagged ? frame(to, from, 0x8100, [...bytesOf(random.below(65_536) & random.pick([0xf00f, 0xffff]), 2), ...bytesOf(type, 2), ...payload]) : frame(to, from, type, payload);
  const header =
    random.below(4) > 0
      ? offloadHeader()
      : offloadHeader({ flags: random.below(4), segmentation: random.pick([0, 1, 4, random.below(256)]), headerLength: random.odd(2000), segmentSize: random.odd(2000), start: random.pick([34, 38, random.odd(3000)]), offset: random.pick([16, 6, random.odd(3000)]) });
  const record = Uint8Array.of(...header, ...body);
  for (let spoilt = random.below(3) === 0 ? random.below(8) : 0; spoilt > 0; spoilt--) record[random.below(record.length)] = random.below(256);
  return random.below(10) === 0 ? record.subarray(0, random.below(record.length)) : record;
}

/** In a loop of a million rounds `expect` costs more than what it looks at. */
function wrong(packet: Packet): never {
  throw new Error(`a neighbour was given ${packet.length} bytes: ${[...packet.record().subarray(0, 80)].map((byte) => byte.toString(16)).join(' ')}`);
}

const SIZES: readonly AccessSize[] = [1, 2, 4];

it(`whatever guests send (seed ${SEED}, ${OPERATIONS} operations)`, { timeout: 3_600_000 }, () => {
  const random = new Random(SEED);
  const host = new FakeHost();
  let now = 1e9;
  const memberships: VlanMembership[] = [{ mode: 'access', vlan: 1 }, { mode: 'trunk', native: 1 }, { mode: 'access', vlan: 2 }];
  const ports = [GUEST, PEER, THIRD].map((address, index) => ({
    description: { name: 'x', address, membership: memberships[index]!, storm: STORM },
    buffers: createNetworkPort({ address, mtu: MTU }),
    share: { weight: 1 + index },
    depth: 32,
    wake: () => undefined,
  }));
  const seen = (_: number, direction: 'in' | 'out', packet: Packet): void => {
    if (direction === 'in') return;
    const tag = packet.tag === undefined ? 0 : 4;
    // What leaves is no longer than allowed, or says how it is to be cut.
    const longest = packet.segmentation === SEGMENT_NONE ? packet.length - 14 - tag : packet.headerLength - 14 - tag + packet.segmentSize;
    if (longest > MTU || packet.length < 14) wrong(packet);
    if (packet.flags & 1 && packet.checksumStart + packet.checksumOffset + 2 > packet.length) wrong(packet);
  };
  const broker = new EthernetBroker({
    ports,
    mtu: MTU,
    now: () => now,
    tap: seen,
    uplink: {
      kind: 'nat',
      description: { name: 'uplink', address: GATEWAY, membership: memberships[0]!, storm: STORM },
      options: {
        subnet: parseSubnet('10.0.2.0/24')!,
        station: GATEWAY,
        stations: [{ name: 'a', station: GUEST, owner: 0 }, { name: 'b', station: PEER, owner: 1 }],
        forwards: [{ hostPort: 2222, station: 0, guestPort: 22, protocol: 'tcp' }, { hostPort: 2223, station: 1, guestPort: 23, protocol: 'udp' }],
        loopback: [80],
        host,
        random: () => 0x1000_0000,
        warn: () => undefined,
      },
    },
  });
  const [device, ...others] = ports.map(({ buffers, depth }) => new NetworkEnd(buffers, depth, () => undefined)) as [NetworkEnd, NetworkEnd, NetworkEnd];
  const net = new VirtioNet(device);
  const driver = VirtioDriver.on(net, random.pick(TRANSPORTS)[1]);
  const restart = (): void => void driver.start(BigInt(random.below(2 ** 21)) & net.features, 2 ** random.below(7));
  restart();
  const target = new Uint8Array(70_000);

  /** Pieces of data that servers sent to guests. */
  let connections = 0;
  const useHost = (): void => {
    const alive = host.streams.filter(({ destroyed }) => !destroyed);
    const stream = alive[random.below(alive.length || 1)];
    if (stream !== undefined) {
      const { events } = stream;
      stream.waiting = random.below(4) === 0 ? random.odd(300_000) : 0;
      stream.written.length = 0;
      random.pick([
        () => events.opened(),
        () => events.opened(),
        () => {
          if (stream.paused) return;
          connections++;
          events.data(Uint8Array.from(random.bytes(random.below(3000))));
        },
        () => events.drained(),
        () => events.ended(),
        () => {
          stream.destroyed = true;
          events.closed(random.pick(['done', 'refused', 'reset', 'failed'] as const));
        },
      ])();
    }
    const datagram = host.datagrams.at(-1);
    if (datagram !== undefined && !datagram.closed) {
      datagram.sent.length = 0;
      if (random.below(3) === 0) datagram.events.data(Uint8Array.from(random.bytes(random.below(1600))));
      if (random.below(30) === 0) datagram.events.refused();
    }
    if (random.below(10) === 0) host.datagramListeners.get(2223)?.data(Uint8Array.from(random.bytes(20)), { address: 0x7f00_0001, port: random.below(3) });
    if (random.below(10) === 0) {
      const inward = { write: () => undefined, waiting: 0, pause: () => undefined, resume: () => undefined, end: () => undefined, destroy: () => undefined };
      host.listeners.get(2222)?.(inward)?.data(Uint8Array.of(1, 2, 3));
    }
    if (host.streams.length > 600) host.streams.splice(0, 300);
    if (host.datagrams.length > 1000) host.datagrams.splice(0, 900);
    for (const listener of host.datagramListeners.values()) listener.sent.length = 0;
  };

  const useDevice = (): void => {
    const { access, slot } = driver;
    const queue = driver.queues[random.below(driver.queues.length)] as DriverQueue;
    random.pick([
      () => access.notify(random.below(3) === 0 ? random.odd(65_536) : queue.index),
      () => access.readConfig(random.odd(4096), random.pick(SIZES)),
      () => access.writeConfig(random.below(80), random.pick(SIZES), random.odd(256)),
      () => queue.describe(random.below(queue.size), random.below(4) === 0 ? random.odd() : 0x1_0000 + random.below(0x4_0000), random.below(3) === 0 ? random.odd() : random.below(5000), random.below(8), random.odd(65_536)),
      () => queue.offer(random.below(3) === 0 ? random.odd(65_536) : random.below(queue.size)),
      () => slot.memory.write(queue.available + random.below(6 + 2 * queue.size), Uint8Array.from(random.bytes(1 + random.below(4)))),
      () => driver.queues[1]?.send({ readable: [recordOf(random, GUEST, GUEST_IP)] }),
      () => driver.queues[1]?.send({ readable: [recordOf(random, GUEST, GUEST_IP)] }),
      () => driver.queues[0]?.send({ writable: [random.below(8) === 0 ? random.below(40) : 1600] }),
      () => driver.queues[2]?.send({ readable: [Uint8Array.from([random.below(4), random.below(7), ...random.bytes(random.below(30))])], writable: [1] }),
      () => (random.below(12) === 0 ? access.setStatus(random.below(256)) : queue.take()),
      () => (random.below(6) === 0 || access.status() & 64 ? restart() : undefined),
    ])();
  };

  for (let operation = 0; operation < OPERATIONS; operation++) {
    random.pick([
      useDevice,
      useDevice,
      useDevice,
      useHost,
      () => others[0]?.sendRecord(recordOf(random, PEER, GUEST_IP + 1)),
      () => others[1]?.sendRecord(recordOf(random, THIRD, GUEST_IP + 2)),
      () => {
        now += random.pick([1000, 1000, 1e5, 1e6, 1e7, random.below(20) === 0 ? 1e10 : 1e6]);
        broker.round();
        const end = random.pick(others);
        end.admit();
        device.admit();
        for (let length = end.receive(target); length > 0; length = end.receive(target)) if (random.below(50) === 0) checkReceived(target, length);
      },
      () => random.below(200) === 0 && random.pick(others).begin(),
    ])();
    if (operation % 1000 === 0) expect(broker.nat!.flows).toBeLessThanOrEqual(4 * 256);
  }
  // It was not refused at the door: every wall was run against, and connections were made.
  const counted = [0, 1, 2, 3].map((port) => broker.counters(port));
  for (const counter of ['framesOut', 'spoofed', 'malformed', 'vlanRefused'] as const) expect(counted.reduce((sum, counters) => sum + counters[counter], 0)).toBeGreaterThan(10);
  expect(Object.entries(broker.nat!.counters).filter(([name, count]) => count === 0 && name !== 'exhausted')).toEqual([]);
  expect(connections).toBeGreaterThan(10);
  // After all that it works as on the first day.
  now += 1e9;
  restart();
  for (const end of others) end.begin();
  for (let i = 0; i < 3; i++) {
    while (broker.round() === 0);
    for (const end of [device, ...others]) end.admit();
  }
  while (others[0]!.receive(target) > 0);
  const bytes = frame(PEER, GUEST, 0x88b5, new Array(50).fill(7));
  driver.queues[1]!.send({ readable: [Uint8Array.of(...offloadHeader(), ...bytes)] });
  while (broker.round() === 0);
  others[0]!.admit();
  const received: Uint8Array[] = [];
  for (let length = others[0]!.receive(target); length > 0; length = others[0]!.receive(target)) received.push(target.slice(0, length));
  expect(received).toContainEqual(bytes);
});
