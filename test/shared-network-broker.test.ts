// The broker of a shared network in its own thread: with sockets of the host, with a TAP, with a recording. The guests are this test.
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ring } from '../src/base/index.ts';
import type { Grant, GrantedPort, NetworkSource, SharedResource } from '../src/contracts/index.ts';
import { startBrokerThread } from '../src/host/node/broker-thread.ts';
import type { BrokerStart } from '../src/hypervisor/index.ts';
import { BrokerCommand, createPort, NetworkEnd } from '../src/shared/index.ts';
import { ascii, bytesOf, EVERYONE, frame, GUEST, icmp, ip, PEER, tcp, udp } from '../src/shared/ethernet/testing.ts';
import { hostInterface } from './support/host-interface.ts';

const ENTRY = new URL('../src/cli/broker-worker.ts', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'bulkhead-network-broker-'));
afterAll(() => rmSync(folder, { recursive: true }));

const GUEST_IP = ip('10.0.2.15');
const GATEWAY_IP = ip('10.0.2.2');
const STORM = { broadcast: 1000, multicast: 1000, unknown: 1000 };
const BASE: NetworkSource = { uplink: { kind: 'none' }, uplinkVlan: { mode: 'access', vlan: 1 }, subnet: '10.0.2.0/24', mtu: 1500, forwards: [], loopback: [] };

