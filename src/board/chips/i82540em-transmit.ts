/**
 * The transmitter of the 82540EM: its descriptor ring, checksum insertion, segmentation and VLAN tags.
 *
 * It is a state machine that takes one small step at a time, so that whatever descriptors say (a megabyte cut into one-byte segments, a
 * ring that never ends) a call does a bounded amount of work; the rest follows at the line's own speed.
 *
 * Spec: SDM (Intel 317453) §3.3–3.5 (descriptors, segmentation, checksums), §9 (VLAN tags).
 * Not modelled: the descriptor cache and its thresholds (what is written back is written at once), half duplex, inter-packet gaps.
 */
import type { DmaPort } from '../../contracts/index.ts';
import { frameCheckSequence, FCS_BYTES, MINIMUM_FRAME_BYTES } from '../ethernet.ts';
import { fold, onesComplementSum } from '../internet-checksum.ts';
import { CTRL, CTRL_VME, TCTL, TCTL_EN, TCTL_PSP, TDBAH, TDBAL, TDH, TDLEN, TDT, TXD_LOW, TXDCTL, TXDW, TXQE, VET } from './i82540em-registers.ts';

const DESCRIPTOR_BYTES = 16;
/** What the packet buffer takes; longer packets are not sent (SDM §3.3.1: 16,288 bytes). */
const PACKET_BYTES = 16_288;
/** Bytes fetched in one step. */
const CHUNK_BYTES = 4096;
/** Steps of one call: a full-size segmented packet with its descriptors. */
const STEPS_PER_CALL = 256;

// CMD, in bits 24–31 of the third dword (SDM §3.3.3, §3.3.6, §3.3.7)
const CMD_EOP = 1 << 24;
const CMD_IFCS = 1 << 25;
/** Legacy: insert a checksum. Data and context: segment. */
const CMD_IC = 1 << 26;
const CMD_TSE = 1 << 26;
const CMD_RS = 1 << 27;
const CMD_DEXT = 1 << 29;
const CMD_VLE = 1 << 30;
const CMD_IDE = 0x8000_0000;
/** Context only: what is segmented is TCP, over IPv4. */
const TUCMD_TCP = 1 << 24;
const TUCMD_IPV4 = 1 << 25;
const STATUS_DD = 1 << 0;
// POPTS of a data descriptor
const POPTS_IXSM = 1 << 0;
const POPTS_TXSM = 1 << 1;

const TCP_FIN_PSH = 0x09;

export interface TransmitterSocket {
  readonly dma: DmaPort;
  /** The chip's registers, by dword. */
  readonly registers: Uint32Array;
  /** False: not now; the frame is offered again. */
  transmit(frame: Uint8Array, length: number): boolean;
  /** Interrupt causes; `delayed`: when the transmit interrupt delay has passed. */
  cause(causes: number, delayed: boolean): void;
  /** A segmented packet is complete. */
  segmented(): void;
}

type Context = {
  ipStart: number;
  ipOffset: number;
  ipEnd: number;
  start: number;
  offset: number;
  end: number;
  headerBytes: number;
  segmentBytes: number;
  command: number;
};

const noContext = (): Context => ({ ipStart: 0, ipOffset: 0, ipEnd: 0, start: 0, offset: 0, end: 0, headerBytes: 0, segmentBytes: 0, command: 0 });

/** What `run` ended with. `busy`: it has done its share. */
export type TransmitterPause = 'idle' | 'busy' | 'refused';

export class Transmitter {
  /** Bytes of descriptors and data fetched in the last `run`: fetching takes time as well. */
  fetched = 0;
  readonly #socket: TransmitterSocket;
  readonly #packet = new Uint8Array(PACKET_BYTES + 4);
  readonly #header = new Uint8Array(256);
  readonly #descriptor = new Uint8Array(DESCRIPTOR_BYTES);
  readonly #view = new DataView(this.#descriptor.buffer);
  #context: Context = noContext();
  /** A descriptor has been fetched and is being worked on. */
  #active = false;
  /** Where its data lies, and how much of it is left. */
  #address = 0;
  #left = 0;
  #command = 0;
  /** Bytes in `packet`; more than fits: the packet is too long and not sent. */
  #length = 0;
  /** `packet` is complete and waits for the wire. */
  #ready = false;
  /** From the first data descriptor of a packet (SDM §3.3.7.2: POPTS are valid there only). */
  #first = true;
  #options = 0;
  #segmenting = false;
  #tag = 0;
  #tagged = false;
  /** Segments of this packet sent so far. */
  #segments = 0;
  #headerLength = 0;
  #sequence = 0;
  /** Legacy checksum: where it goes and where it starts. */
  #legacyOffset = 0;
  #legacyStart = 0;
  #legacyChecksum = false;

