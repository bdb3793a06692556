// SDM 3A chapter 6: how exceptions and interrupts reach their handlers, and how IRET undoes it.
import { beforeEach, describe, expect, it } from 'vitest';
import { CR0_PE } from '../x86/control.ts';
import { CF, IF, IOPL, NT, RF, TF, VM } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import {
  DOUBLE_FAULT,
  GENERAL_PROTECTION,
  INVALID_OPCODE,
  INVALID_TSS,
  NMI,
  PAGE_FAULT,
  SEGMENT_NOT_PRESENT,
  STACK_FAULT,
} from '../x86/vectors.ts';
import { DR6_SINGLE_STEP } from './breakpoints.ts';
import { deliverDebugException, deliverException, deliverInterrupt } from './interrupts.ts';
import { loadTaskRegister } from './segments.ts';
import { TestMachine } from './testing.ts';

const GDT = 0x1000,
  IDT = 0x2000,
  TSS = 0x3000;
const KERNEL_STACK = 0x8000,
  USER_STACK = 0x9000,
  IST1 = 0xa000;
const KERNEL_CODE = 0x08,
  KERNEL_DATA = 0x10,
  USER_CODE = 0x18,
  USER_DATA = 0x20,
  TASK = 0x28,
  CONFORMING = 0x38,
  ABSENT = 0x40;
const INTERRUPT_GATE = 0x8e,
  TRAP_GATE = 0x8f,
  USER_TRAP_GATE = 0xef,
  INTERRUPT_GATE16 = 0x86;
const RSP = S.RSP;

let m: TestMachine;

function raise(vector: number, errorCode?: number): void {
  m.core.recordFault(vector, errorCode);
  deliverException(m.core);
}

function setUp(isLong: boolean): void {
  m = new TestMachine();
  m.descriptor(GDT + KERNEL_CODE, { attributes: isLong ? 0xa09b : 0xc09b });
  m.descriptor(GDT + KERNEL_DATA, { attributes: 0xc093 });
  m.descriptor(GDT + USER_CODE, { attributes: isLong ? 0xa0fb : 0xc0fb });
  m.descriptor(GDT + USER_DATA, { attributes: 0xc0f3 });
  m.descriptor(GDT + TASK, { base: TSS, limit: 0x67, attributes: 0x89 });
  m.write32(GDT + TASK + 8, 0, 0);
  m.descriptor(GDT + CONFORMING, { attributes: isLong ? 0xa09f : 0xc09f });
  m.descriptor(GDT + ABSENT, { attributes: isLong ? 0xa01b : 0xc01b });
  m.core.set32(S.GDTR_BASE, GDT);
  m.core.set32(S.GDTR_LIMIT, 0x4f);
  m.core.set32(S.IDTR_BASE, IDT);
  m.core.set32(S.IDTR_LIMIT, 0xfff);
  if (isLong) m.enterLong();
  else m.enterProtected();
  loadTaskRegister(m.core, TASK);
  m.setRegister(RSP, KERNEL_STACK);
  m.core.setNumber(S.RIP, 0x1234);
  m.core.setFlags(IF | CF | 2);
}

const stack32 = (count: number): number[] => Array.from({ length: count }, (_, i) => m.read32(Number(m.register(RSP)) + i * 4));
const stack64 = (count: number): bigint[] => Array.from({ length: count }, (_, i) => m.read64(Number(m.register(RSP)) + i * 8));

