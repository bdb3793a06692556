/**
 * One run of a machine at a terminal (or into a pipe): consoles to the screen and to their logs, keys to the guests, events in words,
 * and in the end an exit status.
 */
import { dirname } from 'node:path';
import { ms, s } from '../base/index.ts';
import type { DeviceSpec, Machine, Nanos, PartitionName } from '../contracts/index.ts';
import { type ControlServer, serveControl } from '../host/node/control-socket.ts';
import { Terminal } from '../host/node/terminal.ts';
import { watchSources } from '../host/node/watch.ts';
import { type MachineEvent, type MachineHost, RunningMachine, type Screen } from '../hypervisor/index.ts';
import { crashReportToJson, type Pace, type PartitionEnd, renderCrashReport } from '../partition/index.ts';
import type { CliIo } from './command.ts';
import { ConsolePumps } from './console-pumps.ts';
import { ConsoleWays } from './consoles/console-ways.ts';
import { consoleVisit } from './consoles/console-visit.ts';
import { runControlCommand } from './control/control-commands.ts';
import { type ExitName, exitStatus } from './exit-codes.ts';
import { portTable } from './port-view.ts';
import { type LiveStatus, ownershipTable, SpeedGauge, statusLine, statusTable } from './status-view.ts';
import { paintFor } from './style.ts';
import { ConsoleMultiplexer } from './terminal/multiplexer.ts';
import { halfBlocks } from './terminal/picture.ts';

export interface SessionOptions {
  readonly pace: Pace;
  /** Consoles only: no table, no notices. */
  readonly quiet: boolean;
  /** One JSON document per partition on stderr at the end. */
  readonly json: boolean;
  /** Folder of the machine's logs. */
  readonly logFolder: string;
  /** The run is over after this long. */
  readonly timeout?: Nanos;
  /** The run is over when this partition's is, and its status is ours. */
  readonly exitWith?: PartitionName;
  /** Devices of the user's own are loaded anew when their sources change. */
  readonly watchDevices?: boolean;
}

/** Consoles are looked at this often even if they say nothing: for input that their guests have not taken. */
const POLL_MS = 15;
const STATUS_MS = 500;
const PREFIX_COLOURS = ['cyan', 'yellow', 'magenta', 'green', 'blue', 'red'] as const;

/** Why a run ended before all its partitions did. */
type Cause = Extract<ExitName, 'timeout' | 'interrupted' | 'terminated'> | 'asked' | 'exit-with';

/** Runs the machine to its end. Resolves to the exit status; the terminal is as it was before. */
export async function runSession(machine: Machine, host: MachineHost, options: SessionOptions, io: CliIo): Promise<number> {
  const running = new RunningMachine(machine, host, { pace: options.pace });
  const session = new Session(running, options, io);
  try {
    return await session.run();
  } finally {
    await running[Symbol.asyncDispose]();
    session[Symbol.dispose]();
  }
}

class Session implements Disposable {
  readonly #running: RunningMachine;
  readonly #options: SessionOptions;
  readonly #io: CliIo;
  readonly #terminal: Terminal;
  readonly #mux: ConsoleMultiplexer;
  readonly #pumps: ConsolePumps;
  readonly #ways: ConsoleWays;
  readonly #names: readonly PartitionName[];
  readonly #gauge = new SpeedGauge();
  readonly #undo: (() => void)[] = [];
  /** Host time of each partition's start, and of its end. */
  readonly #lives = new Map<PartitionName, { readonly start: Nanos; end?: Nanos }>();
  #finish: (cause: Cause | 'quiet') => void = () => {};

