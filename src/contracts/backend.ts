import type { SharedWindow } from '../base/index.ts';
import type { Bytes } from './scalars.ts';

/** Bytes of one sector of a {@link BlockBackend}. */
export const SECTOR_BYTES = 512;

/**
 * The host's side of an exclusive disk or CD-ROM. Calls block the caller (the vCPU's own thread): an exclusive device has no queue.
 * False: the host could not (full, I/O error); the controller reports it to its guest as the drive's own failure.
 */
export interface BlockBackend {
  /** Whole sectors of {@link SECTOR_BYTES}. */
  readonly sectors: number;
  readonly readOnly: boolean;
  read(sector: number, target: Uint8Array): boolean;
  write(sector: number, source: Uint8Array): boolean;
  /** Returns when everything written is on the medium. */
  flush(): boolean;
  /** Sectors whose content no longer matters. */
  discard?(sector: number, count: number): boolean;
}

/** One end of an Ethernet wire: frames without preamble and FCS, 14 to 9,216 bytes. */
export interface WirePort {
  /** False: the wire is full or unplugged; the frame was not taken. */
  send(frame: Uint8Array): boolean;
  /** The frame that was refused last is given up: it counts as missed at the other end. */
  drop?(): void;
  /** Copies the next waiting frame to `target` (cut when it is too small) and returns its length; 0 when none waits. */
  receive(target: Uint8Array): Bytes;
  /** Somebody is at the other end. */
  readonly connected: boolean;
  /** The station address that goes with it. Absent: the controller has one of its own. */
  readonly station?: Uint8Array;
  /** Frames for this end that were lost because nobody took them in time; wraps at 2^32. */
  readonly missed: number;
  /** `changed` is called, in the device's own thread, when frames may have arrived or `connected` may have changed. One listener. */
  listen(changed: () => void): void;
}

/** A screen as its partition draws it: shared, so that whoever looks does not stop the guest. */
export interface DisplayBuffers {
  /** The display's registers, in the board's own layout. */
  readonly registers: SharedArrayBuffer;
  readonly memory: Uint8Array<SharedArrayBuffer>;
}

/** A key goes down or up. */
export interface KeyEvent {
  /** Its place in the board's list of keys. */
  readonly key: number;
  readonly pressed: boolean;
}

/** A mouse moves, turns its wheel, or a button changes. */
export interface PointerEvent {
  /** Counts to the right and upwards. */
  readonly dx: number;
  readonly dy: number;
  /** Notches towards the user. */
  readonly wheel: number;
  /** Held now: left 1, right 2, middle 4, fourth 8, fifth 16. */
  readonly buttons: number;
}

/** The host's side of keyboard and mouse. What the device cannot take yet stays here: nothing is lost. */
export interface InputBackend {
  /** The next event, taken out; undefined when there is none. */
  key(): KeyEvent | undefined;
  pointer(): PointerEvent | undefined;
}

/** A wire that a partition has to look after between slices. */
export interface AttachedWire extends WirePort, Disposable {
  /** Lets the device see what has arrived by now: at an instruction that is known, not whenever another thread wrote. */
  admit(): void;
}

/** Memory shared with other partitions, and the doorbells between them: one partition's end. */
export interface ChannelBackend {
  /** Its size is a power of two of at least 4 KiB. */
  readonly memory: SharedWindow;
  /** Number of this partition among those that share it, from 0. */
  readonly id: number;
  /** Rings a doorbell of another partition, or of this one. Without effect for peers and vectors that do not exist: guests choose them. */
  ring(peer: number, vector: number): void;
  /** `rung` is called, in the device's own thread, for each doorbell that is heard. One listener. */
  listen(rung: (vector: number) => void): void;
  /** What was rung and not heard yet is forgotten: the guest begins anew. */
  forget(): void;
}
