/**
 * A machine at run time: its partitions, each in a thread of its own, started, stopped, restarted and killed one by one while the
 * others run on.
 *
 * What becomes of a partition that crashes is its `on-crash` policy: `halt` leaves it as it is, `restart` starts it again up to its
 * limit, `stop-machine` stops everybody. A partition that cannot even be started is not started again.
 *
 * Not modelled: record and replay, watchdogs for guests, pausing.
 */
import { BulkheadError } from '../base/index.ts';
import type { Machine, PartitionName, PartitionStatus, Severity } from '../contracts/index.ts';
import type { CrashReport, Pace, PartitionEnd } from '../partition/index.ts';
import { Brokers, type PortReport, portReports } from './brokers.ts';
import { Cell } from './cell.ts';
import { ConsoleEnd, consoleDevices } from './consoles.ts';
import { connectUnbrokered } from './unbrokered.ts';
import { connectWires } from './wires.ts';
import { InputEnd, inputDevices, Screen } from './screens.ts';
import type { MachineHost } from './thread.ts';

export type MachineEvent =
  | { readonly kind: 'starting'; readonly partition: PartitionName; readonly restart: boolean }
  | { readonly kind: 'started'; readonly partition: PartitionName; readonly image: string }
  | { readonly kind: 'halted'; readonly partition: PartitionName; readonly end: Extract<PartitionEnd, { state: 'halted' }> }
  | { readonly kind: 'crashed'; readonly partition: PartitionName; readonly report: CrashReport; readonly consequence: CrashConsequence }
  | { readonly kind: 'log'; readonly partition: PartitionName; readonly severity: Severity; readonly message: string }
  /** Of what is shared. */
  | { readonly kind: 'shared'; readonly resource: string; readonly severity: Severity; readonly message: string }
  /** No partition runs any more, and none is about to. */
  | { readonly kind: 'quiet' };

/** What the machine does about a crash. `limit-reached`: it would restart, but did so often enough. */
export type CrashConsequence = 'halt' | 'restart' | 'limit-reached' | 'stop-machine';

export interface MachineOptions {
  readonly pace: Pace;
}

export class RunningMachine implements AsyncDisposable {
  readonly machine: Machine;
  readonly #cells: ReadonlyMap<PartitionName, Cell>;
  readonly #listeners = new Set<(event: MachineEvent) => void>();
  readonly #brokers: Brokers | undefined;
  #stopping = false;

