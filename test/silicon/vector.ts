/**
 * Integer cases and their outcomes as lines of text: `mnemonic bits code | before | after`, parts `rN=`, `f=` (flags), `rip=`,
 * `m=offset:bytes`, `signal=` and `a=` (address of a page fault), in hexadecimal. Before: what is not zero; after: what is not as before.
 */
import { difference, patch } from './fpu/image.ts';
import { type Bits, type Case, MEMORY_BYTES, startOf } from './cases.ts';
import type { Outcome } from './outcome.ts';

const ZEROS = new Uint8Array(MEMORY_BYTES);
const hex = (n: number | bigint): string => n.toString(16);

export function formatCase({ mnemonic, bits, code, gpr, flags, memory, steps }: Case): string {
  const parts = gpr.flatMap((value, n) => (value === 0n ? [] : [`r${n}=${hex(value)}`]));
  if (flags !== 0) parts.push(`f=${hex(flags)}`);
  if (steps !== 1) parts.push(`steps=${hex(steps)}`);
  const bytes = difference(ZEROS, memory);
  if (bytes !== '') parts.push(`m=${bytes}`);
  return `${mnemonic} ${bits} ${Buffer.from(code).toString('hex')} | ${parts.join(' ')}`;
}

/** `outcome` must be comparable. */
export function formatVector(test: Case, outcome: Outcome): string {
  if (outcome.signal !== 0) return `${formatCase(test)} | signal=${hex(outcome.signal)} a=${hex(outcome.address)}`;
  const parts = outcome.gpr.flatMap((value, n) => (value === test.gpr[n] ? [] : [`r${n}=${hex(value)}`]));
  parts.push(`f=${hex(outcome.flags)}`);
  if (outcome.rip !== startOf(test.bits) + BigInt(test.code.length)) parts.push(`rip=${hex(outcome.rip)}`);
  const bytes = difference(test.memory, outcome.memory);
  if (bytes !== '') parts.push(`m=${bytes}`);
  return `${formatCase(test)} | ${parts.join(' ')}`;
}

export function parseVector(line: string): { readonly test: Case; readonly expected: Outcome } {
  const [head = '', before = '', after = ''] = line.split('|').map((part) => part.trim());
  const [mnemonic = '', bitsText, codeText = ''] = head.split(' ');
  const bits = Number(bitsText) as Bits;
  const given = parse(before);
  const gpr = registers(given, Array.from({ length: 16 }, () => 0n));
  const code = [...Buffer.from(codeText, 'hex')];
  const test: Case = {
    mnemonic, bits, code, gpr,
    flags: Number(`0x${given.get('f') ?? 0}`), steps: Number(`0x${given.get('steps') ?? 1}`), memory: patch(ZEROS, given.get('m') ?? ''),
  };
  const left = parse(after);
  const signal = Number(`0x${left.get('signal') ?? 0}`);
  if (signal !== 0) return { test, expected: { gpr: [], flags: 0, memory: new Uint8Array(0), rip: 0n, signal, address: BigInt(`0x${left.get('a') ?? 0}`) } };
  return {
    test,
    expected: {
      gpr: registers(left, bits === 64 ? gpr : gpr.slice(0, 8)),
      flags: Number(`0x${left.get('f') ?? 0}`),
      memory: patch(test.memory, left.get('m') ?? ''),
      rip: BigInt(`0x${left.get('rip') ?? hex(startOf(bits) + BigInt(code.length))}`),
      signal: 0,
      address: 0n,
    },
  };
}

const parse = (text: string): ReadonlyMap<string, string> =>
  new Map(text.split(' ').filter((part) => part !== '').map((part) => part.split('=') as [string, string]));

const registers = (parts: ReadonlyMap<string, string>, otherwise: readonly bigint[]): bigint[] =>
  otherwise.map((value, n) => (parts.has(`r${n}`) ? BigInt(`0x${parts.get(`r${n}`)}`) : value));