  constructor(running: RunningMachine, options: SessionOptions, io: CliIo) {
    const { machine } = running;
    this.#running = running;
    this.#options = options;
    this.#io = io;
    this.#names = machine.partitions.map(({ name }) => name);
    this.#terminal = new Terminal({
      input: (bytes) => this.#mux.input(bytes),
      inputEnded: () => {},
      resized: (columns, rows) => {
        this.#mux.resize(columns, rows);
        this.#ways.resizedLocally();
        this.#showStatus();
      },
    });
    const paint = paintFor(io.out, io.environment);
    this.#mux = new ConsoleMultiplexer(
      {
        names: this.#names,
        focus: Math.max(0, machine.partitions.findIndex(({ role }) => role === 'gpos')),
        interactive: this.#terminal.interactive,
        columns: this.#terminal.columns,
        rows: this.#terminal.rows,
        paint: (partition, text) => paint(PREFIX_COLOURS[partition % PREFIX_COLOURS.length] ?? 'cyan', text),
        dim: (text) => paint('dim', text),
      },
      {
        write: (bytes) => this.#terminal.write(bytes),
        send: (partition, bytes) => this.#send(partition, bytes),
        command: (action, partition) => this.#command(action, this.#names[partition] ?? ''),
        status: () => [statusTable(this.#measure()), portTable(this.#running.ports())].filter((text) => text !== '').join('\n').trimEnd().split('\n'),
        completed: (partition, line) => this.#pumps.log(this.#names[partition] ?? '', line),
      },
    );
    this.#pumps = new ConsolePumps(running, options.logFolder);
    this.#ways = new ConsoleWays(running, this.#pumps, {
      notice: (text) => this.#say(`${text}\n`),
      size: () => (this.#terminal.interactive ? { columns: this.#terminal.columns, rows: this.#terminal.rows } : undefined),
    });
    this.#ways.resizedLocally();
    // Nobody types before the machine is there to hear it.
    if (this.#terminal.interactive && this.#names.length === 1) this.#mux.showOne(0);
  }

  async run(): Promise<number> {
    const { exitWith, timeout } = this.#options;
    const finished = new Promise<Cause | 'quiet'>((resolve) => {
      this.#finish = resolve;
    });
    const listening = this.#running.on((event) => this.#hear(event, exitWith));
    this.#undo.push(() => listening[Symbol.dispose]());
    this.#onSignals();
    // However the process ends, what guests did to the terminal is undone.
    const close = (): void => this.#mux.close();
    process.on('exit', close);
    this.#undo.push(() => void process.off('exit', close));
    if (timeout !== undefined) this.#timer(setTimeout(() => this.#finish('timeout'), timeout / ms));

    const control = await this.#openControl();
    if (control !== undefined) this.#undo.push(() => control[Symbol.dispose]());
    const addresses = await this.#ways.open(this.#running.machine);
    this.#say(ownershipTable(this.#running.machine));
    for (const address of addresses) this.#say(`── ${address}\n`);
    this.#running.startAll();
    if (this.#options.watchDevices) this.#watchDevices();
    this.#pumps.onArrival(() => this.#poll());
    this.#timer(setInterval(() => this.#poll(), POLL_MS));
    if (this.#terminal.interactive && !this.#options.quiet) this.#timer(setInterval(() => this.#showStatus(), STATUS_MS));
    const cause = await finished;

    await this.#running.stopAll();
    this.#poll();
    if (this.#options.json) this.#writeJson();
    else if (!this.#options.quiet) this.#say(`\n${statusTable(this.#averages())}logs: ${this.#options.logFolder}\n`);
    return this.#exitStatus(cause);
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo.splice(0)) undo();
    this.#mux.close();
    this.#ways[Symbol.dispose]();
    this.#pumps[Symbol.dispose]();
    this.#terminal[Symbol.dispose]();
  }

  #watchDevices(): void {
    const { partitions } = this.#running.machine;
    const folderOf = ({ module }: DeviceSpec): string[] => (module === undefined ? [] : [dirname(module)]);
    const folders = partitions.flatMap(({ devices }) => devices.flatMap(folderOf));
    const watching = watchSources(folders, (folder) => {
      for (const { name, devices } of partitions) if (devices.flatMap(folderOf).includes(folder)) this.#running.reloadDevices(name);
    });
    this.#undo.push(() => watching[Symbol.dispose]());
  }

  #timer(timer: NodeJS.Timeout): void {
    this.#undo.push(() => clearTimeout(timer));
  }

  /** Without its socket a machine runs all the same, and says why nobody can talk to it. */
  async #openControl(): Promise<ControlServer | undefined> {
    try {
      return await serveControl(
        this.#running.machine.name,
        (request) => runControlCommand(this.#running, request),
        (request) => consoleVisit(this.#ways, request),
      );
    } catch (error) {
      this.#say(`${(error as Error).message}\n`);
      return undefined;
    }
  }

  /** The first signal asks for an orderly stop, the second does not ask. */
  #onSignals(): void {
    const causes = { SIGINT: 'interrupted', SIGTERM: 'terminated', SIGHUP: 'terminated' } as const;
    let asked = false;
    for (const [signal, cause] of Object.entries(causes)) {
      const handle = (): void => {
        if (asked) process.exit(exitStatus(cause));
        asked = true;
        this.#finish(cause);
      };
      process.on(signal, handle);
      this.#undo.push(() => void process.off(signal, handle));
    }
  }

  #poll(): void {
    this.#pumps.pump((name, device, bytes) => {
      if (device === undefined) this.#mux.output(this.#names.indexOf(name), bytes);
      this.#ways.output(name, device, bytes);
    });
    this.#ways.poll();
    if (this.#pumps.inputPending === 0) this.#terminal.resumeInput();
    this.#mux.flush(performance.now());
  }

  #send(partition: number, bytes: Uint8Array): void {
    this.#ways.typeLocally(this.#names[partition] ?? '', bytes, this.#terminal.interactive);
    // The guest does not read: whoever types or pipes has to wait, nothing is lost. At a terminal the keys must stay alive.
    if (this.#pumps.inputPending > 0 && !this.#terminal.interactive) this.#terminal.pauseInput();
  }

  #command(action: 'screen' | 'pen' | 'restart' | 'kill' | 'stop' | 'quit', name: PartitionName): void {
    if (action === 'quit') this.#finish('asked');
    else if (action === 'pen') this.#ways.takePenLocally(name);
    else if (action === 'screen') this.#mux.notice(screenLines(this.#running.screens(name)[0], this.#terminal).join('\n'));
    else void this.#running[action](name);
  }

  #hear(event: MachineEvent, exitWith: PartitionName | undefined): void {
    switch (event.kind) {
      case 'starting':
        if (event.restart) this.#note(event.partition, 'starts again');
        break;
      case 'started':
        this.#lives.set(event.partition, { start: hostNow() });
        this.#note(event.partition, event.image);
        break;
      case 'halted':
        this.#endOfLife(event.partition);
        this.#note(event.partition, haltedInWords(event.end));
        if (event.partition === exitWith) this.#finish('exit-with');
        break;
      case 'crashed': {
        this.#endOfLife(event.partition);
        const follows = { halt: '', restart: '; it is restarted', 'limit-reached': '; it was restarted often enough', 'stop-machine': '; the machine stops' };
        this.#pumps.log(event.partition, renderCrashReport(event.report).trimEnd());
        this.#say(`${renderCrashReport(event.report).trimEnd()}\n`);
        this.#note(event.partition, `crashed: ${event.report.cause}${follows[event.consequence]}`);
        if (event.partition === exitWith && event.consequence !== 'restart') this.#finish('exit-with');
        break;
      }
      case 'log':
        this.#pumps.log(event.partition, `${event.severity}: ${event.message}`);
        if (event.severity !== 'info' || this.#options.watchDevices) this.#note(event.partition, `${event.severity}: ${event.message}`, false);
        break;
      case 'shared':
        this.#say(`── ${event.resource}: ${event.severity === 'info' ? '' : `${event.severity}: `}${event.message}\n`);
        break;
      case 'quiet':
        this.#finish('quiet');
        break;
    }
  }

  /** What the guest wrote last belongs before the words about its end. */
  #endOfLife(name: PartitionName): void {
    const life = this.#lives.get(name);
    if (life !== undefined) life.end ??= hostNow();
    this.#poll();
    this.#mux.ended(this.#names.indexOf(name));
    this.#mux.flush(performance.now());
  }

  #note(name: PartitionName, text: string, logged = true): void {
    if (logged) this.#pumps.log(name, `── ${text}`);
    this.#say(`── ${name}: ${text}\n`);
  }

  /** Our own words: among the consoles at a terminal, apart from them otherwise. */
  #say(text: string): void {
    if (this.#options.quiet) return;
    if (this.#terminal.interactive) this.#mux.notice(text);
    else this.#io.err.write(text);
  }

  #measure(): LiveStatus[] {
    const now = hostNow();
    return this.#running.status().map((status) => {
      const worstLatency = this.#running.worstLatency(status.name);
      return { ...status, mips: this.#gauge.mips(status, now), ...(worstLatency === undefined ? {} : { worstLatency }) };
    });
  }

  #showStatus(): void {
    this.#mux.setStatus(statusLine(this.#measure(), paintFor(this.#io.out, this.#io.environment)));
    this.#mux.flush(performance.now());
  }

  /** Speeds over the whole of each last life. */
  #averages(): LiveStatus[] {
    return this.#measure().map((status) => {
      const life = this.#lives.get(status.name);
      const lasted = life === undefined ? 0 : ((life.end ?? hostNow()) - life.start) / s;
      return { ...status, mips: lasted > 0 ? (status.retired * 1e-6) / lasted : 0 };
    });
  }

  #writeJson(): void {
    for (const status of this.#running.status()) {
      const crash = this.#running.lastCrash(status.name);
      const end = this.#running.endOf(status.name);
      const halt = end?.state === 'halted' ? { reason: end.reason, ...(end.reason === 'debug-exit' ? { debugExit: debugExitValue(end.code) } : {}) } : {};
      const document = { ...status, ...halt, ...(crash === undefined ? {} : { crash: JSON.parse(crashReportToJson(crash)) }) };
      this.#io.err.write(`${JSON.stringify(document)}\n`);
    }
  }

  #exitStatus(cause: Cause | 'quiet'): number {
    if (cause === 'timeout' || cause === 'interrupted' || cause === 'terminated') return exitStatus(cause);
    const { exitWith } = this.#options;
    if (exitWith !== undefined) {
      const end = this.#running.endOf(exitWith);
      if (end?.state === 'halted') return end.reason === 'debug-exit' ? debugExitValue(end.code) : exitStatus('ok');
    }
    const crashed = this.#names.some((name) => this.#running.endOf(name)?.state === 'crashed');
    return exitStatus(crashed ? 'partitionCrashed' : 'ok');
  }
}

/** What is on a screen, as large as the terminal allows. */
function screenLines(screen: Screen | undefined, { columns, rows }: Pick<Terminal, 'columns' | 'rows'>): string[] {
  if (screen === undefined) return ['it has no screen'];
  return screen.text() ?? halfBlocks(screen.picture(), columns - 1, rows - 2);
}

function hostNow(): Nanos {
  return performance.now() * ms;
}

/** The device reports `(v << 1) | 1` for the value the guest wrote; an exit status has 8 bits. */
function debugExitValue(code: number): number {
  return (code >>> 1) & 0xff;
}

function haltedInWords(end: Extract<PartitionEnd, { state: 'halted' }>): string {
  switch (end.reason) {
    case 'power-off':
      return 'powered off';
    case 'interrupts-off':
      return 'halted for good: every core sleeps with interrupts off';
    case 'stopped':
      return 'stopped';
    case 'debug-exit':
      return `ended itself with ${debugExitValue(end.code)} (debug-exit status 0x${end.code.toString(16)})`;
  }
}
