// SDM 3B §18.2: what DR0–DR3 watch under DR7, and that it costs nothing while DR7 enables nothing.
import { beforeEach, describe, expect, it } from 'vitest';
import { CR4_DE } from '../x86/control.ts';
import * as S from '../x86/state.ts';
import { TestMachine } from './testing.ts';

const DATUM = 0x9004;
const ON_EXECUTION = 0;
const ON_WRITE = 1;
const ON_PORT = 2;
const ON_ACCESS = 3;

let m: TestMachine;
beforeEach(() => {
  m = new TestMachine();
  m.enterProtected();
});

/** Slot 0 waits for `kind` of access to `bytes` at `address`. */
function arm(kind: number, address: number, bytes = 1): void {
  m.core.setNumber(S.DR, address);
  m.core.setNumber(S.DR + 7 * 8, 0x400 | 2 | (kind << 16) | (((bytes - 1) & 3) << 18));
  m.core.breakpoints.update();
}
function hits(action: () => void): number {
  m.core.breakpoints.hits = 0;
  action();
  return m.core.breakpoints.hits;
}

describe('data breakpoints', () => {
  it('see every access to a watched byte, again and again', () => {
    arm(ON_ACCESS, DATUM, 4);
    for (let i = 0; i < 3; i++) expect(hits(() => m.core.mmu.load32(DATUM + 2))).toBe(1);
    expect(hits(() => m.core.mmu.load8(DATUM + 4))).toBe(0);
  });

  it('on writing do not see reads', () => {
    arm(ON_WRITE, DATUM, 4);
    expect([hits(() => m.core.mmu.load32(DATUM)), hits(() => m.core.mmu.store8(DATUM + 3, 1))]).toEqual([0, 1]);
  });

  it('see an access that a translation was known for before', () => {
    m.core.mmu.store32(DATUM, 1);
    arm(ON_WRITE, DATUM, 4);
    expect(hits(() => m.core.mmu.store32(DATUM, 2))).toBe(1);
  });

  it('see one that crosses into their page', () => {
    arm(ON_WRITE, 0xa000, 1);
    expect(hits(() => m.core.mmu.store32(0x9ffe, 1))).toBe(1);
  });

  it("do not see the processor's own reads of tables", () => {
    arm(ON_ACCESS, DATUM, 4);
    expect(hits(() => m.core.mmu.loadSystem32(DATUM))).toBe(0);
  });

  it('are as long as they are aligned', () => {
    arm(ON_WRITE, DATUM + 1, 2);
    expect([hits(() => m.core.mmu.store8(DATUM, 1)), hits(() => m.core.mmu.store8(DATUM + 2, 1))]).toEqual([1, 0]);
  });
});

describe('instruction breakpoints', () => {
  it('are at one linear address', () => {
    arm(ON_EXECUTION, 0x1234);
    m.core.setNumber(S.RIP, 0x1234);
    expect(m.core.breakpoints.atInstruction()).toBe(1);
    m.core.setNumber(S.RIP, 0x1235);
    expect(m.core.breakpoints.atInstruction()).toBe(0);
  });
});

describe('port breakpoints', () => {
  it('need CR4.DE', () => {
    arm(ON_PORT, 0x60, 1);
    expect([m.core.breakpoints.watchesPorts, hits(() => m.run('out_immediate', { size: 1, immediate: 0x60 }))]).toEqual([false, 0]);
    m.core.set32(S.CR4, CR4_DE);
    m.core.breakpoints.update();
    expect(hits(() => m.run('out_immediate', { size: 1, immediate: 0x60 }))).toBe(1);
    expect(hits(() => m.run('out_immediate', { size: 1, immediate: 0x61 }))).toBe(0);
  });
});

describe('DR7', () => {
  it('enabling nothing, arms nothing', () => {
    arm(ON_ACCESS, DATUM, 4);
    m.core.setNumber(S.DR + 7 * 8, 0x400);
    m.core.breakpoints.update();
    expect([m.core.breakpoints.isArmed, m.core.breakpoints.watchesData]).toEqual([false, false]);
    expect(hits(() => m.core.mmu.load32(DATUM))).toBe(0);
  });

  it('loses its local enables when the task changes', () => {
    m.core.setNumber(S.DR + 7 * 8, 0x400 | 0b0111);
    m.core.breakpoints.update();
    m.core.breakpoints.leaveTask();
    expect(m.core.get32(S.DR + 7 * 8)).toBe(0x400 | 0b0010);
  });
});
