// Segment loads, far transfers and the instructions that look into descriptors (SDM 3A chapters 3 and 5).
import { beforeEach, describe, expect, it } from 'vitest';
import { CF, NT, ZF } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION, INVALID_OPCODE, SEGMENT_NOT_PRESENT, STACK_FAULT } from '../x86/vectors.ts';
import { loadSegment, loadTaskRegister } from './segments.ts';
import { TestMachine } from './testing.ts';

const GDT = 0x1000,
  LDT = 0x1800,
  TSS = 0x3000;
const CODE = 0x08,
  DATA = 0x10,
  USER_CODE = 0x18,
  USER_DATA = 0x20,
  TASK = 0x28,
  READ_ONLY = 0x38,
  EXECUTE_ONLY = 0x40;
const ABSENT = 0x48,
  CONFORMING = 0x50,
  GATE = 0x58,
  LDT_SELECTOR = 0x68,
  FRESH = 0x78;
const RSP = S.RSP;

let m: TestMachine;
function setUp(isLong = false): void {
  m = new TestMachine();
  m.descriptor(GDT + CODE, { attributes: isLong ? 0xa09b : 0xc09b });
  m.descriptor(GDT + DATA, { attributes: 0xc093 });
  m.descriptor(GDT + USER_CODE, { attributes: isLong ? 0xa0fb : 0xc0fb });
  m.descriptor(GDT + USER_DATA, { attributes: 0xc0f3 });
  m.descriptor(GDT + TASK, { base: TSS, limit: 0x67, attributes: 0x89 });
  m.descriptor(GDT + READ_ONLY, { base: 0x1234_5678, limit: 0xfff, attributes: 0x40f1 });
  m.descriptor(GDT + EXECUTE_ONLY, { attributes: 0xc0f9 });
  m.descriptor(GDT + ABSENT, { attributes: 0xc013 });
  m.descriptor(GDT + CONFORMING, { attributes: isLong ? 0xa09f : 0xc09f });
  m.descriptor(GDT + LDT_SELECTOR, { base: LDT, limit: 0x0f, attributes: 0x82 });
  m.descriptor(GDT + FRESH, { attributes: 0xc0f2 });
  m.core.set32(S.GDTR_BASE, GDT);
  m.core.set32(S.GDTR_LIMIT, 0x87);
  if (isLong) m.enterLong();
  else m.enterProtected();
  m.setRegister(RSP, 0x8000);
  m.core.setNumber(S.RIP, 0x1234);
}
beforeEach(() => setUp());

const load = (segment: number, selector: number): [number, number | undefined] => {
  const fault = m.attempt(() => loadSegment(m.core, segment, selector));
  return [fault, fault < 0 ? undefined : m.errorCode];
};

describe('loading a data segment', () => {
  it('takes base, limit and rights from the descriptor and marks it accessed', () => {
    expect(load(S.ES, READ_ONLY | 3)).toEqual([-1, undefined]);
    expect([m.core.get32(S.segmentBase(S.ES)), m.core.get32(S.segmentLimit(S.ES)), m.selector(S.ES)]).toEqual([
      0x1234_5678,
      0xfff,
      READ_ONLY | 3,
    ]);
    expect(load(S.DS, FRESH)).toEqual([-1, undefined]);
    expect([m.read32(GDT + FRESH + 4) & 0x100, m.core.get32(S.segmentAttributes(S.DS)) & 1]).toEqual([0x100, 1]);
  });

  it.each([
    ['beyond the table', 0x88, GENERAL_PROTECTION, 0x88],
    ['in an LDT that is not there', 0x0c, GENERAL_PROTECTION, 0x0c],
    ['of code that cannot be read', EXECUTE_ONLY, GENERAL_PROTECTION, EXECUTE_ONLY],
    ['of a system segment', TASK, GENERAL_PROTECTION, TASK],
    ['with an RPL above its DPL', DATA | 3, GENERAL_PROTECTION, DATA],
    ['of a segment that is not present', ABSENT, SEGMENT_NOT_PRESENT, ABSENT],
  ])('refuses a selector %s', (_, selector, vector, code) => {
    expect(load(S.DS, selector)).toEqual([vector, code]);
    expect(m.selector(S.DS)).toBe(DATA);
  });

  it('takes a null selector, through which every access then faults', () => {
    expect(load(S.DS, 3)).toEqual([-1, undefined]);
    expect(m.run('check_segment', { memory: true, immediate: (4 << 8) | 2, immediateHigh: -1, displacement: 0x10 })).toBe(
      GENERAL_PROTECTION,
    );
    expect(m.errorCode).toBe(0);
  });

  it('reads the LDT once LLDT has loaded it', () => {
    m.descriptor(LDT + 8, { base: 0x5000, attributes: 0xc093 });
    m.setRegister(S.RAX, LDT_SELECTOR);
    expect(m.run('lldt', { size: 2, base: S.gpr(0) })).toBe(-1);
    expect(load(S.ES, 0x0c)).toEqual([-1, undefined]);
    expect(m.core.get32(S.segmentBase(S.ES))).toBe(0x5000);
    expect(load(S.ES, 0x14)).toEqual([GENERAL_PROTECTION, 0x14]);
  });
});

