/**
 * What a visitor sees of the consoles a way leads to. One console: its bytes, both ways, and nothing else. Several: their finished lines,
 * each with its name before it; what is typed goes to one of them.
 *
 *     ^] 1 … 9   type to that one     ^] w   take the pen     ^] ^]   send ^]
 */
import type { TerminalSize } from '../../contracts/index.ts';
import type { ConsoleVisitor, VisitorEvents } from '../../host/node/console-visitor.ts';
import { MENU_KEY } from '../terminal/menu.ts';
import { ConsoleMultiplexer } from '../terminal/multiplexer.ts';
import type { ConsoleStream, Viewer } from './console-stream.ts';

/** A visitor at his consoles. */
export interface ConsoleView extends VisitorEvents {
  readonly visitor: ConsoleVisitor;
  readonly streams: readonly ConsoleStream[];
  /** Shows unfinished lines, now and then. `now` in milliseconds. */
  flush?(now: number): void;
}

export interface ViewOptions {
  readonly mayWrite: boolean;
  /** How to get the pen, in words. */
  readonly penHint: string;
  /** He is gone. */
  left(view: ConsoleView): void;
}

export function viewOf(streams: readonly ConsoleStream[], visitor: ConsoleVisitor, options: ViewOptions): ConsoleView {
  const [only] = streams;
  return streams.length === 1 && only !== undefined ? new SingleView(only, visitor, options) : new MergedView(streams, visitor, options);
}

class SingleView implements ConsoleView, Viewer {
  readonly visitor: ConsoleVisitor;
  readonly streams: readonly ConsoleStream[];
  readonly label: string;
  readonly mayWrite: boolean;
  readonly penHint: string;
  size: TerminalSize | undefined;
  readonly #stream: ConsoleStream;
  readonly #options: ViewOptions;

  constructor(stream: ConsoleStream, visitor: ConsoleVisitor, options: ViewOptions) {
    this.visitor = visitor;
    this.streams = [stream];
    this.label = visitor.label;
    this.mayWrite = options.mayWrite;
    this.penHint = options.penHint;
    this.#stream = stream;
    this.#options = options;
    stream.join(this);
  }

  show(bytes: Uint8Array): void {
    this.visitor.write(bytes.slice());
  }

  notice(text: string): void {
    this.visitor.notice?.(text);
  }

  typed(bytes: Uint8Array): void {
    this.#stream.type(this, bytes);
  }

  resized(size: TerminalSize): void {
    this.size = size;
    this.#stream.resized(this);
  }

  takePen(): void {
    this.#stream.takePen(this);
  }

  left(): void {
    this.#stream.leave(this);
    this.#options.left(this);
  }
}

class MergedView implements ConsoleView {
  readonly visitor: ConsoleVisitor;
  readonly streams: readonly ConsoleStream[];
  readonly #options: ViewOptions;
  readonly #multiplexer: ConsoleMultiplexer;
  readonly #viewers: readonly Viewer[];
  #focus = 0;
  #escaped = false;

  constructor(streams: readonly ConsoleStream[], visitor: ConsoleVisitor, options: ViewOptions) {
    this.visitor = visitor;
    this.streams = streams;
    this.#options = options;
    const nothing = (): void => undefined;
    this.#multiplexer = new ConsoleMultiplexer(
      { names: streams.map(({ name }) => name), focus: 0, interactive: false, columns: 80, rows: 25, paint: (_, text) => text, dim: (text) => text },
      {
        write: (text) => visitor.write(Buffer.from(String(text).replaceAll('\n', '\r\n'))),
        send: nothing,
        command: nothing,
        status: () => [],
        completed: nothing,
      },
    );
    this.#viewers = streams.map((stream, index) => {
      const viewer: Viewer = {
        label: visitor.label,
        mayWrite: options.mayWrite,
        penHint: `^] w takes it`,
        show: (bytes) => this.#multiplexer.output(index, bytes),
        notice: (text) => visitor.notice?.(text),
      };
      stream.join(viewer);
      return viewer;
    });
  }

  flush(now: number): void {
    this.#multiplexer.flush(now);
  }

  typed(bytes: Uint8Array): void {
    let start = 0;
    for (const [index, byte] of bytes.entries()) {
      if (this.#escaped) {
        this.#escaped = false;
        this.#choose(byte);
        start = index + 1;
      } else if (byte === MENU_KEY) {
        this.#send(bytes.subarray(start, index));
        this.#escaped = true;
        start = index + 1;
      }
    }
    this.#send(bytes.subarray(start));
  }

  resized(): void {}

  takePen(): void {
    const viewer = this.#viewers[this.#focus];
    if (viewer !== undefined) this.streams[this.#focus]?.takePen(viewer);
  }

  left(): void {
    for (const [index, viewer] of this.#viewers.entries()) this.streams[index]?.leave(viewer);
    this.#options.left(this);
  }

  #choose(key: number): void {
    const index = key - 0x31;
    if (index >= 0 && index < Math.min(9, this.streams.length)) {
      this.#focus = index;
      this.#multiplexer.notice(`── typing goes to ${this.streams[index]?.name} ──`);
    } else if (key === MENU_KEY) {
      this.#send(Uint8Array.of(key));
    } else if ((key | 0x20) === 0x77) {
      this.takePen();
    }
  }

  #send(bytes: Uint8Array): void {
    const viewer = this.#viewers[this.#focus];
    if (bytes.length > 0 && viewer !== undefined) this.streams[this.#focus]?.type(viewer, bytes);
  }
}
