/**
 * A Linux TAP interface as the far end of a wire. Frames leave by a write in the partition's own thread; a reader thread of its own waits
 * for those that come, puts them into a ring and wakes the partition.
 *
 * Spec: Linux Documentation/networking/tuntap.rst.
 * Not modelled: making the interface persistent, giving it an address, bringing it up; that is the host's administrator's.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { constants } from 'node:fs';
import { BulkheadError, FrameRing, MiB } from '../../base/index.ts';
import type { AttachedWire } from '../../contracts/index.ts';
import { libc } from './koffi.ts';
import { startReader } from './reader-thread.ts';

const DEVICE = '/dev/net/tun';
// <linux/if_tun.h>
const TUNSETIFF = 0x4004_54ca;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
/** struct ifreq: 16 bytes of name, then a union of which the flags are the first two. */
const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;

/**
 * Opens the interface, which is made if there is none of that name and the process may. `alarm` is rung when frames have arrived.
 * Throws BH631.
 */
export function openTap(name: string, alarm: Int32Array): AttachedWire {
  let file: number;
  try {
    file = openSync(DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    throw refused(name, (cause as Error).message, cause);
  }
  try {
    attach(file, name);
    return new Tap(file, alarm);
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function attach(file: number, name: string): void {
  const { koffi, library } = libc();
  const request = new Uint8Array(IFREQ_BYTES);
  for (let i = 0; i < Math.min(name.length, IFNAMSIZ - 1); i++) request[i] = name.charCodeAt(i);
  new DataView(request.buffer).setUint16(IFNAMSIZ, IFF_TAP | IFF_NO_PI, true);
  const ioctl = library.func('int ioctl(int fd, unsigned long request, void *argument)');
  if (ioctl(file, TUNSETIFF, request) !== 0) throw refused(name, `TUNSETIFF: errno ${koffi.errno()}`);
}

class Tap implements AttachedWire {
  readonly connected = true;
  missed = 0;
  readonly #file: number;
  readonly #frames = FrameRing.create(1 * MiB);
  readonly #reader: Disposable;
  #admitted = 0;
  #changed: () => void = () => undefined;

  constructor(file: number, alarm: Int32Array) {
    this.#file = file;
    this.#reader = startReader({ file, frames: this.#frames.buffer, alarm });
  }

  /** An interface that is down or full loses frames, as a switch does. */
  send(frame: Uint8Array): boolean {
    try {
      writeSync(this.#file, frame);
    } catch {
      // EIO: it is down. EAGAIN: its queue is full. Either way nobody waits for it.
    }
    return true;
  }

  receive(target: Uint8Array): number {
    if (this.#admitted === 0) return 0;
    this.#admitted--;
    return this.#frames.shift(target);
  }

  listen(changed: () => void): void {
    this.#changed = changed;
  }

  admit(): void {
    const before = this.#admitted;
    this.#admitted = this.#frames.length;
    const missed = this.#frames.refused;
    if (this.#admitted === before && missed === this.missed) return;
    this.missed = missed;
    this.#changed();
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
  }
}

function refused(name: string, reason: string, cause?: unknown): BulkheadError {
  return new BulkheadError('BH631', `the network interface ${name} cannot be opened: ${reason}`, {
    cause,
    hint: `make it with \`ip tuntap add ${name} mode tap user YOU\` and \`ip link set ${name} up\`, or start as root`,
  });
}