describe('in real-address mode', () => {
  beforeEach(() => {
    m = new TestMachine();
    m.segment(S.SS, 0x100, 0x1000, 0xffff, 0x93);
    m.segment(S.CS, 0x200, 0x2000, 0xffff, 0x9b);
    m.setRegister(RSP, 0x10);
    m.core.setNumber(S.RIP, 0x55);
    m.core.setFlags(IF | TF | CF | 2);
    m.write32(0x21 * 4, 0x0300_0040);
    m.write32(6 * 4, 0x0400_0060);
  });

  it('INT n pushes FLAGS, CS and IP and goes through the vector table with IF and TF clear', () => {
    expect(m.run('int', { immediate: 0x21 })).toBe(-1);
    expect([m.selector(S.CS), m.rip, m.register(RSP)]).toEqual([0x300, 0x40n, 0x0an]);
    expect([m.read16(0x100a), m.read16(0x100c), m.read16(0x100e)]).toEqual([0x57, 0x200, IF | TF | CF | 2]);
    expect(m.flags & (IF | TF)).toBe(0);
  });

  it('IRET comes back with the flags', () => {
    m.run('int', { immediate: 0x21 });
    expect(m.run('iret', { size: 2 })).toBe(-1);
    expect([m.selector(S.CS), m.rip, m.register(RSP), m.flags]).toEqual([0x200, 0x57n, 0x10n, IF | TF | CF | 2]);
  });

  it('exceptions push no error code and return to the faulting instruction', () => {
    m.write32(13 * 4, 0x0400_0060);
    raise(GENERAL_PROTECTION, 0);
    expect([m.selector(S.CS), m.rip, m.register(RSP), m.read16(0x100a)]).toEqual([0x400, 0x60n, 0x0an, 0x55]);
  });

  it('a vector beyond the IDT limit ends in shutdown when #GP and #DF lie there too', () => {
    m.core.set32(S.IDTR_LIMIT, 7);
    raise(INVALID_OPCODE);
    expect(m.core.get32(S.ACTIVITY)).toBe(S.ACTIVITY_SHUTDOWN);
    expect(m.core.detail).toContain('triple fault');
  });
});

