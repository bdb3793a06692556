// System instructions one by one (SDM 2), as a kernel or a program sees them.
import { beforeEach, describe, expect, it } from 'vitest';
import { CR0_PE, CR0_PG, CR0_TS, CR4_FSGSBASE, CR4_OSFXSR, CR4_PAE, CR4_PCIDE, CR4_TSD, CR4_UMIP, EFER_LMA, EFER_LME, EFER_SCE } from '../x86/control.ts';
import { AC, AF, CF, DF, ID, IF, IOPL, OF, PF, RF, SF, TF, ZF } from '../x86/flags.ts';
import { featuresOf } from '../x86/features.ts';
import * as S from '../x86/state.ts';
import {
  BOUND_RANGE,
  DEVICE_NOT_AVAILABLE,
  DIVIDE_ERROR,
  GENERAL_PROTECTION,
  INVALID_OPCODE,
  PAGE_FAULT,
  STACK_FAULT,
} from '../x86/vectors.ts';
import { createCpuidModel } from './cpuid.ts';
import { SYSTEM_OPERATIONS } from './operations.ts';
import { RAM_BYTES, type RecordFields, TestMachine } from './testing.ts';

const { RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP } = S;
const rm = (register: number, more: RecordFields = {}): RecordFields => ({ base: S.gpr(register), ...more });
const at = (address: number, more: RecordFields = {}): RecordFields => ({ memory: true, displacement: address, ...more });

let m: TestMachine;
beforeEach(() => {
  m = new TestMachine();
  m.enterProtected();
  m.setRegister(RSP, 0x8000);
  m.core.setNumber(S.RIP, 0x1000);
});

describe('control registers', () => {
  const write = (number: number, value: bigint | number): number => {
    m.setRegister(RAX, value);
    return m.run('mov_to_cr', rm(RAX, { special: number }));
  };
  const read = (number: number): bigint => {
    m.run('mov_from_cr', rm(RBX, { special: number }));
    return m.register(RBX);
  };

  it('CR0 refuses PG without PE and NW without CD; ET is always set', () => {
    expect([write(0, CR0_PG), write(0, 0x2000_0001)]).toEqual([GENERAL_PROTECTION, GENERAL_PROTECTION]);
    expect([write(0, CR0_PE | CR0_TS), read(0)]).toEqual([-1, 0x19n]);
  });

  it('leaving protected mode changes how code is decoded', () => {
    expect([write(0, 0), m.core.isProtected, m.core.leave]).toEqual([-1, false, true]);
  });

  it('paging with EFER.LME starts long mode, needs CR4.PAE, and stops it again', () => {
    m.core.set32(S.EFER, EFER_LME);
    m.write64(0x4000, 0x5003n);
    m.write64(0x5000, 0x83n);
    m.core.setNumber(S.CR3, 0x4000);
    expect(write(0, CR0_PG | CR0_PE)).toBe(GENERAL_PROTECTION);
    write(4, CR4_PAE);
    expect([write(0, CR0_PG | CR0_PE), m.core.get32(S.EFER) & EFER_LMA]).toEqual([-1, EFER_LMA]);
    expect(m.core.is64Bit).toBe(false);
    expect(write(4, 0)).toBe(GENERAL_PROTECTION);
    expect([write(0, CR0_PE), m.core.get32(S.EFER) & EFER_LMA]).toEqual([-1, 0]);
  });

  it('PAE paging loads its PDPTEs, and refuses bad ones', () => {
    write(4, CR4_PAE);
    m.write64(0x4000, 0x5001n);
    m.write64(0x4008, 0x5003n);
    write(3, 0x4000);
    expect([write(0, CR0_PG | CR0_PE), m.core.get32(S.CR0)]).toEqual([GENERAL_PROTECTION, 1]);
    m.write64(0x4008, 0n);
    expect([write(0, CR0_PG | CR0_PE), m.core.get64(S.PDPTE)]).toEqual([-1, 0x5001n]);
  });

  it('CR4 and the upper halves refuse what does not exist', () => {
    expect([write(4, 1 << 13), write(4, 1 << 17)]).toEqual([GENERAL_PROTECTION, GENERAL_PROTECTION]);
    m.enterLong();
    expect([write(3, 1n << 40n), write(0, 1n << 32n), write(3, 0xff_ffff_f000n)]).toEqual([GENERAL_PROTECTION, GENERAL_PROTECTION, -1]);
  });

  it('CR2 holds any value, CR8 is the task priority', () => {
    m.enterLong();
    expect([write(2, 0xffff_8000_1234_5678n), read(2)]).toEqual([-1, 0xffff_8000_1234_5678n]);
    expect([write(8, 9), m.wiring.taskPriority, read(8), write(8, 16)]).toEqual([-1, 9, 9n, GENERAL_PROTECTION]);
  });

  it('belong to level 0; those that are not there are undefined', () => {
    expect([write(1, 0), write(5, 0)]).toEqual([INVALID_OPCODE, INVALID_OPCODE]);
    m.enterProtected(3);
    expect([write(0, 1), m.run('clts'), m.run('lmsw', rm(RAX)), m.run('invlpg', at(0))]).toEqual(Array(4).fill(GENERAL_PROTECTION));
    m.setRegister(RCX, 0xffff_ffffn);
    expect([m.run('smsw', rm(RCX, { size: 2 })), m.register(RCX)]).toEqual([-1, 0xffff_0001n]);
  });

  it('LMSW sets PE but does not clear it', () => {
    m.setRegister(RAX, 8);
    expect([m.run('lmsw', rm(RAX)), m.core.get32(S.CR0) & 0xf]).toEqual([-1, 9]);
  });

  it('debug registers keep their fixed bits, and DR4 is DR6 without CR4.DE', () => {
    m.setRegister(RAX, 0);
    m.run('mov_to_dr', rm(RAX, { special: 6 }));
    m.run('mov_from_dr', rm(RBX, { special: 4 }));
    expect(m.register(RBX)).toBe(0xffff_0ff0n);
    m.setRegister(RAX, 0x1234);
    m.run('mov_to_dr', rm(RAX, { special: 3 }));
    m.run('mov_from_dr', rm(RBX, { special: 3 }));
    expect(m.register(RBX)).toBe(0x1234n);
  });
});

