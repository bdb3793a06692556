// XSAVE, XRSTOR and kin (SDM 1 chapter 13): what is stored where, what the header says, what is refused.
import { beforeEach, describe, expect, it } from 'vitest';
import { CR0_TS, CR4_OSFXSR, CR4_OSXSAVE } from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { DEVICE_NOT_AVAILABLE, GENERAL_PROTECTION, INVALID_OPCODE } from '../../x86/vectors.ts';
import { createCpuidModel } from '../cpuid.ts';
import { type RecordFields, TestMachine } from '../testing.ts';

const AREA = 0x5000;
const XSTATE_BV = AREA + 512;
const XCOMP_BV = XSTATE_BV + 8;
const X87 = 1;
const SSE = 2;
const COMPACTED = 0x8000_0000;

let m: TestMachine;
beforeEach(() => {
  m = new TestMachine();
  m.enterLong();
  m.core.set32(S.CR4, CR4_OSFXSR | CR4_OSXSAVE);
  m.core.set64(S.XCR0, 3n);
  m.core.set32(S.MXCSR, 0x1f80);
  m.core.set32(S.FCW, 0x37f);
  m.core.set32(S.FTW, 0xffff);
  request(X87 | SSE);
});

const area: RecordFields = { memory: true, displacement: AREA, size: 8 };
function request(components: number): void {
  m.setRegister(S.RAX, components);
  m.setRegister(S.RDX, 0);
}
const setXmm = (n: number, value: bigint): void => m.core.set64(S.xmm(n), value);
const xmm = (n: number): bigint => m.core.get64(S.xmm(n));
const header = (): number[] => [m.read32(XSTATE_BV), m.read32(XCOMP_BV), m.read32(XCOMP_BV + 4)];

describe('XSAVE', () => {
  it('stores the components that XCR0 and EDX:EAX both name, where FXSAVE puts them, and says so in the header', () => {
    setXmm(3, 0x1122_3344n);
    m.core.set32(S.FCW, 0x27f);
    expect(m.run('xsave', area)).toBe(-1);
    expect([m.read16(AREA), m.read32(AREA + 24), m.read64(AREA + 160 + 3 * 16)]).toEqual([0x27f, 0x1f80, 0x1122_3344n]);
    expect(header()).toEqual([X87 | SSE, 0, 0]);
  });

  it('leaves what was not asked for, in the area and in the header', () => {
    m.write16(AREA, 0xabcd);
    m.write32(XSTATE_BV, X87);
    setXmm(0, 1n);
    request(SSE);
    m.run('xsave', area);
    expect([m.read16(AREA), header()[0]]).toEqual([0xabcd, X87 | SSE]);
  });

  it('says of registers in their initial state that they are', () => {
    m.write32(XSTATE_BV, X87 | SSE);
    m.run('xsave', area);
    expect(header()[0]).toBe(0);
  });
});

describe('XSAVEOPT and XSAVEC', () => {
  it('do not write what is in its initial state; XSAVEOPT writes MXCSR all the same', () => {
    m.write64(AREA + 160, 0x5555n);
    m.core.set32(S.MXCSR, 0x1fa0);
    m.run('xsaveopt', area);
    expect([m.read64(AREA + 160), m.read32(AREA + 24), header()[0]]).toEqual([0x5555n, 0x1fa0, 0]);
  });

  it('XSAVEC writes a header of the compacted form; MXCSR alone makes SSE state worth saving', () => {
    m.core.set32(S.MXCSR, 0x1fa0);
    m.write32(XSTATE_BV, 0xffff_ffff);
    m.run('xsavec', area);
    expect([...header(), m.read32(AREA + 24)]).toEqual([SSE, X87 | SSE, COMPACTED, 0x1fa0]);
  });
});