  constructor(socket: TransmitterSocket) {
    this.#socket = socket;
  }

  reset(): void {
    this.#context = noContext();
    this.#active = false;
    this.#ready = false;
    this.#beginPacket();
  }

  /** Works until there is nothing more to do, the wire refuses, or the call has done its share. */
  run(): TransmitterPause {
    this.fetched = 0;
    for (let step = 0; step < STEPS_PER_CALL; step++) {
      if (this.#ready) {
        if (!this.#socket.transmit(this.#packet, this.#length)) return 'refused';
        this.#sent();
      } else if (this.#active) this.#advance();
      else if (!this.#fetch()) return 'idle';
    }
    return 'busy';
  }

  save(): Record<string, unknown> {
    return {
      context: { ...this.#context },
      active: this.#active,
      address: this.#address,
      left: this.#left,
      command: this.#command,
      ready: this.#ready,
      first: this.#first,
      options: this.#options,
      segmenting: this.#segmenting,
      tag: this.#tag,
      tagged: this.#tagged,
      segments: this.#segments,
      headerLength: this.#headerLength,
      sequence: this.#sequence,
      legacy: [this.#legacyOffset, this.#legacyStart, this.#legacyChecksum ? 1 : 0],
      length: this.#length,
      packet: [...this.#packet.subarray(0, Math.min(this.#length, PACKET_BYTES))],
      header: [...this.#header.subarray(0, this.#headerLength)],
      descriptor: [...this.#descriptor],
    };
  }

  restore(state: Record<string, unknown>): void {
    this.#context = { ...(state['context'] as Context) };
    this.#active = state['active'] as boolean;
    this.#address = state['address'] as number;
    this.#left = state['left'] as number;
    this.#command = state['command'] as number;
    this.#ready = state['ready'] as boolean;
    this.#first = state['first'] as boolean;
    this.#options = state['options'] as number;
    this.#segmenting = state['segmenting'] as boolean;
    this.#tag = state['tag'] as number;
    this.#tagged = state['tagged'] as boolean;
    this.#segments = state['segments'] as number;
    this.#headerLength = state['headerLength'] as number;
    this.#sequence = state['sequence'] as number;
    const [offset = 0, start = 0, checksum = 0] = state['legacy'] as number[];
    this.#legacyOffset = offset;
    this.#legacyStart = start;
    this.#legacyChecksum = checksum === 1;
    this.#length = state['length'] as number;
    this.#packet.set(state['packet'] as number[]);
    this.#header.set(state['header'] as number[]);
    this.#descriptor.set(state['descriptor'] as number[]);
  }

  /** The next descriptor. False when the ring is empty, stopped or makes no sense. */
  #fetch(): boolean {
    const registers = this.#socket.registers;
    const count = register(registers, TDLEN) / DESCRIPTOR_BYTES;
    const head = register(registers, TDH);
    const tail = register(registers, TDT);
    if (!(register(registers, TCTL) & TCTL_EN) || head === tail || head >= count || tail >= count) return false;
    if (!this.#socket.dma.read(this.#descriptorAddress(head), this.#descriptor)) {
      // Nothing was read: the ring is given up as if it had been worked off, or it would be tried for ever.
      registers[TDH >> 2] = tail;
      return false;
    }
    this.fetched += DESCRIPTOR_BYTES;
    const low = this.#view.getUint32(8, true);
    this.#command = low;
    this.#active = true;
    if (low & CMD_DEXT && ((low >>> 20) & 0xf) === 0) this.#loadContext(low);
    else this.#loadData(low);
    return true;
  }

  #descriptorAddress(index: number): number {
    const { registers } = this.#socket;
    return register(registers, TDBAH) * 2 ** 32 + register(registers, TDBAL) + index * DESCRIPTOR_BYTES;
  }

  #loadContext(low: number): void {
    const context = this.#context;
    const view = this.#view;
    context.ipStart = view.getUint8(0);
    context.ipOffset = view.getUint8(1);
    context.ipEnd = view.getUint16(2, true);
    context.start = view.getUint8(4);
    context.offset = view.getUint8(5);
    context.end = view.getUint16(6, true);
    context.headerBytes = view.getUint8(13);
    context.segmentBytes = view.getUint16(14, true);
    context.command = low;
    this.#left = 0;
  }

  #loadData(low: number): void {
    const extended = (low & CMD_DEXT) !== 0;
    const view = this.#view;
    this.#address = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
    this.#left = low & (extended ? 0xf_ffff : 0xffff);
    const status = view.getUint32(12, true);
    if (this.#first) {
      this.#first = false;
      this.#segmenting = extended && (low & CMD_TSE) !== 0 && this.#context.segmentBytes > 0;
      this.#options = extended ? (status >>> 8) & 0xff : 0;
    }
    // The tag and a legacy checksum are taken from the last descriptor (SDM §3.3.3).
    this.#tagged = (low & CMD_VLE) !== 0;
    this.#tag = status >>> 16;
    this.#legacyChecksum = !extended && (low & CMD_IC) !== 0;
    this.#legacyOffset = (low >>> 16) & 0xff;
    this.#legacyStart = (status >>> 8) & 0xff;
  }

  /** Moves data of the current descriptor into the packet; ends the descriptor when there is none left. */
  #advance(): void {
    if (this.#left === 0) {
      this.#endDescriptor();
      return;
    }
    const room = this.#segmenting ? this.#segmentRoom() : PACKET_BYTES - this.#length;
    const count = Math.min(this.#left, CHUNK_BYTES, room);
    if (count <= 0) {
      // Too long to be a packet: swallowed.
      this.#length = PACKET_BYTES + 1;
      this.#left = 0;
      return;
    }
    const target = this.#packet.subarray(this.#length, this.#length + count);
    if (!this.#socket.dma.read(this.#address, target)) target.fill(0);
    this.#address += count;
    this.fetched += count;
    this.#left -= count;
    this.#length += count;
    if (this.#segmenting) this.#afterSegmentBytes();
  }

  /** Up to the end of the headers first, then up to a full segment behind them. */
  #segmentRoom(): number {
    const { headerBytes, segmentBytes } = this.#context;
    if (this.#headerLength < headerBytes) return headerBytes - this.#length;
    return Math.min(headerBytes + segmentBytes, PACKET_BYTES) - this.#length;
  }

  #afterSegmentBytes(): void {
    const { headerBytes } = this.#context;
    if (this.#headerLength < headerBytes) {
      if (this.#length < headerBytes) return;
      this.#header.set(this.#packet.subarray(0, headerBytes));
      this.#headerLength = headerBytes;
    }
    if (this.#length > headerBytes && this.#segmentRoom() === 0) {
      // A segment that ends with the packet is finished by its last descriptor, which knows that it is the last.
      const last = this.#left === 0 && (this.#command & CMD_EOP) !== 0;
      if (!last) this.#finishSegment(false);
    }
  }

  #endDescriptor(): void {
    const context = (this.#command & CMD_DEXT) !== 0 && ((this.#command >>> 20) & 0xf) === 0;
    if (!context && this.#command & CMD_EOP && !this.#first) {
      // The packet first; the descriptor is reported when it is out, so this comes here again.
      if (this.#length > PACKET_BYTES) this.#beginPacket();
      else if (this.#segmenting) {
        if (this.#length > this.#context.headerBytes || this.#segments === 0) {
          this.#finishSegment(true);
          return;
        }
        this.#endOfPacket();
      } else if (this.#length > 0) {
        this.#finishPacket();
        return;
      } else this.#beginPacket();
    }
    this.#retire();
  }

  /** Done with the descriptor: reports it and moves on. */
  #retire(): void {
    const { registers, dma } = this.#socket;
    const head = register(registers, TDH);
    if (this.#command & CMD_RS) {
      const status = this.#view.getUint32(12, true) | STATUS_DD;
      dma.write32(this.#descriptorAddress(head) + 12, status >>> 0);
      this.#socket.cause(TXDW, (this.#command & CMD_IDE) !== 0);
    }
    this.#active = false;
    const count = register(registers, TDLEN) / DESCRIPTOR_BYTES;
    const next = head + 1 >= count ? 0 : head + 1;
    registers[TDH >> 2] = next;
    const tail = register(registers, TDT);
    const waiting = (tail - next + count) % count;
    if (waiting === 0) this.#socket.cause(TXQE, false);
    const threshold = (register(registers, TXDCTL) >>> 25) * 8;
    if (threshold > 0 && waiting === threshold) this.#socket.cause(TXD_LOW, false);
  }

  #finishPacket(): void {
    if (this.#legacyChecksum) this.#insert(this.#legacyStart, this.#legacyOffset, 0);
    else {
      const { ipStart, ipOffset, ipEnd, start, offset, end } = this.#context;
      if (this.#options & POPTS_IXSM) this.#insert(ipStart, ipOffset, ipEnd);
      if (this.#options & POPTS_TXSM) this.#insert(start, offset, end);
    }
    this.#complete();
  }

  /** Headers of the next segment (SDM §3.5.6–3.5.9), and its checksums. */
  #finishSegment(last: boolean): void {
    const { ipStart, ipOffset, ipEnd, start, offset, end, headerBytes, command } = this.#context;
    const packet = this.#packet;
    const payload = Math.max(0, this.#length - headerBytes);
    if (this.#segments > 0) packet.set(this.#header.subarray(0, headerBytes));
    const tcp = (command & TUCMD_TCP) !== 0;
    if (command & TUCMD_IPV4) {
      this.#putWord(ipStart + 2, this.#length - ipStart);
      this.#putWord(ipStart + 4, this.#word(ipStart + 4) + this.#segments);
    } else this.#putWord(ipStart + 4, this.#length - ipStart - 40);
    if (tcp && start + 13 < this.#length) {
      const sequence = (this.#word(start + 4) * 0x1_0000 + this.#word(start + 6) + this.#sequence) % 2 ** 32;
      this.#putWord(start + 4, Math.floor(sequence / 0x1_0000));
      this.#putWord(start + 6, sequence & 0xffff);
      if (!last) packet[start + 13] = (packet[start + 13] as number) & ~TCP_FIN_PSH;
    } else if (!tcp) this.#putWord(start + 4, this.#length - start);
    if (this.#options & POPTS_IXSM) this.#insert(ipStart, ipOffset, ipEnd);
    if (this.#options & POPTS_TXSM) {
      // The driver left the pseudo-header's sum without the length, which differs from segment to segment.
      this.#putWord(offset, fold(this.#word(offset) + this.#length - start));
      this.#insert(start, offset, end);
    }
    this.#segments++;
    this.#sequence = (this.#sequence + payload) % 2 ** 32;
    this.#complete();
  }

  /** Padding and tag; from here on the packet waits for the wire. */
  #complete(): void {
    const { registers } = this.#socket;
    const packet = this.#packet;
    if (!(this.#command & CMD_IFCS)) {
      // The driver brings its own check sequence. A wrong one would be dropped by whoever receives it.
      const length = this.#length - FCS_BYTES;
      const sequence = length > 0 ? frameCheckSequence(packet, length) : 0;
      const given = length > 0 ? (this.#word(length + 2) << 16) | this.#word(length) : 0;
      const swapped = ((given & 0x00ff_00ff) << 8) | ((given >>> 8) & 0x00ff_00ff);
      this.#length = length > 0 && swapped >>> 0 === sequence ? length : 0;
    }
    if (this.#tagged && register(registers, CTRL) & CTRL_VME && this.#length >= 12) {
      packet.copyWithin(16, 12, this.#length);
      this.#putWord(12, register(registers, VET));
      this.#putWord(14, this.#tag);
      this.#length += 4;
    }
    if (register(registers, TCTL) & TCTL_PSP && this.#length > 0 && this.#length < MINIMUM_FRAME_BYTES) {
      packet.fill(0, this.#length, MINIMUM_FRAME_BYTES);
      this.#length = MINIMUM_FRAME_BYTES;
    }
    this.#ready = true;
  }

  #sent(): void {
    this.#ready = false;
    if (!this.#segmenting) {
      this.#beginPacket();
      this.#retire();
      return;
    }
    // Back to bare headers: the next segment's payload goes behind them.
    this.#length = this.#context.headerBytes;
    if (this.#left === 0 && this.#command & CMD_EOP) {
      this.#endOfPacket();
      this.#retire();
    }
  }

  #endOfPacket(): void {
    this.#socket.segmented();
    this.#beginPacket();
  }

  #beginPacket(): void {
    this.#first = true;
    this.#segmenting = false;
    this.#options = 0;
    this.#segments = 0;
    this.#headerLength = 0;
    this.#sequence = 0;
    this.#length = 0;
  }

  /** The checksum of `[start, end]` (0: to the end of the packet) goes to `offset`. */
  #insert(start: number, offset: number, end: number): void {
    const last = end === 0 || end >= this.#length ? this.#length : end + 1;
    if (start >= last || offset + 1 >= this.#length) return;
    this.#putWord(offset, ~onesComplementSum(this.#packet, start, last) & 0xffff);
  }

  /** Offsets are the guest's choice, up to 255 and a little: always inside the buffer, sometimes beyond the packet. */
  #word(at: number): number {
    return ((this.#packet[at] as number) << 8) | (this.#packet[at + 1] as number);
  }

  #putWord(at: number, value: number): void {
    this.#packet[at] = value >>> 8;
    this.#packet[at + 1] = value;
  }
}

function register(registers: Uint32Array, offset: number): number {
  return registers[offset >> 2] as number;
}
