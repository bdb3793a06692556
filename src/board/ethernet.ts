/**
 * What every Ethernet device needs: addresses, frame sizes and the frame check sequence.
 *
 * Spec: IEEE 802.3-2018 §3 (MAC frame).
 */
import { BulkheadError } from '../base/index.ts';
import type { WirePort } from '../contracts/index.ts';

export const ADDRESS_BYTES = 6;
/** Without FCS (§3.2.8: 64 with it). */
export const MINIMUM_FRAME_BYTES = 60;
/** The longest frame a wire carries: a jumbo frame of 9,000 bytes with room for tags. */
export const MAXIMUM_FRAME_BYTES = 9216;
export const FCS_BYTES = 4;

/** What a manifest may write as an address: unicast, and not all zeros. */
export const MAC_PATTERN = '^(?!00:00:00:00:00:00)[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$';

/** Throws BH215 when `text` is no station's address. */
export function parseMacAddress(text: string): Uint8Array {
  if (!new RegExp(MAC_PATTERN).test(text)) {
    throw new BulkheadError('BH215', `${text.slice(0, 40)} is not a station's MAC address`, { hint: 'write six bytes, as in 02:00:00:00:00:01; the first is even' });
  }
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

/** A locally administered address (§8.2.2) that is the same in every run: a hash of `seed`. */
export function derivedMacAddress(seed: string): Uint8Array {
  // FNV-1a, 32 bits, twice: the second time from where the first ended.
  let hash = 0x811c_9dc5;
  const halves = [0, 0].map(() => {
    for (let i = 0; i < seed.length; i++) hash = Math.imul(hash ^ seed.charCodeAt(i), 0x0100_0193);
    return hash >>> 0;
  }) as [number, number];
  const [high, low] = halves;
  return Uint8Array.of(0x02, high & 0xff, (high >>> 8) & 0xff, low & 0xff, (low >>> 8) & 0xff, (low >>> 16) & 0xff);
}

export function formatMacAddress(address: Uint8Array): string {
  return [...address].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  return crc;
});

/** Frame check sequence (§3.2.9) of the first `length` bytes; it is sent lowest byte first. */
export function frameCheckSequence(frame: Uint8Array, length: number): number {
  let crc = 0xffff_ffff;
  for (let i = 0; i < length; i++) crc = (CRC_TABLE[(crc ^ (frame[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** A socket without a cable. */
export const UNPLUGGED: WirePort = {
  send: () => false,
  receive: () => 0,
  connected: false,
  missed: 0,
  listen: () => undefined,
};
