/**
 * SSE4 instructions for which WebAssembly has no counterpart: rounding and dot products under MXCSR, sums of differences,
 * CRC32 (SDM 2, instruction reference).
 */
import { INFO, INFO_SIZE } from '../../x86/record.ts';
import type { Core } from '../core.ts';
import { type FloatEnvironment, INEXACT } from '../float/environment.ts';
import { fromInteger, pack32, pack64, unpack32, unpack64 } from '../float/formats.ts';
import { BINARY32, BINARY64, FINITE, type FloatFormat, type FloatValue, POSITIVE_ZERO, roundToInteger, zero } from '../float/value.ts';
import { namesMemory, readRm, readRmBig, writeRegister } from '../operands.ts';
import * as Scalar from './scalar.ts';
import * as U from './unit.ts';

type Operation = (core: Core, record: number) => void;

const results = new Uint8Array(16);
const resultView = new DataView(results.buffer);

function copyResults(core: Core, target: number, bytes: number): void {
  for (let i = 0; i < bytes; i++) core.u8[target + i] = results[i] as number;
}

/** The immediate of ROUNDPS and kin (SDM 2B, table 4-17): where the mode comes from, and silence about inexactness. */
const ROUND_BY_MXCSR = 1 << 2;
const ROUND_SILENTLY = 1 << 3;

function toIntegral(environment: FloatEnvironment, value: FloatValue, rounding: number): FloatValue {
  const nan = Scalar.chooseNaN(environment, value, value);
  if (nan !== undefined) return nan;
  if (value.kind !== FINITE || value.exponent >= 0) return value;
  const rounded = roundToInteger(environment, value, rounding, 66) as bigint;
  return rounded === 0n ? zero(value.negative) : fromInteger(rounded);
}

function round(bits: 32 | 64, count: number): Operation {
  return (core, record) => {
    const source = U.sourceOffset(core, record, (bits / 8) * count, count > 1);
    const control = U.immediate(core, record);
    const environment = U.prepare(core);
    const rounding = control & ROUND_BY_MXCSR ? environment.rounding : control & 3;
    for (let i = 0; i < count; i++) {
      if (bits === 32) {
        const value = unpack32(core.view.getInt32(source + 4 * i, true), environment);
        resultView.setInt32(4 * i, pack32(toIntegral(environment, value, rounding)), true);
      } else {
        const value = unpack64(core.view.getBigUint64(source + 8 * i, true), environment);
        resultView.setBigUint64(8 * i, pack64(toIntegral(environment, value, rounding)), true);
      }
    }
    if (control & ROUND_SILENTLY) environment.flags &= ~INEXACT;
    U.settle(core);
    copyResults(core, core.base + U.regOffset(core, record), (bits / 8) * count);
  };
}

/** Products that the upper half of the immediate chooses, summed in pairs; to the elements that the lower half chooses, zero elsewhere. */
function dotProduct(bits: 32 | 64): Operation {
  const format: FloatFormat = bits === 32 ? BINARY32 : BINARY64;
  const count = 128 / bits;
  return (core, record) => {
    const source = U.sourceOffset(core, record, 16, true);
    const target = core.base + U.regOffset(core, record);
    const control = U.immediate(core, record);
    const environment = U.prepare(core);
    const read = (offset: number, i: number): FloatValue =>
      bits === 32
        ? unpack32(core.view.getInt32(offset + 4 * i, true), environment)
        : unpack64(core.view.getBigUint64(offset + 8 * i, true), environment);
    const products = Array.from({ length: count }, (_, i) =>
      (control >> (4 + i)) & 1 ? Scalar.multiply(environment, read(target, i), read(source, i), format) : POSITIVE_ZERO);
    U.settle(core); // an unmasked exception of the products comes before any sum
    // sums take what came before as operands: denormals count under DAZ, and are reported
    const again = (value: FloatValue): FloatValue =>
      bits === 32 ? unpack32(pack32(value), environment) : unpack64(pack64(value), environment);
    const add = (a: FloatValue, b: FloatValue): FloatValue => Scalar.add(environment, again(a), again(b), format);
    let sum = add(products[0] as FloatValue, products[1] as FloatValue);
    if (bits === 32) sum = add(sum, add(products[2] as FloatValue, products[3] as FloatValue));
    U.settle(core);
    for (let i = 0; i < count; i++) {
      const chosen = (control >> i) & 1;
      if (bits === 32) resultView.setInt32(4 * i, chosen ? pack32(sum) : 0, true);
      else resultView.setBigUint64(8 * i, chosen ? pack64(sum) : 0n, true);
    }
    copyResults(core, target, 16);
  };
}