describe('model-specific registers', () => {
  const wrmsr = (index: number, value: bigint): number => {
    m.setRegister(RCX, index);
    m.setRegister(RAX, value & 0xffff_ffffn);
    m.setRegister(RDX, value >> 32n);
    return m.run('wrmsr');
  };
  const rdmsr = (index: number): bigint | number => {
    m.setRegister(RCX, index);
    const fault = m.run('rdmsr');
    return fault < 0 ? (m.register(RDX) << 32n) | m.register(RAX) : fault;
  };

  it('the counter, writes of it, and its adjustment agree', () => {
    m.wiring.now = 5000;
    expect([wrmsr(0x10, 100n), rdmsr(0x10), rdmsr(0x3b)]).toEqual([-1, 100n, BigInt.asUintN(64, -4900n)]);
    m.wiring.now = 5007;
    wrmsr(0x3b, 0n);
    expect([rdmsr(0x10), m.run('rdtsc'), m.register(RAX)]).toEqual([5007n, -1, 5007n]);
    wrmsr(0xc000_0103, 7n);
    expect([m.run('rdtscp'), m.register(RCX)]).toEqual([-1, 7n]);
  });

  it('EFER takes what exists; LME is fixed while paging is on', () => {
    expect([wrmsr(0xc000_0080, 0x901n), rdmsr(0xc000_0080), wrmsr(0xc000_0080, 0x1000n)]).toEqual([-1, 0x901n, GENERAL_PROTECTION]);
    m.core.set32(S.CR0, CR0_PG | CR0_PE);
    expect(wrmsr(0xc000_0080, 0n)).toBe(GENERAL_PROTECTION);
  });

  it('bases must be canonical, PAT and MTRR types must exist', () => {
    expect([wrmsr(0xc000_0101, 0x8000_0000_0000n), wrmsr(0xc000_0101, 0xffff_8000_0000_0000n)]).toEqual([GENERAL_PROTECTION, -1]);
    expect(m.core.getCanonical(S.segmentBase(S.GS))).toBe(-(2 ** 47));
    expect([wrmsr(0x277, 2n), wrmsr(0x277, 0x0706_0504_0100_0706n), wrmsr(0x2ff, 1n << 12n), wrmsr(0x26f, 0x0606n), rdmsr(0x26f)]).toEqual([
      GENERAL_PROTECTION,
      -1,
      GENERAL_PROTECTION,
      -1,
      0x0606n,
    ]);
  });

  it('every processor of the family has a power-on configuration, a bus clock and a debug control (SDM 4 table 2-4)', () => {
    expect([rdmsr(0x2a), rdmsr(0xcd), rdmsr(0xce), rdmsr(0x1d9)]).toEqual([0n, 0b101n, 0x0a00n, 0n]);
    expect([wrmsr(0x2a, 0n), wrmsr(0x1d9, 0n), wrmsr(0x1d9, 1n)]).toEqual([GENERAL_PROTECTION, -1, GENERAL_PROTECTION]);
  });

  it('others are asked of the wiring, then #GP(0)', () => {
    m.wiring.msrs.set(0x1b, 0xfee0_0900n);
    expect([rdmsr(0x1b), wrmsr(0x1b, 0xfee0_0800n), m.wiring.msrs.get(0x1b)]).toEqual([0xfee0_0900n, -1, 0xfee0_0800n]);
    expect([rdmsr(0x1234), m.errorCode, wrmsr(0x179, 1n)]).toEqual([GENERAL_PROTECTION, 0, GENERAL_PROTECTION]);
  });

  it('of machine checks: two banks, whose errors software may clear but not make (SDM 3B §16.3)', () => {
    expect([rdmsr(0x179), rdmsr(0x17a), wrmsr(0x17a, 7n), rdmsr(0x17a), wrmsr(0x17a, 8n)]).toEqual([2n, 0n, -1, 7n, GENERAL_PROTECTION]);
    for (const bank of [0x400, 0x404]) {
      expect([wrmsr(bank, -1n), rdmsr(bank)]).toEqual([-1, 0xffff_ffff_ffff_ffffn]);
      for (const register of [bank + 1, bank + 2, bank + 3]) {
        expect([wrmsr(register, 0n), wrmsr(register, 1n), rdmsr(register)]).toEqual([-1, GENERAL_PROTECTION, 0n]);
      }
    }
    expect([rdmsr(0x408), wrmsr(0x408, 0n), rdmsr(0x17b)]).toEqual([GENERAL_PROTECTION, GENERAL_PROTECTION, GENERAL_PROTECTION]);
  });

  it('are for level 0, the counter for everybody unless CR4.TSD', () => {
    m.enterProtected(3);
    expect([rdmsr(0x10), m.run('rdtsc')]).toEqual([GENERAL_PROTECTION, -1]);
    m.core.set32(S.CR4, CR4_TSD);
    expect([m.run('rdtsc'), m.run('rdpmc')]).toEqual([GENERAL_PROTECTION, GENERAL_PROTECTION]);
  });
});

