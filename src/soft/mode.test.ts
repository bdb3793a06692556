// What follows from CR0, EFER, CS and SS: decoding, address and stack masks, and whether segments need checking.
import { beforeEach, describe, expect, it } from 'vitest';
import { EFER_LMA } from '../x86/control.ts';
import { VM } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { updateMode } from './mode.ts';
import { effectiveAddress, effectiveOffset, writeRegister } from './operands.ts';
import { TestMachine } from './testing.ts';
import { GENERAL_PROTECTION, STACK_FAULT } from '../x86/vectors.ts';

let m: TestMachine;
beforeEach(() => {
  m = new TestMachine();
});
const mode = (): number => m.core.get32(S.MODE);
const mask = (field: number): bigint => m.core.get64(field);

describe('the mode', () => {
  it('real-address mode is 16-bit, segmented, at level 0', () => {
    m.core.set32(S.CPL, 3);
    updateMode(m.core);
    expect([mode(), m.core.cpl, mask(S.STACK_MASK)]).toEqual([S.MODE_CODE_16 | S.MODE_SEGMENTED | S.MODE_FS_CHECKED | S.MODE_GS_CHECKED, 0, 0xffffn]);
  });

  it('flat 32-bit protected mode checks nothing; a null FS is checked where it is used', () => {
    m.enterProtected();
    expect([mode(), mask(S.LINEAR_MASK), mask(S.STACK_MASK)]).toEqual([S.MODE_CODE_32 | S.MODE_PROTECTED, 0xffff_ffffn, 0xffff_ffffn]);
    m.segment(S.FS, 0, 0, 0, 0x1_0000);
    expect(mode()).toBe(S.MODE_CODE_32 | S.MODE_PROTECTED | S.MODE_FS_CHECKED);
    m.segment(S.FS, 0x33, 0xb7c0_0000, 0xffff_ffff, 0xc0f3);
    expect(mode()).toBe(S.MODE_CODE_32 | S.MODE_PROTECTED);
  });

  it.each([
    ['a base', S.DS, 0x10, 0xffff_ffff, 0xc093],
    ['a limit', S.ES, 0, 0xfff_ffff, 0xc093],
    ['no right to write', S.DS, 0, 0xffff_ffff, 0xc091],
    ['expand-down', S.SS, 0, 0xffff_ffff, 0xc097],
    ['no right to read', S.CS, 0, 0xffff_ffff, 0xc099],
  ])('%s makes the mode segmented', (_, segment, base, limit, attributes) => {
    m.enterProtected();
    m.segment(segment, 8, base, limit, attributes);
    expect(mode() & S.MODE_SEGMENTED).toBe(S.MODE_SEGMENTED);
  });

  it('64-bit mode needs EFER.LMA and CS.L; its bases are 0 and its masks all ones', () => {
    m.enterLong();
    m.segment(S.SS, 0, 0x5000, 0, 0x1_0000);
    expect([mode(), mask(S.LINEAR_MASK), mask(S.STACK_MASK), mask(S.STACK_BASE)]).toEqual([
      S.MODE_CODE_64 | S.MODE_PROTECTED,
      0xffff_ffff_ffff_ffffn,
      0xffff_ffff_ffff_ffffn,
      0n,
    ]);
    m.core.set32(S.EFER, m.core.get32(S.EFER) & ~EFER_LMA);
    updateMode(m.core);
    expect(m.core.is64Bit).toBe(false);
  });

  it('a 16-bit stack under flat 32-bit code is checked like a segment with a limit', () => {
    m.enterProtected();
    m.segment(S.SS, 0x18, 0, 0xffff_ffff, 0x8093);
    expect([mode(), mask(S.STACK_MASK)]).toEqual([S.MODE_CODE_32 | S.MODE_PROTECTED | S.MODE_SEGMENTED, 0xffffn]);
  });

  it('virtual-8086 mode is level 3 and not protected mode', () => {
    m.enterProtected();
    m.core.set32(S.SYSTEM_FLAGS, VM | 2);
    updateMode(m.core);
    expect([m.core.cpl, m.core.isProtected, m.core.isVirtual8086]).toEqual([3, false, true]);
  });

  it('every mode decodes under a key of its own', () => {
    m.enterProtected();
    expect(mask(S.DECODE_KEY)).toBe(BigInt(mode()) << 40n);
  });
});

describe('effective addresses', () => {
  it('are base + index·scale + displacement + segment base, modulo 2^32 outside 64-bit mode', () => {
    m.enterProtected();
    m.segment(S.DS, 0x10, 0x100, 0xffff_ffff, 0xc093);
    m.setRegister(S.RBX, 0xffff_fff0);
    m.setRegister(S.RSI, 3);
    const record = m.record({ memory: true, base: S.gpr(S.RBX), index: S.gpr(S.RSI), scale: 3, displacement: -4 });
    expect(effectiveOffset(m.core, record)).toBe(4);
    expect(effectiveAddress(m.core, record)).toBe(0x104);
  });

  it('are exact over 64 bits, carries included', () => {
    m.enterLong();
    m.setRegister(S.RBX, 0xffff_8000_ffff_ffffn);
    m.setRegister(S.RSI, 0x2000_0000_0000_0001n);
    const record = m.record({ memory: true, base: S.gpr(S.RBX), index: S.gpr(S.RSI), scale: 3, displacement: 0x7fff_ffff });
    expect(BigInt(effectiveAddress(m.core, record))).toBe(BigInt.asIntN(64, 0xffff_8000_ffff_ffffn + 8n + 0x7fff_ffffn));
  });

  it('raise #GP(0) when they are not canonical, #SS(0) on the stack', () => {
    m.enterLong();
    m.setRegister(S.RBX, 0x8000_0000_0000n);
    expect(m.attempt(() => effectiveAddress(m.core, m.record({ memory: true, base: S.gpr(S.RBX) })))).toBe(GENERAL_PROTECTION);
    expect(m.attempt(() => effectiveAddress(m.core, m.record({ memory: true, base: S.gpr(S.RBX), segment: S.SS })))).toBe(STACK_FAULT);
    expect(m.attempt(() => effectiveAddress(m.core, m.record({ memory: true, base: S.gpr(S.RBX), addressBits: 32 })))).toBe(-1);
  });

  it('FS and GS have 64-bit bases', () => {
    m.enterLong();
    m.core.set64(S.segmentBase(S.GS), 0xffff_8880_0000_0000n);
    expect(effectiveAddress(m.core, m.record({ memory: true, segment: S.GS, displacement: 0x28 }))).toBe(-0x7780_0000_0000 + 0x28);
  });
});

describe('registers', () => {
  it('a 32-bit write clears the upper half, smaller ones keep the rest', () => {
    m.setRegister(S.RAX, 0x1122_3344_5566_7788n);
    writeRegister(m.core, S.gpr(S.RAX) + 1, 1, 0xaa);
    writeRegister(m.core, S.gpr(S.RAX), 2, 0xbbcc);
    expect(m.register(S.RAX)).toBe(0x1122_3344_5566_bbccn);
    writeRegister(m.core, S.gpr(S.RAX), 4, 1);
    expect(m.register(S.RAX)).toBe(1n);
  });
});
