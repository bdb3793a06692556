// `vars:` beside `firmware:` in a manifest: flash memory in front of the ROM, on a file.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GiB, KiB, MiB } from '../base/index.ts';
import { compileManifest } from '../manifest/index.ts';
import { manifestHost } from './manifest-file.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-vars-'));
  const rom = new Uint8Array(2 * MiB);
  rom[rom.length - 16] = 0xea; // a jump at the reset vector
  writeFileSync(join(folder, 'uefi.rom'), rom);
  writeFileSync(join(folder, 'kernel.bin'), Uint8Array.of(0xf4));
  for (const name of ['vars.fd', 'other.fd']) {
    writeFileSync(join(folder, name), '');
    truncateSync(join(folder, name), 128 * KiB);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const partition = (name: string, core: number, boot: string) => `  ${name}: { role: gpos, cores: [${core}], memory: 64MiB, boot: ${boot} }`;
const compile = (...partitions: string[]) =>
  compileManifest(['version: 1', 'machine: pc', 'board: { cores: 2, memory: 256MiB }', 'partitions:', ...partitions, ''].join('\n'), 'pc.yaml', manifestHost(folder));

describe('a file for what UEFI stores', () => {
  it('is behind flash memory where OVMF has its variables', () => {
    const { machine, findings } = compile(partition('desktop', 0, '{ firmware: uefi.rom, vars: vars.fd }'));
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(machine?.partitions[0]?.devices).toMatchObject([
      {
        model: 'cfi-flash',
        ranges: [{ space: 'mmio', base: 4 * GiB - 2 * MiB, size: 128 * KiB }],
        files: [{ option: 'image', path: join(folder, 'vars.fd'), access: 'rw' }],
      },
    ]);
  });

  it('has to be there, and is found missing in its line', () => {
    const { findings } = compile(partition('desktop', 0, '{ firmware: uefi.rom, vars: nowhere.fd }'));
    expect(findings.filter(({ severity }) => severity === 'error').map(({ at }) => at.line)).toEqual([5]);
  });

  it('belongs to one partition', () => {
    const of = (file: string) => compile(partition('one', 0, '{ firmware: uefi.rom, vars: vars.fd }'), partition('two', 1, `{ firmware: uefi.rom, vars: ${file} }`));
    expect(of('other.fd').machine).toBeDefined();
    expect(of('vars.fd').machine).toBeUndefined();
  });

  it('is of no use to a kernel', () => {
    const { findings } = compile(partition('control', 0, '{ kernel: kernel.bin, protocol: flat, load: 0x100000, vars: vars.fd }'));
    expect(findings.map(({ code, at }) => `${code} ${at.line}`)).toContain('BH257 5');
  });
});
