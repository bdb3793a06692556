/**
 * Somebody who looks at a console from outside this process, whatever way he came. A visitor that reads too slowly misses output and is
 * told how much; nobody waits for him.
 */
import type { Writable } from 'node:stream';
import type { TerminalSize } from '../../contracts/index.ts';

export interface ConsoleVisitor {
  /** For people: `telnet 127.0.0.1:40112`. */
  readonly label: string;
  /** Output of the console. The bytes may be used after the call. */
  write(bytes: Uint8Array): void;
  /** Our own words; ways that carry bytes alone have no place for them. */
  notice?(text: string): void;
  /** The guest does not read: no `typed` until `resume`. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** What a visitor does. */
export interface VisitorEvents {
  /** Only valid during the call. */
  typed(bytes: Uint8Array): void;
  resized(size: TerminalSize): void;
  /** He wants to be the one who writes. */
  takePen(): void;
  left(): void;
}

/** Receives a visitor, once per visit. */
export type Welcome = (visitor: ConsoleVisitor) => VisitorEvents;

/** A way to a console that is open; disposing closes it and sends its visitors away. */
export interface ConsoleWayServer extends Disposable {
  /** Where it is, for people: `telnet 127.0.0.1:2323`. */
  readonly address: string;
}

/** What is kept for a visitor that reads slowly. */
const BACKLOG_BYTES = 256 * 1024;

/** Writes to a stream without ever keeping much: what is beyond is given up, and counted in the stream itself. */
export class PacedWriter {
  readonly #stream: Writable;
  readonly #told: (lost: number) => void;
  #lost = 0;

  /** `told` is called when there is room again after `lost` bytes were given up. */
  constructor(stream: Writable, told: (lost: number) => void) {
    this.#stream = stream;
    this.#told = told;
    stream.on('drain', () => {
      const lost = this.#lost;
      this.#lost = 0;
      if (lost > 0) this.#told(lost);
    });
  }

  write(bytes: Uint8Array): void {
    if (this.#stream.destroyed) return;
    if (this.#stream.writableLength > BACKLOG_BYTES) this.#lost += bytes.length;
    else this.#stream.write(bytes);
  }
}

export function lostInWords(lost: number): string {
  return `── ${lost} bytes of output were skipped: they came faster than they were read ──`;
}
