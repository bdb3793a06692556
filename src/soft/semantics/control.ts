/** Near control transfer (SDM 1 §6.4, SDM 2). Far transfers are system code. */
import { DISP, IMM } from '../../x86/record.ts';
import { LINEAR_MASK, RCX } from '../../x86/state.ts';
import { i64, select, type Value } from '../wasm/value.ts';
import { cold, hot, type Scope, type SemanticsTable } from './dsl.ts';

/** A near target at operand size: 16-bit ones are cut to IP, others to the mode's width. */
const target = (s: Scope, value: Value): Value => {
  const rip = s.local(s.size === 2 ? value.widen().and(0xffff) : value.widen().and(s.field(LINEAR_MASK, 'i64')));
  s.checkTarget(rip);
  return rip;
};

const jumpRelative = (s: Scope): void => {
  s.checkTarget();
  s.jumpRelative();
};

const callTo = (s: Scope, rip: Value): void => {
  s.push(s.nextRip().to(s.word), s.size);
  s.jump(rip);
};

const popReturn = (s: Scope): Value => target(s, s.readStack(s.size));

/** LOOP and JCXZ count in CX, ECX or RCX by address size: DISP holds 64 minus its width. CX keeps the rest of RCX, ECX clears it. */
const counting = (taken: (s: Scope, count: Value) => Value, decrement: boolean): ((s: Scope) => void) => (s) => {
  s.checkTarget();
  const mask = s.local(i64(-1).shr(s.recordField(DISP, 'i64', 4)));
  const rcx = s.local(s.register(RCX, 8).read());
  const count = s.local(rcx.sub(decrement ? 1 : 0).and(mask));
  if (decrement) s.register(RCX, 8).write(count.or(select(mask.eq(0xffff), rcx.and(-0x1_0000), i64(0))));
  s.if(taken(s, count), () => s.jumpRelative());
};

export const CONTROL: SemanticsTable = {
  jmp_rel: hot(jumpRelative),
  jmp: hot((s) => s.jump(target(s, s.rm.read()))),
  jcc: hot((s) => s.if(s.test(s.condition), () => jumpRelative(s))),
  call_rel: hot((s) => {
    s.checkTarget();
    s.push(s.nextRip().to(s.word), s.size);
    s.jumpRelative();
  }),
  call: hot((s) => callTo(s, target(s, s.rm.read()))),
  ret: hot((s) => {
    const rip = popReturn(s);
    s.releaseStack(s.size);
    s.jump(rip);
  }),
  ret_imm: cold((s) => {
    const rip = popReturn(s);
    s.releaseStack(s.recordField(IMM, 'i64', 8).add(s.size));
    s.jump(rip);
  }),
  loop: cold(counting((_, count) => count.ne(0), true)),
  loope: cold(counting((s, count) => count.ne(0).and(s.test(4)), true)),
  loopne: cold(counting((s, count) => count.ne(0).and(s.test(5)), true)),
  jcxz: cold(counting((_, count) => count.isZero(), false)),
};
