/**
 * A frame inside the broker: bytes that are worked on in place, and in front of them what its sender left for others to compute.
 *
 * The same bytes lie in the rings between a partition and the broker: an offload header of 12 bytes, then the frame. The header has the
 * layout of `struct virtio_net_hdr` (virtio 1.2 §5.1.6), so that a network device copies it as it is; all of it is little-endian.
 *
 * A packet in the broker is untagged: the VLAN it belongs to is a field, and a tag (IEEE 802.1Q §9.6) is put in where it leaves.
 */

/** In front of a frame, in every ring. */
export const OFFLOAD_BYTES = 12;
/** Two addresses and a type (IEEE 802.3 §3.1.1). */
export const HEADER_BYTES = 14;
export const TAG_BYTES = 4;
/** The longest frame there is: an IP packet of 65,535 bytes to be segmented, and a tag. */
export const LONGEST_FRAME_BYTES: number = 65_535 + HEADER_BYTES + TAG_BYTES;
export const LONGEST_RECORD_BYTES: number = OFFLOAD_BYTES + LONGEST_FRAME_BYTES;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;

// Fields of the offload header (virtio 1.2 §5.1.6).
const FLAGS = 0;
const SEGMENTATION = 1;
const HEADER_LENGTH = 2;
const SEGMENT_SIZE = 4;
const CHECKSUM_START = 6;
const CHECKSUM_OFFSET = 8;

/** The checksum at `checksumStart + checksumOffset` holds the pseudo-header's sum only (§5.1.6.2). */
export const NEEDS_CHECKSUM = 1 << 0;

export const SEGMENT_NONE = 0;
export const SEGMENT_TCP4 = 1;
export const SEGMENT_TCP6 = 4;

/** Room for a tag, so that putting one in moves 28 bytes and not the frame. */
const HEADROOM = TAG_BYTES;

const TWO_POW_32 = 2 ** 32;

/** A station address as one number: 48 bits fit exactly. */
export type StationAddress = number;

export const BROADCAST: StationAddress = 0xffff_ffff_ffff;

/** The group bit is the lowest of the first byte (IEEE 802.3 §3.2.3). */
export function isGroupAddress(address: StationAddress): boolean {
  return (Math.floor(address / 2 ** 40) & 1) === 1;
}

export function stationAddress(bytes: Uint8Array): StationAddress {
  let address = 0;
  for (let i = 0; i < 6; i++) address = address * 256 + (bytes[i] as number);
  return address;
}

export function stationBytes(address: StationAddress): Uint8Array {
  return Uint8Array.from({ length: 6 }, (_, i) => Math.floor(address / 2 ** (8 * (5 - i))) & 0xff);
}

export class Packet {
  /** One buffer for life; a packet is taken in, worked on, and given out before the next one comes. */
  readonly bytes: Uint8Array = new Uint8Array(HEADROOM + LONGEST_RECORD_BYTES + TAG_BYTES);
  readonly view: DataView = new DataView(this.bytes.buffer);
  /** Where a ring or a device puts a whole record. */
  readonly incoming: Uint8Array = this.bytes.subarray(HEADROOM, HEADROOM + LONGEST_RECORD_BYTES);
  /** Of the offload header. */
  #start = HEADROOM;
  #end = HEADROOM;
  /** The VLAN it belongs to, while it is in the switch. */
  vlan = 0;
  /** 802.1Q priority and drop eligibility, as in the upper four bits of a tag. */
  priority = 0;

  /** `length` bytes of a record were put into {@link incoming}. */
  taken(length: number): void {
    this.#start = HEADROOM;
    this.#end = HEADROOM + length;
    this.vlan = 0;
    this.priority = 0;
  }

  /** A frame of `length` bytes without anything left to compute; returns where its bytes belong in {@link bytes}. */
  begin(length: number): number {
    this.taken(OFFLOAD_BYTES + length);
    this.bytes.fill(0, HEADROOM, HEADROOM + OFFLOAD_BYTES);
    return this.frame;
  }

  /** Index in {@link bytes} of the frame. */
  get frame(): number {
    return this.#start + OFFLOAD_BYTES;
  }

  /** Index behind the frame's last byte. */
  get end(): number {
    return this.#end;
  }

  /** Bytes of the frame; negative for a record that is shorter than its header. */
  get length(): number {
    return this.#end - this.frame;
  }

