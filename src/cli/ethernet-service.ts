/** A shared network in its broker's thread: the switch, what leads out of it, and the recording of it all. */
import { randomBytes } from 'node:crypto';
import { BulkheadError, ms, ring } from '../base/index.ts';
import type { AttachedWire, GrantedPort, Nanos, NetworkSource, SharedResource } from '../contracts/index.ts';
import { openTap } from '../host/linux/index.ts';
import { hostNetwork } from '../host/node/host-network.ts';
import { PcapngWriter } from '../host/node/pcapng.ts';
import type { BrokerEvents, BrokerStart } from '../hypervisor/index.ts';
import {
  type BrokerCommand,
  createCounters,
  EthernetBroker,
  type EthernetUplink,
  ethernetPort,
  gatewayStation,
  grantedStation,
  type Packet,
  parseSubnet,
  counterOf,
  readCounters,
  type Subnet,
  stationBytes,
  uplinkDescription,
} from '../shared/index.ts';

const hostNow = (): Nanos => performance.now() * ms;
/** Rounds in which sockets of the host have to wait while there is enough to do. */
const ROUNDS_AT_ONCE = 4;

/** Serves a network until it is told to stop. Throws BH630, BH631. */
export async function serveEthernet({ resource, ports, uplinkCounters = createCounters() }: BrokerStart, command: BrokerCommand, log: BrokerEvents['log']): Promise<void> {
  const { network } = resource;
  if (network === undefined) throw new TypeError(`${resource.name} is not set up`);
  const uplink = uplinkOf(resource, network, ports, command, log);
  using recording = network.capture === undefined ? undefined : new Recording(network.capture, resource, ports, uplink !== undefined, uplinkCounters, log);
  using broker = new EthernetBroker({
    ports: ports.map((port) => ethernetPort(resource, port, ring)),
    ...(uplink === undefined ? {} : { uplink }),
    uplinkCounters,
    mtu: network.mtu,
    now: hostNow,
    wakeSelf: () => command.wake(),
    ...(recording === undefined ? {} : { tap: (port, direction, packet) => recording.write(port, direction, packet) }),
  });
  // A thread without sockets has no need of an event loop, and wakes faster without.
  if (broker.nat === undefined) {
    while (!command.stopRequested) {
      const { signals } = command;
      const sleep = broker.round();
      if (sleep > 0) recording?.flush();
      if (sleep > 0) command.wait(signals, sleep);
    }
    return;
  }
  const alive = setInterval(() => undefined, 2 ** 30);
  for (let round = 1; !command.stopRequested; round++) {
    const { signals } = command;
    const sleep = broker.round();
    if (sleep > 0) {
      recording?.flush();
      await command.waitAsync(signals, sleep);
    } else if (round % ROUNDS_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  clearInterval(alive);
}

function uplinkOf(resource: SharedResource, network: NetworkSource, ports: readonly GrantedPort[], command: BrokerCommand, log: BrokerEvents['log']): EthernetUplink | undefined {
  const { uplink, subnet, forwards, loopback } = network;
  switch (uplink.kind) {
    case 'none':
      return undefined;
    case 'tap': {
      const wire: AttachedWire = openTap(uplink.interface, command.alarm);
      log('info', `it leads out by ${uplink.interface}`);
      return { kind: 'wire', description: uplinkDescription(network), wire };
    }
    case 'nat': {
      const parsed = parseSubnet(subnet);
      if (parsed === undefined) throw new BulkheadError('BH215', `${subnet} is no network`);
      const station = gatewayStation(resource);
      return { kind: 'nat', description: uplinkDescription(network, station), options: { ...natOptions(resource, parsed, ports), station, forwards: forwardsOf(forwards, ports), loopback, warn: (message) => log('warn', message) } };
    }
  }
}

function natOptions(resource: SharedResource, subnet: Subnet, ports: readonly GrantedPort[]) {
  return {
    subnet,
    stations: ports.map(({ grant }, owner) => ({ name: grant.partition, station: grantedStation(resource, grant), owner })),
    host: hostNetwork(),
    random: () => randomBytes(4).readUInt32BE(),
  };
}

/** A forward to a partition that has no device on the network leads nowhere. */
function forwardsOf(forwards: NetworkSource['forwards'], ports: readonly GrantedPort[]) {
  return forwards.flatMap(({ host, partition, port, protocol }) => {
    const station = ports.findIndex(({ grant }) => grant.partition === partition);
    return station < 0 ? [] : [{ hostPort: host, station, guestPort: port, protocol }];
  });
}

/** Every frame at every port, by the host's clock. A full disk ends the recording, not the network. */
class Recording implements Disposable {
  readonly #writer: PcapngWriter;
  readonly #counters: readonly SharedArrayBuffer[];
  readonly #lost: number[];
  readonly #log: BrokerEvents['log'];

  constructor(path: string, resource: SharedResource, ports: readonly GrantedPort[], hasUplink: boolean, uplinkCounters: SharedArrayBuffer, log: BrokerEvents['log']) {
    this.#log = log;
    const interfaces = ports.map(({ grant }) => ({ name: grant.partition, address: stationBytes(grantedStation(resource, grant)) }));
    this.#counters = [...ports.flatMap(({ port: { lanes } }) => lanes['counters'] ?? []), uplinkCounters];
    this.#lost = this.#counters.map(() => 0);
    const epoch = BigInt(Date.now()) * 1_000_000n - BigInt(Math.floor(hostNow()));
    this.#writer = new PcapngWriter(path, hasUplink ? [...interfaces, { name: 'uplink' }] : interfaces, epoch);
  }

  /** What comes into the switch leaves the partition, and the other way round. */
  write(port: number, direction: 'in' | 'out', packet: Packet): void {
    const counters = this.#counters[port];
    const missed = counters === undefined ? 0 : counterOf(counters, 'missed');
    const lost = missed - (this.#lost[port] as number);
    this.#lost[port] = missed;
    this.#try(() => this.#writer.write(port, direction === 'in' ? 'out' : 'in', hostNow(), packet.frameBytes(), lost));
  }

  flush(): void {
    this.#try(() => this.#writer.flush());
  }

  [Symbol.dispose](): void {
    const now = hostNow();
    this.#try(() => {
      for (const [port, counters] of this.#counters.slice(0, this.#writer.interfaces).entries()) {
        const { framesIn, framesOut, missed } = readCounters(counters);
        this.#writer.statistics(port, now, framesIn + framesOut, missed);
      }
      this.#writer[Symbol.dispose]();
    });
    if (this.#writer.dropped > 0) this.#log('warn', `the recording is full: ${this.#writer.dropped} frames are not in it`);
  }

  #try(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#log('error', `the recording ends here: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
