/**
 * The receiver of the 82540EM: address and VLAN filters, its descriptor ring, checksum checks.
 *
 * Spec: SDM (Intel 317453) §3.2 (receive descriptors and buffers), §10 and §13.5 (filters), §9 (VLAN), §3.2.9 (checksum offload).
 * Not modelled: the descriptor cache and its thresholds, store-bad-packets (a wire has none), wake-up filters, checksums of IPv6.
 */
import type { DmaPort } from '../../contracts/index.ts';
import { frameCheckSequence, FCS_BYTES, MAXIMUM_FRAME_BYTES, MINIMUM_FRAME_BYTES } from '../ethernet.ts';
import { checkReceived, onesComplementSum } from '../internet-checksum.ts';
import {
  CTRL,
  CTRL_VME,
  MTA,
  RAH,
  RAH_AV,
  RAL,
  RCTL,
  RCTL_BAM,
  RCTL_BSEX,
  RCTL_CFI,
  RCTL_CFIEN,
  RCTL_LPE,
  RCTL_MPE,
  RCTL_PMCF,
  RCTL_SECRC,
  RCTL_UPE,
  RCTL_VFE,
  RDBAH,
  RDBAL,
  RDH,
  RDLEN,
  RDT,
  RECEIVE_ADDRESSES,
  RXCSUM,
  RXCSUM_IPOFL,
  RXCSUM_TUOFL,
  RXDMT0,
  VET,
  VFTA,
} from './i82540em-registers.ts';

const DESCRIPTOR_BYTES = 16;
/** With FCS, and room for one tag (SDM §13.4.22, LPE). */
const LONGEST_NORMAL_FRAME = 1522;
const MAC_CONTROL = 0x8808;
const CFI = 1 << 12;

// Receive descriptor (SDM §3.2.3)
const STATUS_DD = 1 << 0;
const STATUS_EOP = 1 << 1;
const STATUS_IXSM = 1 << 2;
const STATUS_VP = 1 << 3;
const STATUS_TCPCS = 1 << 5;
const STATUS_IPCS = 1 << 6;
const STATUS_PIF = 1 << 7;
const ERROR_TCPE = 1 << 5;
const ERROR_IPE = 1 << 6;

export interface ReceiverSocket {
  readonly dma: DmaPort;
  /** The chip's registers, by dword. */
  readonly registers: Uint32Array;
  cause(causes: number): void;
}

/** What became of a frame. `waits`: no descriptor is free; it may be offered again. */
export type Reception = 'stored' | 'filtered' | 'waits' | 'too-long' | 'too-short';

export class Receiver {
  readonly #socket: ReceiverSocket;
  readonly #buffer = new Uint8Array(MAXIMUM_FRAME_BYTES + FCS_BYTES);
  readonly #descriptor = new Uint8Array(DESCRIPTOR_BYTES);
  readonly #view = new DataView(this.#descriptor.buffer);

  constructor(socket: ReceiverSocket) {
    this.#socket = socket;
  }

