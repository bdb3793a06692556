/** Data movement, stack, flags to and from registers (SDM 2). */
import { CR4_TSD } from '../../x86/control.ts';
import { ARITHMETIC as ARITHMETIC_FLAGS, DF, IF, IOPL, TF, VM } from '../../x86/flags.ts';
import {
  BUDGET_STASH, CPL, CR4, EVENTS, GRANTED, LINEAR_MASK, MODE, MODE_PROTECTED, MSR_TSC_AUX, PAUSE_YIELDS, RAX, RBP, RCX, RDX, RSP, SEGMENT_SELECTOR, STACK_BASE, STACK_MASK, SYSTEM_FLAGS, TIME_NANOS, TIME_RATE, TIME_THOUSANDTHS, TSC_OFFSET,
} from '../../x86/state.ts';
import { INFO, INFO_REG_SHIFT } from '../../x86/record.ts';
import { i32, select, type Value } from '../wasm/value.ts';
import { cold, hot, type Scope, type SemanticsTable, type Size } from './dsl.ts';

const moveExtended = (from: Size, signed: boolean): ((s: Scope) => void) => (s) => {
  const value = s.rmOfSize(from).read();
  if (!signed) s.reg.write(value.to(s.word));
  else {
    const wide = from === 4 ? value : value.extend(from === 1 ? 8 : 16);
    s.reg.write(s.size === 8 ? wide.widenSigned() : wide);
  }
};

const exchange = (s: Scope): void => {
  const old = s.variable(s.reg.read());
  const incoming = s.local(s.reg.read());
  s.rm.modify((value) => {
    old.set(value);
    return incoming;
  });
  s.reg.write(old.value);
};

/** POP r/m: RSP moves before the destination's address is computed (SDM 2B POP), and must be back if the store faults. */
const pop = (s: Scope): void => {
  const value = s.local(s.readStack(s.size));
  if (!s.rm.isMemory) {
    s.releaseStack(s.size);
    s.rm.write(value);
    return;
  }
  const rsp = s.local(s.register(RSP, 8).read());
  s.releaseStack(s.size);
  const address = s.local(s.linearAddress());
  const moved = s.local(s.register(RSP, 8).read());
  s.register(RSP, 8).write(rsp);
  s.store(address, s.size, value);
  s.register(RSP, 8).write(moved);
};

/** LEAVE: the new RBP is read from the old RBP's frame before anything changes. */
const leave = (s: Scope): void => {
  const rsp = s.local(s.register(RSP, 8).read());
  const rbp = s.local(s.register(RBP, 8).read());
  const stackMask = s.local(s.field(STACK_MASK, 'i64'));
  const merged = s.local(rsp.and(stackMask.not()).or(rbp.and(stackMask)));
  const value = s.local(s.load(s.local(rbp.and(stackMask).add(s.field(STACK_BASE, 'i64')).and(s.field(LINEAR_MASK, 'i64'))), s.size));
  s.register(RSP, 8).write(merged);
  s.releaseStack(s.size);
  s.register(RBP, s.size).write(value);
};

/** Only protected-mode code with the right to do so stays here; the rest (VM86, IOPL faults, PVI) goes to system code. */
const mayChangeInterrupts = (s: Scope): ReturnType<Scope['field']> => {
  const flags = s.field(SYSTEM_FLAGS, 'i32');
  return s.local(flags.and(VM).isZero().and(flags.shr(12).and(3).ge(s.field(CPL, 'i32'))));
};

const clearInterrupts = (s: Scope): void => {
  s.if(mayChangeInterrupts(s).isZero(), () => s.system('cli'));
  s.setField(SYSTEM_FLAGS, s.field(SYSTEM_FLAGS, 'i32').and(~IF));
};
/** The interrupt shadow matters when an event is waiting, or may come because the run ends here: then system code sets IF and the shadow. */
const setInterrupts = (s: Scope): void => {
  s.if(mayChangeInterrupts(s).isZero().or(s.field(EVENTS, 'i32').ne(0)).or(s.budget().isZero()), () => s.system('sti'));
  s.setField(SYSTEM_FLAGS, s.field(SYSTEM_FLAGS, 'i32').or(IF));
};

const pushFlags = (s: Scope): void => {
  s.if(s.field(SYSTEM_FLAGS, 'i32').and(VM).ne(0), () => s.system('pushf'));
  s.push(s.flagsImage().to(s.word), s.size);
};

/** POPF at CPL 0 of flags that change neither TF, VM nor let a waiting event in; the rest is system code's. */
const POPF_HERE: number = ARITHMETIC_FLAGS | DF | IF | IOPL;
const popFlags = (s: Scope): void => {
  const image = s.local(s.readStack(s.size).to('i32'));
  const system = s.local(s.field(SYSTEM_FLAGS, 'i32'));
  const different = s.local(image.xor(system));
  const ordinary = s.size === 2 ? 0xffff : 0x0024_ffff;
  s.if(
    s.field(CPL, 'i32').ne(0)
      .or(s.field(MODE, 'i32').and(MODE_PROTECTED).isZero())
      .or(different.and(ordinary & ~POPF_HERE & 0x0024_7f00).or(image.and(TF)).ne(0))
      .or(image.and(IF).ne(0).and(s.field(EVENTS, 'i32').ne(0))),
    () => s.system('popf'),
  );
  s.releaseStack(s.size);
  s.setField(SYSTEM_FLAGS, s.local(system.and(~(DF | IF | IOPL)).or(image.and(DF | IF | IOPL))));
  s.setArithmeticFlags(image);
};

