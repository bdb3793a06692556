/**
 * SSE instructions in TypeScript: floating-point arithmetic, comparisons and conversions, exact under every MXCSR, with its sticky
 * flags. The generated semantics (semantics/vector-float.ts) compute common cases natively and come here for the rest: other
 * rounding modes, unmasked exceptions, FZ and DAZ, NaNs, denormals, first inexact results. And what is too rare to be generated.
 *
 * RCPPS and RSQRTPS deliver correctly rounded results, which lie within the error that the SDM allows (1.5 × 2^−12); silicon
 * differs between makers here.
 */
import { CF, PF, ZF } from '../../x86/flags.ts';
import { INFO, INFO_ADDRESS_SHIFT, INFO_SEGMENT_SHIFT, INFO_SIZE } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import { GENERAL_PROTECTION } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { EQUAL, LESS } from '../float/arithmetic.ts';
import { type FloatEnvironment, ROUND_TO_ZERO } from '../float/environment.ts';
import { fromInteger as integerValue, pack32, pack64, unpack32, unpack64 } from '../float/formats.ts';
import { BINARY32, BINARY64, type FloatValue } from '../float/value.ts';
import { linearAddress, namesMemory, readRmBig, writeRegisterBig } from '../operands.ts';
import { checkedLinear } from '../segments.ts';
import { addExactly, divideExactly, type Exactly, multiplyExactly, squareRootExactly, subtractExactly } from './exactness.ts';
import * as Scalar from './scalar.ts';
import * as U from './unit.ts';

type Operation = (core: Core, record: number) => void;

/** Results wait here until it is certain that they may be written. */
const results32 = new Int32Array(4);
const results64 = new BigInt64Array(2);
const natural = new Float64Array(4);

const single = (core: Core, offset: number, lane: number, environment?: FloatEnvironment): FloatValue =>
  unpack32(core.view.getInt32(offset + 4 * lane, true), environment);
const double = (core: Core, offset: number, lane: number, environment?: FloatEnvironment): FloatValue =>
  unpack64(core.view.getBigUint64(offset + 8 * lane, true), environment);

function write32(core: Core, offset: number, lanes: number): void {
  for (let i = 0; i < lanes; i++) core.i32[(offset >>> 2) + i] = results32[i] as number;
}
function write64(core: Core, offset: number, lanes: number): void {
  for (let i = 0; i < lanes; i++) core.i64[(offset >>> 3) + i] = results64[i] as bigint;
}

/** `which` pairs destination and source lanes: plain arithmetic, horizontal, alternating. */
type Lanes = (lane: number) => readonly [Scalar.Binary, firstFromSource: boolean, first: number, secondFromSource: boolean, second: number];

/** Computes all lanes natively when every one of them is exact: see exactness.ts. */
function tryExactly(core: Core, target: number, source: number, count: number, isDouble: boolean, exactly: Exactly): boolean {
  const { view } = core;
  for (let i = 0; i < count; i++) {
    const a = isDouble ? view.getFloat64(target + 8 * i, true) : view.getFloat32(target + 4 * i, true);
    const b = isDouble ? view.getFloat64(source + 8 * i, true) : view.getFloat32(source + 4 * i, true);
    const result = exactly(a, b, isDouble);
    if (Number.isNaN(result)) return false;
    natural[i] = result;
  }
  for (let i = 0; i < count; i++) {
    if (isDouble) view.setFloat64(target + 8 * i, natural[i] as number, true);
    else view.setFloat32(target + 4 * i, natural[i] as number, true);
  }
  return true;
}

function arithmetic(bits: 32 | 64, count: number, lanes: Lanes, exactly?: Exactly): Operation {
  const format = bits === 32 ? BINARY32 : BINARY64;
  const read = bits === 32 ? single : double;
  const packed = count > 1;
  return (core, record) => {
    const source = U.sourceOffset(core, record, (bits / 8) * count, packed);
    const target = core.base + U.regOffset(core, record);
    if (exactly !== undefined && tryExactly(core, target, source, count, bits === 64, exactly)) return;
    const environment = U.prepare(core);
    for (let i = 0; i < count; i++) {
      const [operation, firstFromSource, first, secondFromSource, second] = lanes(i);
      const a = read(core, firstFromSource ? source : target, first, environment);
      const b = read(core, secondFromSource ? source : target, second, environment);
      const result = operation(environment, a, b, format);
      if (bits === 32) results32[i] = pack32(result);
      else results64[i] = BigInt.asIntN(64, pack64(result));
    }
    U.settle(core);
    if (bits === 32) write32(core, target, count);
    else write64(core, target, count);
  };
}