describe('in protected mode', () => {
  beforeEach(() => setUp(false));

  it('an exception at the same level pushes EFLAGS with RF, CS, EIP and the error code', () => {
    m.gate(IDT + 13 * 8, KERNEL_CODE, 0x0012_5678, INTERRUPT_GATE);
    raise(GENERAL_PROTECTION, 0x48);
    expect([m.rip, m.selector(S.CS), m.register(RSP)]).toEqual([0x12_5678n, KERNEL_CODE, BigInt(KERNEL_STACK - 16)]);
    expect(stack32(4)).toEqual([0x48, 0x1234, KERNEL_CODE, IF | CF | RF | 2]);
    expect(m.flags & (IF | RF)).toBe(0);
    expect(m.core.getSigned32(S.FAULT_VECTOR)).toBe(-1);
  });

  it('a trap gate leaves IF set; an interrupt pushes RF as it was', () => {
    m.gate(IDT + 0x30 * 8, KERNEL_CODE, 0x5000, TRAP_GATE);
    deliverInterrupt(m.core, 0x30);
    expect(m.flags & IF).toBe(IF);
    expect(stack32(3)).toEqual([0x1234, KERNEL_CODE, IF | CF | 2]);
  });

  it('a 16-bit gate pushes words', () => {
    m.gate(IDT + 0x30 * 8, KERNEL_CODE, 0x5000, INTERRUPT_GATE16);
    deliverInterrupt(m.core, 0x30);
    expect(m.register(RSP)).toBe(BigInt(KERNEL_STACK - 6));
    expect([m.read16(KERNEL_STACK - 6), m.read16(KERNEL_STACK - 4)]).toEqual([0x1234, KERNEL_CODE]);
  });

  describe('from level 3', () => {
    beforeEach(() => {
      m.enterProtected(3);
      m.setRegister(RSP, USER_STACK);
      m.write32(TSS + 4, KERNEL_STACK, KERNEL_DATA);
    });

    it('the stack comes from the TSS and SS:ESP is pushed first; IRET restores all of it', () => {
      m.gate(IDT + 0x80 * 8, KERNEL_CODE, 0x5000, USER_TRAP_GATE);
      expect(m.run('int', { immediate: 0x80 })).toBe(-1);
      expect([m.core.cpl, m.selector(S.SS), m.selector(S.CS), m.register(RSP)]).toEqual([
        0,
        KERNEL_DATA,
        KERNEL_CODE,
        BigInt(KERNEL_STACK - 20),
      ]);
      expect(stack32(5)).toEqual([0x1236, USER_CODE | 3, IF | CF | 2, USER_STACK, USER_DATA | 3]);
      expect(m.run('iret', { size: 4 })).toBe(-1);
      expect([m.core.cpl, m.rip, m.register(RSP), m.selector(S.SS)]).toEqual([3, 0x1236n, BigInt(USER_STACK), USER_DATA | 3]);
      expect(m.flags).toBe(IF | CF | 2);
    });

    it('INT n needs a gate of its level, hardware does not; the error code names the gate', () => {
      m.gate(IDT + 0x81 * 8, KERNEL_CODE, 0x5000, INTERRUPT_GATE);
      expect(m.run('int', { immediate: 0x81 })).toBe(GENERAL_PROTECTION);
      expect(m.errorCode).toBe(0x81 * 8 + 2);
      deliverInterrupt(m.core, 0x81);
      expect(m.core.cpl).toBe(0);
    });

    it('a bad stack in the TSS is #TS with its selector', () => {
      m.gate(IDT + 10 * 8, CONFORMING, 0x7000, INTERRUPT_GATE);
      m.write32(TSS + 4, KERNEL_STACK, USER_DATA);
      m.gate(IDT + 0x80 * 8, KERNEL_CODE, 0x5000, USER_TRAP_GATE);
      expect(m.run('int', { immediate: 0x80 })).toBe(INVALID_TSS);
      expect(m.errorCode).toBe(USER_DATA);
      expect([m.core.cpl, m.register(RSP)]).toEqual([3, BigInt(USER_STACK)]);
    });

    it('a conforming handler runs at the level of the interrupted program', () => {
      m.gate(IDT + 0x30 * 8, CONFORMING, 0x5000, INTERRUPT_GATE);
      deliverInterrupt(m.core, 0x30);
      expect([m.core.cpl, m.selector(S.CS), m.register(RSP)]).toEqual([3, CONFORMING | 3, BigInt(USER_STACK - 12)]);
    });

    it('IRET drops data segments that level 3 may not have, and cannot raise its own IOPL or IF', () => {
      m.gate(IDT + 0x80 * 8, KERNEL_CODE, 0x5000, USER_TRAP_GATE);
      m.run('int', { immediate: 0x80 });
      m.segment(S.DS, KERNEL_DATA, 0, 0xffff_ffff, 0xc093);
      m.run('iret', { size: 4 });
      expect([m.selector(S.DS), m.core.get32(S.segmentAttributes(S.DS)) >>> 16]).toEqual([0, 1]);
      m.setRegister(RSP, USER_STACK - 12);
      m.write32(USER_STACK - 12, 0x100, USER_CODE | 3, IOPL | 2);
      expect(m.run('iret', { size: 4 })).toBe(-1);
      expect(m.flags & (IF | IOPL)).toBe(IF);
    });
  });

  it('the second fault counts when the first is benign or a page fault follows a contributory one', () => {
    m.gate(IDT + 13 * 8, KERNEL_CODE, 0x7000, INTERRUPT_GATE);
    m.gate(IDT + 6 * 8, ABSENT, 0x5000, INTERRUPT_GATE);
    m.gate(IDT + 11 * 8, KERNEL_CODE, 0x7100, INTERRUPT_GATE);
    raise(INVALID_OPCODE);
    expect(m.rip).toBe(0x7100n);
    expect(stack32(1)).toEqual([ABSENT | 1]);
    expect(m.core.get32(S.ACTIVITY)).toBe(S.ACTIVITY_RUNNING);
  });

  it('two contributory faults make a double fault, and a third one shuts down', () => {
    m.gate(IDT + 13 * 8, ABSENT, 0x5000, INTERRUPT_GATE);
    m.gate(IDT + 8 * 8, KERNEL_CODE, 0x6000, INTERRUPT_GATE);
    raise(GENERAL_PROTECTION, 0);
    expect([m.rip, ...stack32(2)]).toEqual([0x6000n, 0, 0x1234]);
    m.gate(IDT + 8 * 8, ABSENT, 0x6000, INTERRUPT_GATE);
    raise(GENERAL_PROTECTION, 0);
    expect(m.core.get32(S.ACTIVITY)).toBe(S.ACTIVITY_SHUTDOWN);
  });

  it('a contributory fault while a page fault is delivered is a double fault', () => {
    m.gate(IDT + 14 * 8, ABSENT, 0x5000, INTERRUPT_GATE);
    m.gate(IDT + 8 * 8, KERNEL_CODE, 0x6000, INTERRUPT_GATE);
    raise(PAGE_FAULT, 0);
    expect(m.rip).toBe(0x6000n);
  });

  it('a stack that is too small is #SS, and nothing has moved', () => {
    m.segment(S.SS, KERNEL_DATA, 0, 0x7fff, 0x4093);
    m.setRegister(RSP, 0x9000);
    m.gate(IDT + 0x30 * 8, KERNEL_CODE, 0x5000, USER_TRAP_GATE);
    expect(m.run('int', { immediate: 0x30 })).toBe(STACK_FAULT);
    expect([m.rip, m.register(RSP)]).toEqual([0x1234n, 0x9000n]);
  });

  it('an NMI blocks the next one until IRET', () => {
    m.gate(IDT + 2 * 8, KERNEL_CODE, 0x5000, INTERRUPT_GATE);
    m.core.set32(S.ACTIVITY, S.ACTIVITY_HALTED);
    deliverInterrupt(m.core, NMI);
    expect([m.core.get32(S.NMI_BLOCKED), m.core.get32(S.ACTIVITY)]).toEqual([1, S.ACTIVITY_RUNNING]);
    m.run('iret', { size: 4 });
    expect(m.core.get32(S.NMI_BLOCKED)).toBe(0);
  });

  it('a single step sets DR6.BS and clears TF for the handler', () => {
    m.gate(IDT + 8, KERNEL_CODE, 0x5000, INTERRUPT_GATE);
    m.core.setFlags(TF | 2);
    m.core.breakpoints.pending = DR6_SINGLE_STEP;
    deliverDebugException(m.core);
    expect([m.core.get32(S.DR + 48) & 0x4000, m.flags & TF, stack32(3)[2]]).toEqual([0x4000, 0, TF | 2]);
  });

  it('a task gate switches to the task of a TSS, and IRET with NT goes back', () => {
    const other = 0x4000;
    m.descriptor(GDT + 0x48, { base: other, limit: 0x67, attributes: 0x89 });
    m.write32(other + 0x20, 0x7777, 2, 1, 2, 3, 4, 0xb000, 6, 7, 8);
    m.write32(other + 0x48, KERNEL_DATA, KERNEL_CODE, KERNEL_DATA, KERNEL_DATA, 0, 0);
    m.gate(IDT + 8 * 8, 0x48, 0, 0x85);
    m.setRegister(S.RBX, 0x1111);
    m.core.recordFault(DOUBLE_FAULT, 0);
    deliverException(m.core);
    expect([m.rip, m.selector(S.TR), m.register(S.RBX), m.register(RSP)]).toEqual([0x7777n, 0x48, 4n, 0xaffcn]);
    expect([m.read32(0xaffc), m.read16(other), m.flags & NT, m.read32(TSS + 0x20)]).toEqual([0, TASK, NT, 0x1234]);
    m.setRegister(RSP, 0xb000);
    expect(m.run('iret', { size: 4 })).toBe(-1);
    expect([m.rip, m.selector(S.TR), m.register(S.RBX), m.flags & NT]).toEqual([0x1234n, TASK, 0x1111n, 0]);
    expect(m.read32(other + 0x20)).toBe(0x7779);
    expect(m.read32(GDT + 0x48 + 4) & 0x200).toBe(0);
  });
});

