// Which faults x87, MMX and SSE instructions raise when the operating system has not made them available (SDM 3A table 2-2,
// §12.1, §13.1), and for operands that are not aligned (SDM 1 §10.4.1.1).
import { beforeEach, describe, expect, it } from 'vitest';
import { CR0_EM, CR0_MP, CR0_TS, CR4_OSFXSR, CR4_OSXMMEXCPT } from '../../../src/x86/control.ts';
import * as S from '../../../src/x86/state.ts';
import { DEVICE_NOT_AVAILABLE, FLOATING_POINT, GENERAL_PROTECTION, INVALID_OPCODE, SIMD_FLOATING_POINT } from '../../../src/x86/vectors.ts';
import { EngineUnderTest } from './engine.ts';
import { FSW, Image, MXCSR, XMM } from './image.ts';
import { SSE_FORMS } from './sse.ts';
import { X87_FORMS } from './x87.ts';

const engine = new EngineUnderTest();
const SSE_ENABLED = CR4_OSFXSR | CR4_OSXMMEXCPT;
beforeEach(() => {
  engine.control(0, SSE_ENABLED);
});

const vectorOf = (code: readonly number[]): number => engine.execute(Image.initial().setCode(code));
const sse = SSE_FORMS.filter((form) => form.row.attributes.has('sse') && !form.row.attributes.has('mmx'));
const mmx = SSE_FORMS.filter((form) => form.row.attributes.has('mmx') && !form.row.attributes.has('sse'));
const codeOf = (form: { readonly code: readonly number[]; readonly hasImmediate: boolean }): readonly number[] =>
  form.hasImmediate ? [...form.code, 0] : form.code;
/** The distinct outcomes of all `forms`: one, when all behave alike. */
const outcomes = (forms: readonly { readonly code: readonly number[]; readonly hasImmediate: boolean }[]): number[] => [
  ...new Set(forms.map((form) => vectorOf(codeOf(form)))),
];

describe('SSE', () => {
  it('runs when CR4.OSFXSR is set', () => {
    expect(outcomes(sse)).toEqual([-1]);
  });

  it('is undefined without CR4.OSFXSR, and with CR0.EM', () => {
    engine.control(0, 0);
    expect(outcomes(sse)).toEqual([INVALID_OPCODE]);
    engine.control(CR0_EM | CR0_TS, SSE_ENABLED);
    expect(outcomes(sse)).toEqual([INVALID_OPCODE]);
  });

  it('is not available after a task switch', () => {
    engine.control(CR0_TS, SSE_ENABLED);
    expect(outcomes(sse)).toEqual([DEVICE_NOT_AVAILABLE]);
  });

  it.each([
    ['movaps load', [0x0f, 0x28, 0x43, 0x01], GENERAL_PROTECTION],
    ['movdqa store', [0x66, 0x0f, 0x7f, 0x43, 0x08], GENERAL_PROTECTION],
    ['paddb', [0x66, 0x0f, 0xfc, 0x43, 0x01], GENERAL_PROTECTION],
    ['addps', [0x0f, 0x58, 0x43, 0x04], GENERAL_PROTECTION],
    ['movups', [0x0f, 0x10, 0x43, 0x01], -1],
    ['movdqu store', [0xf3, 0x0f, 0x7f, 0x43, 0x01], -1],
    ['addss', [0xf3, 0x0f, 0x58, 0x43, 0x01], -1],
  ])('with a misaligned operand: %s', (_, code, vector) => {
    expect(vectorOf(code)).toBe(vector);
  });

  it('raises unmasked exceptions as #XM, or #UD where the operating system has no handler, and writes nothing but the flag', () => {
    const divide = Image.initial().setCode([0xf2, 0x0f, 0x5e, 0xca]); // divsd xmm1, xmm2
    divide.view.setFloat64(XMM + 16, 1, true);
    divide.view.setUint32(MXCSR, 0x1d80, true);
    expect(engine.execute(divide)).toBe(SIMD_FLOATING_POINT);
    expect(engine.field32(S.MXCSR)).toBe(0x1d84);
    expect(engine.fieldDouble(S.xmm(1))).toBe(1);
    engine.control(0, CR4_OSFXSR);
    expect(engine.execute(divide)).toBe(INVALID_OPCODE);
  });
});

describe('MMX', () => {
  it('needs no OSFXSR, but heeds EM, TS and a pending x87 exception', () => {
    engine.control(0, 0);
    expect(outcomes(mmx)).toEqual([-1]);
    engine.control(CR0_EM, 0);
    expect(outcomes(mmx)).toEqual([INVALID_OPCODE]);
    engine.control(CR0_TS, 0);
    expect(outcomes(mmx)).toEqual([DEVICE_NOT_AVAILABLE]);
  });
});

describe('x87', () => {
  const all = X87_FORMS.map((form) => ({ ...form, hasImmediate: false }));

  it('is not available with EM or TS, whatever the instruction', () => {
    for (const bits of [CR0_EM, CR0_TS]) {
      engine.control(bits, SSE_ENABLED);
      expect(outcomes(all)).toEqual([DEVICE_NOT_AVAILABLE]);
    }
  });

  it('WAIT heeds TS only together with MP', () => {
    engine.control(CR0_TS, SSE_ENABLED);
    expect(vectorOf([0x9b])).toBe(-1);
    engine.control(CR0_TS | CR0_MP, SSE_ENABLED);
    expect(vectorOf([0x9b])).toBe(DEVICE_NOT_AVAILABLE);
  });

  it('reports a pending exception at every instruction that waits, and at none that does not', () => {
    const waits = (code: readonly number[]): boolean => {
      const image = Image.initial().setCode(code);
      image.view.setUint16(FSW, 0x8081, true); // IE with ES and B
      image.view.setUint16(FSW - 2, 0x37e, true); // unmasked
      const vector = engine.execute(image);
      expect([-1, FLOATING_POINT]).toContain(vector);
      return vector === FLOATING_POINT;
    };
    const silent = X87_FORMS.filter((form) => !waits(form.code)).map((form) => form.mnemonic);
    expect([...new Set(silent)].sort()).toEqual(
      ['fnclex', 'fninit', 'fnobsolete', 'fnsave', 'fnstcw', 'fnstenv', 'fnstsw_ax', 'fnstsw_m16'].sort(),
    );
    expect(waits([0x9b])).toBe(true);
  });
});
