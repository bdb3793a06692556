/** Sizes, times and speeds as a manifest writes them: a number and its unit. */
import { GiB, KiB, MiB, ms, s, us } from '../base/index.ts';

const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KiB, MiB, GiB };
const TIME_UNITS: Readonly<Record<string, number>> = { ns: 1, us, 'µs': us, ms, s };
const RATE_UNITS: Readonly<Record<string, number>> = { MIPS: 1, GIPS: 1000 };

/** MAXPHYADDR is held to 48 bits (contracts/scalars.ts): no size or address reaches beyond. */
export const ADDRESS_LIMIT = 2 ** 48;

export type Quantity = { readonly value: number } | { readonly problem: string; readonly hint: string };

interface QuantityKind {
  readonly noun: string;
  readonly units: Readonly<Record<string, number>>;
  readonly example: string;
  readonly limit: number;
}

const SIZE: QuantityKind = { noun: 'size', units: SIZE_UNITS, example: '16MiB', limit: ADDRESS_LIMIT };
const TIME: QuantityKind = { noun: 'time', units: TIME_UNITS, example: '1ms', limit: Number.MAX_SAFE_INTEGER };
const RATE: QuantityKind = { noun: 'speed', units: RATE_UNITS, example: '100MIPS', limit: 1_000_000 };

/** In bytes: `16MiB`, `0x10KiB`, `1.5GiB`. */
export const parseSize = (written: unknown): Quantity => parse(written, SIZE);
/** In nanoseconds: `1ms`, `2.5us`. */
export const parseTime = (written: unknown): Quantity => parse(written, TIME);
/** In instructions per microsecond, which is MIPS: `100MIPS`. */
export const parseRate = (written: unknown): Quantity => parse(written, RATE);

function parse(written: unknown, kind: QuantityKind): Quantity {
  const units = Object.keys(kind.units);
  if (typeof written === 'number') {
    return { problem: `this ${kind.noun} has no unit`, hint: `write it with one of ${units.join(', ')}, as in ${kind.example}` };
  }
  const hint = `write a number and one of ${units.join(', ')}, as in ${kind.example}`;
  if (typeof written !== 'string') return { problem: `a ${kind.noun} is wanted here`, hint };
  // A hexadecimal number of bytes needs a blank before its B, which is a digit otherwise.
  const match = /^(0x[0-9a-f]{1,16}?(?= B|[KMG]iB)|\d{1,16}(?:\.\d{1,9})?) ?([A-Za-zµ]+)$/.exec(written.trim());
  const unit = match === null ? undefined : kind.units[match[2]!];
  if (match === null || unit === undefined) return { problem: `\`${clip(written)}\` is not a ${kind.noun}`, hint: unitHint(written, kind) ?? hint };
  const value = Number(match[1]) * unit;
  if (!Number.isInteger(value)) return { problem: `\`${clip(written)}\` is not a whole number of ${units[0]}`, hint };
  if (value > kind.limit) return { problem: `\`${clip(written)}\` is more than any machine has`, hint: `at most ${kind.limit} ${units[0]}` };
  return { value };
}

/** The usual slips: decimal or one-letter units, and the right unit in the wrong case. */
function unitHint(written: string, kind: QuantityKind): string | undefined {
  const letters = /[A-Za-zµ]+$/.exec(written.trim())?.[0]?.toLowerCase();
  if (letters === undefined) return undefined;
  const meant = Object.keys(kind.units).find((unit) => {
    const lower = unit.toLowerCase();
    return lower === letters || lower.replace('ib', 'b') === letters || lower[0] === letters;
  });
  return meant === undefined ? undefined : `write the unit as ${meant}, as in ${kind.example}`;
}

export function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}…` : text;
}

/** A size in the largest unit that divides it: `512MiB`, `1536KiB`. */
export function formatSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB']) {
    const factor = SIZE_UNITS[unit]!;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return `${bytes}B`;
}

export function formatAddress(address: number): string {
  return `0x${address.toString(16)}`;
}

/** Ports show as four digits at most, memory as eight: `0x3f8–0x3ff`. Half-open in, both ends inclusive out. */
export function formatRange(base: number, size: number): string {
  return size === 1 ? formatAddress(base) : `${formatAddress(base)}–${formatAddress(base + size - 1)}`;
}