describe('in virtual-8086 mode', () => {
  beforeEach(() => {
    setUp(false);
    m.write32(TSS + 4, KERNEL_STACK, KERNEL_DATA);
    m.write32(KERNEL_STACK - 36, 0x100, 0x1000, VM | IF | 2, 0xfff0, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000);
    m.setRegister(RSP, KERNEL_STACK - 36);
  });

  it('IRETD from level 0 enters it with all segments', () => {
    expect(m.run('iret', { size: 4 })).toBe(-1);
    expect([m.core.cpl, m.core.isVirtual8086, m.rip, m.register(RSP)]).toEqual([3, true, 0x100n, 0xfff0n]);
    expect([S.CS, S.SS, S.ES, S.DS, S.FS, S.GS].map((s) => m.core.get32(S.segmentBase(s)))).toEqual([
      0x1_0000, 0x2_0000, 0x3_0000, 0x4_0000, 0x5_0000, 0x6_0000,
    ]);
  });

  it('an interrupt leaves it through a gate to level 0, with nine doublewords on the stack', () => {
    m.run('iret', { size: 4 });
    m.gate(IDT + 0x30 * 8, KERNEL_CODE, 0x5000, INTERRUPT_GATE);
    deliverInterrupt(m.core, 0x30);
    expect([m.core.cpl, m.core.isVirtual8086, m.selector(S.DS), m.register(RSP)]).toEqual([0, false, 0, BigInt(KERNEL_STACK - 36)]);
    expect(stack32(9)).toEqual([0x100, 0x1000, VM | IF | 2, 0xfff0, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000]);
  });

  it('INT n, IRET, CLI and PUSHF need IOPL 3; INT3 does not', () => {
    m.run('iret', { size: 4 });
    m.gate(IDT + 3 * 8, KERNEL_CODE, 0x5000, USER_TRAP_GATE);
    for (const mnemonic of ['int', 'iret', 'cli', 'sti', 'pushf', 'popf']) {
      expect([mnemonic, m.run(mnemonic, { size: 2, immediate: 3 }), m.errorCode]).toEqual([mnemonic, GENERAL_PROTECTION, 0]);
    }
    expect(m.run('int3')).toBe(-1);
    expect(m.core.cpl).toBe(0);
  });
});

