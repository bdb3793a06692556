/** x87 cases: which instructions, on which states. */
import { x87Instructions } from '../../../src/x86/instructions-x87.ts';
import * as I from './image.ts';

/** Their images hold pointers that differ between host and guest. */
const ENVIRONMENT = /^f(nstenv|ldenv|nsave|rstor)$/;

export interface X87Form {
  readonly mnemonic: string;
  /** `[rbx]` as memory operand. */
  readonly code: readonly number[];
}

export const X87_FORMS: readonly X87Form[] = [...x87Instructions()].map(({ opcode, modrm, instruction }) => ({
  mnemonic: instruction.mnemonic,
  code: [opcode, modrm],
}));

const SIGNIFICANDS: readonly bigint[] = [
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn,
  0xc000_0000_0000_0000n,
  0x8000_0000_0000_0001n,
  0xa000_0000_0000_0000n,
  0xffff_ff00_0000_0000n,
  0xffff_ff80_0000_0000n,
  0x8000_0080_0000_0000n,
  0x8000_0180_0000_0000n,
  0xffff_ffff_ffff_f800n,
  0xffff_ffff_ffff_fc00n,
  0x8000_0000_0000_0400n,
  0x8000_0000_0000_0c00n,
  0xc000_0000_0000_0001n,
  0xbfff_ffff_ffff_ffffn,
];
/** Biased exponents where something happens: around 0, the limits of all formats, the integers. */
const EXPONENTS: readonly number[] = [
  1,
  2,
  3,
  64,
  65,
  0x7ffe,
  0x7ffd,
  0x3fff,
  0x3ffe,
  0x3ffd,
  0x4000,
  0x4001,
  16383 + 126,
  16383 + 127,
  16383 + 128,
  16383 - 126,
  16383 - 127,
  16383 - 149,
  16383 - 150,
  16383 + 1023,
  16383 + 1024,
  16383 - 1022,
  16383 - 1023,
  16383 - 1074,
  16383 - 1075,
  16383 + 14,
  16383 + 15,
  16383 + 30,
  16383 + 31,
  16383 + 62,
  16383 + 63,
  16383 + 64,
  16383 + 59,
  16383 + 52,
];

/** Writes a random 80-bit number at `offset`: specials, edges and plain ones. */
function putExtended(image: I.Image, offset: number, random: () => number): void {
  const pick = <T>(list: readonly T[]): T => list[random() % list.length] as T;
  const randomSignificand = (): bigint => (BigInt(random()) << 32n) | BigInt(random());
  const sign = random() & 0x8000;
  let exponent = 0;
  let significand = random() % 3 === 0 ? pick(SIGNIFICANDS) : randomSignificand() | (1n << 63n);
  const kind = random() % 32;
  if (kind < 2) significand = 0n;
  else if (kind < 4) {
    exponent = 0x7fff;
    significand = 1n << 63n;
  } else if (kind < 6) {
    exponent = 0x7fff;
    significand |= 1n << 62n;
    if (significand === 0xc000_0000_0000_0000n && random() & 1) significand++;
  } else if (kind === 6) {
    exponent = 0x7fff;
    significand = (significand & ~(1n << 62n)) | 1n;
  } else if (kind === 7) significand = random() & 1 ? significand >> BigInt(1 + (random() % 62)) : significand;
  else if (kind === 8 && random() % 4 === 0) {
    exponent = pick([0x7fff, 1, 0x3fff]);
    significand &= (1n << 63n) - 1n;
  } else if (kind < 14) exponent = pick(EXPONENTS);
  else if (kind < 18) {
    exponent = 16383 + (random() % 70);
    if (random() & 1) significand = BigInt.asUintN(64, (significand >> 60n) << 60n) | (1n << 63n);
  } else if (kind < 20) exponent = random() % 0x7fff || 1;
  else exponent = 16383 - 40 + (random() % 80);
  image.view.setBigUint64(offset, significand, true);
  image.view.setUint16(offset + 8, exponent | sign, true);
}

const DOUBLES: readonly bigint[] = [
  0n,
  1n,
  0x000f_ffff_ffff_ffffn,
  0x7ff0_0000_0000_0000n,
  0x7ff8_0000_0000_0001n,
  0x7ff0_0000_0000_0001n,
  0x3ff0_0000_0000_0000n,
];
const SINGLES: readonly number[] = [0, 1, 0x007f_ffff, 0x7f80_0000, 0x7fc0_0001, 0x7f80_0001, 0x3f80_0000];

function putOperand(image: I.Image, mnemonic: string, random: () => number): void {
  const special = random() % 3 === 0;
  for (let i = 0; i < 16; i += 4) image.view.setUint32(I.MEMORY + i, random(), true);
  if (mnemonic.endsWith('m32') && special)
    image.view.setUint32(I.MEMORY, ((SINGLES[random() % SINGLES.length] as number) | (random() & 0x8000_0000)) >>> 0, true);
  else if (mnemonic.endsWith('m32')) image.view.setUint32(I.MEMORY, (random() & 0x8fff_ffff) | 0x3800_0000, true);
  else if (mnemonic.endsWith('m64') && special) image.view.setBigUint64(I.MEMORY, DOUBLES[random() % DOUBLES.length] as bigint, true);
  else if (mnemonic.endsWith('m64')) image.view.setUint32(I.MEMORY + 4, (random() & 0x80ff_ffff) | 0x3f80_0000, true);
  else if (mnemonic.endsWith('m80')) putExtended(image, I.MEMORY, random);
  else if (mnemonic === 'fbld') {
    for (let i = 0; i < 9; i++) image.bytes[I.MEMORY + i] = ((random() % 10) << 4) | (random() % 10);
    image.bytes[I.MEMORY + 9] = random() & 0x80;
  }
}