describe('loading SS', () => {
  it.each([
    ['null', 0, GENERAL_PROTECTION, 0],
    ['read-only', READ_ONLY, GENERAL_PROTECTION, READ_ONLY],
    ['of another level', USER_DATA | 3, GENERAL_PROTECTION, USER_DATA],
    ['absent', ABSENT, STACK_FAULT, ABSENT],
  ])('refuses one that is %s', (_, selector, vector, code) => {
    expect(load(S.SS, selector)).toEqual([vector, code]);
  });

  it('casts an interrupt shadow; MOV CS does not exist', () => {
    m.setRegister(S.RAX, DATA);
    expect(m.run('mov_to_sreg', { special: S.SS, base: S.gpr(0), size: 2 })).toBe(-1);
    expect(m.core.get32(S.INTERRUPT_SHADOW)).toBe(S.SHADOW_STACK_SEGMENT);
    expect(m.run('mov_to_sreg', { special: S.CS, base: S.gpr(0), size: 2 })).toBe(INVALID_OPCODE);
  });

  it('may be null in 64-bit mode below level 3', () => {
    setUp(true);
    expect(load(S.SS, 0)).toEqual([-1, undefined]);
    m.enterLong(3);
    expect(load(S.SS, 3)).toEqual([GENERAL_PROTECTION, 0]);
  });
});

describe('real-address mode', () => {
  it('changes the base and keeps the limit that protected mode left', () => {
    m = new TestMachine();
    m.segment(S.DS, 0, 0, 0xffff_ffff, 0xc093);
    expect(load(S.DS, 0xb800)).toEqual([-1, undefined]);
    expect([m.core.get32(S.segmentBase(S.DS)), m.core.get32(S.segmentLimit(S.DS))]).toEqual([0xb_8000, 0xffff_ffff]);
  });

  it('JMP, CALL and RET far work on selectors without descriptors', () => {
    m = new TestMachine();
    m.setRegister(RSP, 0x100);
    m.core.setNumber(S.RIP, 0x40);
    m.run('call_far_immediate', { size: 2, immediate: 0x800, displacement: 0x10 });
    expect([m.selector(S.CS), m.rip, m.read16(0xfe), m.read16(0xfc)]).toEqual([0x800, 0x10n, 0, 0x42]);
    m.run('ret_far', { size: 2, immediate: 4 });
    expect([m.selector(S.CS), m.rip, m.register(RSP)]).toEqual([0, 0x42n, 0x104n]);
    m.run('jmp_far_immediate', { size: 2, immediate: 0x0900, displacement: 0x20 });
    expect([m.core.get32(S.CODE_BASE), m.rip]).toEqual([0x9000, 0x20n]);
  });
});