  /** `frame` has no FCS; software at the other end of a wire may have left the padding to hardware. Reception is known to be on. */
  receive(frame: Uint8Array, bytes: number): Reception {
    const { registers } = this.#socket;
    if (bytes < 14) return 'too-short';
    let length = Math.max(MINIMUM_FRAME_BYTES, bytes);
    if (length + FCS_BYTES > LONGEST_NORMAL_FRAME && !(register(registers, RCTL) & RCTL_LPE)) return 'too-long';
    if (length > MAXIMUM_FRAME_BYTES) return 'too-long';
    if (!this.#accepts(frame)) return 'filtered';
    if (!this.#hasRoom(length + FCS_BYTES)) return 'waits';

    const buffer = this.#buffer;
    for (let i = 0; i < bytes; i++) buffer[i] = frame[i] as number;
    buffer.fill(0, bytes, length);
    const { status, errors } = this.#check(length);
    const sum = onesComplementSum(buffer, register(registers, RXCSUM) & 0xff, length);
    let special = 0;
    let tagged = 0;
    if (register(registers, CTRL) & CTRL_VME && isTagged(registers, frame)) {
      special = ((buffer[14] as number) << 8) | (buffer[15] as number);
      buffer.copyWithin(12, 16, length);
      length -= 4;
      tagged = STATUS_VP;
    }
    if (!(register(registers, RCTL) & RCTL_SECRC)) {
      const sequence = frameCheckSequence(buffer, length);
      for (let i = 0; i < FCS_BYTES; i++) buffer[length + i] = sequence >>> (8 * i);
      length += FCS_BYTES;
    }
    this.#store(length, sum, status | tagged, errors, special);
    return 'stored';
  }

  /** Descriptors the driver has given and that are not used. */
  get free(): number {
    const { registers } = this.#socket;
    const count = register(registers, RDLEN) / DESCRIPTOR_BYTES;
    const head = register(registers, RDH);
    const tail = register(registers, RDT);
    return head >= count || tail >= count ? 0 : (tail - head + count) % count;
  }

  #hasRoom(length: number): boolean {
    return this.free >= Math.ceil(length / bufferBytes(register(this.#socket.registers, RCTL)));
  }

  #store(length: number, checksum: number, status: number, errors: number, special: number): void {
    const { registers, dma } = this.#socket;
    const size = bufferBytes(register(registers, RCTL));
    const base = register(registers, RDBAH) * 2 ** 32 + register(registers, RDBAL);
    const count = register(registers, RDLEN) / DESCRIPTOR_BYTES;
    const before = this.free;
    const view = this.#view;
    for (let at = 0; at < length; at += size) {
      const head = register(registers, RDH);
      const descriptor = base + head * DESCRIPTOR_BYTES;
      const piece = Math.min(size, length - at);
      const last = at + piece >= length;
      if (dma.read(descriptor, this.#descriptor)) {
        const target = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
        // A null buffer is skipped, not written (SDM §3.2.3).
        if (target !== 0) dma.write(target, this.#buffer.subarray(at, at + piece));
        view.setUint16(8, piece, true);
        view.setUint16(10, checksum, true);
        view.setUint8(12, STATUS_DD | (last ? STATUS_EOP | status : 0));
        view.setUint8(13, last ? errors : 0);
        view.setUint16(14, last ? special : 0, true);
        dma.write(descriptor, this.#descriptor);
      }
      registers[RDH >> 2] = head + 1 >= count ? 0 : head + 1;
    }
    // RDMTS: a half, a quarter or an eighth of the ring (SDM §13.4.22).
    const threshold = count >> (1 + Math.min(2, (register(registers, RCTL) >>> 8) & 3));
    if (before > threshold && this.free <= threshold) this.#socket.cause(RXDMT0);
  }

  /** Which checksums were checked, and how they came out. PIF: the address only passed an inexact filter. */
  #check(length: number): { readonly status: number; readonly errors: number } {
    const enabled = register(this.#socket.registers, RXCSUM);
    const result = this.#result;
    result.status = this.#inexact ? STATUS_PIF : 0;
    result.errors = 0;
    if (!(enabled & (RXCSUM_IPOFL | RXCSUM_TUOFL))) {
      result.status |= STATUS_IXSM;
      return result;
    }
    const { ip, transport } = checkReceived(this.#buffer, length);
    if (enabled & RXCSUM_IPOFL && ip !== 'none') {
      result.status |= STATUS_IPCS;
      if (ip === 'bad') result.errors |= ERROR_IPE;
    }
    if (enabled & RXCSUM_TUOFL && transport !== 'none') {
      result.status |= STATUS_TCPCS;
      if (transport === 'bad') result.errors |= ERROR_TCPE;
    }
    return result;
  }

  readonly #result = { status: 0, errors: 0 };
  #inexact = false;

  #accepts(frame: Uint8Array): boolean {
    const { registers } = this.#socket;
    const control = register(registers, RCTL);
    this.#inexact = false;
    const type = ((frame[12] as number) << 8) | (frame[13] as number);
    // Pause frames end in the MAC (SDM §13.4.22, PMCF).
    if (type === MAC_CONTROL && !(control & RCTL_PMCF)) return false;
    if (!this.#addressed(frame, control)) return false;
    if (!(control & RCTL_VFE) || !isTagged(registers, frame)) return true;
    const tag = ((frame[14] as number) << 8) | (frame[15] as number);
    if (control & RCTL_CFIEN && ((tag & CFI) !== 0) !== ((control & RCTL_CFI) !== 0)) return false;
    return (((registers[(VFTA >> 2) + ((tag >> 5) & 0x7f)] as number) >>> (tag & 0x1f)) & 1) === 1;
  }

  #addressed(frame: Uint8Array, control: number): boolean {
    const { registers } = this.#socket;
    const multicast = ((frame[0] as number) & 1) !== 0;
    if (multicast) {
      if (control & RCTL_MPE) return true;
      if (control & RCTL_BAM && isBroadcast(frame)) return true;
    } else if (control & RCTL_UPE) return true;
    for (let i = 0; i < RECEIVE_ADDRESSES; i++) {
      const high = registers[(RAH >> 2) + 2 * i] as number;
      if (!(high & RAH_AV)) continue;
      const low = registers[(RAL >> 2) + 2 * i] as number;
      // AS: compare the destination, or (1) the source.
      const at = ((high >>> 16) & 3) === 1 ? 6 : 0;
      if (matches(frame, at, low, high)) return true;
    }
    if (!multicast) return false;
    // Twelve bits of the address, by RCTL.MO bits 47–36, 46–35, 45–34 or 43–32 (SDM §13.5.1).
    const shift = [4, 3, 2, 0][(control >>> 12) & 3] as number;
    const hash = ((((frame[5] as number) << 8) | (frame[4] as number)) >>> shift) & 0xfff;
    this.#inexact = (((registers[(MTA >> 2) + (hash >> 5)] as number) >>> (hash & 0x1f)) & 1) === 1;
    return this.#inexact;
  }
}

/** 256 to 2048 bytes, or with BSEX sixteen times that (SDM §13.4.22). */
function bufferBytes(control: number): number {
  const bytes = 2048 >> ((control >>> 16) & 3);
  return control & RCTL_BSEX && bytes < 2048 ? bytes * 16 : bytes;
}

function isTagged(registers: Uint32Array, frame: Uint8Array): boolean {
  return (((frame[12] as number) << 8) | (frame[13] as number)) === register(registers, VET);
}

function isBroadcast(frame: Uint8Array): boolean {
  for (let i = 0; i < 6; i++) if (frame[i] !== 0xff) return false;
  return true;
}

function matches(frame: Uint8Array, at: number, low: number, high: number): boolean {
  for (let i = 0; i < 4; i++) if (frame[at + i] !== ((low >>> (8 * i)) & 0xff)) return false;
  return frame[at + 4] === (high & 0xff) && frame[at + 5] === ((high >>> 8) & 0xff);
}

function register(registers: Uint32Array, offset: number): number {
  return registers[offset >> 2] as number;
}