describe('fast system calls', () => {
  beforeEach(() => {
    m.core.set64(S.MSR_STAR, (0x23n << 48n) | (0x10n << 32n));
    m.core.set64(S.MSR_LSTAR, 0xffff_ffff_8100_0000n);
    m.core.set64(S.MSR_SFMASK, BigInt(IF | TF | DF));
  });

  it('SYSCALL saves RIP and RFLAGS in registers, SYSRET restores them', () => {
    m.enterLong(3);
    m.core.set32(S.EFER, m.core.get32(S.EFER) | EFER_SCE);
    m.core.setFlags(IF | DF | CF | 2);
    expect(m.run('syscall')).toBe(-1);
    expect([m.core.cpl, m.rip, m.selector(S.CS), m.selector(S.SS), m.register(RCX), m.register(11)]).toEqual([
      0,
      0xffff_ffff_8100_0000n,
      0x10,
      0x18,
      0x1002n,
      BigInt(IF | DF | CF | 2),
    ]);
    expect(m.flags).toBe(CF | 2);
    m.core.setFlags(2);
    expect(m.run('sysret', { size: 8 })).toBe(-1);
    expect([m.core.cpl, m.rip, m.selector(S.CS), m.selector(S.SS), m.flags, m.core.is64Bit]).toEqual([
      3,
      0x1002n,
      0x33,
      0x2b,
      IF | DF | CF | 2,
      true,
    ]);
  });

  it('SYSRET to 32-bit code; a non-canonical RCX is #GP(0) at level 0', () => {
    m.enterLong();
    m.core.set32(S.EFER, m.core.get32(S.EFER) | EFER_SCE);
    m.setRegister(RCX, 0x8000_0000_0000n);
    expect([m.run('sysret', { size: 8 }), m.core.cpl]).toEqual([GENERAL_PROTECTION, 0]);
    m.setRegister(RCX, 0x1234_0000_5678n);
    m.setRegister(11, 2);
    expect([m.run('sysret', { size: 4 }), m.rip, m.selector(S.CS), m.core.is64Bit]).toEqual([-1, 0x5678n, 0x23, false]);
  });

  it('without EFER.SCE they are undefined', () => {
    m.enterLong();
    expect([m.run('syscall'), m.run('sysret', { size: 8 })]).toEqual([INVALID_OPCODE, INVALID_OPCODE]);
  });

  it('SYSENTER and SYSEXIT go by IA32_SYSENTER_CS', () => {
    m.enterProtected(3);
    expect(m.run('sysenter')).toBe(GENERAL_PROTECTION);
    m.core.set64(S.MSR_SYSENTER_CS, 0x60n);
    m.core.set64(S.MSR_SYSENTER_ESP, 0x7000n);
    m.core.set64(S.MSR_SYSENTER_EIP, 0x2000n);
    m.core.setFlags(IF | 2);
    expect(m.run('sysenter')).toBe(-1);
    expect([m.core.cpl, m.rip, m.register(RSP), m.selector(S.CS), m.selector(S.SS), m.flags & IF]).toEqual([
      0,
      0x2000n,
      0x7000n,
      0x60,
      0x68,
      0,
    ]);
    m.setRegister(RDX, 0x1234);
    m.setRegister(RCX, 0x9000);
    expect(m.run('sysexit')).toBe(-1);
    expect([m.core.cpl, m.rip, m.register(RSP), m.selector(S.CS), m.selector(S.SS)]).toEqual([3, 0x1234n, 0x9000n, 0x73, 0x7b]);
  });

  it('SWAPGS exchanges bases; RDFSBASE and its kin need CR4.FSGSBASE', () => {
    m.enterLong();
    m.core.set64(S.segmentBase(S.GS), 1n);
    m.core.set64(S.MSR_KERNEL_GS_BASE, 0xffff_8880_0000_0000n);
    m.run('swapgs');
    expect([m.core.get64(S.segmentBase(S.GS)), m.core.get64(S.MSR_KERNEL_GS_BASE)]).toEqual([0xffff_8880_0000_0000n, 1n]);
    expect(m.run('rdgsbase', rm(RAX, { size: 8 }))).toBe(INVALID_OPCODE);
    m.core.set32(S.CR4, CR4_FSGSBASE);
    expect([m.run('rdgsbase', rm(RAX, { size: 8 })), m.register(RAX)]).toEqual([-1, 0xffff_8880_0000_0000n]);
    m.setRegister(RAX, 1n << 50n);
    expect(m.run('wrfsbase', rm(RAX, { size: 8 }))).toBe(GENERAL_PROTECTION);
    m.enterLong(3);
    expect(m.run('swapgs')).toBe(GENERAL_PROTECTION);
  });
});

