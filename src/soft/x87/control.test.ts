import { beforeEach, describe, expect, it } from 'vitest';
import { CR0_PG } from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { PAGE_FAULT } from '../../x86/vectors.ts';
import { GUEST_FAULT } from '../core.ts';
import { type RecordFields, TestMachine } from '../testing.ts';
import { X87_OPERATIONS } from './operations.ts';
import { C1, STACK_FAULT } from './unit.ts';

const IMAGE = 0x3000;
const OPERAND = 0x4000;
let machine: TestMachine;
/** Runs one operation; `opcode` is the 11-bit x87 opcode. The vector it raised, or −1. */
function run(mnemonic: string, opcode = 0, fields: RecordFields = {}): number {
  const { core } = machine;
  try {
    X87_OPERATIONS[mnemonic]?.(core, machine.record({ immediate: opcode, ...fields }));
    return -1;
  } catch (fault) {
    expect(fault).toBe(GUEST_FAULT);
    return core.get32(S.FAULT_VECTOR);
  }
}
const at = (address: number, size = 4): RecordFields => ({ memory: true, displacement: address, size });

beforeEach(() => {
  machine = new TestMachine();
  machine.enterProtected();
  run('fninit');
});

describe('FNINIT', () => {
  it('masks everything, rounds to nearest with 64 bits, empties all registers', () => {
    const { core } = machine;
    expect([core.get32(S.FCW), core.get32(S.FSW), core.get32(S.FTW)]).toEqual([0x37f, 0, 0xffff]);
  });
});

/** Register 7 holds one, 6 zero, 5 a denormal single, which is a normal number in 80 bits; the others are empty. */
const TAGS = 0b00_01_00_11_11_11_11_11;

describe('FNSTENV and FLDENV', () => {
  it('store 28 bytes with tags worked out, mask all exceptions, and load them back', () => {
    run('fld1');
    run('fldz');
    machine.write16(OPERAND, 0x0300);
    run('fldcw', 0, at(OPERAND));
    machine.setRegister(S.RAX, 0);
    machine.core.set64(S.RIP, 0x1234n);
    run('fld_m32', 0x1a0, at(OPERAND));
    run('fnstenv', 0, at(IMAGE));
    expect(machine.read32(IMAGE)).toBe(0xffff_0340);
    expect(machine.read32(IMAGE + 8) & 0xffff).toBe(TAGS);
    expect(machine.read32(IMAGE + 12)).toBe(0x1234);
    expect(machine.read32(IMAGE + 16)).toBe((0x1a0 << 16) | 8);
    expect(machine.read32(IMAGE + 20)).toBe(OPERAND);
    expect(machine.core.get32(S.FCW) & 0x3f).toBe(0x3f);
    run('fninit');
    run('fldenv', 0, at(IMAGE));
    expect(machine.core.get32(S.FCW)).toBe(0x340);
    expect((machine.core.get32(S.FSW) >> 11) & 7).toBe(5);
  });
});

describe('FNSAVE and FRSTOR', () => {
  it.each([
    ['32-bit', 4, 108],
    ['16-bit', 2, 94],
  ])('%s: the registers follow the environment in stack order, and all comes back', (_, size, length) => {
    run('fldpi');
    run('fld1');
    machine.write8(IMAGE + length, 0xee);
    run('fnsave', 0, at(IMAGE, size));
    expect(machine.core.get32(S.FTW)).toBe(0xffff);
    const registers = IMAGE + length - 80;
    expect([machine.read64(registers), machine.read16(registers + 8)]).toEqual([1n << 63n, 0x3fff]);
    expect([machine.read64(registers + 10), machine.read16(registers + 18)]).toEqual([0xc90f_daa2_2168_c235n, 0x4000]);
    expect(machine.core.u8[machine.memory.offsetOf(IMAGE + length, 1)]).toBe(0xee);
    run('frstor', 0, at(IMAGE, size));
    expect((machine.core.get32(S.FSW) >> 11) & 7).toBe(6);
    run('fstp_m64', 0, at(OPERAND));
    expect(machine.read64(OPERAND)).toBe(0x3ff0_0000_0000_0000n);
  });

  it('writes nothing when the last byte cannot be written', () => {
    machine.write32(0x10_0000, 0x10_1007); // one page table, its pages 0–3 present
    for (let page = 0; page < 4; page++) machine.write32(0x10_1000 + page * 4, (page << 12) | 7);
    machine.core.setNumber(S.CR3, 0x10_0000);
    machine.core.set32(S.CR0, machine.core.get32(S.CR0) | CR0_PG);
    machine.core.mmu.flush();
    run('fld1');
    expect(run('fnsave', 0, at(0x3fc0))).toBe(PAGE_FAULT);
    expect(machine.read32(0x3fc0)).toBe(0);
    expect(machine.core.get32(S.FTW)).not.toBe(0xffff);
  });
});

describe('the stack', () => {
  it('overflow and underflow are invalid with SF; C1 tells which', () => {
    for (let i = 0; i < 8; i++) run('fld1');
    run('fldz');
    expect(machine.core.get32(S.FSW) & (STACK_FAULT | C1 | 1)).toBe(STACK_FAULT | C1 | 1);
    run('fninit');
    run('fchs');
    expect(machine.core.get32(S.FSW) & (STACK_FAULT | C1 | 1)).toBe(STACK_FAULT | 1);
  });

  it('a store that faults has popped nothing and raised nothing', () => {
    machine.core.set32(S.FCW, 0x37f);
    run('fldpi');
    machine.core.setNumber(S.CR3, 0x10_0000);
    machine.core.set32(S.CR0, machine.core.get32(S.CR0) | CR0_PG);
    machine.core.mmu.flush();
    const before = machine.core.get32(S.FSW);
    expect(run('fstp_m32', 0, at(OPERAND))).toBe(PAGE_FAULT);
    expect(machine.core.get32(S.FSW)).toBe(before);
  });
});
