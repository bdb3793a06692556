/** Frames for tests, written field by field and independently of what reads them. */
import { onesComplementSum } from '../../board/index.ts';
import type { StationAddress } from './packet.ts';

export const GUEST: StationAddress = 0x0200_0000_0001;
export const PEER: StationAddress = 0x0200_0000_0002;
export const THIRD: StationAddress = 0x0200_0000_0003;
export const EVERYONE: StationAddress = 0xffff_ffff_ffff;

export const bytesOf = (value: number, count: number): number[] => Array.from({ length: count }, (_, i) => Math.floor(value / 256 ** (count - 1 - i)) & 0xff);
export const ascii = (text: string): number[] => Array.from(text, (letter) => letter.charCodeAt(0));
export const ip = (text: string): number => text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
export const counting = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => (from + i) & 0xff);

export function frame(to: StationAddress, from: StationAddress, type: number, payload: readonly number[]): Uint8Array {
  return Uint8Array.of(...bytesOf(to, 6), ...bytesOf(from, 6), ...bytesOf(type, 2), ...payload);
}

export function tagged(to: StationAddress, from: StationAddress, tag: number, type: number, payload: readonly number[]): Uint8Array {
  return frame(to, from, 0x8100, [...bytesOf(tag, 2), ...bytesOf(type, 2), ...payload]);
}

const checksum = (bytes: readonly number[]): number => ~onesComplementSum(Uint8Array.from(bytes), 0, bytes.length) & 0xffff;

export interface IpFields {
  readonly from: number;
  readonly to: number;
  readonly protocol: number;
  readonly ttl?: number;
  readonly fragment?: number;
}

export function ipv4({ from, to, protocol, ttl = 64, fragment = 0x4000 }: IpFields, payload: readonly number[]): number[] {
  const header = [0x45, 0, ...bytesOf(20 + payload.length, 2), 0x12, 0x34, ...bytesOf(fragment, 2), ttl, protocol, 0, 0, ...bytesOf(from, 4), ...bytesOf(to, 4)];
  header.splice(10, 2, ...bytesOf(checksum(header), 2));
  return [...header, ...payload];
}

function withPseudo({ from, to, protocol }: IpFields, payload: number[], at: number): number[] {
  const sum = checksum([...bytesOf(from, 4), ...bytesOf(to, 4), 0, protocol, ...bytesOf(payload.length, 2), ...payload]);
  payload.splice(at, 2, ...bytesOf(sum, 2));
  return payload;
}

export interface TcpFields {
  readonly fromPort: number;
  readonly toPort: number;
  readonly sequence: number;
  readonly acknowledgement?: number;
  readonly flags: number;
  readonly window?: number;
  readonly options?: readonly number[];
}

export function tcp(fields: Omit<IpFields, 'protocol'>, { fromPort, toPort, sequence, acknowledgement = 0, flags, window = 0xffff, options = [] }: TcpFields, data: readonly number[] = []): number[] {
  const whole: IpFields = { ...fields, protocol: 6 };
  const header = [...bytesOf(fromPort, 2), ...bytesOf(toPort, 2), ...bytesOf(sequence, 4), ...bytesOf(acknowledgement, 4), ((20 + options.length) / 4) << 4, flags, ...bytesOf(window, 2), 0, 0, 0, 0];
  return ipv4(whole, withPseudo(whole, [...header, ...options, ...data], 16));
}

export function udp(fields: Omit<IpFields, 'protocol'>, fromPort: number, toPort: number, data: readonly number[]): number[] {
  const whole: IpFields = { ...fields, protocol: 17 };
  return ipv4(whole, withPseudo(whole, [...bytesOf(fromPort, 2), ...bytesOf(toPort, 2), ...bytesOf(8 + data.length, 2), 0, 0, ...data], 6));
}

export function icmp(fields: Omit<IpFields, 'protocol'>, type: number, code: number, rest: readonly number[]): number[] {
  const message = [type, code, 0, 0, ...rest];
  message.splice(2, 2, ...bytesOf(checksum(message), 2));
  return ipv4({ ...fields, protocol: 1 }, message);
}

/** The offload header: all zeros, or what a sender of a packet to be segmented writes. */
export function offloadHeader(fields: { flags?: number; segmentation?: number; headerLength?: number; segmentSize?: number; start?: number; offset?: number } = {}): number[] {
  const little = (value = 0): number[] => [value & 0xff, value >> 8];
  return [fields.flags ?? 0, fields.segmentation ?? 0, ...little(fields.headerLength), ...little(fields.segmentSize), ...little(fields.start), ...little(fields.offset), 0, 0];
}
