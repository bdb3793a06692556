/**
 * CMPXCHG8B and CMPXCHG16B (SDM 2A), which kernels' allocators and page tables live on, and LDMXCSR and STMXCSR. What is not in the
 * TLB, not aligned or not allowed is left to the forms in TypeScript.
 */
import * as S from '../../x86/state.ts';
import { i32, select, store, type Value } from '../wasm/value.ts';
import { cold, type Scope, type SemanticsTable } from './dsl.ts';

const ZF = 0x40;

const setZeroFlag = (s: Scope, isZero: Value): void => s.setLowFlags(s.lowFlags().and(~ZF).or(isZero.shl(6)));

/** Host address of the aligned memory operand of `bytes` bytes where it can be stored to directly; else TypeScript does it all. */
function direct(s: Scope, bytes: number, mnemonic: string): Value {
  const address = s.local(s.linearAddress());
  const host = s.local(s.probe(address, true));
  const isAligned = address.wrap().and(bytes - 1).isZero();
  s.code.if(select(isAligned, host, i32(0)).isZero(), () => s.system(mnemonic), undefined, false);
  return host;
}

/** EDX:EAX and ECX:EBX. */
function compareExchange8(s: Scope): void {
  const pair = (high: number, low: number): Value => s.local(s.register(high, 4).read().widen().shl(32).or(s.register(low, 4).read().widen()));
  const host = direct(s, 8, 'cmpxchg8b');
  const old = s.local(host.load('i64', 8));
  const replacement = pair(S.RCX, S.RBX);
  const isEqual = s.local(old.eq(pair(S.RDX, S.RAX)));
  // the access is always a write
  store(s.code, host, 8, select(isEqual, replacement, old));
  setZeroFlag(s, isEqual);
  s.if(isEqual.isZero(), () => {
    s.register(S.RAX, 4).write(old.wrap());
    s.register(S.RDX, 4).write(old.shr(32).wrap());
  });
}

function compareExchange16(s: Scope): void {
  const host = direct(s, 16, 'cmpxchg16b');
  const low = s.local(host.load('i64', 8));
  const high = s.local(host.load('i64', 8, 8));
  const isEqual = s.local(low.eq(s.register(S.RAX, 8).read()).and(high.eq(s.register(S.RDX, 8).read())));
  store(s.code, host, 8, select(isEqual, s.register(S.RBX, 8).read(), low));
  store(s.code, host, 8, select(isEqual, s.register(S.RCX, 8).read(), high), 8);
  setZeroFlag(s, isEqual);
  s.if(isEqual.isZero(), () => {
    s.register(S.RAX, 8).write(low);
    s.register(S.RDX, 8).write(high);
  });
}

export const EXCHANGE: SemanticsTable = {
  cmpxchg8b: cold((s) => (s.size === 8 ? compareExchange16(s) : compareExchange8(s))),
  stmxcsr: cold((s) => s.store(s.linearAddress(), 4, s.field(S.MXCSR, 'i32'))),
};