describe('in long mode', () => {
  beforeEach(() => setUp(true));

  it('a frame of five quadwords and the error code lies on a stack aligned to 16 bytes', () => {
    m.gate64(IDT + 14 * 16, KERNEL_CODE, 0xffff_8000_0012_3456n, INTERRUPT_GATE);
    m.setRegister(RSP, KERNEL_STACK - 3);
    raise(PAGE_FAULT, 2);
    expect([m.rip, m.register(RSP)]).toEqual([0xffff_8000_0012_3456n, BigInt(KERNEL_STACK - 16 - 48)]);
    expect(stack64(6)).toEqual([2n, 0x1234n, BigInt(KERNEL_CODE), BigInt(IF | CF | RF | 2), BigInt(KERNEL_STACK - 3), BigInt(KERNEL_DATA)]);
  });

  it('from level 3 the stack is RSP0 and SS becomes null; IRETQ goes back', () => {
    m.enterLong(3);
    m.setRegister(RSP, USER_STACK);
    m.write64(TSS + 4, BigInt(KERNEL_STACK));
    m.gate64(IDT + 0x80 * 16, KERNEL_CODE, 0x5000n, USER_TRAP_GATE);
    expect(m.run('int', { immediate: 0x80 })).toBe(-1);
    expect([m.core.cpl, m.selector(S.SS), m.register(RSP)]).toEqual([0, 0, BigInt(KERNEL_STACK - 40)]);
    expect(stack64(5)).toEqual([0x1236n, BigInt(USER_CODE | 3), BigInt(IF | CF | 2), BigInt(USER_STACK), BigInt(USER_DATA | 3)]);
    expect(m.run('iret', { size: 8 })).toBe(-1);
    expect([m.core.cpl, m.rip, m.register(RSP), m.selector(S.SS), m.core.is64Bit]).toEqual([
      3,
      0x1236n,
      BigInt(USER_STACK),
      USER_DATA | 3,
      true,
    ]);
  });

  it('an IST stack is taken whatever the level was', () => {
    m.write64(TSS + 0x24, BigInt(IST1));
    m.gate64(IDT + 2 * 16, KERNEL_CODE, 0x5000n, INTERRUPT_GATE, 1);
    deliverInterrupt(m.core, NMI);
    expect([m.register(RSP), m.selector(S.SS)]).toEqual([BigInt(IST1 - 40), KERNEL_DATA]);
    expect(m.run('iret', { size: 8 })).toBe(-1);
    expect([m.rip, m.register(RSP), m.core.get32(S.NMI_BLOCKED)]).toEqual([0x1234n, BigInt(KERNEL_STACK), 0]);
  });

  it('compatibility-mode code is interrupted into 64-bit mode and returned to', () => {
    m.descriptor(GDT + 0x48, { attributes: 0xc0fb });
    m.enterProtected(3);
    m.segment(S.CS, 0x4b, 0, 0xffff_ffff, 0xc0fb);
    m.core.set32(S.EFER, m.core.get32(S.EFER) | 0x400);
    m.setRegister(RSP, 0xffff_ffff_0000_9000n);
    m.write64(TSS + 4, BigInt(KERNEL_STACK));
    m.gate64(IDT + 0x30 * 16, KERNEL_CODE, 0x5000n, INTERRUPT_GATE);
    deliverInterrupt(m.core, 0x30);
    expect([m.core.is64Bit, stack64(4)[3]]).toEqual([true, 0x9000n]);
    m.run('iret', { size: 8 });
    expect([m.core.is64Bit, m.core.cpl, m.register(RSP)]).toEqual([false, 3, 0x9000n]);
  });

  it('only 64-bit gates to 64-bit code are good', () => {
    m.gate64(IDT + 0x30 * 16, KERNEL_CODE, 0x5000n, 0xe6);
    expect(m.run('int', { immediate: 0x30 })).toBe(GENERAL_PROTECTION);
    expect(m.errorCode).toBe(0x30 * 8 + 2);
    m.descriptor(GDT + 0x48, { attributes: 0xc09b });
    m.gate64(IDT + 0x31 * 16, 0x48, 0x5000n, USER_TRAP_GATE);
    expect(m.run('int', { immediate: 0x31 })).toBe(GENERAL_PROTECTION);
    expect(m.errorCode).toBe(0x48);
    m.gate64(IDT + 0x32 * 16, ABSENT, 0x5000n, USER_TRAP_GATE);
    expect(m.run('int', { immediate: 0x32 })).toBe(SEGMENT_NOT_PRESENT);
  });

  it('IRET refuses NT, a return inwards and an RIP that is not canonical', () => {
    const frame = (rip: bigint, cs: number): void => {
      m.setRegister(RSP, KERNEL_STACK - 40);
      for (const [i, value] of [rip, BigInt(cs), 2n, 0x9000n, BigInt(cs === USER_CODE ? USER_DATA | 3 : KERNEL_DATA)].entries()) {
        m.write64(KERNEL_STACK - 40 + i * 8, value);
      }
    };
    frame(0x8000_0000_0000n, KERNEL_CODE);
    expect([m.run('iret', { size: 8 }), m.errorCode, m.rip]).toEqual([GENERAL_PROTECTION, 0, 0x1234n]);
    frame(0x100n, USER_CODE);
    expect([m.run('iret', { size: 8 }), m.errorCode]).toEqual([GENERAL_PROTECTION, USER_CODE]);
    frame(0x100n, KERNEL_CODE);
    m.core.setFlags(NT | 2);
    expect(m.run('iret', { size: 8 })).toBe(GENERAL_PROTECTION);
    m.core.setFlags(2);
    expect([m.run('iret', { size: 8 }), m.register(RSP)]).toEqual([-1, 0x9000n]);
  });

  it('an unmapped stack for a double fault is the end', () => {
    m.gate64(IDT + 14 * 16, KERNEL_CODE, 0x5000n, INTERRUPT_GATE);
    m.gate64(IDT + 8 * 16, KERNEL_CODE, 0x6000n, INTERRUPT_GATE);
    m.setRegister(RSP, 0x9000_0000_0000_0000n);
    raise(PAGE_FAULT, 0);
    expect(m.core.get32(S.ACTIVITY)).toBe(S.ACTIVITY_SHUTDOWN);
    expect(m.core.get32(S.CR0) & CR0_PE).toBe(CR0_PE);
  });
});
