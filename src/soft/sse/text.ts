/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM 1 §12.10; SDM 2B §4.1): two strings of bytes or words in 16 bytes each are
 * compared element by element, and the comparisons combined as the immediate says.
 */
import { CF, OF, SF, ZF } from '../../x86/flags.ts';
import { INFO, INFO_SIZE } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import type { Core } from '../core.ts';
import { writeRegister } from '../operands.ts';
import * as U from './unit.ts';

type Operation = (core: Core, record: number) => void;

/** Bits of the immediate (SDM 2B §4.1.2 to §4.1.6). */
const WORDS = 1 << 0;
const SIGNED = 1 << 1;
const AGGREGATION_SHIFT = 2;
const EQUAL_ANY = 0;
const RANGES = 1;
const EQUAL_EACH = 2;
const NEGATED = 1 << 4;
const ONLY_VALID = 1 << 5;
/** The last match instead of the first; a mask of elements instead of bits. */
const LAST_OR_EXPANDED = 1 << 6;

/** The elements of both operands, and which ones the first has: one of each for all, operations never nest. */
const A = new Int32Array(16);
const B = new Int32Array(16);
const isInA = new Uint8Array(0x1_0000);

function element(core: Core, vector: number, i: number, control: number): number {
  if (control & WORDS) return control & SIGNED ? core.view.getInt16(vector + 2 * i, true) : core.view.getUint16(vector + 2 * i, true);
  return control & SIGNED ? core.view.getInt8(vector + i) : (core.u8[vector + i] as number);
}

/** Takes the elements of a vector; returns how many come before the first zero. */
function takeElements(core: Core, vector: number, control: number, most: number, elements: Int32Array): number {
  let length = most;
  for (let i = most - 1; i >= 0; i--) {
    const value = element(core, vector, i, control);
    elements[i] = value;
    if (value === 0) length = i;
  }
  return length;
}

/** |EAX| or |RAX| and the like, at most a whole vector. */
function explicitLength(core: Core, register: number, isWide: boolean, most: number): number {
  const low = core.getSigned32(S.gpr(register));
  if (!isWide) return Math.min(Math.abs(low), most);
  const high = core.getSigned32(S.gpr(register) + 4);
  if (high === low >> 31) return Math.min(Math.abs(low), most);
  return most;
}

/** A bit for each element of B that is one of A's. */
function findAny(lengthA: number, lengthB: number): number {
  let found = 0;
  for (let i = 0; i < lengthA; i++) isInA[(A[i] as number) & 0xffff] = 1;
  for (let j = 0; j < lengthB; j++) found |= (isInA[(B[j] as number) & 0xffff] as number) << j;
  for (let i = 0; i < lengthA; i++) isInA[(A[i] as number) & 0xffff] = 0;
  return found;
}

/** A bit for each element of B that lies between two of A's. */
function findInRanges(lengthA: number, lengthB: number): number {
  let found = 0;
  for (let i = 0; i + 1 < lengthA; i += 2) {
    const low = A[i] as number;
    const high = A[i + 1] as number;
    for (let j = 0; j < lengthB; j++) if ((B[j] as number) >= low && (B[j] as number) <= high) found |= 1 << j;
  }
  return found;
}

/** A bit for each element that both have alike, or neither has. */
function findEqual(lengthA: number, lengthB: number, most: number): number {
  let found = 0;
  for (let j = 0; j < most; j++) if (j < lengthA && j < lengthB ? A[j] === B[j] : j >= lengthA && j >= lengthB) found |= 1 << j;
  return found;
}

/** A bit for each place in B where all of A begins; what would lie beyond the vector is not held against it. */
function findOrdered(lengthA: number, lengthB: number, most: number): number {
  let found = 0;
  for (let j = 0; j < most; j++) {
    const compared = Math.min(lengthA, most - j);
    let i = 0;
    while (i < compared && i + j < lengthB && A[i] === B[i + j]) i++;
    if (i === compared) found |= 1 << j;
  }
  return found;
}

/** The comparisons before negation: IntRes1 (SDM 2B §4.1.4, §4.1.5, table 4-7). */
function aggregate(control: number, lengthA: number, lengthB: number, most: number): number {
  const mode = (control >> AGGREGATION_SHIFT) & 3;
  if (mode === EQUAL_ANY) return findAny(lengthA, lengthB);
  if (mode === RANGES) return findInRanges(lengthA, lengthB);
  if (mode === EQUAL_EACH) return findEqual(lengthA, lengthB, most);
  return findOrdered(lengthA, lengthB, most);
}

function compare(isExplicit: boolean, givesMask: boolean): Operation {
  return (core, record) => {
    const control = U.immediate(core, record);
    const b = U.sourceOffset(core, record, 16, false);
    const a = core.base + U.regOffset(core, record);
    const most = control & WORDS ? 8 : 16;
    const isWide = ((core.u16[(record + INFO) >>> 1] as number) & INFO_SIZE) === 3;
    const implicitA = takeElements(core, a, control, most, A);
    const implicitB = takeElements(core, b, control, most, B);
    const lengthA = isExplicit ? explicitLength(core, S.RAX, isWide, most) : implicitA;
    const lengthB = isExplicit ? explicitLength(core, S.RDX, isWide, most) : implicitB;
    let found = aggregate(control, lengthA, lengthB, most);
    if (control & NEGATED) found ^= (1 << (control & ONLY_VALID ? lengthB : most)) - 1;
    if (givesMask) writeMask(core, found, most, control);
    else writeRegister(core, S.gpr(S.RCX), 4, indexOf(found, most, control));
    core.setArithmeticFlags((found !== 0 ? CF : 0) | (lengthB < most ? ZF : 0) | (lengthA < most ? SF : 0) | (found & 1 ? OF : 0));
  };
}

function indexOf(found: number, most: number, control: number): number {
  if (found === 0) return most;
  return control & LAST_OR_EXPANDED ? 31 - Math.clz32(found) : 31 - Math.clz32(found & -found);
}

/** To XMM0. */
function writeMask(core: Core, found: number, most: number, control: number): void {
  const target = core.base + S.xmm(0);
  core.u8.fill(0, target, target + 16);
  if ((control & LAST_OR_EXPANDED) === 0) {
    core.u16[target >>> 1] = found;
    return;
  }
  const bytes = 16 / most;
  for (let i = 0; i < 16; i++) if ((found >> Math.floor(i / bytes)) & 1) core.u8[target + i] = 0xff;
}

export const SSE_TEXT: Readonly<Record<string, Operation>> = {
  pcmpestri: compare(true, false),
  pcmpestrm: compare(true, true),
  pcmpistri: compare(false, false),
  pcmpistrm: compare(false, true),
};