  /** Starts nothing yet. */
  constructor(machine: Machine, host: MachineHost, options: MachineOptions) {
    this.machine = machine;
    this.#cells = new Map(machine.partitions.map((partition) => [partition.name, new Cell(partition, host, options.pace)]));
    connectWires([...this.#cells.values()]);
    connectUnbrokered(machine, [...this.#cells.values()]);
    const { startBroker } = host;
    if (startBroker === undefined) return;
    this.#brokers = new Brokers(machine, [...this.#cells.values()], {
      startBroker: (start, events) => startBroker(start, events),
      after: (delay, action) => host.after(delay, action),
      log: (resource, severity, message) => this.#emit({ kind: 'shared', resource, severity, message }),
    });
  }

  /** Calls `listener` for every event from now on, in the order they happen; disposing ends that. */
  on(listener: (event: MachineEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** In the order of the manifest. */
  status(): PartitionStatus[] {
    return [...this.#cells.values()].map((cell) => cell.status);
  }

  /** Whether a thread of any partition exists. */
  get quiet(): boolean {
    return [...this.#cells.values()].every((cell) => !cell.alive);
  }

  /** The consoles of a partition, its main one first. Throws BH503 for an unknown name, as every method that takes one. */
  consoles(name: PartitionName): ConsoleEnd[] {
    const cell = this.#cell(name);
    return consoleDevices(cell.spec).map((device) => new ConsoleEnd(cell.link, device));
  }

  /** The screens of a partition, as its last or present life shows them; none before it was started. */
  screens(name: PartitionName): Screen[] {
    return Object.entries(this.#cell(name).displays).map(([device, buffers]) => new Screen(device, buffers));
  }

  /** Keyboards of a partition, with their mice. */
  inputs(name: PartitionName): InputEnd[] {
    const cell = this.#cell(name);
    return inputDevices(cell.spec).map((device) => new InputEnd(cell.link, device));
  }

  /** How the partition's last life ended; undefined while it runs or when it never did. */
  endOf(name: PartitionName): PartitionEnd | undefined {
    const cell = this.#cell(name);
    return cell.alive ? undefined : cell.lastEnd;
  }

  /** The last crash of a partition, even when it was restarted since. */
  lastCrash(name: PartitionName): CrashReport | undefined {
    return this.#cell(name).lastCrash;
  }

  /** Worst release latency its RTOS has reported, in nanoseconds. */
  worstLatency(name: PartitionName): number | undefined {
    return this.#cell(name).link.worstLatency;
  }

  /** What was done at each port of what is shared, resource by resource in the order of the manifest. */
  ports(): PortReport[] {
    const all = [...[...this.#cells.values()].flatMap(portReports), ...(this.#brokers?.uplinks() ?? [])];
    return (this.machine.shared ?? []).flatMap(({ name }) => all.filter(({ resource }) => resource === name));
  }

  startAll(): void {
    for (const name of this.#cells.keys()) this.start(name);
  }

  /** Throws BH502 when it runs already. */
  start(name: PartitionName): void {
    const cell = this.#cell(name);
    if (this.#stopping) return;
    this.#brokers?.start();
    this.#startCell(cell);
  }

  /** Resolves when it has stopped; at once when it does not run. */
  async stop(name: PartitionName): Promise<void> {
    await this.#cell(name).stop();
  }

  /** Stops it if it runs and starts it cold. An operator's restart does not count against the policy's limit. */
  async restart(name: PartitionName): Promise<void> {
    const cell = this.#cell(name);
    await cell.stop();
    // Its policy may have been quicker, when it had to be ended by force.
    if (!cell.alive && !this.#stopping) this.#startCell(cell);
  }

  /** Loads devices of the user's own anew, each reset, while the guest runs. False: it has none, or does not run. */
  reloadDevices(name: PartitionName): boolean {
    return this.#cell(name).reloadDevices();
  }

  /** Makes it crash; then its policy applies. Resolves when that life has ended. */
  async kill(name: PartitionName): Promise<void> {
    await this.#cell(name).kill();
  }

  /** Stops every partition; none starts again. Resolves when all threads are gone. */
  async stopAll(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#cells.values()].map((cell) => cell.stop()));
    await this.#brokers?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopAll();
    this.#listeners.clear();
  }

  #cell(name: PartitionName): Cell {
    const cell = this.#cells.get(name);
    if (cell === undefined) {
      throw new BulkheadError('BH503', `the machine has no partition \`${name}\``, { hint: `it has ${[...this.#cells.keys()].join(', ')}` });
    }
    return cell;
  }

  #startCell(cell: Cell): void {
    const name = cell.spec.name;
    this.#emit({ kind: 'starting', partition: name, restart: cell.lastEnd !== undefined });
    let consequence: CrashConsequence | undefined;
    cell.start({
      started: (image) => this.#emit({ kind: 'started', partition: name, image }),
      log: (severity, message) => this.#emit({ kind: 'log', partition: name, severity, message }),
      ended: (end) => {
        if (end.state === 'halted') {
          this.#emit({ kind: 'halted', partition: name, end });
        } else {
          consequence = this.#consequence(cell, end.report);
          this.#emit({ kind: 'crashed', partition: name, report: end.report, consequence });
        }
      },
      gone: () => this.#follow(cell, consequence),
    });
  }

  #consequence(cell: Cell, report: CrashReport): CrashConsequence {
    const { action, limit } = cell.spec.onCrash;
    if (this.#stopping || action === 'halt') return 'halt';
    if (action === 'stop-machine') return 'stop-machine';
    if (report.kind === 'cannot-start') return 'halt';
    return cell.crashRestarts < limit ? 'restart' : 'limit-reached';
  }

  #follow(cell: Cell, consequence: CrashConsequence | undefined): void {
    if (consequence === 'restart' && !this.#stopping && !cell.alive) {
      cell.crashRestarts++;
      this.#startCell(cell);
    } else if (consequence === 'stop-machine') {
      void this.stopAll();
    }
    if (this.quiet) this.#emit({ kind: 'quiet' });
  }

  #emit(event: MachineEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