describe('limit checks', () => {
  const check = (offset: number, bytes: number, isWrite: boolean, segment: number = S.DS): number =>
    m.run('check_segment', {
      memory: true,
      segment,
      immediate: (bytes << 8) | 2 | (isWrite ? 1 : 0),
      immediateHigh: -1,
      displacement: offset,
    });

  it('count to the last byte, and give the offset as the address to use', () => {
    m.segment(S.DS, DATA, 0x1_0000, 0xfff, 0x4093);
    expect([check(0xffc, 4, true), m.core.get64(S.PREPARED)]).toEqual([-1, 0xffcn]);
    expect(check(0xffd, 4, true)).toBe(GENERAL_PROTECTION);
    expect(check(0xffff_fffe, 4, false)).toBe(GENERAL_PROTECTION);
  });

  it('are turned round for an expand-down segment', () => {
    m.segment(S.DS, DATA, 0, 0xfff, 0x4097);
    expect([check(0xfff, 1, true), check(0x1000, 1, true), check(0xffff_fffc, 4, true)]).toEqual([GENERAL_PROTECTION, -1, -1]);
    m.segment(S.DS, DATA, 0, 0xfff, 0x0097);
    expect([check(0xfffc, 4, true), check(0xfffd, 4, true)]).toEqual([-1, GENERAL_PROTECTION]);
  });

  it('look at types: no writes to code or read-only data, no reads of execute-only code; SS faults with #SS', () => {
    m.segment(S.DS, DATA, 0, 0xffff_ffff, 0xc091);
    expect([check(0, 4, false), check(0, 4, true)]).toEqual([-1, GENERAL_PROTECTION]);
    m.segment(S.DS, DATA, 0, 0xffff_ffff, 0xc099);
    expect(check(0, 4, false)).toBe(GENERAL_PROTECTION);
    m.segment(S.SS, DATA, 0, 0xfff, 0x4093);
    expect(check(0x1000, 1, false, S.SS)).toBe(STACK_FAULT);
  });

  it('of the stack: pushes below, pops above the pointer', () => {
    m.segment(S.SS, DATA, 0, 0xfff, 0x4093);
    m.setRegister(RSP, 0x1000);
    expect([m.run('check_stack', { immediate: 4 }), m.run('check_stack', { immediate: -4 })]).toEqual([-1, STACK_FAULT]);
    m.setRegister(RSP, 2);
    expect(m.run('check_stack', { immediate: 4 })).toBe(STACK_FAULT);
  });

  it('of 16-bit addressing wrap at 64 KiB', () => {
    m.setRegister(S.RBX, 0x1_fff0);
    const fields = {
      memory: true,
      addressBits: 16,
      base: S.gpr(S.RBX),
      immediate: (4 << 8) | 2,
      immediateHigh: 0xffff,
      displacement: 0x20,
    };
    expect([m.run('check_segment', fields), m.core.get64(S.PREPARED)]).toEqual([-1, 0x10n]);
  });
});