describe('port I/O', () => {
  it('IN and OUT have the size of the operand', () => {
    m.wiring.values.set('pio 3fd', 0x60);
    m.setRegister(RDX, 0x3fd);
    m.setRegister(RAX, 0x1122_3344);
    m.run('in_dx', { size: 1 });
    expect(m.register(RAX)).toBe(0x1122_3360n);
    m.run('out_immediate', { size: 2, immediate: 0x80 });
    m.run('out_dx', { size: 4 });
    expect(m.wiring.accesses).toEqual(['pio read 3fd 1', 'pio write 80 2 3360', 'pio write 3fd 4 11223360']);
  });

  it('above IOPL the bitmap of the TSS decides, for every byte of the access', () => {
    m.enterProtected(3);
    expect(m.run('in_immediate', { size: 1, immediate: 0x60 })).toBe(GENERAL_PROTECTION);
    m.segment(S.TR, 0x28, 0x3000, 0x68 + 0x20, 0x8b);
    m.write16(0x3066, 0x68);
    m.write8(0x3068 + 12, 0xfe);
    expect(m.run('in_immediate', { size: 1, immediate: 0x60 })).toBe(-1);
    expect(m.run('in_immediate', { size: 2, immediate: 0x60 })).toBe(GENERAL_PROTECTION);
    expect(m.run('in_dx', { size: 1 })).toBe(-1);
    m.setRegister(RDX, 0x3f8);
    expect(m.run('in_dx', { size: 1 })).toBe(GENERAL_PROTECTION);
    m.core.setFlags(IOPL | 2);
    expect(m.run('in_dx', { size: 1 })).toBe(-1);
  });

  it('REP INS stays on its instruction until the count is zero', () => {
    m.wiring.values.set('pio 1f0', 0xabcd);
    m.setRegister(RDX, 0x1f0);
    m.setRegister(RDI, 0x5000);
    m.setRegister(RCX, 2);
    m.run('ins', { size: 2, rep: true });
    expect([m.rip, m.register(RCX), m.register(RDI)]).toEqual([0x1000n, 1n, 0x5002n]);
    m.run('ins', { size: 2, rep: true });
    expect([m.rip, m.register(RCX), m.read32(0x5000)]).toEqual([0x1002n, 0n, 0xabcd_abcd]);
    m.run('ins', { size: 2, rep: true });
    expect(m.wiring.accesses).toHaveLength(2);
  });

  it('INS reads no port for a value that cannot be stored; OUTS runs backwards with DF', () => {
    m.segment(S.ES, 0, 0, 0, 0x1_0000);
    expect([m.run('ins', { size: 1 }), m.wiring.accesses.length]).toEqual([GENERAL_PROTECTION, 0]);
    m.core.setFlags(DF | 2);
    m.write32(0x5000, 0x4241);
    m.setRegister(RSI, 0x5001);
    m.run('outs', { size: 1 });
    expect([m.wiring.accesses, m.register(RSI)]).toEqual([['pio write 0 1 42'], 0x5000n]);
  });
});

describe('flags', () => {
  it('POPF changes IF and IOPL by level, never VM or RF; PUSHF shows neither', () => {
    m.core.setFlags(RF | IF | 2);
    m.run('pushf');
    expect(m.read32(0x7ffc)).toBe(IF | 2);
    m.write32(0x7ffc, 0xffff_ffff);
    m.run('popf');
    expect(m.flags).toBe(CF | PF | AF | ZF | SF | OF | TF | IF | DF | IOPL | 0x4000 | AC | ID | 2);
    m.enterProtected(3);
    m.core.setFlags(2);
    m.setRegister(RSP, 0x7ffc);
    m.run('popf');
    expect(m.flags & (IF | IOPL)).toBe(0);
    expect([m.run('cli'), m.run('sti')]).toEqual([GENERAL_PROTECTION, GENERAL_PROTECTION]);
  });

  it('a 16-bit POPF leaves the upper half', () => {
    m.core.setFlags(AC | 2);
    m.write16(0x8000, CF);
    m.run('popf', { size: 2 });
    expect([m.flags, m.register(RSP)]).toEqual([AC | CF | 2, 0x8002n]);
  });

  it('STI holds interrupts for one instruction only when they were off', () => {
    m.run('sti');
    expect([m.flags & IF, m.core.get32(S.INTERRUPT_SHADOW)]).toEqual([IF, 1]);
    m.core.set32(S.INTERRUPT_SHADOW, 0);
    m.run('sti');
    expect(m.core.get32(S.INTERRUPT_SHADOW)).toBe(0);
  });

  it('HLT halts at level 0 only; INTO traps on OF', () => {
    expect([m.run('hlt'), m.core.get32(S.ACTIVITY), m.rip]).toEqual([-1, S.ACTIVITY_HALTED, 0x1002n]);
    expect(m.run('into')).toBe(-1);
    m.core.setFlags(OF | 2);
    m.core.set32(S.IDTR_LIMIT, 0);
    expect([m.run('into'), m.errorCode]).toEqual([GENERAL_PROTECTION, 4 * 8 + 2]);
    m.enterProtected(3);
    expect(m.run('hlt')).toBe(GENERAL_PROTECTION);
  });
});