/** A random state for one form. `masked`: no exception is unmasked. */
export function x87Case(form: X87Form, random: () => number, masked: boolean, bits: 32 | 64 = 64): I.Image {
  const image = I.Image.initial().setCode(form.code, bits);
  const rounding = random() & 3;
  const precision = random() % 8 === 0 ? 1 : [0, 2, 3][random() % 3];
  const masks = masked ? 0x3f : random() & 0x3f;
  image.view.setUint16(I.FCW, 0x40 | masks | ((precision as number) << 8) | (rounding << 10), true);
  const top = random() & 7;
  image.view.setUint16(I.FSW, (top << 11) | (random() & 0x4700), true);
  image.bytes[I.FTW] = random() % 8 === 0 ? random() : (0x7f << top) | ((0x7f << top) >> 8);
  for (const i of [0, 1, 2, (form.code[1] as number) & 7, 7]) putExtended(image, I.ST + 16 * i, random);
  if (random() % 8 === 0) image.bytes.copyWithin(I.ST + 16, I.ST, I.ST + 10);
  putOperand(image, form.mnemonic, random);
  image.view.setUint32(I.RFLAGS, 0x202 | (random() & 0x8d5), true);
  return image.normalize();
}

/** What the manuals leave open or makers do differently, so that it is not compared. */
export function maskX87(form: X87Form, result: I.Image): I.Image {
  // SDM 2A, FCOMI: C1 is cleared; Zen leaves it
  if (/^fu?comip?$/.test(form.mnemonic)) result.view.setUint16(I.FSW, result.view.getUint16(I.FSW, true) & ~0x0200, true);
  return result;
}

/** Approximated to within one unit in the last place rather than bit by bit: they have tests of their own. */
const TRANSCENDENTAL = new Set(['f2xm1', 'fyl2x', 'fyl2xp1', 'fptan', 'fpatan', 'fsin', 'fcos', 'fsincos']);
export const TRANSCENDENTAL_FORMS: readonly X87Form[] = X87_FORMS.filter((form) => TRANSCENDENTAL.has(form.mnemonic));
export const EXACT_X87_FORMS: readonly X87Form[] = X87_FORMS.filter(
  (form) => !TRANSCENDENTAL.has(form.mnemonic) && !ENVIRONMENT.test(form.mnemonic),
);

/** Largest biased exponents for which the SDM defines a result: |x| < 1, and |x| < ¼, inside 1 − √½. */
const DOMAINS: Readonly<Record<string, number>> = { f2xm1: 0x3ffe, fyl2xp1: 0x3ffc };

/** As `x87Case`, with ST(0) inside the function's domain and mostly room for a second result. */
export function transcendentalCase(form: X87Form, random: () => number, bits: 32 | 64 = 64): I.Image {
  const image = x87Case(form, random, random() % 4 !== 0, bits);
  const signExponent = image.view.getUint16(I.ST + 8, true);
  const largest = DOMAINS[form.mnemonic];
  const exponent = signExponent & 0x7fff;
  if (largest !== undefined && exponent > largest && exponent < 0x7fff) {
    image.view.setUint16(I.ST + 8, (signExponent & 0x8000) | (largest - (exponent & 31)), true);
  }
  const top = (image.view.getUint16(I.FSW, true) >> 11) & 7;
  if (random() % 8 !== 0) image.bytes[I.FTW] = (image.bytes[I.FTW] as number) & ~(1 << ((top + 7) & 7));
  return image;
}

/** ST(i) as an integer in which neighbouring numbers differ by one. */
const ordinal = (image: I.Image, i: number): bigint => {
  const signExponent = image.view.getUint16(I.ST + 16 * i + 8, true);
  const magnitude = (BigInt(signExponent & 0x7fff) << 63n) + image.view.getBigUint64(I.ST + 16 * i, true);
  return signExponent & 0x8000 ? -magnitude : magnitude;
};

/**
 * Takes over from `expected` what lies within one unit in the last place (SDM 1 §8.3.10), and the direction of an inexact
 * rounding. FYL2X: silicon reports even exact products as inexact, and so exact denormal ones as underflows.
 */
export function tolerate(form: X87Form, result: I.Image, expected: I.Image): I.Image {
  for (let i = 0; i < 8; i++) {
    const distance = ordinal(result, i) - ordinal(expected, i);
    if (distance >= -1n && distance <= 1n) result.bytes.set(expected.bytes.subarray(I.ST + 16 * i, I.ST + 16 * i + 10), I.ST + 16 * i);
  }
  const INEXACT = 1 << 5;
  const C1 = 1 << 9;
  const wanted = expected.view.getUint16(I.FSW, true);
  let status = result.view.getUint16(I.FSW, true);
  if (form.mnemonic === 'fyl2x' && wanted & INEXACT) status |= wanted & 0x80b0;
  if (wanted & INEXACT) status = (status & ~C1) | (wanted & C1);
  result.view.setUint16(I.FSW, status, true);
  return result;
}
