/**
 * Wires with a recording at them. A played one is the far end itself: its frames arrive at the virtual times it says, the same in every
 * run. A written one looks on: it sees both directions of a wire, in the thread of the controller at its first end.
 */
import { BulkheadError, s } from '../../base/index.ts';
import type { AttachedWire, Clock, Logger, Nanos } from '../../contracts/index.ts';
import { PcapReader, PcapWriter, type RecordedFrame } from './pcap.ts';

/** Frames that wait for a controller that does not take them; what comes then is lost. */
const WAITING_MAXIMUM = 256;

/** The far end is a recording. What is sent to it is taken and forgotten. */
export class PlayedWire implements AttachedWire {
  readonly connected = true;
  missed = 0;
  readonly #clock: Clock;
  readonly #reader: PcapReader;
  readonly #start: Nanos;
  readonly #waiting: Uint8Array[] = [];
  #next: RecordedFrame | undefined;
  #deadline: Disposable | undefined;
  #changed: () => void = () => undefined;

  /** Its first frame arrives now. Throws BH630. */
  constructor(path: string, clock: Clock) {
    this.#clock = clock;
    this.#start = clock.now();
    this.#reader = new PcapReader(path);
    this.#prepare();
  }

  send(): boolean {
    return true;
  }

  receive(target: Uint8Array): number {
    const frame = this.#waiting.shift();
    if (frame === undefined) return 0;
    const length = Math.min(frame.length, target.length);
    target.set(frame.subarray(0, length));
    return length;
  }

  listen(changed: () => void): void {
    this.#changed = changed;
  }

  admit(): void {
    // Frames come by the clock, not from another thread.
  }

  [Symbol.dispose](): void {
    this.#deadline?.[Symbol.dispose]();
    this.#reader[Symbol.dispose]();
  }

  #prepare(): void {
    this.#next = this.#reader.next();
    this.#deadline = this.#next === undefined ? undefined : this.#clock.at(this.#start + this.#next.time, () => this.#arrive());
  }

  #arrive(): void {
    const { frame } = this.#next as RecordedFrame;
    if (this.#waiting.length < WAITING_MAXIMUM) this.#waiting.push(frame);
    else this.missed = (this.missed + 1) >>> 0;
    this.#prepare();
    this.#changed();
  }
}

/** Writes what passes over `wire`, with the time of this end's clock. */
export class CapturedWire implements AttachedWire {
  readonly #wire: AttachedWire;
  readonly #writer: PcapWriter;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Seconds since 1970 at time 0. */
  readonly #epoch: number;

  /** `mode`: whether the file begins anew. Throws BH630. */
  constructor(wire: AttachedWire, options: { path: string; mode: 'new' | 'append'; clock: Clock; epoch: number; log: Logger }) {
    this.#wire = wire;
    this.#clock = options.clock;
    this.#epoch = options.epoch;
    this.#log = options.log;
    this.#writer = new PcapWriter(options.path, options.mode);
  }

  get connected(): boolean {
    return this.#wire.connected;
  }

  get missed(): number {
    return this.#wire.missed;
  }

  send(frame: Uint8Array): boolean {
    const sent = this.#wire.send(frame);
    if (sent) this.#write(frame);
    return sent;
  }

  drop(): void {
    this.#wire.drop?.();
  }

  receive(target: Uint8Array): number {
    const length = this.#wire.receive(target);
    if (length > 0) this.#write(target.subarray(0, length));
    return length;
  }

  listen(changed: () => void): void {
    this.#wire.listen(changed);
  }

  admit(): void {
    this.#try(() => this.#writer.flush());
    this.#wire.admit();
  }

  [Symbol.dispose](): void {
    this.#try(() => this.#writer[Symbol.dispose]());
    this.#wire[Symbol.dispose]();
  }

  #write(frame: Uint8Array): void {
    const now = this.#clock.now();
    const seconds = Math.floor(now / s);
    this.#try(() => this.#writer.write(this.#epoch + seconds, now - seconds * s, frame));
  }

  /** A full disk ends the recording, not the guest. */
  #try(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#log.log('error', `the recording ends here: ${error instanceof BulkheadError ? error.message : String(error)}`);
    }
  }
}

/** A cable that leads nowhere, but can be listened at. */
export const OPEN_END: AttachedWire = {
  send: () => true,
  receive: () => 0,
  connected: false,
  missed: 0,
  listen: () => undefined,
  admit: () => undefined,
  [Symbol.dispose]: () => undefined,
};

