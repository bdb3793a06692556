/** MMX and SSE cases: every row of the table in register and memory form, on random and special states. */
import { INSTRUCTIONS_SSE } from '../../../src/x86/instructions-sse.ts';
import { INSTRUCTIONS_SSE4 } from '../../../src/x86/instructions-sse4.ts';
import { type InstructionRow, parseRow } from '../../../src/x86/table.ts';
import * as I from './image.ts';

export interface SseForm {
  readonly mnemonic: string;
  readonly row: InstructionRow;
  /** Everything but the immediate. */
  readonly code: readonly number[];
  readonly hasImmediate: boolean;
  readonly isMemory: boolean;
}

/** Register 1 is the destination, register 2 the other one; memory is `[rbx]`. */
const REG = 1;
const RM = 2;
const RBX_INDIRECT = 3;
const REX_W = 0x48;

function formsOf(row: InstructionRow): SseForm[] {
  const prefix = row.prefix > 1 ? [row.prefix] : [];
  const forms: SseForm[] = [];
  const widths = row.operands.some((operand) => operand.size === 'y') ? [false, true] : [false];
  for (const wide of widths) {
    const map = row.map === 2 ? [0x38] : row.map === 3 ? [0x3a] : [];
    const code = [...prefix, ...(wide ? [REX_W] : []), 0x0f, ...map, row.opcode];
    const hasImmediate = row.operands.some((operand) => operand.role === 'imm');
    const add = (modrm: readonly number[], isMemory: boolean): void => {
      forms.push({ mnemonic: row.mnemonic, row, code: [...code, ...modrm], hasImmediate, isMemory });
    };
    const reg = (row.extension >= 0 ? row.extension : REG) << 3;
    if (!row.hasModRm) add([], false);
    else {
      if (row.modRm !== 'memory' && !row.operands.some((operand) => operand.kind === 'M')) add([0xc0 | reg | RM], false);
      if (row.modRm !== 'register') add([reg | RBX_INDIRECT], true);
    }
  }
  return forms;
}

export const SSE_FORMS: readonly SseForm[] = [...INSTRUCTIONS_SSE, ...INSTRUCTIONS_SSE4].flatMap(parseRow).flatMap(formsOf);

const SINGLES: readonly number[] = [
  0, 0x8000_0000, 1, 0x007f_ffff, 0x8000_0001, 0x0080_0000, 0x7f7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc0_0123, 0x7f80_0001,
  0xffa0_0000, 0x3f80_0000, 0xbf80_0000, 0x4f00_0000, 0xcf00_0000, 0x4eff_ffff, 0x3f00_0000, 0x3fc0_0000, 0x4b00_0000, 0x5f00_0000,
  0xdf00_0000, 0x4020_0000,
];
const DOUBLES: readonly bigint[] = [
  0n,
  0x8000_0000_0000_0000n,
  1n,
  0x000f_ffff_ffff_ffffn,
  0x0010_0000_0000_0000n,
  0x7fef_ffff_ffff_ffffn,
  0x7ff0_0000_0000_0000n,
  0xfff0_0000_0000_0000n,
  0x7ff8_0000_0000_0000n,
  0xfff8_0000_0000_0123n,
  0x7ff0_0000_0000_0001n,
  0xfff4_0000_0000_0000n,
  0x3ff0_0000_0000_0000n,
  0x41df_ffff_ffc0_0000n,
  0x41e0_0000_0000_0000n,
  0xc1e0_0000_0000_0000n,
  0xc1e0_0000_0020_0000n,
  0x43e0_0000_0000_0000n,
  0xc3e0_0000_0000_0000n,
  0x3fe0_0000_0000_0000n,
  0x4004_0000_0000_0000n,
  0x3810_0000_0000_0000n,
  0x380f_ffff_e000_0000n,
  0x47ef_ffff_e000_0000n,
  0x47ef_ffff_f000_0000n,
  0x3690_0000_0000_0000n,
];

/** 16 bytes: random bits, floating-point specials, or plain numbers near one another. */
function putVector(image: I.Image, offset: number, random: () => number): void {
  const kind = random() % 8;
  for (let i = 0; i < 16; i += 4) image.view.setUint32(offset + i, random(), true);
  if (kind < 2) for (let i = 0; i < 4; i++) image.view.setUint32(offset + 4 * i, SINGLES[random() % SINGLES.length] as number, true);
  else if (kind < 4)
    for (let i = 0; i < 2; i++) image.view.setBigUint64(offset + 8 * i, DOUBLES[random() % DOUBLES.length] as bigint, true);
  else if (kind === 4) for (let i = 0; i < 4; i++) image.view.setFloat32(offset + 4 * i, (random() % 2001) / 8 - 125, true);
  else if (kind === 5) for (let i = 0; i < 2; i++) image.view.setFloat64(offset + 8 * i, (random() % 2001) / 8 - 125, true);
  else if (kind === 6 && random() & 1) for (let i = 0; i < 2; i++) image.view.setBigUint64(offset + 8 * i, BigInt(random() % 80), true);
  else if (kind === 6) {
    for (let i = 0; i < 2; i++) image.view.setUint32(offset + 8 * i + 4, (random() & 0x801f_ffff) | 0x3fe0_0000, true);
  } else if (random() & 1) for (let i = 0; i < 16; i++) image.bytes[offset + i] = [0, 1, 0x7f, 0x80, 0xff][random() % 5] as number;
}