describe('stack instructions', () => {
  it('PUSHA and POPA carry all registers but the stack pointer', () => {
    for (let i = 0; i < 8; i++) if (i !== RSP) m.setRegister(i, 0x100 + i);
    m.run('pusha');
    expect([m.register(RSP), m.read32(0x7fe0), m.read32(0x7fec), m.read32(0x7ffc)]).toEqual([0x7fe0n, 0x107, 0x8000, 0x100]);
    for (let i = 0; i < 8; i++) if (i !== RSP) m.setRegister(i, 0);
    m.run('popa');
    expect([m.register(RSP), m.register(RAX), m.register(RDI), m.register(RBX)]).toEqual([0x8000n, 0x100n, 0x107n, 0x103n]);
  });

  it('a 16-bit stack moves SP and wraps within it', () => {
    m.segment(S.SS, 0x10, 0x1_0000, 0xffff, 0x0093);
    m.setRegister(RSP, 0xabcd_0000);
    m.setRegister(RAX, 0x1234);
    m.run('pusha', { size: 2 });
    expect([m.register(RSP), m.read16(0x1_fffe)]).toEqual([0xabcd_fff0n, 0x1234]);
  });

  it('a stack fault leaves everything as it was', () => {
    m.segment(S.SS, 0x10, 0, 0xfff, 0x4093);
    m.setRegister(RSP, 0x1010);
    expect([m.run('pusha'), m.errorCode, m.register(RSP)]).toEqual([STACK_FAULT, 0, 0x1010n]);
  });

  it('ENTER makes a frame, with the frames of outer levels', () => {
    m.setRegister(RBP, 0x9000);
    m.write32(0x8ffc, 0x1111);
    m.run('enter', { immediate: 0x20 | (2 << 16) });
    expect([m.register(RBP), m.register(RSP)]).toEqual([0x7ffcn, 0x7ffcn - 8n - 0x20n]);
    expect([m.read32(0x7ffc), m.read32(0x7ff8), m.read32(0x7ff4)]).toEqual([0x9000, 0x1111, 0x7ffc]);
  });

  it('LDS loads a far pointer, all or nothing', () => {
    m.write32(0x5000, 0x1234_5678, 0);
    expect(m.run('les_lds_lss_lfs_lgs', at(0x5000, { reg: S.gpr(RBX), immediate: S.ES }))).toBe(-1);
    expect([m.register(RBX), m.selector(S.ES)]).toEqual([0x1234_5678n, 0]);
    m.write32(0x5000, 0x1111, 0x48);
    expect(m.run('les_lds_lss_lfs_lgs', at(0x5000, { reg: S.gpr(RBX), immediate: S.DS }))).toBe(GENERAL_PROTECTION);
    expect(m.register(RBX)).toBe(0x1234_5678n);
  });

  it('MOV from a segment register zero-extends to a register and stores 16 bits', () => {
    m.setRegister(RAX, -1n);
    m.run('mov_from_sreg', rm(RAX, { special: S.DS }));
    expect(m.register(RAX)).toBe(0x10n);
    m.write32(0x5000, 0xffff_ffff);
    m.run('mov_from_sreg', at(0x5000, { special: S.DS }));
    expect(m.read32(0x5000)).toBe(0xffff_0010);
    expect(m.run('mov_from_sreg', rm(RAX, { special: 6 }))).toBe(INVALID_OPCODE);
  });
});

describe('descriptor-table registers', () => {
  it('SGDT stores what LGDT loaded; a 16-bit operand size loads 24 bits of base', () => {
    m.write16(0x5000, 0x7f);
    m.write32(0x5002, 0x1234_5678);
    m.run('lgdt', at(0x5000));
    m.run('sgdt', at(0x6000));
    expect([m.read16(0x6000), m.read32(0x6002)]).toEqual([0x7f, 0x1234_5678]);
    m.run('lidt', at(0x5000, { size: 2 }));
    expect(m.core.get64(S.IDTR_BASE)).toBe(0x34_5678n);
  });

  it('in 64-bit mode bases have 8 bytes and must be canonical', () => {
    m.enterLong();
    m.write16(0x5000, 0xfff);
    m.write64(0x5002, 0xffff_fe00_0000_0000n);
    m.run('lidt', at(0x5000));
    m.run('sidt', at(0x6000));
    expect(m.read64(0x6002)).toBe(0xffff_fe00_0000_0000n);
    m.write64(0x5002, 0x1_0000_0000_0000n);
    expect(m.run('lgdt', at(0x5000))).toBe(GENERAL_PROTECTION);
  });

  it('LTR makes the TSS busy, once', () => {
    m.core.set32(S.GDTR_BASE, 0x1000);
    m.core.set32(S.GDTR_LIMIT, 0x2f);
    m.descriptor(0x1028, { base: 0x3000, limit: 0x67, attributes: 0x89 });
    m.setRegister(RAX, 0x28);
    expect([m.run('ltr', rm(RAX)), m.core.get32(S.segmentBase(S.TR)), m.read32(0x102c) & 0x200]).toEqual([-1, 0x3000, 0x200]);
    expect([m.run('ltr', rm(RAX)), m.errorCode]).toEqual([GENERAL_PROTECTION, 0x28]);
    expect([m.run('str', rm(RBX)), m.register(RBX)]).toEqual([-1, 0x28n]);
  });
});