async function until<T>(what: string, look: () => T | undefined): Promise<T> {
  const last = performance.now() + 30_000;
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (performance.now() > last) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A network with two partitions, whose ends are in this thread. */
class Network implements AsyncDisposable {
  readonly ends: readonly NetworkEnd[];
  readonly log: string[] = [];
  readonly #command = new BrokerCommand();
  readonly #target = new Uint8Array(70_000);
  readonly #gone: Promise<string | undefined>;

  constructor(network: Partial<NetworkSource>) {
    const grants = [['a', '02:00:00:00:00:01'], ['b', '02:00:00:00:00:02']].map(([partition, mac]): Grant => ({ partition: partition!, access: 'rw', network: { mac: mac!, vlan: BASE.uplinkVlan, storm: STORM } }));
    const resource: SharedResource = { name: 'lan', kind: 'ethernet', grants, network: { ...BASE, ...network } };
    const ports = grants.map((grant): GrantedPort => ({ grant, device: 'eth0', port: createPort(resource, grant)!, alarm: new Int32Array(new SharedArrayBuffer(4)) }));
    const start: BrokerStart = { resource, ports, command: this.#command.buffer };
    this.#gone = new Promise((resolve) => {
      startBrokerThread(ENTRY, 'broker lan', start, { log: (_, message) => this.log.push(message), exited: resolve });
    });
    this.ends = ports.map(({ port }) => new NetworkEnd(port, 256, () => ring(this.#command.alarm)));
  }

  async up(): Promise<this> {
    await until('the link is up', () => {
      for (const end of this.ends) end.admit();
      return this.ends.every(({ connected }) => connected) || undefined;
    });
    return this;
  }

  send(number: number, bytes: Uint8Array): void {
    expect(this.ends[number]?.send(bytes)).toBe(true);
  }

  /** The next frame at an end that `fits`; others are taken and forgotten. */
  hear(number: number, fits: (bytes: Uint8Array) => boolean): Promise<Uint8Array> {
    const end = this.ends[number]!;
    return until('a frame', () => {
      end.admit();
      for (let length = end.receive(this.#target); length > 0; length = end.receive(this.#target)) {
        if (fits(this.#target.subarray(0, length))) return this.#target.slice(0, length);
      }
      return undefined;
    });
  }

  /** Where the gateway, or anybody, is. */
  async stationOf(address: number, own = GUEST_IP): Promise<number> {
    this.send(0, frame(EVERYONE, GUEST, 0x0806, [0, 1, 8, 0, 6, 4, 0, 1, ...bytesOf(GUEST, 6), ...bytesOf(own, 4), 0, 0, 0, 0, 0, 0, ...bytesOf(address, 4)]));
    const reply = await this.hear(0, (bytes) => bytes[13] === 0x06 && bytes[21] === 2);
    return reply.subarray(6, 12).reduce((value, byte) => value * 256 + byte, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.ends) end[Symbol.dispose]();
    this.#command.stop();
    expect(await this.#gone).toBeUndefined();
  }
}

const carries = (protocol: number) => (bytes: Uint8Array) => bytes[12] === 8 && bytes[13] === 0 && bytes[23] === protocol;

describe('the broker of a shared network in its thread', () => {
  it('switches frames and records them', async () => {
    const capture = join(folder, 'lan.pcapng');
    {
      await using network = await new Network({ capture }).up();
      const bytes = frame(PEER, GUEST, 0x88b5, ascii('over there, and here as well: what is said to a neighbour.'));
      network.send(0, bytes);
      expect(await network.hear(1, () => true)).toEqual(bytes);
    }
    const recorded = readFileSync(capture);
    expect([recorded.readUInt32LE(0), recorded.includes('over there, and here'), recorded.readUInt32LE(recorded.readUInt32LE(4))]).toEqual([0x0a0d_0d0a, true, 1]);
  });

  it('asks a UDP server of the host for its guest, and comes back with the answer', async () => {
    const server = createSocket('udp4');
    server.on('message', (bytes, from) => server.send(`${bytes.toString()}? yes`, from.port, from.address));
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
    const { port } = server.address();
    try {
      await using network = await new Network({ uplink: { kind: 'nat' }, loopback: [port] }).up();
      const gateway = await network.stationOf(GATEWAY_IP);
      network.send(0, frame(gateway, GUEST, 0x0800, udp({ from: GUEST_IP, to: GATEWAY_IP }, 4000, port, ascii('is it you'))));
      const answer = await network.hear(0, carries(17));
      expect(Buffer.from(answer.subarray(42)).toString('latin1')).toMatch(/^is it you\? yes/);
    } finally {
      server.close();
    }
  });

  it('opens a connection to a TCP server of the host, and passes on that there is none', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined).end('welcome'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await using network = await new Network({ uplink: { kind: 'nat' }, loopback: 'all' }).up();
    const gateway = await network.stationOf(GATEWAY_IP);
    const flagsOf = (bytes: Uint8Array): number => bytes[47]!;
    const say = (fields: { sequence: number; acknowledgement?: number; flags: number; fromPort?: number }) =>
      network.send(0, frame(gateway, GUEST, 0x0800, tcp({ from: GUEST_IP, to: GATEWAY_IP }, { fromPort: 4000, toPort: port, ...fields })));
    say({ sequence: 100, flags: 2 });
    const synAck = await network.hear(0, carries(6));
    expect(flagsOf(synAck)).toBe(0x12);
    say({ sequence: 101, acknowledgement: new DataView(synAck.buffer).getUint32(38) + 1, flags: 0x10 });
    const data = await network.hear(0, (bytes) => carries(6)(bytes) && bytes.length > 60);
    expect(Buffer.from(data.subarray(54, 61)).toString()).toBe('welcome');
    // Nobody new is let in; the connection that stands goes on.
    server.close();
    say({ sequence: 100, flags: 2, fromPort: 4001 });
    const refused = await network.hear(0, (bytes) => carries(6)(bytes) && new DataView(bytes.buffer, bytes.byteOffset).getUint16(36) === 4001);
    expect(flagsOf(refused)).toBe(0x14);
  });

  it('listens on the host for its guest', async () => {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    await using network = await new Network({ uplink: { kind: 'nat' }, forwards: [{ host: port, partition: 'a', port: 22, protocol: 'tcp' }] }).up();
    const attempt = (): Socket => connect(port, '127.0.0.1').on('error', () => undefined);
    let client = attempt();
    // The broker may not listen yet.
    await until('the host can connect', () => {
      if (client.readyState === 'open') return true;
      if (client.destroyed) client = attempt();
      return undefined;
    });
    const syn = await network.hear(0, carries(6));
    expect([syn[47], new DataView(syn.buffer).getUint16(36)]).toEqual([2, 22]);
    client.destroy();
  });

  it('says when a port of the host is not to be had', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await using network = await new Network({ uplink: { kind: 'nat' }, forwards: [{ host: port, partition: 'a', port: 22, protocol: 'tcp' }] }).up();
    expect(await until('a warning', () => network.log.find((line) => line.includes(String(port))))).toMatch(/cannot be forwarded: .*EADDRINUSE/);
    server.close();
  });
});

const tap = hostInterface(1, 'a shared network on an interface of the host');
afterAll(() => tap?.[Symbol.dispose]());

it.skipIf(tap === undefined)('a shared network leads out by an interface of the host', async () => {
  await using network = await new Network({ uplink: { kind: 'tap', interface: tap!.name } }).up();
  const host = await network.stationOf(ip(tap!.host), ip(tap!.guest));
  network.send(0, frame(host, GUEST, 0x0800, icmp({ from: ip(tap!.guest), to: ip(tap!.host) }, 8, 0, [1, 2, 0, 1, ...ascii('hello')])));
  const reply = await network.hear(0, carries(1));
  expect([reply[34], Buffer.from(reply.subarray(42, 47)).toString()]).toEqual([0, 'hello']);
});