  /** Header and frame, as they go into a ring. */
  record(): Uint8Array {
    return this.bytes.subarray(this.#start, this.#end);
  }

  frameBytes(): Uint8Array {
    return this.bytes.subarray(this.frame, this.#end);
  }

  /** Cuts the frame behind `length` bytes, or pads it with zeros up to there. */
  resize(length: number): void {
    const end = this.frame + length;
    if (end > this.#end) this.bytes.fill(0, this.#end, end);
    this.#end = end;
  }

  get destination(): StationAddress {
    return this.#address(this.frame);
  }

  get source(): StationAddress {
    return this.#address(this.frame + 6);
  }

  setAddresses(destination: StationAddress, source: StationAddress): void {
    this.#setAddress(this.frame, destination);
    this.#setAddress(this.frame + 6, source);
  }

  get etherType(): number {
    return this.view.getUint16(this.frame + 12);
  }

  set etherType(type: number) {
    this.view.setUint16(this.frame + 12, type);
  }

  get flags(): number {
    return this.bytes[this.#start + FLAGS] as number;
  }

  get segmentation(): number {
    return this.bytes[this.#start + SEGMENTATION] as number;
  }

  get segmentSize(): number {
    return this.view.getUint16(this.#start + SEGMENT_SIZE, true);
  }

  /** From the start of the frame. */
  get checksumStart(): number {
    return this.view.getUint16(this.#start + CHECKSUM_START, true);
  }

  /** From {@link checksumStart}. */
  get checksumOffset(): number {
    return this.view.getUint16(this.#start + CHECKSUM_OFFSET, true);
  }

  /** Headers in front of each segment. */
  get headerLength(): number {
    return this.view.getUint16(this.#start + HEADER_LENGTH, true);
  }

  setChecksum(flags: number, start: number, offset: number): void {
    this.bytes[this.#start + FLAGS] = flags;
    this.view.setUint16(this.#start + CHECKSUM_START, start, true);
    this.view.setUint16(this.#start + CHECKSUM_OFFSET, offset, true);
  }

  setSegmentation(kind: number, size: number, headerLength: number): void {
    this.bytes[this.#start + SEGMENTATION] = kind;
    this.view.setUint16(this.#start + SEGMENT_SIZE, size, true);
    this.view.setUint16(this.#start + HEADER_LENGTH, headerLength, true);
  }

  clearOffload(): void {
    this.bytes.fill(0, this.#start, this.#start + OFFLOAD_BYTES);
  }

  /** Tag control information of the frame's own tag; undefined when it has none, or is too short for one. */
  get tag(): number | undefined {
    return this.length >= HEADER_BYTES + TAG_BYTES && this.etherType === ETHERTYPE_VLAN ? this.view.getUint16(this.frame + HEADER_BYTES) : undefined;
  }

  insertTag(control: number): void {
    const moved = OFFLOAD_BYTES + 12;
    this.bytes.copyWithin(this.#start - TAG_BYTES, this.#start, this.#start + moved);
    this.#start -= TAG_BYTES;
    this.view.setUint16(this.frame + 12, ETHERTYPE_VLAN);
    this.view.setUint16(this.frame + 14, control);
    this.#shiftOffsets(TAG_BYTES);
  }

  /** The frame has a {@link tag}. */
  removeTag(): void {
    const moved = OFFLOAD_BYTES + 12;
    this.bytes.copyWithin(this.#start + TAG_BYTES, this.#start, this.#start + moved);
    this.#start += TAG_BYTES;
    this.#shiftOffsets(-TAG_BYTES);
  }

  /** Offsets of the offload header count from the start of the frame. */
  #shiftOffsets(by: number): void {
    if (this.flags & NEEDS_CHECKSUM) this.view.setUint16(this.#start + CHECKSUM_START, Math.max(0, this.checksumStart + by), true);
    if (this.segmentation !== SEGMENT_NONE) this.view.setUint16(this.#start + HEADER_LENGTH, Math.max(0, this.headerLength + by), true);
  }

  #address(at: number): StationAddress {
    return this.view.getUint16(at) * TWO_POW_32 + this.view.getUint32(at + 2);
  }

  #setAddress(at: number, address: StationAddress): void {
    this.view.setUint16(at, Math.floor(address / TWO_POW_32));
    this.view.setUint32(at + 2, address % TWO_POW_32);
  }
}