describe('what a user may not see or do', () => {
  const STORES = ['sgdt', 'sidt', 'sldt', 'str', 'smsw'];

  it('with CR4.UMIP: where the system keeps its tables (SDM 3A §2.5)', () => {
    m.enterProtected(3);
    for (const mnemonic of STORES) expect([mnemonic, m.run(mnemonic, at(0x5000))]).toEqual([mnemonic, -1]);
    m.core.set32(S.CR4, CR4_UMIP);
    for (const mnemonic of STORES) expect([mnemonic, m.run(mnemonic, at(0x5000))]).toEqual([mnemonic, GENERAL_PROTECTION]);
    m.enterProtected(0);
    for (const mnemonic of STORES) expect([mnemonic, m.run(mnemonic, at(0x5000))]).toEqual([mnemonic, -1]);
  });

  it('CLAC and STAC are undefined above level 0', () => {
    expect([m.run('stac'), m.flags & AC, m.run('clac'), m.flags & AC]).toEqual([-1, AC, -1, 0]);
    m.enterProtected(3);
    expect([m.run('stac'), m.run('clac'), m.run('invpcid', at(0x5000))]).toEqual([INVALID_OPCODE, INVALID_OPCODE, GENERAL_PROTECTION]);
  });
});

describe('PCIDs', () => {
  const invalidate = (type: number, pcid: bigint, address: bigint): number => {
    m.setRegister(RCX, type);
    m.write64(0x5000, pcid);
    m.write64(0x5008, address);
    return m.run('invpcid', at(0x5000, { reg: S.gpr(RCX) }));
  };
  const write = (number: number, value: bigint | number): number => {
    m.setRegister(RAX, value);
    return m.run('mov_to_cr', rm(RAX, { special: number }));
  };

  it('have no bit in CR4 where CPUID does not announce them', () => {
    m.enterLong();
    m.core.set32(S.CR4, CR4_PAE);
    m.wiring.cpuid = createCpuidModel({ vcpuId: 0, vcpus: 1, features: featuresOf('x86-64-v2', { pcid: false }) });
    expect(write(4, CR4_PCIDE | CR4_PAE)).toBe(GENERAL_PROTECTION);
  });

  it('are for long mode, and begin with 0', () => {
    expect(write(4, CR4_PCIDE)).toBe(GENERAL_PROTECTION);
    m.enterLong();
    m.core.set32(S.CR4, CR4_PAE);
    m.core.setNumber(S.CR3, 0x4018);
    expect(write(4, CR4_PCIDE | CR4_PAE)).toBe(GENERAL_PROTECTION);
    m.core.setNumber(S.CR3, 0x4000);
    expect(write(4, CR4_PCIDE | CR4_PAE)).toBe(-1);
  });

  it('bit 63 of CR3 asks to keep translations and is not stored; without PCIDs it is reserved', () => {
    m.enterLong();
    expect(write(3, (1n << 63n) | 0x4000n)).toBe(GENERAL_PROTECTION);
    m.core.set32(S.CR4, CR4_PCIDE | CR4_PAE);
    expect([write(3, (1n << 63n) | 0x4005n), m.core.get64(S.CR3)]).toEqual([-1, 0x4005n]);
  });

  it('INVPCID refuses unknown types, reserved bits, a PCID without PCIDs, an address that is not canonical', () => {
    m.enterLong();
    expect([invalidate(0, 0n, 0x1000n), invalidate(1, 0n, 0n), invalidate(2, 0n, 0n), invalidate(3, 0n, 0n)]).toEqual([-1, -1, -1, -1]);
    expect([invalidate(4, 0n, 0n), invalidate(2, 0x1000n, 0n), invalidate(1, 5n, 0n), invalidate(0, 0n, 1n << 47n)]).toEqual(
      Array(4).fill(GENERAL_PROTECTION),
    );
    m.core.set32(S.CR4, CR4_PCIDE | CR4_PAE);
    expect(invalidate(1, 5n, 0n)).toBe(-1);
  });
});

describe('compare and exchange', () => {
  it('CMPXCHG8B stores on equality and loads otherwise, other flags kept', () => {
    m.core.setFlags(CF | 2);
    m.write64(0x5000, 0x1111_2222_3333_4444n);
    m.setRegister(RBX, 5);
    m.setRegister(RCX, 6);
    m.run('cmpxchg8b', at(0x5000));
    expect([m.flags, m.register(RAX), m.register(RDX)]).toEqual([CF | 2, 0x3333_4444n, 0x1111_2222n]);
    m.run('cmpxchg8b', at(0x5000));
    expect([m.flags, m.read64(0x5000)]).toEqual([CF | ZF | 2, 0x6_0000_0005n]);
  });

  it('CMPXCHG16B needs alignment', () => {
    m.enterLong();
    expect(m.run('cmpxchg16b', at(0x5008, { size: 8 }))).toBe(GENERAL_PROTECTION);
    m.setRegister(RBX, 7);
    expect([m.run('cmpxchg16b', at(0x5010, { size: 8 })), m.read64(0x5010), m.flags & ZF]).toEqual([-1, 7n, ZF]);
  });
});

