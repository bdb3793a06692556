/** x87 instructions that handle the unit rather than numbers (SDM 1 §8.1, §8.3.10) and are frequent enough to be generated code. */
import { CR0_MP, CR0_TS } from '../../x86/control.ts';
import { CR0, RAX } from '../../x86/state.ts';
import { ALL_EXCEPTIONS } from '../float/environment.ts';
import { BUSY, CONTROL_DEFINED, CONTROL_ONE, ERROR_SUMMARY, STACK_FAULT } from '../x87/unit.ts';
import type { SemanticsTable } from './dsl.ts';
import { x87 } from './x87-stack.ts';

const WAIT_HEEDS = CR0_MP | CR0_TS;

export const X87_CONTROL: SemanticsTable = {
  /** WAIT heeds TS only with MP set (SDM 3A table 2-2). */
  fwait: x87('fwait', 0, (s, stack) => {
    stack.exactIf(s.field(CR0, 'i32').and(WAIT_HEEDS).eq(WAIT_HEEDS).or(stack.status.and(ERROR_SUMMARY)));
  }),
  fnop: x87('fnop', 0, (_, stack) => stack.enter()),
  fnclex: x87('fnclex', 0, (_, stack) => {
    stack.setStatus(stack.status.and(~(ALL_EXCEPTIONS | STACK_FAULT | ERROR_SUMMARY | BUSY)));
  }),
  fnstcw: x87('fnstcw', 0, (s, stack) => s.store(s.local(s.linearAddress()), 2, stack.control)),
  /** What the new word unmasks must not be pending already. */
  fldcw: x87('fldcw', 0, (s, stack) => {
    stack.enter();
    const control = s.local(s.load(s.local(s.linearAddress()), 2).and(CONTROL_DEFINED).or(CONTROL_ONE));
    stack.exactIf(stack.status.and(control.not()).and(ALL_EXCEPTIONS));
    stack.setControl(control);
  }),
  fnstsw_m16: x87('fnstsw_m16', 0, (s, stack) => s.store(s.local(s.linearAddress()), 2, stack.status)),
  fnstsw_ax: x87('fnstsw_ax', 0, (s, stack) => s.register(RAX, 2).write(stack.status)),
  ffree: x87('ffree', 0, (_, stack) => {
    stack.enter();
    stack.free(stack.operand);
  }),
  ffreep: x87('ffreep', 1, (_, stack) => {
    stack.enter();
    stack.free(stack.operand, 1);
  }),
  fincstp: x87('fincstp', 1, (_, stack) => {
    stack.enter();
    stack.rotate(1);
  }),
  fdecstp: x87('fdecstp', -1, (_, stack) => {
    stack.enter();
    stack.rotate(-1);
  }),
};
