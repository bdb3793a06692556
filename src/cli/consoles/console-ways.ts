/** Everything that leads to a machine's consoles from outside its terminal: the ways of shared consoles, and visitors that come by name. */
import { BulkheadError } from '../../base/index.ts';
import type { ConsoleWay, PartitionName, SharedResource, TerminalSize } from '../../contracts/index.ts';
import { openPty } from '../../host/linux/index.ts';
import { openTelnetWay, openUnixWay, openWebSocketWay } from '../../host/node/console-ways.ts';
import type { ConsoleVisitor, ConsoleWayServer, VisitorEvents, Welcome } from '../../host/node/console-visitor.ts';
import { LogFile } from '../../host/node/log-file.ts';
import type { RunningMachine } from '../../hypervisor/index.ts';
import type { ConsolePumps } from '../console-pumps.ts';
import { ConsoleLine } from '../terminal/console-line.ts';
import { ConsoleStream, type Viewer } from './console-stream.ts';
import { type ConsoleView, viewOf } from './console-view.ts';

/** Typed bytes that wait for a guest before its visitors have to. */
const PENDING_MAX = 16 * 1024;

interface Console {
  readonly partition: PartitionName;
  /** Undefined: the main one. */
  readonly device: string | undefined;
  readonly stream: ConsoleStream;
}

export class ConsoleWays implements Disposable {
  readonly #running: RunningMachine;
  readonly #pumps: ConsolePumps;
  readonly #consoles: readonly Console[];
  readonly #views = new Set<ConsoleView>();
  readonly #paused = new Set<ConsoleView>();
  readonly #open: Disposable[] = [];
  /** The terminal the machine runs in, as a viewer of each console. */
  readonly #local: ReadonlyMap<ConsoleStream, Viewer>;