describe('strings in checked segments', () => {
  it('REP MOVS goes element by element with both segments', () => {
    m.segment(S.DS, 0x10, 0x2000, 0xfff, 0x4093);
    m.segment(S.ES, 0x10, 0x3000, 3, 0x4093);
    m.write32(0x2010, 0x4433_2211, 0x55);
    m.setRegister(RSI, 0x10);
    m.setRegister(RDI, 0);
    m.setRegister(RCX, 5);
    const results = Array.from({ length: 5 }, () => m.run('movs', { size: 1, rep: true }));
    expect(results).toEqual([-1, -1, -1, -1, GENERAL_PROTECTION]);
    expect([m.read32(0x3000), m.register(RCX), m.rip]).toEqual([0x4433_2211, 1n, 0x1000n]);
  });

  it('REPNE SCAS stops at what it looks for, with the flags of the comparison', () => {
    m.write8(0x5000, 1, 2, 3);
    m.setRegister(RDI, 0x5000);
    m.setRegister(RCX, 10);
    m.setRegister(RAX, 2);
    m.run('scas', { size: 1, repne: true });
    expect([m.rip, m.flags & (CF | ZF)]).toEqual([0x1000n, 0]);
    m.run('scas', { size: 1, repne: true });
    expect([m.rip, m.flags & ZF, m.register(RCX), m.register(RDI)]).toEqual([0x1002n, ZF, 8n, 0x5002n]);
  });

  it('16-bit addressing wraps SI and DI and keeps their upper halves', () => {
    m.setRegister(RDI, 0x1234_ffff);
    m.setRegister(RAX, 0x5a);
    m.run('stos', { size: 1, addressBits: 16 });
    expect([m.register(RDI), m.read16(0xffff) & 0xff]).toEqual([0x1234_0000n, 0x5a]);
  });
});

describe('x87 and SSE state', () => {
  it('FXSAVE writes ST(0)…ST(7) from the top and FXRSTOR reads them back', () => {
    m.core.set32(S.FSW, 6 << 11);
    m.core.set32(S.FTW, 0x0fff | (0 << 12) | (1 << 14));
    m.core.set32(S.FCW, 0x37f);
    m.core.set64(S.X87 + 6 * 16, 0x8000_0000_0000_0000n);
    m.core.set32(S.X87 + 6 * 16 + 8, 0x3fff);
    m.core.set64(S.xmm(7), 0x1122_3344_5566_7788n);
    m.core.set32(S.MXCSR, 0x1f80);
    expect(m.run('fxsave', at(0x5000))).toBe(-1);
    expect([m.read16(0x5000), m.read16(0x5002), m.read16(0x5004), m.read32(0x5018), m.read32(0x501c)]).toEqual([
      0x37f, 0x3000, 0xc0, 0x1f80, 0xffff,
    ]);
    expect([m.read64(0x5020), m.read16(0x5028), m.read64(0x50a0 + 7 * 16)]).toEqual([
      0x8000_0000_0000_0000n,
      0x3fff,
      0x1122_3344_5566_7788n,
    ]);
    m.core.set32(S.FTW, 0xffff);
    m.core.set64(S.X87 + 6 * 16, 0n);
    m.core.set64(S.xmm(7), 0n);
    expect(m.run('fxrstor', at(0x5000))).toBe(-1);
    expect([m.core.get32(S.FTW), m.core.get64(S.X87 + 6 * 16), m.core.get64(S.xmm(7))]).toEqual([
      0x4fff,
      0x8000_0000_0000_0000n,
      0x1122_3344_5566_7788n,
    ]);
  });

  it('need alignment, a valid MXCSR, and CR0.TS clear', () => {
    expect(m.run('fxsave', at(0x5008))).toBe(GENERAL_PROTECTION);
    m.write32(0x5018, 0x1_0000);
    expect(m.run('fxrstor', at(0x5000))).toBe(GENERAL_PROTECTION);
    expect(m.run('ldmxcsr', at(0x5000))).toBe(INVALID_OPCODE);
    m.core.set32(S.CR4, CR4_OSFXSR);
    m.write32(0x5000, 0x1fa0);
    expect([m.run('ldmxcsr', at(0x5000)), m.run('stmxcsr', at(0x6000)), m.read32(0x6000)]).toEqual([-1, -1, 0x1fa0]);
    m.core.set32(S.CR0, m.core.get32(S.CR0) | CR0_TS);
    expect([m.run('fxsave', at(0x5000)), m.run('stmxcsr', at(0x6000))]).toEqual([DEVICE_NOT_AVAILABLE, DEVICE_NOT_AVAILABLE]);
  });
});