describe('far transfers in protected mode', () => {
  it('JMP goes to code of the same level, or conforming code of a lower one', () => {
    const jump = (selector: number, offset = 0x50): number => m.run('jmp_far_immediate', { immediate: selector, displacement: offset });
    expect([jump(CODE), m.rip, m.selector(S.CS)]).toEqual([-1, 0x50n, CODE]);
    expect([jump(USER_CODE), m.errorCode]).toEqual([GENERAL_PROTECTION, USER_CODE]);
    expect([jump(0), m.errorCode]).toEqual([GENERAL_PROTECTION, 0]);
    expect(jump(DATA)).toBe(GENERAL_PROTECTION);
    m.enterProtected(3);
    expect([jump(CONFORMING | 3), m.selector(S.CS), m.core.cpl]).toEqual([-1, CONFORMING | 3, 3]);
  });

  it('an offset beyond the limit of the target is #GP(0)', () => {
    m.descriptor(GDT + CODE, { limit: 0xfff, attributes: 0x409b });
    expect([m.run('jmp_far_immediate', { immediate: CODE, displacement: 0x1000 }), m.errorCode, m.rip]).toEqual([
      GENERAL_PROTECTION,
      0,
      0x1234n,
    ]);
  });

  it('a call gate leads inwards with parameters copied; RET releases them on both stacks', () => {
    m.enterProtected(3);
    m.gate(GDT + GATE, CODE, 0x5678, 0xec, 2);
    loadTaskRegister(m.core, TASK);
    m.write32(TSS + 4, 0xa000, DATA);
    m.setRegister(RSP, 0x8000);
    m.write32(0x8000, 111, 222);
    expect(m.run('call_far_immediate', { immediate: GATE | 3, displacement: 0 })).toBe(-1);
    expect([m.core.cpl, m.rip, m.register(RSP)]).toEqual([0, 0x5678n, 0x9fe8n]);
    expect([0, 4, 8, 12, 16, 20].map((o) => m.read32(0x9fe8 + o))).toEqual([0x1236, 0x1b, 111, 222, 0x8000, 0x23]);
    expect(m.run('ret_far', { immediate: 8 })).toBe(-1);
    expect([m.core.cpl, m.rip, m.register(RSP), m.selector(S.SS)]).toEqual([3, 0x1236n, 0x8008n, 0x23]);
  });

  it('a gate of a lower DPL than CPL is not for this program', () => {
    m.enterProtected(3);
    m.gate(GDT + GATE, CODE, 0x5678, 0x8c);
    expect([m.run('call_far_immediate', { immediate: GATE }), m.errorCode]).toEqual([GENERAL_PROTECTION, GATE]);
  });

  it('CALL to a TSS nests a task', () => {
    loadTaskRegister(m.core, TASK);
    m.descriptor(GDT + 0x80, { base: 0x4000, limit: 0x67, attributes: 0x89 });
    m.write32(0x4000 + 0x20, 0x9990, 2);
    m.write32(0x4000 + 0x48, DATA, CODE, DATA, DATA, 0, 0);
    expect(m.run('call_far_immediate', { immediate: 0x80 })).toBe(-1);
    expect([m.rip, m.flags & NT, m.read32(TSS + 0x20), m.core.get32(S.CR0) & 8]).toEqual([0x9990n, NT, 0x1236, 8]);
  });

  it('in long mode a call gate has 16 bytes and leads to 64-bit code; tasks are gone', () => {
    setUp(true);
    m.gate64(GDT + GATE, CODE, 0xffff_8000_0000_1000n, 0x8c);
    m.write64(0x9000, BigInt(GATE) << 32n);
    expect(m.run('call_far_memory', { memory: true, displacement: 0x9000 })).toBe(-1);
    expect([m.rip, m.read64(0x7ff0), m.read64(0x7ff8)]).toEqual([0xffff_8000_0000_1000n, 0x1236n, BigInt(CODE)]);
    m.write64(0x9000, BigInt(TASK) << 32n);
    expect(m.run('jmp_far_memory', { memory: true, displacement: 0x9000 })).toBe(GENERAL_PROTECTION);
  });

  it('RETFQ leaves 64-bit mode for compatibility mode', () => {
    setUp(true);
    m.descriptor(GDT + USER_CODE, { attributes: 0xc0fb });
    m.setRegister(RSP, 0x8000);
    for (const [i, value] of [0x4000n, BigInt(USER_CODE | 3), 0x9000n, BigInt(USER_DATA | 3)].entries()) m.write64(0x8000 + i * 8, value);
    expect(m.run('ret_far', { size: 8 })).toBe(-1);
    expect([m.core.is64Bit, m.core.cpl, m.rip, m.register(RSP)]).toEqual([false, 3, 0x4000n, 0x9000n]);
  });
});

describe('descriptor inspection', () => {
  const ask = (mnemonic: string, selector: number): boolean => {
    m.setRegister(S.RCX, selector);
    m.core.setFlags(CF | 2);
    expect(m.run(mnemonic, { base: S.gpr(S.RCX), reg: S.gpr(S.RAX) })).toBe(-1);
    expect(m.flags & CF).toBe(CF);
    return (m.flags & ZF) !== 0;
  };

  it('LAR and LSL give rights and limit of what the program may see', () => {
    expect([ask('lar', READ_ONLY), m.register(S.RAX)]).toEqual([true, 0x0040_f100n]);
    expect([ask('lsl', DATA), m.register(S.RAX)]).toEqual([true, 0xffff_ffffn]);
    expect([ask('lsl', TASK), m.register(S.RAX)]).toEqual([true, 0x67n]);
    expect([ask('lar', 0), ask('lar', 0x88), ask('lsl', DATA | 3)]).toEqual([false, false, false]);
    m.gate(GDT + GATE, CODE, 0x5678, 0xec);
    expect([ask('lar', GATE), ask('lsl', GATE)]).toEqual([true, false]);
  });

  it('VERR and VERW say what a load would allow', () => {
    expect([ask('verr', READ_ONLY), ask('verw', READ_ONLY), ask('verw', USER_DATA), ask('verr', EXECUTE_ONLY)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  it('ARPL raises the RPL of its destination to that of its source', () => {
    m.setRegister(S.RAX, 3);
    expect([ask('arpl', USER_DATA), m.register(S.RCX)]).toEqual([true, BigInt(USER_DATA | 3)]);
    expect(ask('arpl', USER_DATA | 3)).toBe(false);
  });
});
