/**
 * Moves console bytes: from the partitions to whoever shows them and to their logs, and from the keys to the partitions. Every console is
 * logged, shown or not: `<partition>.log` has the main one and what the machine says about the partition, `<partition>.<device>.log` any other.
 */
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import type { PartitionName, TerminalSize } from '../contracts/index.ts';
import { LogFile } from '../host/node/log-file.ts';
import type { ConsoleEnd, RunningMachine } from '../hypervisor/index.ts';
import { ConsoleLine } from './terminal/console-line.ts';

/** Per look and console: a flooding guest must not keep the others' consoles waiting. */
const READ_BYTES = 64 * 1024;
/** A guest that writes byte by byte is not to wake us for each. */
const REST_MS = 1;

interface MainConsole {
  readonly end: ConsoleEnd | undefined;
  readonly log: LogFile;
  /** Lines since the last look: one write for all of them. */
  lines: string;
  input: Uint8Array[];
  lost: number;
}

interface SideConsole {
  readonly partition: PartitionName;
  readonly end: ConsoleEnd;
  readonly log: LogFile;
  readonly line: ConsoleLine;
  input: Uint8Array[];
}

/** Output of a console, its partition's main one (`device` undefined) or another. The bytes are only valid during the call. */
export type ConsoleWatcher = (name: PartitionName, device: string | undefined, bytes: Uint8Array) => void;

export class ConsolePumps implements Disposable {
  readonly #main = new Map<PartitionName, MainConsole>();
  readonly #side: SideConsole[] = [];
  readonly #buffer = new Uint8Array(READ_BYTES);
  #isClosed = false;

  /** Opens the logs. Throws BH620 when one cannot be written. */
  constructor(running: RunningMachine, logFolder: string) {
    for (const { name } of running.machine.partitions) {
      const [end, ...others] = running.consoles(name);
      this.#main.set(name, { end, log: new LogFile(join(logFolder, `${name}.log`)), lines: '', input: [], lost: 0 });
      for (const other of others) {
        this.#side.push({ partition: name, end: other, input: [], log: new LogFile(join(logFolder, `${name}.${other.device}.log`)), line: new ConsoleLine() });
      }
    }
  }

  /** Bytes typed that their guest has not taken yet. */
  get inputPending(): number {
    let bytes = 0;
    for (const { input } of this.#main.values()) for (const piece of input) bytes += piece.length;
    return bytes;
  }

  /** Appends a line, with the time, to the partition's log. */
  log(name: PartitionName, text: string): void {
    const console = this.#main.get(name);
    if (console === undefined) return;
    const time = new Date().toISOString();
    for (const line of text.split('\n')) console.lines += `${time} ${line}\n`;
  }

  /** Queues input; nothing of it is lost, however long the guest does not read. `device`: a console other than the main one. */
  send(name: PartitionName, bytes: Uint8Array, device?: string): void {
    const console = this.#console(name, device);
    if (console?.end === undefined || bytes.length === 0) return;
    console.input.push(bytes.slice());
    sendQueued(console, console.end);
  }

  /** Bytes that the guest has not taken from one console. */
  pendingOf(name: PartitionName, device?: string): number {
    return (this.#console(name, device)?.input ?? []).reduce((sum, { length }) => sum + length, 0);
  }

  /** Whoever types there has a terminal of this size. */
  resize(name: PartitionName, device: string | undefined, size: TerminalSize): void {
    this.#console(name, device)?.end?.resize(size);
  }

  /** Name of the device behind the main console, and of the others. */
  devicesOf(name: PartitionName): { readonly main: string | undefined; readonly others: readonly string[] } {
    const others = this.#side.filter(({ partition }) => partition === name).map(({ end }) => end.device);
    return { main: this.#main.get(name)?.end?.device, others };
  }

  #console(name: PartitionName, device: string | undefined): MainConsole | SideConsole | undefined {
    const main = this.#main.get(name);
    if (device === undefined || device === main?.end?.device) return main;
    return this.#side.find(({ partition, end }) => partition === name && end.device === device);
  }

  /** Calls `wake`, which is to pump, whenever a console has something to say. */
  onArrival(wake: () => void): void {
    for (const { end } of [...this.#main.values(), ...this.#side]) if (end !== undefined) void this.#follow(end, wake);
  }

  async #follow(end: ConsoleEnd, wake: () => void): Promise<void> {
    for (;;) {
      await end.arrival();
      if (this.#isClosed) return;
      wake();
      await rest(REST_MS, undefined, { ref: false });
    }
  }

  /** Moves everything that is there, and lets `watch` see the output. */
  pump(watch: ConsoleWatcher): void {
    for (const [name, console] of this.#main) {
      const { end } = console;
      if (end !== undefined) {
        const count = end.read(this.#buffer);
        if (count > 0) watch(name, undefined, this.#buffer.subarray(0, count));
        sendQueued(console, end);
        const lost = end.lost;
        if (lost !== console.lost) this.log(name, `── ${lost - console.lost} bytes of console output were lost: they came faster than they could be read`);
        console.lost = lost;
      }
      console.log.write(console.lines);
      console.lines = '';
    }
    for (const side of this.#side) {
      const { partition, end, log, line } = side;
      let lines = '';
      const time = new Date().toISOString();
      const bytes = this.#buffer.subarray(0, end.read(this.#buffer));
      line.feed(bytes, (text) => {
        lines += `${time} ${text.plain}\n`;
      });
      log.write(lines);
      if (bytes.length > 0) watch(partition, end.device, bytes);
      sendQueued(side, end);
    }
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const { log, lines } of this.#main.values()) {
      log.write(lines);
      log[Symbol.dispose]();
    }
    for (const { log } of this.#side) log[Symbol.dispose]();
  }
}

function sendQueued(console: Pick<MainConsole, 'input'>, end: ConsoleEnd): void {
  for (let piece = console.input[0]; piece !== undefined; piece = console.input[0]) {
    const taken = end.write(piece);
    if (taken < piece.length) {
      console.input[0] = piece.subarray(taken);
      return;
    }
    console.input.shift();
  }
}
