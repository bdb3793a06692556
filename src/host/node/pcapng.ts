/**
 * Recordings of several network ports in one file, each with its name: the pcapng file format.
 *
 * Spec: draft-ietf-opsawg-pcapng: section header, interface description, enhanced packet and interface statistics blocks; nanoseconds,
 * in this host's byte order.
 * Not modelled: reading, name resolution blocks, secrets.
 */
import { GiB, KiB } from '../../base/index.ts';
import type { Nanos } from '../../contracts/index.ts';
import { RecordingFile } from './recording-file.ts';

const SECTION_HEADER = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION = 1;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;
const BYTE_ORDER = 0x1a2b_3c4d;
const ETHERNET = 1;

// Options (§3.5, §4.2, §4.3, §4.6)
const OPTION_END = 0;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_MACADDR = 6;
const IF_TSRESOL = 9;
const EPB_FLAGS = 2;
const EPB_DROPCOUNT = 4;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;
const NANOSECONDS = 9;
const INBOUND = 1;
const OUTBOUND = 2;

/** Type, length, interface, time, two lengths, and the length again. */
const PACKET_BLOCK_BYTES = 32;
const PACKET_OPTION_BYTES = 8 + 12 + 4;
const SNAPSHOT_BYTES = 256 * KiB;
const BUFFER_BYTES = 512 * KiB;
/** A recording ends there, so that a forgotten one does not fill the host's disk. */
const LARGEST_FILE: number = 1 * GiB;
const TWO_32 = 0x1_0000_0000;

export interface RecordedInterface {
  readonly name: string;
  /** Its station address. */
  readonly address?: Uint8Array;
}

export class PcapngWriter implements Disposable {
  /** Frames that were not written any more. */
  dropped = 0;
  /** How many there are in it. */
  readonly interfaces: number;
  readonly #epochHigh: number;
  readonly #epochLow: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  readonly #file: RecordingFile;

  /** A new file. `epoch`: nanoseconds since 1970 at time 0. Throws BH630. */
  constructor(path: string, interfaces: readonly RecordedInterface[], epoch: bigint) {
    this.interfaces = interfaces.length;
    this.#epochHigh = Number(epoch >> 32n);
    this.#epochLow = Number(epoch & 0xffff_ffffn);
    this.#file = new RecordingFile(path, 'new', this.#buffer);
    this.#block(SECTION_HEADER, () => {
      this.#put32(BYTE_ORDER);
      this.#put16(1);
      this.#put16(0);
      // The length of the section is not known.
      this.#put32(0xffff_ffff);
      this.#put32(0xffff_ffff);
      this.#option(SHB_USERAPPL, ascii('bulkhead'));
    });
    for (const { name, address } of interfaces) {
      this.#block(INTERFACE_DESCRIPTION, () => {
        this.#put16(ETHERNET);
        this.#put16(0);
        this.#put32(SNAPSHOT_BYTES);
        this.#option(IF_NAME, ascii(name));
        if (address !== undefined) this.#option(IF_MACADDR, address);
        this.#option(IF_TSRESOL, Uint8Array.of(NANOSECONDS));
      });
    }
    this.flush();
  }

  /** `time` is nanoseconds; `lost`: frames that this interface lost since the last one. Throws BH630 when the file cannot be written; from then on it is closed. */
  write(number: number, direction: 'in' | 'out', time: Nanos, frame: Uint8Array, lost = 0): void {
    const size = PACKET_BLOCK_BYTES + align(frame.length) + PACKET_OPTION_BYTES;
    if (!this.#file.isOpen || frame.length > SNAPSHOT_BYTES || this.#file.size + size > LARGEST_FILE) {
      this.dropped++;
      return;
    }
    if (this.#file.used + size > BUFFER_BYTES) this.flush();
    const start = this.#file.used;
    this.#put32(ENHANCED_PACKET);
    this.#put32(size);
    this.#put32(number);
    this.#putTime(time);
    this.#put32(frame.length);
    this.#put32(frame.length);
    this.#buffer.set(frame, this.#file.used);
    this.#buffer.fill(0, this.#file.used + frame.length, this.#file.used + align(frame.length));
    this.#file.used += align(frame.length);
    this.#put16(EPB_FLAGS);
    this.#put16(4);
    this.#put32(direction === 'in' ? INBOUND : OUTBOUND);
    this.#put16(EPB_DROPCOUNT);
    this.#put16(8);
    this.#put64(lost);
    this.#put32(OPTION_END);
    this.#put32(this.#file.used + 4 - start);
  }

  /** How many frames an interface saw and lost, in all. */
  statistics(number: number, time: Nanos, received: number, lost: number): void {
    if (!this.#file.isOpen) return;
    this.flush();
    this.#block(INTERFACE_STATISTICS, () => {
      this.#put32(number);
      this.#putTime(time);
      this.#option64(ISB_IFRECV, received);
      this.#option64(ISB_IFDROP, lost);
    });
  }

  /** What was written is in the file. Throws BH630 as `write` does. */
  flush(): void {
    this.#file.flush();
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  /** §3.1: every block has its length at both ends. */
  #block(type: number, body: () => void): void {
    const start = this.#file.used;
    this.#put32(type);
    this.#put32(0);
    body();
    this.#put32(OPTION_END);
    const size = this.#file.used + 4 - start;
    this.#put32(size);
    this.#view.setUint32(start + 4, size, true);
  }

  #option(code: number, value: Uint8Array): void {
    this.#put16(code);
    this.#put16(value.length);
    this.#buffer.fill(0, this.#file.used, this.#file.used + align(value.length));
    this.#buffer.set(value, this.#file.used);
    this.#file.used += align(value.length);
  }

  #option64(code: number, value: number): void {
    this.#put16(code);
    this.#put16(8);
    this.#put64(value);
  }

  #put16(value: number): void {
    this.#view.setUint16(this.#file.used, value, true);
    this.#file.used += 2;
  }

  #put32(value: number): void {
    this.#view.setUint32(this.#file.used, value, true);
    this.#file.used += 4;
  }

  #put64(value: number): void {
    this.#put32(value % TWO_32);
    this.#put32(Math.floor(value / TWO_32));
  }

  /** Upper half first (§4.3). */
  #putTime(time: Nanos): void {
    const whole = Math.max(0, Math.floor(time));
    const low = this.#epochLow + (whole % TWO_32);
    this.#put32(this.#epochHigh + Math.floor(whole / TWO_32) + (low >= TWO_32 ? 1 : 0));
    this.#put32(low % TWO_32);
  }
}

function align(bytes: number): number {
  return (bytes + 3) & ~3;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 0x7f);
}
