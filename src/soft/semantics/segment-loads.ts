/**
 * MOV and POP to ES, DS, FS and GS (SDM 2B; SDM 3A §3.4.5, §5.6), as a kernel does them at each of its entries: at level 0, from the
 * GDT or null, of a data segment that has been loaded before. Everything else stays with the system operation of the same name.
 */
import {
  ATTRIBUTE_CODE, ATTRIBUTE_DOWN_CONFORMING, ATTRIBUTE_NOT_SYSTEM, ATTRIBUTE_PRESENT, ATTRIBUTE_READ_WRITE, ATTRIBUTE_UNUSABLE,
} from '../../x86/control.ts';
import { INFO, INFO_REG_SHIFT } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import { i32, i64, select, store, type Value } from '../wasm/value.ts';
import { cold, type Scope, type SemanticsTable } from './dsl.ts';
import { isIn64BitMode, SELECTOR } from './system.ts';

/** Of a selector: the offset of its descriptor; that this is in the LDT. */
const DESCRIPTOR = 0xfff8;
const USES_LDT = 4;
const DESCRIPTOR_BYTES = 8;
const LAST_ON_PAGE = 0xff8;
/** Of a descriptor's upper half: present, not a system segment, code, accessed. */
const KIND = 0x9900;
const DATA_LOADED_BEFORE = 0x9100;
const GRANULARITY = 0x0080_0000;
/** Of the attributes: readable and writable, expand-up data; with a limit of 4 GiB its accesses need no checks (mode.ts). */
const UNCHECKED = ATTRIBUTE_PRESENT | ATTRIBUTE_NOT_SYSTEM | ATTRIBUTE_READ_WRITE;
const UNCHECKED_OR_NOT = UNCHECKED | ATTRIBUTE_CODE | ATTRIBUTE_DOWN_CONFORMING | ATTRIBUTE_UNUSABLE;

const isOneOf = (segment: Value, ...numbers: readonly number[]): Value => i32(numbers.reduce((bits, n) => bits | (1 << n), 0)).shr(segment).and(1);

/**
 * The descriptor in the GDT that a selector (in a local) names: `isThere` (i32, 0 or 1) where a TLB has its page, and then its host address. What
 * is read at `host` otherwise means nothing. For level 0, whose rights are those of implicit accesses.
 */
export function descriptorOf(s: Scope, selector: Value): { readonly isThere: Value; readonly host: Value } {
  const offset = s.local(selector.and(DESCRIPTOR));
  const address = s.local(s.field(S.GDTR_BASE, 'i64').add(offset.widen()));
  const host = s.local(s.probe(address, false));
  const isInTable = s.field(S.GDTR_LIMIT, 'i32').gt(offset.or(DESCRIPTOR_BYTES - 2));
  const isThere = s.local(selector.and(USES_LDT).isZero().and(isInTable).and(host.ne(0)).and(address.wrap().and(0xfff).le(LAST_ON_PAGE)));
  return { isThere, host };
}

function loadSegment(s: Scope, mnemonic: string, readSelector: () => Value, commit: () => void): void {
  const segment = s.local(s.recordField(INFO, 'i32', 2).shr(INFO_REG_SHIFT).and(7));
  const mode = s.local(s.field(S.MODE, 'i32'));
  const is64Bit = s.local(isIn64BitMode(s));
  const isPossible = isOneOf(segment, S.ES, S.DS, S.FS, S.GS).and(mode.and(S.MODE_PROTECTED).ne(0)).and(s.field(S.CPL, 'i32').isZero());
  s.if(isPossible.isZero(), () => s.system(mnemonic));
  const selector = s.local(readSelector().and(0xffff));
  const [low, high] = [s.variable(i32(0)), s.variable(i32(0))];
  s.if(selector.and(SELECTOR), () => {
    const { isThere, host } = descriptorOf(s, selector);
    s.if(isThere.isZero(), () => s.system(mnemonic));
    low.set(host.load('i32', 4));
    high.set(host.load('i32', 4, 4));
    const privilege = high.value.shr(13).and(3);
    s.if(high.value.and(KIND).ne(DATA_LOADED_BEFORE).or(selector.and(3).gt(privilege)), () => s.system(mnemonic));
  });
  const isNull = s.local(selector.and(SELECTOR).isZero());
  const base = s.local(low.value.shr(16).or(high.value.and(0xff).shl(16)).or(high.value.and(0xff00_0000 | 0)));
  const limit = s.local(low.value.and(0xffff).or(high.value.and(0x000f_0000)));
  const bytes = s.local(select(high.value.and(GRANULARITY), limit.shl(12).or(0xfff), limit));
  const attributes = s.local(select(isNull, i32(ATTRIBUTE_UNUSABLE), high.value.shr(8).and(0xf0ff)));
  const isUnchecked = s.local(attributes.and(UNCHECKED_OR_NOT).eq(UNCHECKED).and(bytes.eq(-1)));
  // In 64-bit mode nothing depends on them. Elsewhere ES and DS must stay flat, as they were, or all that follows is decoded otherwise.
  const staysFlat = mode.and(S.MODE_SEGMENTED).isZero().and(isUnchecked).and(base.isZero());
  s.if(is64Bit.or(isOneOf(segment, S.FS, S.GS)).or(staysFlat).isZero(), () => s.system(mnemonic));
  commit();
  const [ofWord, ofLong] = [s.state.add(segment.shl(2)), s.state.add(segment.shl(3))];
  store(s.code, ofWord, 4, selector, S.SEGMENT_SELECTOR);
  store(s.code, ofLong, 8, base.widen(), S.SEGMENT_BASE);
  store(s.code, ofWord, 4, bytes, S.SEGMENT_LIMIT);
  store(s.code, ofWord, 4, attributes, S.SEGMENT_ATTRIBUTES);
  const extra = select(segment.eq(S.FS), i32(S.MODE_FS_CHECKED), select(segment.eq(S.GS), i32(S.MODE_GS_CHECKED), i32(0)));
  const bit = s.local(select(is64Bit, i32(0), extra));
  const next = s.local(mode.and(bit.not()).or(select(isUnchecked, i32(0), bit)));
  s.if(next.ne(mode), () => {
    const rip = s.local(s.nextRip());
    s.setField(S.MODE, next);
    s.setField(S.DECODE_KEY, next.widen().shl(40));
    s.setField(S.CODE_PAGE, i64(S.NO_PAGE));
    s.jump(rip);
  });
}

export const SEGMENT_LOADS: SemanticsTable = {
  mov_to_sreg: cold((s) => loadSegment(s, 'mov_to_sreg', () => s.rmOfSize(2).read(), () => undefined)),
  pop_sreg: cold((s) => loadSegment(s, 'pop_sreg', () => s.readStack(s.size).wrap(), () => s.releaseStack(s.size))),
};
