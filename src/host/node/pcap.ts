/**
 * Recordings of Ethernet frames: the classic pcap file format, read one frame at a time and written as they come.
 *
 * Spec: draft-ietf-opsawg-pcap (PCAP Capture File Format). Written: version 2.4, nanoseconds, in this host's byte order. Read: both byte
 * orders, microseconds and nanoseconds.
 * Not modelled: pcapng; link types other than Ethernet.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { BulkheadError, s, us } from '../../base/index.ts';
import type { Nanos } from '../../contracts/index.ts';
import { attempt, RecordingFile } from './recording-file.ts';

const MAGIC_MICROSECONDS = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS = 0xa1b2_3c4d;
const MAGIC_PCAPNG = 0x0a0d_0d0a;
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET = 1;
const SNAPSHOT_BYTES = 0x4_0000;
/** Written in pieces of this size, or when somebody asks. */
const BUFFER_BYTES = 0x1_0000;

export class PcapWriter implements Disposable {
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  readonly #file: RecordingFile;

  /** A new file, or one that is continued where there is one. Throws BH630. */
  constructor(path: string, mode: 'new' | 'append') {
    this.#file = new RecordingFile(path, mode, this.#buffer);
    if (!this.#file.isEmpty) return;
    const header = this.#view;
    header.setUint32(0, MAGIC_NANOSECONDS, true);
    header.setUint16(4, 2, true);
    header.setUint16(6, 4, true);
    header.setUint32(16, SNAPSHOT_BYTES, true);
    header.setUint32(20, ETHERNET, true);
    this.#file.used = FILE_HEADER_BYTES;
    this.flush();
  }

  /** `time` in nanoseconds since 1970. Throws BH630 when the file cannot be written; from then on it is closed, and nothing happens. */
  write(seconds: number, nanos: Nanos, frame: Uint8Array): void {
    const size = RECORD_HEADER_BYTES + frame.length;
    const file = this.#file;
    if (!file.isOpen || size > BUFFER_BYTES) return;
    if (file.used + size > BUFFER_BYTES) file.flush();
    const view = this.#view;
    const at = file.used;
    view.setUint32(at, seconds, true);
    view.setUint32(at + 4, nanos, true);
    view.setUint32(at + 8, frame.length, true);
    view.setUint32(at + 12, frame.length, true);
    this.#buffer.set(frame, at + RECORD_HEADER_BYTES);
    file.used = at + size;
  }

  /** What was written is in the file. Throws BH630 as `write` does. */
  flush(): void {
    this.#file.flush();
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

export interface RecordedFrame {
  /** Since the first frame of the recording; never less than the frame before it. */
  readonly time: Nanos;
  readonly frame: Uint8Array;
}

export class PcapReader implements Disposable {
  readonly #path: string;
  #file: number;
  #at = FILE_HEADER_BYTES;
  readonly #little: boolean;
  readonly #unit: Nanos;
  readonly #header = new DataView(new ArrayBuffer(RECORD_HEADER_BYTES));
  #first: { readonly seconds: number; readonly fraction: number } | undefined;
  #last: Nanos = 0;

  /** Throws BH630 when it is no recording of Ethernet frames. */
  constructor(path: string) {
    this.#path = path;
    this.#file = attempt(path, () => openSync(path, 'r'));
    const header = new DataView(new ArrayBuffer(FILE_HEADER_BYTES));
    try {
      const problem = this.#read(header, 0) ? undefined : 'it is too short';
      this.#little = [MAGIC_MICROSECONDS, MAGIC_NANOSECONDS].includes(header.getUint32(0, true));
      const magic = header.getUint32(0, this.#little);
      this.#unit = magic === MAGIC_NANOSECONDS ? 1 : us;
      const refusal = problem ?? refusalOf(magic, header.getUint32(20, this.#little) & 0x0fff_ffff);
      if (refusal !== undefined) throw new BulkheadError('BH630', `${path} is no recording that can be played: ${refusal}`);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** The next frame; undefined at the end, and where the file is damaged or cut. */
  next(): RecordedFrame | undefined {
    const header = this.#header;
    if (this.#file < 0 || !this.#read(header, this.#at)) return undefined;
    const little = this.#little;
    const length = header.getUint32(8, little);
    if (length > SNAPSHOT_BYTES) return undefined;
    const frame = new Uint8Array(length);
    if (!this.#read(frame, this.#at + RECORD_HEADER_BYTES)) return undefined;
    this.#at += RECORD_HEADER_BYTES + length;
    const seconds = header.getUint32(0, little);
    const fraction = header.getUint32(4, little);
    this.#first ??= { seconds, fraction };
    this.#last = Math.max(this.#last, (seconds - this.#first.seconds) * s + (fraction - this.#first.fraction) * this.#unit);
    return { time: this.#last, frame };
  }

  [Symbol.dispose](): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }

  #read(target: Uint8Array | DataView, at: number): boolean {
    return attempt(this.#path, () => readSync(this.#file, target, 0, target.byteLength, at)) === target.byteLength;
  }
}

/** Why a file cannot be played, in words; undefined: it can. */
export function recordingProblem(path: string): string | undefined {
  try {
    new PcapReader(path)[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function refusalOf(magic: number, linkType: number): string | undefined {
  if (magic === MAGIC_PCAPNG) return 'it is pcapng; `editcap -F pcap` makes a pcap file of it';
  if (magic !== MAGIC_MICROSECONDS && magic !== MAGIC_NANOSECONDS) return 'it is not in the pcap format';
  return linkType === ETHERNET ? undefined : `its frames are not of Ethernet (link type ${linkType})`;
}