const changeSystemFlag = (clear: number, set: number) => (s: Scope): void => {
  s.setField(SYSTEM_FLAGS, s.field(SYSTEM_FLAGS, 'i32').and(~clear).or(set));
};

/** RDTSC and RDTSCP while time is counted in instructions (state.ts, TIME_NANOS) and nobody forbids it. */
const readTimestamp = (name: string): ((s: Scope) => void) => (s) => {
  const rate = s.local(s.field(TIME_RATE, 'i32').widen());
  const isForbidden = s.field(CR4, 'i32').and(CR4_TSD).ne(0).and(s.field(CPL, 'i32').ne(0));
  s.if(rate.isZero().or(isForbidden), () => s.system(name));
  const left = s.budget().add(s.field(BUDGET_STASH, 'i32'));
  const thousandths = s.field(GRANTED, 'i32').sub(left).widen().mul(1000).add(s.field(TIME_THOUSANDTHS, 'i32').widen());
  const ticks = s.local(s.field(TIME_NANOS, 'i64').add(thousandths.divUnsigned(rate)).add(s.field(TSC_OFFSET, 'i64')));
  s.register(RAX, 4).write(ticks.wrap());
  s.register(RDX, 4).write(ticks.shr(32).wrap());
  if (name === 'rdtscp') s.register(RCX, 4).write(s.field(MSR_TSC_AUX, 'i32'));
};

/** The bytes of a value of operand size in the opposite order. */
function reversedBytes(s: Scope, value: Value): Value {
  if (s.size === 2) return value.shl(8).or(value.shr(8));
  if (s.size === 4) return value.and(0x00ff_00ff).rotr(8).or(value.rotl(8).and(0x00ff_00ff));
  const pairs = s.local(value.and(0x00ff_00ff_00ff_00ffn).shl(8n).or(value.shr(8n).and(0x00ff_00ff_00ff_00ffn)));
  const words = s.local(pairs.and(0x0000_ffff_0000_ffffn).shl(16n).or(pairs.shr(16n).and(0x0000_ffff_0000_ffffn)));
  return words.rotl(32n);
}

export const MOVES: SemanticsTable = {
  mov: hot((s) => s.destination.write(s.source.read())),
  lea: hot((s) => s.reg.write(s.effectiveAddress().to(s.word))),
  movzx_b: hot(moveExtended(1, false)),
  movzx_w: hot(moveExtended(2, false)),
  movsx_b: hot(moveExtended(1, true)),
  movsx_w: hot(moveExtended(2, true)),
  movsxd: hot((s) => (s.size === 2 ? s.reg.write(s.rmOfSize(2).read()) : moveExtended(4, true)(s))),
  xchg: cold(exchange),
  bswap: cold((s) => {
    if (s.size === 2) s.rm.write(i32(0)); // undefined by the SDM; silicon gives 0
    else s.rm.write(reversedBytes(s, s.local(s.rm.read())));
  }),
  movbe: cold((s) => s.destination.write(s.local(reversedBytes(s, s.local(s.source.read()))))),
  push: hot((s) => s.push(s.local(s.rm.read()), s.size)),
  push_imm: hot((s) => s.push(s.imm.read(), s.size)),
  /** Zero-extended to the operand size. */
  push_sreg: cold((s) => {
    const segment = s.recordField(INFO, 'i32', 2).shr(INFO_REG_SHIFT);
    s.push(s.local(s.state.add(segment.shl(2)).load('i32', 4, SEGMENT_SELECTOR)).to(s.word), s.size);
  }),
  pop: hot(pop),
  leave: hot(leave),
  cmov: cold((s) => {
    // A 32-bit destination is zero-extended even when the condition is false (SDM 2A CMOVcc).
    const value = s.local(s.rm.read());
    s.reg.write(select(s.test(s.condition), value, s.reg.read()));
  }),
  setcc: cold((s) => s.rm.write(s.test(s.condition))),
  nop: hot(() => {}),
  /** Alone, there is nobody to wait for. */
  pause: cold((s) => s.if(s.field(PAUSE_YIELDS, 'i32').ne(0), () => s.system('pause'))),
  rdtsc: cold(readTimestamp('rdtsc')),
  rdtscp: cold(readTimestamp('rdtscp')),
  cli: cold(clearInterrupts),
  sti: cold(setInterrupts),
  pushf: cold(pushFlags),
  popf: cold(popFlags),
  lahf: cold((s) => s.ah.write(s.lowFlags())),
  sahf: cold((s) => s.setLowFlags(s.ah.read())),
  clc: cold((s) => s.carryFlag(i32(0))),
  stc: cold((s) => s.carryFlag(i32(1))),
  cmc: cold((s) => s.carryFlag(s.local(s.carry().xor(1)))),
  cld: cold(changeSystemFlag(DF, 0)),
  std: cold(changeSystemFlag(0, DF)),
};
