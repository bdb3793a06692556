/**
 * The Internet checksum, and enough of IP to know where it applies: what network controllers compute for their drivers.
 *
 * Spec: RFC 1071 (checksum), RFC 791 (IPv4), RFC 793 and RFC 768 (TCP and UDP, with their pseudo-header).
 */

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_VLAN = 0x8100;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
/** IPv4 flags and fragment offset: more fragments, or not the first. */
const FRAGMENT = 0x3fff;

/** Ones' complement sum of `[start, end)` as big-endian 16-bit words, an odd last byte padded with zero; folded to 16 bits. */
export function onesComplementSum(bytes: Uint8Array, start: number, end: number, initial = 0): number {
  let sum = initial;
  let at = start;
  for (; at + 1 < end; at += 2) sum += ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  if (at < end) sum += (bytes[at] as number) << 8;
  return fold(sum);
}

export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return folded;
}

export interface ReceiveChecksums {
  /** An IPv4 header was checked, and is right. */
  readonly ip: 'none' | 'good' | 'bad';
  /** A whole TCP or UDP packet over IPv4 was checked. */
  readonly transport: 'none' | 'good' | 'bad';
}

/** One object for each outcome: receiving allocates nothing. */
const OUTCOMES = (['none', 'good', 'bad'] as const).map((ip) => (['none', 'good', 'bad'] as const).map((transport): ReceiveChecksums => ({ ip, transport })));

const NONE = 0;
const GOOD = 1;
const BAD = 2;

const word = (frame: Uint8Array, at: number): number => ((frame[at] as number) << 8) | (frame[at + 1] as number);

/** Checks the checksums of a received frame of `length` bytes (Ethernet II, at most one VLAN tag). */
export function checkReceived(frame: Uint8Array, length: number): ReceiveChecksums {
  let ip = NONE;
  let transport = NONE;
  const header = length >= 18 && word(frame, 12) === ETHERTYPE_VLAN ? 18 : 14;
  if (length >= header + 20 && word(frame, header - 2) === ETHERTYPE_IPV4 && (frame[header] as number) >> 4 === 4) {
    const payload = header + ((frame[header] as number) & 0x0f) * 4;
    const end = header + word(frame, header + 2);
    if (payload >= header + 20 && payload <= end && end <= length) {
      ip = onesComplementSum(frame, header, payload) === 0xffff ? GOOD : BAD;
      if (!(word(frame, header + 6) & FRAGMENT)) transport = checkTransport(frame, header, payload, end);
    }
  }
  return OUTCOMES[ip]?.[transport] as ReceiveChecksums;
}

function checkTransport(frame: Uint8Array, header: number, payload: number, end: number): number {
  const protocol = frame[header + 9] as number;
  if (protocol === PROTOCOL_UDP) {
    // Zero: the sender computed none (RFC 768).
    if (end < payload + 8 || word(frame, payload + 6) === 0) return NONE;
  } else if (protocol !== PROTOCOL_TCP || end < payload + 20) return NONE;
  const pseudo = onesComplementSum(frame, header + 12, header + 20, protocol + (end - payload));
  return onesComplementSum(frame, payload, end, pseudo) === 0xffff ? GOOD : BAD;
}
