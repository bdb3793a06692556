/**
 * One console as those see it who look at it from outside: everybody gets the same output, one of them writes.
 *
 * Who writes holds the *pen*. A free pen goes to the first who types; one that is held changes hands only when somebody asks for it
 * (`takePen`), when its holder puts it down, or leaves. What others type meanwhile goes nowhere, and they are told who has it.
 *
 * Newcomers are shown the last piece of what came before them.
 */
import type { TerminalSize } from '../../contracts/index.ts';

/** Who looks at a console. */
export interface Viewer {
  /** For people. */
  readonly label: string;
  /** False: he may look and nothing else. */
  readonly mayWrite: boolean;
  /** The bytes are only valid during the call. */
  show(bytes: Uint8Array): void;
  notice?(text: string): void;
  /** Of his terminal; undefined: unknown. */
  readonly size?: TerminalSize | undefined;
  /** How he gets the pen, in words. */
  readonly penHint?: string;
}

export interface StreamPins {
  /** To the guest. */
  send(bytes: Uint8Array): void;
  /** The terminal of whoever writes has this size. */
  resize(size: TerminalSize): void;
}

/** What a newcomer sees of what came before. */
const BACKLOG_BYTES = 16 * 1024;
/** Between two words to somebody who types without the pen. */
const REMINDER_MS = 2000;

export class ConsoleStream {
  /** `hmi`, or `hmi.com2` for one that is not a partition's main console. */
  readonly name: string;
  readonly #pins: StreamPins;
  readonly #now: () => number;
  readonly #viewers = new Set<Viewer>();
  readonly #reminded = new WeakMap<Viewer, number>();
  readonly #backlog = new Uint8Array(BACKLOG_BYTES);
  /** Bytes that ever came. */
  #count = 0;
  #pen: Viewer | undefined;

  /** `now` in milliseconds. */
  constructor(name: string, pins: StreamPins, now: () => number) {
    this.name = name;
    this.#pins = pins;
    this.#now = now;
  }

  /** Who writes. */
  get pen(): Viewer | undefined {
    return this.#pen;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** Output of the guest. */
  output(bytes: Uint8Array): void {
    this.#keep(bytes);
    for (const viewer of this.#viewers) viewer.show(bytes);
  }

  /** Shows him what came before, and everything from now on. */
  join(viewer: Viewer): void {
    const before = this.#recent();
    if (before.length > 0) viewer.show(before);
    this.#viewers.add(viewer);
  }

  leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    this.putDown(viewer);
  }

  /** He typed. False: it went nowhere. */
  type(viewer: Viewer, bytes: Uint8Array): boolean {
    if (this.#pen === undefined && viewer.mayWrite) this.takePen(viewer);
    if (this.#pen !== viewer) {
      this.#remind(viewer);
      return false;
    }
    this.#pins.send(bytes);
    return true;
  }

  /** He writes from now on. False: he may not. */
  takePen(viewer: Viewer): boolean {
    if (!viewer.mayWrite) {
      viewer.notice?.(`── ${this.name}: this way to it is for looking only ──`);
      return false;
    }
    const before = this.#pen;
    if (before === viewer) return true;
    this.#pen = viewer;
    before?.notice?.(`── ${this.name}: ${viewer.label} has taken the pen ──`);
    if (before !== undefined) viewer.notice?.(`── ${this.name}: you have the pen; ${before.label} had it ──`);
    this.resized(viewer);
    return true;
  }

  /** He writes no more, if he did. */
  putDown(viewer: Viewer): void {
    if (this.#pen === viewer) this.#pen = undefined;
  }

  /** His terminal has another size, which counts while he writes. */
  resized(viewer: Viewer): void {
    if (this.#pen === viewer && viewer.size !== undefined) this.#pins.resize(viewer.size);
  }

  #remind(viewer: Viewer): void {
    const now = this.#now();
    if (now - (this.#reminded.get(viewer) ?? Number.NEGATIVE_INFINITY) < REMINDER_MS) return;
    this.#reminded.set(viewer, now);
    const why = !viewer.mayWrite ? 'this way to it is for looking only' : `${this.#pen?.label} has the pen${viewer.penHint === undefined ? '' : `; ${viewer.penHint}`}`;
    viewer.notice?.(`── ${this.name}: what you type goes nowhere: ${why} ──`);
  }

  #keep(bytes: Uint8Array): void {
    const kept = bytes.subarray(Math.max(0, bytes.length - BACKLOG_BYTES));
    let at = (this.#count + bytes.length - kept.length) % BACKLOG_BYTES;
    const first = Math.min(kept.length, BACKLOG_BYTES - at);
    this.#backlog.set(kept.subarray(0, first), at);
    at = 0;
    this.#backlog.set(kept.subarray(first), at);
    this.#count += bytes.length;
  }

  /** From the beginning of a line, where something is missing before. */
  #recent(): Uint8Array {
    const length = Math.min(this.#count, BACKLOG_BYTES);
    const end = this.#count % BACKLOG_BYTES;
    const recent = new Uint8Array(length);
    if (length < BACKLOG_BYTES) recent.set(this.#backlog.subarray(0, length));
    else {
      recent.set(this.#backlog.subarray(end));
      recent.set(this.#backlog.subarray(0, end), BACKLOG_BYTES - end);
    }
    if (this.#count <= BACKLOG_BYTES) return recent;
    return recent.subarray(recent.indexOf(0x0a) + 1);
  }
}