  /** `notice` shows words at the machine's own terminal, `size` is what it has. Opens nothing yet. */
  constructor(running: RunningMachine, pumps: ConsolePumps, local: { notice(text: string): void; size(): TerminalSize | undefined }) {
    this.#running = running;
    this.#pumps = pumps;
    const now = (): number => performance.now();
    this.#consoles = running.machine.partitions.flatMap(({ name, devices }) => {
      const { main, others } = pumps.devicesOf(name);
      return [main, ...others].flatMap((device, index) => {
        if (device === undefined) return [];
        const id = index === 0 ? undefined : device;
        const typeable = isTypeable(running.machine.shared, name, devices.find((candidate) => candidate.name === device)?.shared);
        const pins = {
          send: (bytes: Uint8Array) => {
            if (typeable) pumps.send(name, bytes, id);
          },
          resize: (size: TerminalSize) => pumps.resize(name, id, size),
        };
        return [{ partition: name, device: id, stream: new ConsoleStream(id === undefined ? name : `${name}.${id}`, pins, now) }];
      });
    });
    this.#local = new Map(
      this.#consoles.map(({ stream }) => [
        stream,
        {
          label: 'the terminal of the machine',
          mayWrite: true,
          penHint: '^] w takes it',
          show: () => undefined,
          notice: (text: string) => local.notice(text),
          get size() {
            return local.size();
          },
        },
      ]),
    );
  }

  /** Opens the ways of every shared console. Throws BH660 when one cannot be; those opened until then are closed by disposing. */
  async open(machine: RunningMachine['machine']): Promise<string[]> {
    const addresses: string[] = [];
    for (const { kind, name, ways = [] } of machine.shared ?? []) {
      if (kind !== 'console') continue;
      const streams = machine.partitions.flatMap((partition) =>
        partition.devices.filter(({ shared }) => shared === name).flatMap((device) => this.#consoleOf(partition.name, device.name)?.stream ?? []),
      );
      if (streams.length === 0) continue;
      for (const way of ways) {
        const server = await this.#openWay(way, streams);
        this.#open.push(server);
        addresses.push(`${name}: ${server.address}`);
      }
    }
    return addresses;
  }

  /** Throws BH503 when there is no such partition, BH644 when it has no console, or none of that name. */
  refuseUnknown(partition: PartitionName, device: string | undefined): void {
    this.#named(partition, device);
  }

  /** A visitor who names the console he wants. Throws as {@link refuseUnknown} does. */
  visit(partition: PartitionName, device: string | undefined, mayWrite: boolean, visitor: ConsoleVisitor): VisitorEvents {
    return this.#view([this.#named(partition, device).stream], visitor, mayWrite, '^] w takes it');
  }

  #named(partition: PartitionName, device: string | undefined): Console {
    const console = this.#consoleOf(partition, device);
    if (console !== undefined) return console;
    this.#running.endOf(partition); // refuses a partition that does not exist
    const { main, others } = this.#pumps.devicesOf(partition);
    const all = [main, ...others].filter((name) => name !== undefined);
    throw new BulkheadError('BH644', `${partition} has no console${device === undefined ? '' : ` \`${device}\``}`, {
      hint: all.length > 0 ? `it has ${all.join(', ')}` : 'give it a serial port: `model: uart16550`',
    });
  }

  /** What a console has put out, for all who look at it. */
  output(partition: PartitionName, device: string | undefined, bytes: Uint8Array): void {
    this.#consoleOf(partition, device)?.stream.output(bytes);
  }

  /** Typed at the machine's own terminal. With somebody before it, another's pen is respected; a pipe has it at once. */
  typeLocally(partition: PartitionName, bytes: Uint8Array, interactive: boolean): void {
    const stream = this.#consoleOf(partition, undefined)?.stream;
    const viewer = stream === undefined ? undefined : this.#local.get(stream);
    if (stream === undefined || viewer === undefined) return;
    if (!interactive) stream.takePen(viewer);
    stream.type(viewer, bytes);
  }

  /** The machine's own terminal takes the pen. */
  takePenLocally(partition: PartitionName): void {
    const stream = this.#consoleOf(partition, undefined)?.stream;
    const viewer = stream === undefined ? undefined : this.#local.get(stream);
    if (viewer !== undefined) stream?.takePen(viewer);
  }

  /** The machine's own terminal has another size. */
  resizedLocally(): void {
    for (const [stream, viewer] of this.#local) {
      if (stream.pen === undefined && viewer.size !== undefined) {
        // Nobody writes: what is true for whoever looks at it here is true.
        const console = this.#consoles.find((candidate) => candidate.stream === stream);
        if (console !== undefined) this.#pumps.resize(console.partition, console.device, viewer.size);
      } else stream.resized(viewer);
    }
  }

  /** Every now and then: unfinished lines are shown, and visitors may go on typing when their guest reads again. */
  poll(): void {
    for (const view of this.#views) {
      view.flush?.(performance.now());
      const pending = view.streams.some((stream) => this.#pendingOf(stream) > PENDING_MAX);
      if (pending === this.#paused.has(view)) continue;
      if (pending) {
        this.#paused.add(view);
        view.visitor.pause();
      } else {
        this.#paused.delete(view);
        view.visitor.resume();
      }
    }
  }

  [Symbol.dispose](): void {
    for (const view of [...this.#views]) view.visitor.close();
    for (const way of this.#open.splice(0)) way[Symbol.dispose]();
  }

  #pendingOf(stream: ConsoleStream): number {
    const console = this.#consoles.find((candidate) => candidate.stream === stream);
    return console === undefined ? 0 : this.#pumps.pendingOf(console.partition, console.device);
  }

  #consoleOf(partition: PartitionName, device: string | undefined): Console | undefined {
    const wanted = device === this.#pumps.devicesOf(partition).main ? undefined : device;
    return this.#consoles.find((candidate) => candidate.partition === partition && candidate.device === wanted);
  }

  #view(streams: readonly ConsoleStream[], visitor: ConsoleVisitor, mayWrite: boolean, penHint: string): ConsoleView {
    const view = viewOf(streams, visitor, {
      mayWrite,
      penHint,
      left: (gone) => {
        this.#views.delete(gone);
        this.#paused.delete(gone);
      },
    });
    this.#views.add(view);
    return view;
  }

  async #openWay(way: ConsoleWay, streams: readonly ConsoleStream[]): Promise<ConsoleWayServer> {
    const welcome =
      (penHint: string): Welcome =>
      (visitor) =>
        this.#view(streams, visitor, way.access === 'rw', penHint);
    switch (way.kind) {
      case 'unix':
        return openUnixWay(way.path, welcome('it is free when its holder leaves'));
      case 'telnet':
        return openTelnetWay(way, welcome('a break (`send brk`) takes it'));
      case 'websocket':
        return openWebSocketWay(way, welcome('{"pen":"take"} takes it'));
      case 'pty':
        return openPtyWay(way.path, welcome('it is free when its holder leaves'));
      case 'file':
        return openFileWay(way.path, streams);
    }
  }
}

function openPtyWay(path: string, welcome: Welcome): ConsoleWayServer {
  // It is there for as long as the machine runs: a visitor that never leaves.
  let events: VisitorEvents | undefined;
  const pty = openPty(path, (bytes) => events?.typed(bytes));
  const visitor: ConsoleVisitor = {
    label: `pty ${path}`,
    write: (bytes) => pty.write(bytes),
    pause: () => pty.pause(),
    resume: () => pty.resume(),
    close: () => pty[Symbol.dispose](),
  };
  events = welcome(visitor);
  return { address: `pty ${path} (${pty.device})`, [Symbol.dispose]: () => pty[Symbol.dispose]() };
}

/** Finished lines with the time, as in the machine's own logs, which are kept in any case. */
function openFileWay(path: string, streams: readonly ConsoleStream[]): ConsoleWayServer {
  const log = new LogFile(path);
  const viewers = streams.map((stream) => {
    const line = new ConsoleLine();
    const prefix = streams.length > 1 ? `${stream.name}: ` : '';
    const viewer: Viewer = {
      label: `file ${path}`,
      mayWrite: false,
      show(bytes) {
        let lines = '';
        const time = new Date().toISOString();
        line.feed(bytes, ({ plain }) => {
          lines += `${time} ${prefix}${plain}\n`;
        });
        log.write(lines);
      },
    };
    stream.join(viewer);
    return { stream, viewer };
  });
  return {
    address: `file ${path}`,
    [Symbol.dispose]() {
      for (const { stream, viewer } of viewers) stream.leave(viewer);
      log[Symbol.dispose]();
    },
  };
}

/** A partition that was granted its console `ro` prints, and hears nothing. */
function isTypeable(shared: readonly SharedResource[] | undefined, partition: PartitionName, resource: string | undefined): boolean {
  const grants = shared?.find(({ name }) => name === resource)?.grants;
  return grants === undefined || grants.find((grant) => grant.partition === partition)?.access !== 'ro';
}