/** Variable blends read it without naming it. */
const USES_XMM0 = /^(p?blendv|pcmp[ei]strm)/;

/** Few letters, so that there is something to find, and zeros that end strings. */
function putText(image: I.Image, offset: number, random: () => number): void {
  if (random() % 4 === 0) return;
  const letters = [0x61, 0x62, 0x63, 0x7a, 0xe9, 0x80];
  const step = 1 + (random() & 1);
  for (let i = 0; i < 16; i += step) {
    image.bytes[offset + i] = random() % 24 === 0 ? 0 : (letters[random() % (1 + (random() % 6))] as number);
    if (step === 2) image.bytes[offset + i + 1] = random() % 8 === 0 ? 1 : 0;
  }
}

/** Lengths of explicit strings: within the vector, beyond it, negative. */
function putLength(random: () => number): bigint {
  const small = BigInt((random() % 41) - 20);
  return random() % 4 === 0 ? BigInt.asIntN(64, (BigInt(random()) << 32n) | BigInt(random())) : random() % 4 === 0 ? small & 0xffff_ffffn : small;
}

const MXCSR_DEFAULT = 0x1f80;

/** `control`: default (masked, to nearest), any rounding and FZ and DAZ, or exceptions unmasked as well. */
export function sseCase(form: SseForm, random: () => number, control: 'default' | 'masked' | 'any', bits: 32 | 64 = 64): I.Image {
  const image = I.Image.initial();
  image.setCode(form.hasImmediate ? [...form.code, random() & (random() & 1 ? 0xff : 0x07)] : form.code, bits);
  for (const register of [REG, RM]) putVector(image, I.XMM + 16 * register, random);
  putVector(image, I.MEMORY, random);
  if (USES_XMM0.test(form.mnemonic)) putVector(image, I.XMM, random);
  const comparesText = /^pcmp[ei]str/.test(form.mnemonic);
  if (comparesText) for (const offset of [I.XMM + 16 * REG, I.XMM + 16 * RM, I.MEMORY]) putText(image, offset, random);
  if (random() % 8 === 0) image.bytes.copyWithin(I.XMM + 16 * RM, I.XMM + 16 * REG, I.XMM + 16 * REG + 16);
  let mxcsr = MXCSR_DEFAULT | (random() & 0x3f);
  if (control !== 'default') mxcsr = (mxcsr & 0x1fbf) | (random() & 0xe040);
  if (control === 'any') mxcsr &= ~(random() & random() & 0x1f80);
  image.view.setUint32(I.MXCSR, mxcsr, true);
  if (form.row.attributes.has('mmx')) {
    const top = random() & 7;
    for (const register of [REG, RM]) {
      const slot = I.ST + 16 * ((register - top) & 7); // ST(i) is register (TOP + i) mod 8
      putVector(image, slot, random);
      image.view.setUint16(slot + 8, random(), true);
    }
    image.view.setUint16(I.FSW, top << 11, true);
    image.bytes[I.FTW] = random();
  }
  for (const register of [I.RCX, I.RDX]) {
    image.view.setUint32(register, random(), true);
    image.view.setUint32(register + 4, random() % 3 === 0 ? (random() & 1) - 1 : random(), true);
  }
  if (comparesText) for (const register of [I.RAX, I.RDX]) image.view.setBigInt64(register, putLength(random), true);
  image.view.setUint32(I.RFLAGS, 0x202 | (random() & 0x8d5), true);
  return image.normalize();
}

/** Makers approximate reciprocals differently; SDM 2B gives only the error allowed, for which there is a test of its own. */
export const EXACT_SSE_FORMS: readonly SseForm[] = SSE_FORMS.filter((form) => !/^r(cp|sqrt)/.test(form.mnemonic));
/** Without those that 64-bit registers are for. */
export const EXACT_SSE_FORMS_32: readonly SseForm[] = EXACT_SSE_FORMS.filter(
  ({ row, code }) => !row.attributes.has('only64') && code[row.prefix > 1 ? 1 : 0] !== REX_W,
);