const lanewise =
  (operation: Scalar.Binary): Lanes =>
  (lane) => [operation, false, lane, true, lane];

/** HADDPS: sums of neighbours, the destination's in the lower half. */
const horizontal =
  (operation: Scalar.Binary, count: number): Lanes =>
  (lane) => {
    const fromSource = lane >= count / 2;
    const pair = (lane * 2) % count;
    return [operation, fromSource, pair, fromSource, pair + 1];
  };

const alternating: Lanes = (lane) => [lane & 1 ? Scalar.add : Scalar.subtract, false, lane, true, lane];

function comparison(bits: 32 | 64, count: number): Operation {
  const read = bits === 32 ? single : double;
  return (core, record) => {
    const source = U.sourceOffset(core, record, (bits / 8) * count, count > 1);
    const target = core.base + U.regOffset(core, record);
    const environment = U.prepare(core);
    const predicate = U.immediate(core, record) & 7;
    for (let i = 0; i < count; i++) {
      const holds = Scalar.satisfies(environment, read(core, target, i, environment), read(core, source, i, environment), predicate);
      if (bits === 32) results32[i] = holds ? -1 : 0;
      else results64[i] = holds ? -1n : 0n;
    }
    U.settle(core);
    if (bits === 32) write32(core, target, count);
    else write64(core, target, count);
  };
}

/** COMISS and its kin: ZF, PF, CF; the other arithmetic flags are cleared (SDM 2A, COMISS). */
function compareToFlags(bits: 32 | 64, signaling: boolean): Operation {
  const read = bits === 32 ? single : double;
  return (core, record) => {
    const source = U.sourceOffset(core, record, bits / 8, false);
    const environment = U.prepare(core);
    const a = read(core, core.base + U.regOffset(core, record), 0, environment);
    const relation = Scalar.relate(environment, a, read(core, source, 0, environment), signaling);
    U.settle(core);
    const unordered = relation === Scalar.UNORDERED;
    core.setArithmeticFlags(unordered ? ZF | PF | CF : relation === EQUAL ? ZF : relation === LESS ? CF : 0);
  };
}

interface Conversion {
  readonly from: 'single' | 'double' | 'int32';
  readonly to: 'single' | 'double' | 'int32';
  readonly count: number;
  readonly truncate?: boolean;
  /** The registers are MMX ones. */
  readonly fromMmx?: boolean;
  readonly toMmx?: boolean;
  /** The upper half of the destination is cleared. */
  readonly clears?: boolean;
}

const WIDTH = { single: 4, double: 8, int32: 4 } as const;

function convertLane(
  core: Core,
  source: number,
  lane: number,
  { from, to, truncate }: Conversion,
  environment: FloatEnvironment,
): FloatValue | bigint {
  const rounding = truncate ? ROUND_TO_ZERO : environment.rounding;
  if (from === 'int32') {
    const value = integerValue(BigInt(core.view.getInt32(source + 4 * lane, true)));
    return Scalar.fromInteger(environment, value, to === 'single' ? BINARY32 : BINARY64);
  }
  const value = from === 'single' ? single(core, source, lane, environment) : double(core, source, lane, environment);
  if (to === 'int32') return Scalar.toInteger(environment, value, 32, rounding);
  return Scalar.convert(environment, value, to === 'single' ? BINARY32 : BINARY64);
}

function conversion(spec: Conversion): Operation {
  const { from, to, count, fromMmx = false, toMmx = false, clears = false } = spec;
  const bytes = WIDTH[from] * count;
  return (core, record) => {
    // with a memory source CVTPI2PS and CVTPI2PD use no MMX register (SDM 2A, CVTPI2PD)
    const usesMmx = toMmx || (fromMmx && !namesMemory(core, record));
    if (usesMmx) U.requireMmx(core);
    const source = U.sourceOffset(core, record, bytes, bytes === 16);
    const environment = U.prepare(core);
    for (let i = 0; i < count; i++) {
      const result = convertLane(core, source, i, spec, environment);
      if (typeof result === 'bigint') results32[i] = Number(result);
      else if (to === 'single') results32[i] = pack32(result);
      else results64[i] = BigInt.asIntN(64, pack64(result));
    }
    U.settle(core);
    const register = U.regOffset(core, record);
    const target = core.base + register;
    if (usesMmx) U.enterMmx(core);
    if (to === 'double') write64(core, target, count);
    else write32(core, target, count);
    if (clears) core.i64[(target + 8) >>> 3] = 0n;
    if (toMmx) U.markMmx(core, register);
  };
}

