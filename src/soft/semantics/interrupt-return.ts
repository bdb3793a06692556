/**
 * IRETD and IRETQ as a kernel returns with them (SDM 2A, IRET): from level 0 to level 0 or 3, in the mode it is in, to flat segments that
 * have been loaded before. Everything else stays with the system operation.
 */
import { ATTRIBUTE_DPL_SHIFT, ATTRIBUTE_UNUSABLE } from '../../x86/control.ts';
import { AC, NT, RF, TF, VIF, VIP, VM } from '../../x86/flags.ts';
import * as S from '../../x86/state.ts';
import { i32, type Value } from '../wasm/value.ts';
import { cold, type Scope, type SemanticsTable } from './dsl.ts';
import { descriptorOf } from './segment-loads.ts';
import { canonical, changeLevel, FLAT_CODE_32, FLAT_CODE_64, FLAT_DATA, isFlat32, isIn64BitMode, SELECTOR, setFlags, setFlatSegment } from './system.ts';

const DR7_ENABLES = 0xff;
/** RIP, CS, RFLAGS, RSP, SS. */
const LONGEST_FRAME = 5;
/** The lower half of a descriptor with base 0 and a limit of 4 GiB, and of the upper half the same. */
const FLAT_LOW = 0xffff;
const FLAT_LIMIT = 0x000f_0000;

/** The upper half of the descriptor of such a segment. */
const flatHigh = (attributes: number, level: number): number => ((attributes | (level << ATTRIBUTE_DPL_SHIFT)) << 8) | FLAT_LIMIT;

/** 1 when the GDT has a flat segment with these attributes there, of the level that `selector` requests. */
function isFlat(s: Scope, selector: Value, attributes: number, level: 0 | 3): Value {
  const { isThere, host } = descriptorOf(s, selector);
  const isRequested = selector.and(3).eq(level).and(selector.and(SELECTOR).ne(0));
  const isSuch = host.load('i32', 4).eq(FLAT_LOW).and(host.load('i32', 4, 4).eq(flatHigh(attributes, level)));
  return isThere.and(isRequested).and(isSuch);
}

/** Segments of level 0 that level 3 must not keep. */
const keepsPrivileged = (s: Scope): Value => [S.ES, S.DS, S.FS, S.GS].map((segment) => {
  const isNull = s.field(S.segmentSelector(segment), 'i32').and(SELECTOR).isZero();
  const level = s.field(S.segmentAttributes(segment), 'i32').shr(ATTRIBUTE_DPL_SHIFT).and(3);
  return isNull.or(level.eq(3)).isZero();
}).reduce((a, b) => a.or(b));

function interruptReturn(s: Scope): void {
  const { size } = s;
  const giveUp = (): void => s.system('iret');
  if (size < 4) {
    giveUp();
    return;
  }
  const is64Bit = size === 8;
  const mode = is64Bit ? isIn64BitMode(s) : isFlat32(s);
  const unusual = s.field(S.CPL, 'i32').or(s.field(S.EVENTS, 'i32')).or(s.field(S.SYSTEM_FLAGS, 'i32').and(NT | TF)).or(s.field(S.DR + 7 * 8, 'i32').and(DR7_ENABLES));
  // Of a frame in one page nothing faults but the page.
  const top = s.local(s.register(S.RSP, 8).read());
  const isOut = top.wrap().and(0xfff).gt(0x1000 - LONGEST_FRAME * size).or(is64Bit ? canonical(top).isZero() : i32(0));
  s.if(mode.isZero().or(unusual).or(isOut), giveUp);
  const rip = s.local(s.readStack(size).widen());
  const selector = s.local(s.readStack(size, size).wrap().and(0xffff));
  const flags = s.local(s.readStack(size, 2 * size).wrap());
  // RF matters to instruction breakpoints alone, and none is enabled.
  const image = s.local(flags.and(~RF));
  s.if(flags.and(TF | NT | VM | AC | VIF | VIP).or(is64Bit ? canonical(rip).isZero() : i32(0)), giveUp);
  const attributes = is64Bit ? FLAT_CODE_64 : FLAT_CODE_32;
  const readPointer = (): Value => s.local(s.readStack(size, 3 * size).widen());
  const readStackSelector = (): Value => s.local(s.readStack(size, 4 * size).wrap().and(0xffff));
  s.if(selector.and(3), () => {
    const pointer = readPointer();
    const stack = readStackSelector();
    s.if(isFlat(s, selector, attributes, 3).and(isFlat(s, stack, FLAT_DATA, 3)).isZero().or(keepsPrivileged(s)), giveUp);
    setFlags(s, image);
    s.setField(S.NMI_BLOCKED, i32(0));
    s.register(S.RSP, 8).write(pointer);
    changeLevel(s, 3, selector, attributes, stack, rip);
  });
  s.if(isFlat(s, selector, attributes, 0).isZero(), giveUp);
  if (is64Bit) {
    const pointer = readPointer();
    const stack = readStackSelector();
    s.if(stack.isZero().or(isFlat(s, stack, FLAT_DATA, 0)).isZero(), giveUp);
    setFlatSegment(s, S.SS, stack, FLAT_DATA);
    s.if(stack.isZero(), () => {
      s.setField(S.segmentLimit(S.SS), i32(0));
      s.setField(S.segmentAttributes(S.SS), i32(ATTRIBUTE_UNUSABLE));
    });
    s.register(S.RSP, 8).write(pointer);
  } else s.releaseStack(3 * size);
  setFlatSegment(s, S.CS, selector, attributes);
  setFlags(s, image);
  s.setField(S.NMI_BLOCKED, i32(0));
  s.jump(rip);
}

export const INTERRUPT_RETURN: SemanticsTable = { iret: cold(interruptReturn) };