/** MPSADBW: eight sums of four absolute differences, against one block of the source (SDM 2B). */
function sumsOfDifferences(core: Core, record: number): void {
  const source = U.sourceOffset(core, record, 16, true);
  const target = core.base + U.regOffset(core, record);
  const control = U.immediate(core, record);
  const block = source + 4 * (control & 3);
  const first = target + (control & 4);
  for (let i = 0; i < 8; i++) {
    let sum = 0;
    for (let j = 0; j < 4; j++) sum += Math.abs((core.u8[first + i + j] as number) - (core.u8[block + j] as number));
    resultView.setUint16(2 * i, sum, true);
  }
  copyResults(core, target, 16);
}

/** PHMINPOSUW: the smallest word, and where it is first found. */
function smallestWord(core: Core, record: number): void {
  const source = U.sourceOffset(core, record, 16, true);
  let smallest = 0xffff;
  let place = 0;
  for (let i = 7; i >= 0; i--) {
    const word = core.view.getUint16(source + 2 * i, true);
    if (word <= smallest) {
      smallest = word;
      place = i;
    }
  }
  const target = (core.base + U.regOffset(core, record)) >>> 2;
  core.i32[target] = smallest | (place << 16);
  for (let i = 1; i < 4; i++) core.i32[target + i] = 0;
}

/** INSERTPS: one element of the source (the only one, from memory) to one of the destination, then zeros by mask. */
function insertSingle(core: Core, record: number): void {
  const control = U.immediate(core, record);
  const isMemory = namesMemory(core, record);
  const source = U.sourceOffset(core, record, isMemory ? 4 : 16, false);
  const value = core.view.getInt32(source + (isMemory ? 0 : 4 * (control >> 6)), true);
  const target = (core.base + U.regOffset(core, record)) >>> 2;
  core.i32[target + ((control >> 4) & 3)] = value;
  for (let i = 0; i < 4; i++) if ((control >> i) & 1) core.i32[target + i] = 0;
}

/** The polynomial 11EDC6F41h, reflected (SDM 2A, CRC32). */
const CRC32C: Int32Array = Int32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f6_3b78 : 0);
  return remainder;
});

function crcOf(checksum: number, value: number, bytes: number): number {
  for (let i = 0; i < bytes; i++) checksum = (checksum >>> 8) ^ (CRC32C[(checksum ^ (value >>> (8 * i))) & 0xff] as number);
  return checksum;
}

const accumulate = (core: Core, record: number, checksum: number): void =>
  writeRegister(core, U.regOffset(core, record), 4, checksum >>> 0);

function crc32(core: Core, record: number): void {
  const size = 1 << ((core.u16[(record + INFO) >>> 1] as number) & INFO_SIZE);
  const checksum = core.get32(U.regOffset(core, record));
  if (size < 8) {
    accumulate(core, record, crcOf(checksum, readRm(core, record, size), size));
    return;
  }
  const value = readRmBig(core, record, 8);
  accumulate(core, record, crcOf(crcOf(checksum, Number(value & 0xffff_ffffn), 4), Number(value >> 32n), 4));
}

export const SSE_EXTENSIONS: Readonly<Record<string, Operation>> = {
  roundps: round(32, 4),
  roundpd: round(64, 2),
  roundss: round(32, 1),
  roundsd: round(64, 1),
  dpps: dotProduct(32),
  dppd: dotProduct(64),
  mpsadbw: sumsOfDifferences,
  phminposuw: smallestWord,
  insertps: insertSingle,
  crc32_b: (core, record) => accumulate(core, record, crcOf(core.get32(U.regOffset(core, record)), readRm(core, record, 1), 1)),
  crc32,
};