describe('decimal arithmetic', () => {
  const al = (mnemonic: string, ax: number, flags = 0, more: RecordFields = {}): [number, number] => {
    m.setRegister(RAX, ax);
    m.core.setFlags(flags | 2);
    m.run(mnemonic, more);
    return [Number(m.register(RAX)), m.flags & (CF | AF)];
  };

  it('adjusts sums and differences of packed digits (SDM 2, DAA, DAS)', () => {
    expect(al('daa', 0xae)).toEqual([0x14, CF | AF]); // 79h + 35h = 114
    expect(al('daa', 0x2e)).toEqual([0x34, AF]);
    expect(al('das', 0xee, AF | CF)).toEqual([0x88, CF | AF]); // 35h − 47h = −12
    for (let a = 0; a < 100; a++) {
      const packed = Math.floor(a / 10) * 16 + (a % 10);
      const sum = packed + 0x27;
      const flags = ((packed & 15) + 7 > 15 ? AF : 0) | (sum > 0xff ? CF : 0);
      const expected = a + 27;
      const digits = Math.floor((expected % 100) / 10) * 16 + (expected % 10);
      expect(al('daa', sum & 0xff, flags).map((v, i) => (i === 0 ? v : v & CF))).toEqual([digits, expected > 99 ? CF : 0]);
    }
  });

  it('adjusts unpacked digits', () => {
    expect(al('aaa', 0x000f)).toEqual([0x0105, CF | AF]);
    expect(al('aaa', 0x0105)).toEqual([0x0105, 0]);
    expect(al('aas', 0x02ff)).toEqual([0x0109, CF | AF]);
    expect(al('aam', 63, 0, { immediate: 10 })[0]).toBe(0x0603);
    expect(al('aad', 0x0603, 0, { immediate: 10 })[0]).toBe(63);
    expect(m.run('aam', { immediate: 0 })).toBe(DIVIDE_ERROR);
  });

  it('SALC, XLAT, BOUND', () => {
    expect(al('salc', 0x1200, CF)[0]).toBe(0x12ff);
    m.write8(0x5003, 0x77);
    m.setRegister(RBX, 0x5000);
    expect(al('xlat', 3)[0]).toBe(0x77);
    m.write32(0x5000, 0xffff_fff0, 10);
    m.setRegister(RAX, 10);
    expect(m.run('bound', at(0x5000, { reg: S.gpr(RAX) }))).toBe(-1);
    m.setRegister(RAX, -17);
    expect(m.run('bound', at(0x5000, { reg: S.gpr(RAX) }))).toBe(BOUND_RANGE);
  });
});

describe('the rest', () => {
  it('what is not implemented raises #UD and is logged once for each opcode', () => {
    m.write8(0x1000, 0x66, 0x0f, 0x38, 0xf6, 0xc1);
    m.write8(0x1010, 0x0f, 0x78);
    expect([m.run('undefined'), m.run('undefined')]).toEqual([INVALID_OPCODE, INVALID_OPCODE]);
    m.core.setNumber(S.RIP, 0x1010);
    m.run('undefined');
    expect(m.wiring.logged).toHaveLength(2);
    expect(m.wiring.logged[0]).toContain('warn: undefined instruction 66 0f 38 f6 c1');
    expect([m.run('ud'), m.wiring.logged.length]).toEqual([INVALID_OPCODE, 2]);
  });

  it('CPUID fills four registers and clears their upper halves', () => {
    m.wiring.cpuid = { lookup: (leaf, subleaf, out) => out.set([leaf, subleaf, 3, 4]) };
    m.setRegister(RAX, 7);
    m.setRegister(RCX, 1);
    m.setRegister(RBX, -1n);
    m.run('cpuid');
    expect([RAX, RBX, RCX, RDX].map((r) => m.register(r))).toEqual([7n, 1n, 3n, 4n]);
  });

  it('PAUSE lets others run', () => {
    m.run('pause');
    expect([m.core.yielding, m.core.leave]).toEqual([true, true]);
  });

  it('what CPUID does not announce is undefined', () => {
    for (const mnemonic of ['xgetbv', 'xsetbv'])
      expect([mnemonic, m.run(mnemonic)]).toEqual([mnemonic, INVALID_OPCODE]);
  });

  it('a fault in a memory operand leaves registers alone, in every operation that writes one', () => {
    m.core.set32(S.CR0, CR0_PE | CR0_PG);
    m.core.setNumber(S.CR3, RAM_BYTES - 0x1000);
    m.core.mmu.flush();
    for (const mnemonic of [
      'lgdt',
      'lidt',
      'sgdt',
      'lmsw',
      'fxrstor',
      'popf',
      'popa',
      'pop_sreg',
      'les_lds_lss_lfs_lgs',
      'enter',
      'iret',
      'ret_far',
      'cmpxchg8b',
    ]) {
      expect(SYSTEM_OPERATIONS[mnemonic]).toBeDefined();
      const before = m.memory.bytes.slice(m.core.base, m.core.base + S.RIP);
      expect([mnemonic, m.run(mnemonic, at(0x5000, { reg: S.gpr(RBX), immediate: S.ES }))]).toEqual([mnemonic, PAGE_FAULT]);
      expect(m.memory.bytes.slice(m.core.base, m.core.base + S.RIP)).toEqual(before);
    }
  });
});
