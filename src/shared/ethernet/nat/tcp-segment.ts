/**
 * A TCP segment: what its header and options say.
 *
 * Spec: RFC 9293 §3.1 (header), §3.2 (options); RFC 7323 §2.2 (window scale).
 * Not modelled: timestamps, selective acknowledgement (neither is offered), urgent data (its pointer is ignored).
 */
import { onesComplementSum } from '../../../board/index.ts';
import { NEEDS_CHECKSUM } from '../packet.ts';
import type { Ipv4Packet } from './ipv4.ts';

export const TCP_HEADER_BYTES = 20;
export const TCP_CHECKSUM_AT = 16;

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

const OPTION_END = 0;
const OPTION_NOTHING = 1;
const OPTION_MSS = 2;
const OPTION_WINDOW_SCALE = 3;
/** §3.7.1: of a host that does not say. */
const DEFAULT_MSS = 536;
/** Smaller ones would make one packet of every few bytes; what asks for them is served with this. */
const SMALLEST_MSS = 216;
/** RFC 7323 §2.3. */
const LARGEST_SCALE = 14;

/** One object for all of them. */
export class TcpSegment {
  sourcePort = 0;
  destinationPort = 0;
  sequence = 0;
  acknowledgement = 0;
  flags = 0;
  /** As written: not scaled. */
  window = 0;
  /** Of a SYN. */
  mss = DEFAULT_MSS;
  /** Of a SYN; undefined: it has none. */
  windowScale: number | undefined = undefined;
  bytes: Uint8Array = new Uint8Array(0);
  /** Index in {@link bytes} of its data. */
  data = 0;
  /** Bytes of data. */
  length = 0;

  /** False: it is cut short, or spoilt. */
  read(ip: Ipv4Packet): boolean {
    const { packet, payload, end } = ip;
    if (end - payload < TCP_HEADER_BYTES) return false;
    const { bytes, view } = packet;
    const data = payload + ((bytes[payload + 12] as number) >> 4) * 4;
    if (data < payload + TCP_HEADER_BYTES || data > end) return false;
    if (!(packet.flags & NEEDS_CHECKSUM) && onesComplementSum(bytes, payload, end, ip.pseudoSum) !== 0xffff) return false;
    this.sourcePort = view.getUint16(payload);
    this.destinationPort = view.getUint16(payload + 2);
    this.sequence = view.getUint32(payload + 4);
    this.acknowledgement = view.getUint32(payload + 8);
    this.flags = bytes[payload + 13] as number;
    this.window = view.getUint16(payload + 14);
    this.bytes = bytes;
    this.data = data;
    this.length = end - data;
    this.mss = DEFAULT_MSS;
    this.windowScale = undefined;
    if (this.flags & SYN) this.#readOptions(view, payload + TCP_HEADER_BYTES, data);
    return true;
  }

  /** How far it moves the sequence (§3.4: SYN and FIN count). */
  get span(): number {
    return this.length + (this.flags & SYN ? 1 : 0) + (this.flags & FIN ? 1 : 0);
  }

  #readOptions(view: DataView, from: number, end: number): void {
    for (let at = from; at < end; ) {
      const kind = view.getUint8(at);
      if (kind === OPTION_END) return;
      if (kind === OPTION_NOTHING) {
        at++;
        continue;
      }
      const length = at + 1 < end ? view.getUint8(at + 1) : 0;
      if (length < 2 || at + length > end) return;
      if (kind === OPTION_MSS && length === 4) this.mss = Math.max(SMALLEST_MSS, view.getUint16(at + 2));
      if (kind === OPTION_WINDOW_SCALE && length === 3) this.windowScale = Math.min(LARGEST_SCALE, view.getUint8(at + 2));
      at += length;
    }
  }
}
