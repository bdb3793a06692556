// Agreement with a CPU is test/silicon/fpu; here is what CPUs do not agree on.
import { beforeEach, describe, expect, it } from 'vitest';
import { CR4_OSFXSR } from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { TestMachine } from '../testing.ts';
import { SSE_OPERATIONS } from './operations.ts';

let machine: TestMachine;
beforeEach(() => {
  machine = new TestMachine();
  machine.enterLong();
  machine.core.set32(S.CR4, CR4_OSFXSR);
  machine.core.set32(S.MXCSR, 0x1f80);
});

function run(mnemonic: string, singles: readonly number[]): number[] {
  const { core } = machine;
  for (const [i, x] of singles.entries()) core.view.setFloat32(core.base + S.xmm(2) + 4 * i, x, true);
  SSE_OPERATIONS[mnemonic]?.(core, machine.record({ size: 16, base: S.xmm(2), reg: S.xmm(1) }));
  return singles.map((_, i) => core.view.getFloat32(core.base + S.xmm(1) + 4 * i, true));
}

/** SDM 2B, RCPPS: |relative error| ≤ 1.5 × 2^−12. */
const ALLOWED = 1.5 * 2 ** -12;

describe.each([
  ['rcpps', (x: number) => 1 / x],
  ['rsqrtps', (x: number) => 1 / Math.sqrt(x)],
])('%s', (mnemonic, exact) => {
  it('stays within the error that the SDM allows', () => {
    const numbers = [1, 3, 0.7, 1e20];
    for (const [i, y] of run(mnemonic, numbers).entries()) {
      const wanted = exact(numbers[i] as number);
      expect(Math.abs(y - wanted) / wanted).toBeLessThanOrEqual(ALLOWED);
    }
  });

  it('takes denormals for zeros, gives signed infinities for zeros, and raises nothing', () => {
    expect(run(mnemonic, [0, -0, 2 ** -140, Infinity])).toEqual([Infinity, -Infinity, Infinity, 0]);
    expect(machine.core.get32(S.MXCSR)).toBe(0x1f80);
  });
});

it('the reciprocal square root of a negative number is the indefinite NaN', () => {
  run('rsqrtps', [-1, -Infinity, 1, 1]);
  const { core } = machine;
  expect([core.view.getUint32(core.base + S.xmm(1), true), core.view.getUint32(core.base + S.xmm(1) + 4, true)]).toEqual([
    0xffc0_0000, 0xffc0_0000,
  ]);
});

it('MASKMOVDQU writes only the bytes whose mask has its top bit set', () => {
  const { core } = machine;
  machine.write64(0x5000, 0x1111_1111_1111_1111n);
  machine.setRegister(S.RDI, 0x5000);
  core.set64(S.xmm(1), 0x8877_6655_4433_2211n);
  core.set64(S.xmm(2), 0x8000_0000_0080_7fffn);
  SSE_OPERATIONS['maskmovdqu']?.(core, machine.record({ size: 16, base: S.xmm(2), reg: S.xmm(1) }));
  expect(machine.read64(0x5000)).toBe(0x8811_1111_1133_1111n);
});