/** CVTSS2SI and its kin: to a general register of the operand size. */
function toGeneral(bits: 32 | 64, truncate: boolean): Operation {
  const read = bits === 32 ? single : double;
  return (core, record) => {
    const source = U.sourceOffset(core, record, bits / 8, false);
    const environment = U.prepare(core);
    const size = 1 << ((core.u16[(record + INFO) >>> 1] as number) & INFO_SIZE);
    const value = read(core, source, 0, environment);
    const result = Scalar.toInteger(environment, value, size * 8, truncate ? ROUND_TO_ZERO : environment.rounding);
    U.settle(core);
    writeRegisterBig(core, U.regOffset(core, record), size, BigInt.asUintN(64, result));
  };
}

/** CVTSI2SS, CVTSI2SD: from a general register or memory of the operand size. */
function fromGeneral(bits: 32 | 64): Operation {
  return (core, record) => {
    const size = 1 << ((core.u16[(record + INFO) >>> 1] as number) & INFO_SIZE);
    const value = integerValue(BigInt.asIntN(size * 8, readRmBig(core, record, size)));
    const environment = U.prepare(core);
    const result = Scalar.fromInteger(environment, value, bits === 32 ? BINARY32 : BINARY64);
    U.settle(core);
    const target = core.base + U.regOffset(core, record);
    if (bits === 32) core.i32[target >>> 2] = pack32(result);
    else core.u64[target >>> 3] = pack64(result);
  };
}

const floats = new Float32Array(4);
const floatBits = new Int32Array(floats.buffer);
/** binary32 values below this are denormal. */
const SMALLEST_NORMAL = 2 ** -126;

/** RCP and RSQRT raise nothing; denormals in and out count as zeros whatever MXCSR says (SDM 2B, RCPPS). */
function reciprocal(count: number, compute: (x: number) => number): Operation {
  return (core, record) => {
    const source = U.sourceOffset(core, record, 4 * count, count > 1);
    for (let i = 0; i < count; i++) {
      floatBits[i] = core.view.getInt32(source + 4 * i, true);
      if ((floatBits[i] as number) >>> 0 === 0x8000_0000) {
        floatBits[i] = 0xff80_0000 | 0; // 1/−0, and 1/√−0 as well
        continue;
      }
      const x = floats[i] as number;
      if (Number.isNaN(x)) {
        floatBits[i] = (floatBits[i] as number) | 0x0040_0000;
        continue;
      }
      const y = compute(Math.abs(x) < SMALLEST_NORMAL ? x * 0 : x);
      if (Number.isNaN(y)) floatBits[i] = 0xffc0_0000 | 0;
      else floats[i] = Math.abs(y) < SMALLEST_NORMAL ? y * 0 : y;
    }
    const target = (core.base + U.regOffset(core, record)) >>> 2;
    for (let i = 0; i < count; i++) core.i32[target + i] = floatBits[i] as number;
  };
}

/** MASKMOVQ, MASKMOVDQU: bytes whose mask has its top bit set go to DS:rDI (or the segment of a prefix). */
function maskedMove(bytes: number): Operation {
  return (core, record) => {
    if (bytes === 8) U.requireMmx(core);
    const info = core.u16[(record + INFO) >>> 1] as number;
    const width = (info >>> INFO_ADDRESS_SHIFT) & 3;
    const rdi = core.getCanonical(S.gpr(S.RDI));
    const offset = width === 2 ? rdi : width === 1 ? core.get32(S.gpr(S.RDI)) : core.get32(S.gpr(S.RDI)) & 0xffff;
    // The whole operand must lie in the segment, whatever the mask (SDM 2B, MASKMOVDQU).
    const segment = (info >>> INFO_SEGMENT_SHIFT) & 7;
    const address = core.is64Bit ? linearAddress(core, segment, offset) : checkedLinear(core, segment, offset, bytes, true);
    if (core.is64Bit && (address >= 2 ** 47 || address < -(2 ** 47))) core.raise(GENERAL_PROTECTION, 0);
    const value = core.base + U.regOffset(core, record);
    const mask = core.base + U.rmOffset(core, record);
    let first = -1;
    let last = -1;
    for (let i = 0; i < bytes; i++) {
      if (((core.u8[mask + i] as number) & 0x80) === 0) continue;
      if (first < 0) first = i;
      last = i;
    }
    if (first >= 0) core.mmu.probeWrite(address + first, last - first + 1);
    for (let i = first; i >= 0 && i <= last; i++) {
      if ((core.u8[mask + i] as number) & 0x80) core.mmu.store8(address + i, core.u8[value + i] as number);
    }
    if (bytes === 8) U.enterMmx(core);
  };
}

