// SDM 3B §20.3 and §20.4: the interrupt flag that a program below IOPL 3 has for itself.
import { beforeEach, describe, expect, it } from 'vitest';
import { CR4_PVI, CR4_VME } from '../x86/control.ts';
import { IF, IOPL, TF, VIF, VIP, VM } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION } from '../x86/vectors.ts';
import { updateMode } from './mode.ts';
import { ATTRIBUTES_VIRTUAL_8086 } from './segments.ts';
import { TestMachine } from './testing.ts';

const TSS = 0x3000;
const REDIRECTION = 0x68;
const VECTOR = 0x21;
const SHOWN = IF | IOPL | TF | VIF | VIP;

let m: TestMachine;
beforeEach(() => {
  m = new TestMachine();
  m.enterProtected();
  m.segment(S.TR, 0x40, TSS, 0xff, 0x8b);
  m.write16(TSS + 0x66, REDIRECTION + 32);
  m.write32(VECTOR * 4, 0x2000_0100);
});

/** In virtual-8086 mode with these flags. */
function start(flags: number, cr4 = CR4_VME): void {
  m.core.set32(S.CR4, cr4);
  m.core.setFlags(flags | VM);
  for (let segment = S.ES; segment <= S.GS; segment++) m.segment(segment, 0x100, 0x1000, 0xffff, ATTRIBUTES_VIRTUAL_8086);
  m.setRegister(S.RSP, 0x800);
  updateMode(m.core);
}
const stackWord = (n: number): number => m.read16(0x1000 + Number(m.register(S.RSP)) + n * 2);
const push = (word: number): void => {
  m.setRegister(S.RSP, Number(m.register(S.RSP)) - 2);
  m.write16(0x1000 + Number(m.register(S.RSP)), word);
};

describe('with VME, below IOPL 3', () => {
  it('CLI and STI work on VIF', () => {
    start(VIF | IF);
    expect([m.run('cli'), m.flags & SHOWN]).toEqual([-1, IF]);
    expect([m.run('sti'), m.flags & SHOWN]).toEqual([-1, IF | VIF]);
  });

  it('STI is refused while an interrupt is pending', () => {
    start(VIP);
    expect([m.run('sti'), m.flags & SHOWN]).toEqual([GENERAL_PROTECTION, VIP]);
  });

  it('PUSHF shows VIF as IF, and IOPL 3', () => {
    start(VIF);
    m.run('pushf', { size: 2 });
    expect(stackWord(0) & SHOWN).toBe(IF | IOPL);
  });

  it('POPF writes VIF, leaves IF and IOPL, and refuses TF', () => {
    start(0);
    push(IF | IOPL);
    expect([m.run('popf', { size: 2 }), m.flags & SHOWN]).toEqual([-1, VIF]);
    push(TF);
    expect(m.run('popf', { size: 2 })).toBe(GENERAL_PROTECTION);
  });

  it('32-bit PUSHF and POPF have no virtual form', () => {
    start(0);
    expect([m.run('pushf', { size: 4 }), m.run('popf', { size: 4 })]).toEqual([GENERAL_PROTECTION, GENERAL_PROTECTION]);
  });

  it('INT n goes to the program where its bit in the TSS is clear', () => {
    start(VIF | IF);
    expect(m.run('int', { immediate: VECTOR })).toBe(-1);
    expect([m.selector(S.CS), m.rip, m.flags & SHOWN]).toEqual([0x2000, 0x100n, IF]);
    expect([stackWord(1), stackWord(2) & SHOWN]).toEqual([0x100, IF | IOPL]);
  });

  it('and to the system where it is set', () => {
    start(VIF);
    m.write8(TSS + REDIRECTION + (VECTOR >> 3), 1 << (VECTOR & 7));
    expect(m.run('int', { immediate: VECTOR })).toBe(GENERAL_PROTECTION);
  });
});

describe('at IOPL 3', () => {
  it('the flag is IF itself', () => {
    start(IOPL | VIP);
    expect([m.run('sti'), m.flags & SHOWN]).toEqual([-1, IF | IOPL | VIP]);
  });
});

describe('with PVI, at level 3 of protected mode', () => {
  it('CLI and STI work on VIF, POPF and PUSHF do not', () => {
    m.enterProtected(3);
    m.setRegister(S.RSP, 0x800);
    m.core.set32(S.CR4, CR4_PVI);
    m.core.setFlags(IF);
    expect([m.run('sti'), m.flags & SHOWN]).toEqual([-1, IF | VIF]);
    m.run('pushf', { size: 4 });
    expect(m.read32(0x7fc) & SHOWN).toBe(IF | VIF);
    expect([m.run('cli'), m.flags & SHOWN]).toEqual([-1, IF]);
    m.core.set32(S.CR4, 0);
    expect(m.run('cli')).toBe(GENERAL_PROTECTION);
  });
});