describe('XRSTOR', () => {
  it('brings back what XSAVE and XSAVEC stored', () => {
    for (const form of ['xsave', 'xsavec']) {
      setXmm(15, 0x77n);
      m.core.set32(S.FCW, 0x27f);
      m.core.set32(S.MXCSR, 0x1fa0);
      m.run(form, area);
      setXmm(15, 0n);
      m.core.set32(S.FCW, 0x37f);
      m.core.set32(S.MXCSR, 0x1f80);
      expect(m.run('xrstor', area)).toBe(-1);
      expect([xmm(15), m.core.get32(S.FCW), m.core.get32(S.MXCSR)]).toEqual([0x77n, 0x27f, 0x1fa0]);
    }
  });

  it('does so where the area lies on two pages, wherever it is cut', () => {
    for (const cut of [64, 128, 192, 384, 512]) {
      const across: RecordFields = { ...area, displacement: 0x6000 - cut };
      m.write32(0x6000 - cut + 512, ...Array.from({ length: 16 }, () => 0)); // software clears the header first
      for (let n = 0; n < 16; n++) setXmm(n, BigInt(0x1_0001 * (n + cut)));
      m.core.set64(S.X87 + 16, 0x8000_0000_0000_0001n);
      m.core.set32(S.FTW, 0xfff3);
      m.core.setNumber(S.FIP, 0x1234_5678);
      m.run('xsave', across);
      for (let n = 0; n < 16; n++) setXmm(n, 0n);
      m.core.set64(S.X87 + 16, 0n);
      m.core.setNumber(S.FIP, 0);
      expect(m.run('xrstor', across)).toBe(-1);
      expect([xmm(0), xmm(15), m.core.get64(S.X87 + 16), m.core.getNumber(S.FIP)]).toEqual([
        BigInt(0x1_0001 * cut), BigInt(0x1_0001 * (15 + cut)), 0x8000_0000_0000_0001n, 0x1234_5678,
      ]);
    }
  });

  it('initializes what the header says is not there; MXCSR comes from the area in the standard form only', () => {
    setXmm(1, 9n);
    m.core.set32(S.FCW, 0x27f);
    m.write32(AREA + 24, 0x1fa0);
    expect(m.run('xrstor', area)).toBe(-1);
    expect([xmm(1), m.core.get32(S.FCW), m.core.get32(S.MXCSR)]).toEqual([0n, 0x37f, 0x1fa0]);
    m.write32(XCOMP_BV, X87 | SSE, COMPACTED);
    m.run('xrstor', area);
    expect(m.core.get32(S.MXCSR)).toBe(0x1f80);
  });

  it.each([
    ['a component that XCR0 does not enable', XSTATE_BV, 4],
    ['reserved bits behind the bitmaps', XSTATE_BV + 16, 1],
    ['a compaction bitmap without bit 63', XCOMP_BV, 1],
    ['reserved bits of MXCSR', AREA + 24, 0x1_0000],
  ])('refuses %s', (_, address, value) => {
    m.write32(address, value);
    expect(m.run('xrstor', area)).toBe(GENERAL_PROTECTION);
  });

  it('refuses a compacted area that holds what its bitmap does not name', () => {
    m.write32(XSTATE_BV, SSE);
    m.write32(XCOMP_BV, X87, COMPACTED);
    expect(m.run('xrstor', area)).toBe(GENERAL_PROTECTION);
  });
});

describe('all of them', () => {
  const all = ['xsave', 'xsaveopt', 'xsavec', 'xrstor'];

  it('need an area aligned to 64 bytes, CR0.TS clear, CR4.OSXSAVE set', () => {
    for (const form of all) expect(m.run(form, { ...area, displacement: AREA + 16 })).toBe(GENERAL_PROTECTION);
    m.core.set32(S.CR0, m.core.get32(S.CR0) | CR0_TS);
    for (const form of all) expect(m.run(form, area)).toBe(DEVICE_NOT_AVAILABLE);
    m.core.set32(S.CR4, CR4_OSFXSR);
    for (const form of [...all, 'xgetbv', 'xsetbv']) expect(m.run(form, area)).toBe(INVALID_OPCODE);
  });
});

describe('CPUID', () => {
  it('shows OSXSAVE while CR4 has it (SDM 2A table 3-10)', () => {
    Object.assign(m.wiring, { cpuid: createCpuidModel({ vcpuId: 0, vcpus: 1 }) });
    const shown = (): bigint => {
      m.setRegister(S.RAX, 1);
      m.run('cpuid');
      return (m.register(S.RCX) >> 27n) & 1n;
    };
    expect(shown()).toBe(1n);
    m.core.set32(S.CR4, CR4_OSFXSR);
    expect(shown()).toBe(0n);
  });
});

describe('XCR0', () => {
  const set = (value: number, index = 0): number => {
    request(value);
    m.setRegister(S.RCX, index);
    return m.run('xsetbv');
  };

  it('takes x87, and SSE beside it, and nothing else', () => {
    expect([1, 3].map((value) => set(value))).toEqual([-1, -1]);
    for (const value of [0, 2, 5, 7]) expect(set(value)).toBe(GENERAL_PROTECTION);
    expect(set(1, 1)).toBe(GENERAL_PROTECTION);
    m.setRegister(S.RCX, 0);
    m.run('xgetbv');
    expect([m.register(S.RAX), m.register(S.RDX)]).toEqual([3n, 0n]);
  });

  it('can be asked for what of it is in use', () => {
    m.setRegister(S.RCX, 1);
    setXmm(2, 1n);
    m.run('xgetbv');
    expect(m.register(S.RAX)).toBe(BigInt(SSE));
  });
});
