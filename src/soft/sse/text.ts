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

function element(core: Core, vector: number, i: number, control: number): number {
  if (control & WORDS) return control & SIGNED ? core.view.getInt16(vector + 2 * i, true) : core.view.getUint16(vector + 2 * i, true);
  return control & SIGNED ? core.view.getInt8(vector + i) : (core.u8[vector + i] as number);
}

/** Elements before the first zero. */
function implicitLength(core: Core, vector: number, control: number, most: number): number {
  let length = 0;
  while (length < most && element(core, vector, length, control) !== 0) length++;
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

/** Whether element j of b (with what follows, for substrings) matches a, which has `lengthA` of `most` elements (SDM 2B §4.1.5, table 4-7). */
function matches(core: Core, a: number, lengthA: number, b: number, lengthB: number, j: number, most: number, control: number): boolean {
  const mode = (control >> AGGREGATION_SHIFT) & 3;
  if (mode === EQUAL_EACH) {
    if (j >= lengthA || j >= lengthB) return j >= lengthA && j >= lengthB;
    return element(core, a, j, control) === element(core, b, j, control);
  }
  if (mode === EQUAL_ANY || mode === RANGES) {
    if (j >= lengthB) return false;
    const wanted = element(core, b, j, control);
    if (mode === EQUAL_ANY) {
      for (let i = 0; i < lengthA; i++) if (element(core, a, i, control) === wanted) return true;
      return false;
    }
    for (let i = 0; i + 1 < lengthA; i += 2) {
      if (wanted >= element(core, a, i, control) && wanted <= element(core, a, i + 1, control)) return true;
    }
    return false;
  }
  // equal ordered: a as a substring that begins at j; what lies beyond the vector is not held against it
  for (let i = 0; i < lengthA && i + j < most; i++) {
    if (i + j >= lengthB || element(core, a, i, control) !== element(core, b, i + j, control)) return false;
  }
  return true;
}

function compare(isExplicit: boolean, givesMask: boolean): Operation {
  return (core, record) => {
    const control = U.immediate(core, record);
    const b = U.sourceOffset(core, record, 16, false);
    const a = core.base + U.regOffset(core, record);
    const most = control & WORDS ? 8 : 16;
    const isWide = ((core.u16[(record + INFO) >>> 1] as number) & INFO_SIZE) === 3;
    const lengthA = isExplicit ? explicitLength(core, S.RAX, isWide, most) : implicitLength(core, a, control, most);
    const lengthB = isExplicit ? explicitLength(core, S.RDX, isWide, most) : implicitLength(core, b, control, most);
    let found = 0;
    for (let j = 0; j < most; j++) {
      const matched = matches(core, a, lengthA, b, lengthB, j, most, control);
      const negates = (control & NEGATED) !== 0 && ((control & ONLY_VALID) === 0 || j < lengthB);
      if (matched !== negates) found |= 1 << j;
    }
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
