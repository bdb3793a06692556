/**
 * What partitions share, and who stands between them: a broker's thread for each resource, and a port for each device that uses it. Ports
 * and brokers are made once; partitions come and go.
 */
import { ring, s } from '../base/index.ts';
import type { GrantedPort, Machine, Nanos, PartitionName, Severity, SharedResource } from '../contracts/index.ts';
import { BrokerCommand, createCounters, createPort, PORT_METRICS, PortControl, type PortReading, readPort, readUplink } from '../shared/index.ts';
import type { Cell } from './cell.ts';

/** Everything a broker's thread needs. Plain data and shared memory: it is posted. */
export interface BrokerStart {
  readonly resource: SharedResource;
  readonly ports: readonly GrantedPort[];
  /** See {@link BrokerCommand}. */
  readonly command: SharedArrayBuffer;
  /** Of the port by which a network leads out: see `createCounters`. Absent: nobody looks at them. */
  readonly uplinkCounters?: SharedArrayBuffer;
}

/** What a broker's thread tells. */
export interface BrokerEvents {
  log(severity: Severity, message: string): void;
  /** The thread is gone. Once, and last. `detail` says why when it did not go of its own accord. */
  exited(detail?: string): void;
}

export interface BrokerThread {
  /** Ends it at once, wherever it is; `exited` follows. */
  terminate(): void;
}

export type StartBroker = (start: BrokerStart, events: BrokerEvents) => BrokerThread;

/** A broker that does not end within this time is ended: what it was asked for is done or never will be. */
const BROKER_PATIENCE: Nanos = 10 * s;

/** How a port of something shared stands. */
export interface PortReport {
  readonly resource: string;
  readonly kind: SharedResource['kind'];
  /** Whose it is. Absent: it is a network's way out. */
  readonly partition?: PartitionName;
  readonly device?: string;
  readonly counters: PortReading;
}

export interface BrokerSurroundings {
  readonly startBroker: StartBroker;
  after(delay: Nanos, action: () => void): Disposable;
  log(resource: string, severity: Severity, message: string): void;
}

export class Brokers {
  readonly #entries: readonly BrokerEntry[];
  #started = false;

  /** Makes the ports and gives each cell its own; starts nothing yet. */
  constructor({ shared = [] }: Machine, cells: readonly Cell[], surroundings: BrokerSurroundings) {
    this.#entries = shared.flatMap((resource) => {
      const command = new BrokerCommand();
      const ports = cells.flatMap((cell) => portsOf(resource, cell, command));
      if (ports.length === 0) return [];
      const leadsOut = resource.network !== undefined && resource.network.uplink.kind !== 'none';
      const start = { resource, ports, command: command.buffer, ...(leadsOut ? { uplinkCounters: createCounters() } : {}) };
      return [new BrokerEntry(start, surroundings)];
    });
  }

  /** Before the first partition. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    for (const entry of this.#entries) entry.start();
  }

  /** When the last partition is gone. Resolves when everything is on its medium and every thread gone. */
  async stop(): Promise<void> {
    await Promise.all(this.#entries.map((entry) => entry.stop()));
  }

  /** Of the ports that no partition owns. */
  uplinks(): PortReport[] {
    return this.#entries.flatMap((entry) => entry.uplink ?? []);
  }
}

/** How the ports of a partition stand. */
export function portReports({ spec, link }: Cell): PortReport[] {
  return Object.entries(link.buffers.shared)
    .filter(([, { kind }]) => PORT_METRICS[kind].length > 0)
    .map(([device, port]) => ({ resource: port.resource, kind: port.kind, partition: spec.name, device, counters: readPort(port) }));
}

function portsOf(resource: SharedResource, { spec, link }: Cell, command: BrokerCommand): GrantedPort[] {
  const grant = resource.grants.find(({ partition }) => partition === spec.name);
  if (grant === undefined) return [];
  return spec.devices.flatMap(({ name: device, shared }) => {
    if (shared !== resource.name) return [];
    const port = createPort(resource, grant);
    if (port === undefined) return [];
    link.share(device, { resource: resource.name, kind: resource.kind, grant, port, alarm: command.alarm });
    return [{ grant, device, port, alarm: link.alarm }];
  });
}

class BrokerEntry {
  readonly #start: BrokerStart;
  readonly #surroundings: BrokerSurroundings;
  #thread: BrokerThread | undefined;
  #gone: Promise<void> = Promise.resolve();

  constructor(start: BrokerStart, surroundings: BrokerSurroundings) {
    this.#start = start;
    this.#surroundings = surroundings;
  }

  start(): void {
    const { startBroker, log } = this.#surroundings;
    const { name } = this.#start.resource;
    this.#gone = new Promise((resolve) => {
      this.#thread = startBroker(this.#start, {
        log: (severity, message) => log(name, severity, message),
        exited: (detail) => {
          this.#thread = undefined;
          if (detail !== undefined) log(name, 'error', `its broker is gone: ${detail}`);
          this.#close();
          resolve();
        },
      });
    });
  }

  async stop(): Promise<void> {
    if (this.#thread === undefined) return;
    new BrokerCommand(this.#start.command).stop();
    using _patience = this.#surroundings.after(BROKER_PATIENCE, () => this.#thread?.terminate());
    await this.#gone;
  }

  get uplink(): PortReport | undefined {
    const { resource, uplinkCounters } = this.#start;
    return uplinkCounters === undefined ? undefined : { resource: resource.name, kind: resource.kind, counters: readUplink(uplinkCounters) };
  }

  /** Nobody answers any more: whoever waits is told. */
  #close(): void {
    for (const { port, alarm } of this.#start.ports) {
      new PortControl(port).close();
      ring(alarm);
    }
  }
}
