// SDM 2A, CPUID: what the processor says of itself must be true and must hang together.
import { describe, expect, it } from 'vitest';
import { featuresOf } from '../x86/features.ts';
import { createCpuidModel } from './cpuid.ts';

function ask(leaf: number, subleaf = 0, vcpuId = 0, vcpus = 1): number[] {
  const out = new Uint32Array(4);
  createCpuidModel({ vcpuId, vcpus }).lookup(leaf, subleaf, out);
  return [...out];
}

const text = (...values: (number | undefined)[]): string =>
  values
    .map((value) => String.fromCharCode(...[0, 8, 16, 24].map((shift) => ((value ?? 0) >>> shift) & 0xff)))
    .join('')
    .replace(/\0+$/, '');

describe('identity', () => {
  it('is GenuineIntel, family 6, under the hypervisor BulkheadHV', () => {
    const [last, b, c, d] = ask(0);
    expect([last, text(b, d, c)]).toEqual([0x16, 'GenuineIntel']);
    expect(((ask(1)[0] as number) >>> 8) & 15).toBe(6);
    const [, hb, hc, hd] = ask(0x4000_0000);
    expect(text(hb, hc, hd)).toBe('BulkheadHV');
    expect([2, 3, 4].map((n) => text(...ask(0x8000_0000 + n))).join('')).toContain('Bulkhead');
  });

  it('has what an x86-64 kernel requires: long mode, NX, SYSCALL, PAE, SSE2, CMPXCHG16B, APIC', () => {
    const [, , c, d] = ask(1);
    for (const bit of [0, 3, 4, 5, 6, 8, 9, 13, 15, 24, 25, 26]) expect([bit, ((d as number) >>> bit) & 1]).toEqual([bit, 1]);
    for (const bit of [13, 21, 24, 31]) expect([bit, ((c as number) >>> bit) & 1]).toEqual([bit, 1]);
    const extended = ask(0x8000_0001)[3] as number;
    for (const bit of [11, 20, 26, 27, 29]) expect([bit, (extended >>> bit) & 1]).toEqual([bit, 1]);
  });

  it('announces VME, machine checks, PCID, SMAP, UMIP and MONITOR, and not what is not there: VMX, AVX', () => {
    const [, , c, d] = ask(1);
    for (const bit of [1, 2, 7, 14]) expect(((d as number) >>> bit) & 1).toBe(1);
    for (const bit of [3, 17]) expect(((c as number) >>> bit) & 1).toBe(1);
    expect(ask(5)).toEqual([64, 64, 3, 0x10]);
    for (const bit of [5, 28]) expect(((c as number) >>> bit) & 1).toBe(0);
    expect([10, 20].map((bit) => ((ask(7)[1] as number) >>> bit) & 1)).toEqual([1, 1]);
    expect(((ask(7)[2] as number) >>> 2) & 1).toBe(1);
  });
});

describe('features', () => {
  const words = (...choice: Parameters<typeof featuresOf>): number[] => {
    const out = new Uint32Array(4);
    const model = createCpuidModel({ vcpuId: 0, vcpus: 1, features: featuresOf(...choice) });
    model.lookup(1, 0, out);
    const [, , ecx = 0] = out;
    model.lookup(0x8000_0001, 0, out);
    return [ecx, out[2] as number];
  };
  /** SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF in 64-bit mode. */
  const V2 = (1 << 0) | (1 << 9) | (1 << 13) | (1 << 19) | (1 << 20) | (1 << 23);

  it('of x86-64-v2 are there unless the base level is chosen', () => {
    expect([words()[0]! & V2, words()[1]! & 1]).toEqual([V2, 1]);
    expect([words('x86-64')[0]! & V2, words('x86-64')[1]! & 1]).toEqual([0, 0]);
  });

  it('include XSAVE of x87 and SSE state in 576 bytes, or not at all', () => {
    expect([ask(0xd), ask(0xd, 1), ask(0xd, 2)]).toEqual([[3, 576, 576, 0], [7, 576, 0, 0], [0, 0, 0, 0]]);
    const out = new Uint32Array(4).fill(1);
    createCpuidModel({ vcpuId: 0, vcpus: 1, features: featuresOf('x86-64', { xsave: false }) }).lookup(0xd, 0, out);
    expect([...out]).toEqual([0, 0, 0, 0]);
  });
});

describe('numbers', () => {
  it('time-stamp counter and timer clock are 1 GHz', () => {
    const [denominator, numerator, crystal] = ask(0x15) as [number, number, number];
    expect((crystal * numerator) / denominator).toBe(1_000_000_000);
    expect(((ask(0x8000_0007)[3] as number) >>> 8) & 1).toBe(1);
  });

  it('addresses have 40 physical and 48 linear bits', () => {
    expect((ask(0x8000_0008)[0] as number) & 0xffff).toBe(0x3028);
  });

  it('a leaf that is too high gives the highest, an unknown extended one zeros', () => {
    expect(ask(0x17)).toEqual(ask(0x16));
    expect(ask(0x8000_1000)).toEqual([0, 0, 0, 0]);
    expect(ask(7, 1)).toEqual([0, 0, 0, 0]);
  });
});

describe('topology', () => {
  it.each([[1], [2], [3], [4]])('of %i cores gives each its identifier', (vcpus) => {
    for (let id = 0; id < vcpus; id++) {
      expect([(ask(1, 0, id, vcpus)[1] as number) >>> 24, ask(0xb, 0, id, vcpus)[3], ask(0xb, 1, id, vcpus)[3]]).toEqual([id, id, id]);
    }
    const [shift, count, type] = ask(0xb, 1, 0, vcpus) as [number, number, number];
    expect([count, (type >>> 8) & 0xff]).toEqual([vcpus, 2]);
    expect(1 << shift).toBeGreaterThanOrEqual(vcpus);
    expect(ask(0xb, 2, 0, vcpus).slice(0, 2)).toEqual([0, 0]);
    expect(((ask(1, 0, 0, vcpus)[3] as number) >>> 28) & 1).toBe(vcpus > 1 ? 1 : 0);
  });

  it('caches end with a null one', () => {
    expect([0, 1, 2, 3].map((n) => (ask(4, n)[0] as number) & 31)).toEqual([1, 2, 3, 0]);
  });
});
