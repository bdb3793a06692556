/**
 * The partition's end of a keyboard and mouse: two byte rings in shared memory with records of fixed size. As on a console, nothing is
 * lost (what the device has no room for stays in the ring), and the device sees only what was admitted between two slices.
 */
import { ByteRing } from '../base/index.ts';
import type { InputBackend, KeyEvent, PointerEvent } from '../contracts/index.ts';

/** Ready to be posted to another thread. */
export interface InputBuffers {
  readonly keys: SharedArrayBuffer;
  readonly pointer: SharedArrayBuffer;
}

const KEY_BYTES = 2;
const POINTER_BYTES = 8;
/** A page of text is typed at once. */
const KEYS_CAPACITY = 16 * 1024;
const POINTER_CAPACITY = 4 * 1024;
const MOVE_MAX = 0x7fff;
const WHEEL_MAX = 0x7f;

export function createInputBuffers(): InputBuffers {
  return { keys: ByteRing.create(KEYS_CAPACITY).buffer, pointer: ByteRing.create(POINTER_CAPACITY).buffer };
}

/** The machine's side. Returns how many events were taken; the rest is the caller's to send later. */
export function sendKeys(buffers: InputBuffers, events: readonly KeyEvent[]): number {
  return send(ByteRing.over(buffers.keys), events, KEY_BYTES, ({ key, pressed }) => Uint8Array.of(key, pressed ? 1 : 0));
}

export function sendPointer(buffers: InputBuffers, events: readonly PointerEvent[]): number {
  return send(ByteRing.over(buffers.pointer), events, POINTER_BYTES, ({ dx, dy, wheel, buttons }) => {
    const record = new Uint8Array(POINTER_BYTES);
    const view = new DataView(record.buffer);
    view.setInt16(0, within(dx, MOVE_MAX), true);
    view.setInt16(2, within(dy, MOVE_MAX), true);
    view.setInt8(4, within(wheel, WHEEL_MAX));
    view.setUint8(5, buttons);
    return record;
  });
}

export class InputPort implements InputBackend {
  readonly #keys: ByteRing;
  readonly #pointer: ByteRing;
  readonly #record = new Uint8Array(POINTER_BYTES);
  readonly #view = new DataView(this.#record.buffer);
  #keysAdmitted = 0;
  #pointerAdmitted = 0;

  constructor(buffers: InputBuffers) {
    this.#keys = ByteRing.over(buffers.keys);
    this.#pointer = ByteRing.over(buffers.pointer);
  }

  key(): KeyEvent | undefined {
    if (this.#keysAdmitted === 0) return undefined;
    this.#keysAdmitted--;
    this.#keys.read(this.#record.subarray(0, KEY_BYTES));
    return { key: this.#record[0] as number, pressed: this.#record[1] === 1 };
  }

  pointer(): PointerEvent | undefined {
    if (this.#pointerAdmitted === 0) return undefined;
    this.#pointerAdmitted--;
    this.#pointer.read(this.#record);
    const view = this.#view;
    return { dx: view.getInt16(0, true), dy: view.getInt16(2, true), wheel: view.getInt8(4), buttons: view.getUint8(5) };
  }

  /** Between slices: lets the device see what has arrived by now. True when there is something it has not taken yet. */
  admit(): boolean {
    this.#keysAdmitted = Math.floor(this.#keys.length / KEY_BYTES);
    this.#pointerAdmitted = Math.floor(this.#pointer.length / POINTER_BYTES);
    return this.#keysAdmitted + this.#pointerAdmitted > 0;
  }
}

function send<Event>(ring: ByteRing, events: readonly Event[], size: number, record: (event: Event) => Uint8Array): number {
  let taken = 0;
  // Whole records only: half of one would shift all that follow.
  while (taken < events.length && ring.capacity - ring.length >= size) ring.push(record(events[taken++] as Event));
  return taken;
}

function within(value: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, Math.trunc(value)));
}
