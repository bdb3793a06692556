// `cpu:` and `cpuid:` of a partition: which processor it sees.
import { describe, expect, it } from 'vitest';
import { compileManifest } from './index.ts';
import { testHost } from './testing.ts';

const host = testHost({ 'rtos.elf': 'ELF' });

function compile(...keys: readonly string[]) {
  const text = `version: 1
machine: cell
board: { cores: 2, memory: 64MiB }
partitions:
  control:
    role: rtos
    cores: [1]
    memory: 16MiB
    boot: { kernel: rtos.elf }
${keys.map((key) => `    ${key}\n`).join('')}`;
  return compileManifest(text, 'cell.yaml', host);
}
const cpuOf = (...keys: readonly string[]) => compile(...keys).machine?.partitions[0]?.cpu;

describe('the processor of a partition', () => {
  it('is x86-64-v2 where nothing is said', () => {
    expect(cpuOf()).toEqual({ level: 'x86-64-v2', features: {} });
  });

  it('can be of another level, with features put in and left out', () => {
    expect(cpuOf('cpu: x86-64', 'cpuid: { popcnt: true, xsave: false }')).toEqual({ level: 'x86-64', features: { popcnt: true, xsave: false } });
  });

  it('cannot be of a level that there is not', () => {
    expect(compile('cpu: x86-64-v9').findings).toMatchObject([{ severity: 'error', at: { line: 10 } }]);
  });
});

describe('a feature', () => {
  it('that is mistyped is found, with what was meant', () => {
    expect(compile('cpuid: { sse42: false }').findings).toMatchObject([{ code: 'BH121', at: { line: 10, column: 14 }, hint: 'did you mean `sse4_2`?' }]);
  });

  it('of the architecture itself cannot be left out', () => {
    expect(compile('cpuid: { sse2: false }').findings).toMatchObject([{ code: 'BH121', message: '`sse2` is part of every processor here' }]);
  });

  it('needs those it builds on', () => {
    expect(compile('cpu: x86-64', 'cpuid: { sse4_1: true }').findings).toMatchObject([{ code: 'BH122', message: '`sse4_1` needs `ssse3`' }]);
    expect(compile('cpu: x86-64', 'cpuid: { sse4_1: true, ssse3: true, sse3: true }').findings).toEqual([]);
  });
});