const table: Record<string, Operation> = {
  /** What stands in for an instruction that may not be used: raises the fault that applies (blocks.ts). */
  sse_unavailable: (core) => U.requireSse(core),
  mmx_unavailable: (core) => U.requireMmx(core),
  misaligned_operand: (core) => core.raise(GENERAL_PROTECTION, 0),
  maskmovq: maskedMove(8),
  maskmovdqu: maskedMove(16),
  rcpps: reciprocal(4, (x) => 1 / x),
  rcpss: reciprocal(1, (x) => 1 / x),
  rsqrtps: reciprocal(4, (x) => 1 / Math.sqrt(x)),
  rsqrtss: reciprocal(1, (x) => 1 / Math.sqrt(x)),
  haddps: arithmetic(32, 4, horizontal(Scalar.add, 4)),
  haddpd: arithmetic(64, 2, horizontal(Scalar.add, 2)),
  hsubps: arithmetic(32, 4, horizontal(Scalar.subtract, 4)),
  hsubpd: arithmetic(64, 2, horizontal(Scalar.subtract, 2)),
  addsubps: arithmetic(32, 4, alternating),
  addsubpd: arithmetic(64, 2, alternating),
  cmpps: comparison(32, 4),
  cmppd: comparison(64, 2),
  cmpss: comparison(32, 1),
  cmpsd: comparison(64, 1),
  comiss: compareToFlags(32, true),
  comisd: compareToFlags(64, true),
  ucomiss: compareToFlags(32, false),
  ucomisd: compareToFlags(64, false),
  cvtss2si: toGeneral(32, false),
  cvtsd2si: toGeneral(64, false),
  cvttss2si: toGeneral(32, true),
  cvttsd2si: toGeneral(64, true),
  cvtsi2ss: fromGeneral(32),
  cvtsi2sd: fromGeneral(64),
  cvtss2sd: conversion({ from: 'single', to: 'double', count: 1 }),
  cvtsd2ss: conversion({ from: 'double', to: 'single', count: 1 }),
  cvtps2pd: conversion({ from: 'single', to: 'double', count: 2 }),
  cvtpd2ps: conversion({ from: 'double', to: 'single', count: 2, clears: true }),
  cvtdq2ps: conversion({ from: 'int32', to: 'single', count: 4 }),
  cvtdq2pd: conversion({ from: 'int32', to: 'double', count: 2 }),
  cvtps2dq: conversion({ from: 'single', to: 'int32', count: 4 }),
  cvttps2dq: conversion({ from: 'single', to: 'int32', count: 4, truncate: true }),
  cvtpd2dq: conversion({ from: 'double', to: 'int32', count: 2, clears: true }),
  cvttpd2dq: conversion({ from: 'double', to: 'int32', count: 2, truncate: true, clears: true }),
  cvtpi2ps: conversion({ from: 'int32', to: 'single', count: 2, fromMmx: true }),
  cvtpi2pd: conversion({ from: 'int32', to: 'double', count: 2, fromMmx: true }),
  cvtps2pi: conversion({ from: 'single', to: 'int32', count: 2, toMmx: true }),
  cvttps2pi: conversion({ from: 'single', to: 'int32', count: 2, truncate: true, toMmx: true }),
  cvtpd2pi: conversion({ from: 'double', to: 'int32', count: 2, toMmx: true }),
  cvttpd2pi: conversion({ from: 'double', to: 'int32', count: 2, truncate: true, toMmx: true }),
};

const ARITHMETIC: Readonly<Record<string, readonly [Scalar.Binary, Exactly?]>> = {
  add: [Scalar.add, addExactly],
  sub: [Scalar.subtract, subtractExactly],
  mul: [Scalar.multiply, multiplyExactly],
  div: [Scalar.divide, divideExactly],
  sqrt: [Scalar.squareRoot, squareRootExactly],
  min: [Scalar.minimum],
  max: [Scalar.maximum],
};
for (const [name, [operation, exactly]] of Object.entries(ARITHMETIC)) {
  table[`${name}ps`] = arithmetic(32, 4, lanewise(operation), exactly);
  table[`${name}pd`] = arithmetic(64, 2, lanewise(operation), exactly);
  table[`${name}ss`] = arithmetic(32, 1, lanewise(operation), exactly);
  table[`${name}sd`] = arithmetic(64, 1, lanewise(operation), exactly);
}

export const SSE_OPERATIONS: Readonly<Record<string, Operation>> = table;
