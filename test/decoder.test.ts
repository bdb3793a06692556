/**
 * Our decoder against objdump: the same length for every instruction of real programs. What the instruction table does not
 * have yet (AVX and later extensions) is counted, not compared.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DECODE_UNDEFINED, Decoder } from '../src/x86/decoder.ts';

const IMAGES = join(import.meta.dirname, '../guests');
const PROGRAMS: readonly (readonly [path: string, bits: 32 | 64])[] = [
  [join(IMAGES, 'rtos/images/control.elf'), 32],
  [join(IMAGES, 'rtos/images/vision.elf'), 64],
  [join(IMAGES, 'payloads/images/alu.elf'), 32],
  ['/lib/x86_64-linux-gnu/libm.so.6', 64],
  ['/usr/bin/git', 64],
];
const hasObjdump = spawnSync('objdump', ['--version']).status === 0;
/** Address, bytes, text. */
const LINE = /^\s*[0-9a-f]+:\t((?:[0-9a-f]{2} )+)\s*\t(.+)$/gm;

describe('the decoder against objdump', () => {
  for (const [path, bits] of PROGRAMS) {
    const reason = !hasObjdump ? 'objdump is not installed' : !existsSync(path) ? 'no such file here' : '';
    it.skipIf(reason !== '')(`agrees on every length in ${path}${reason === '' ? '' : ` (skipped: ${reason})`}`, () => {
      const { stdout } = spawnSync('objdump', ['-d', '-w', '--insn-width=16', path], { encoding: 'utf8', maxBuffer: 1 << 30 });
      const decoder = new Decoder();
      const code = new Uint8Array(16);
      const wrong: string[] = [];
      let compared = 0;
      let unknown = 0;
      for (const [, hex = '', text = ''] of stdout.matchAll(LINE)) {
        if (text.startsWith('(bad)')) continue;
        const bytes = hex.trim().split(' ').map((byte) => Number.parseInt(byte, 16));
        // objdump shows FWAIT and the x87 instruction behind it as one.
        if (bytes[0] === 0x9b && bytes.length > 1) bytes.shift();
        code.fill(0);
        code.set(bytes);
        const length = decoder.decode(code, 0, code.length, bits, true);
        if (length === DECODE_UNDEFINED) unknown++;
        else if (length === bytes.length) compared++;
        else wrong.push(`${hex}${text}: ${length} bytes`);
      }
      expect(wrong.slice(0, 20)).toEqual([]);
      expect(compared).toBeGreaterThan(1000);
      expect(unknown / compared).toBeLessThan(0.5);
    }, 60_000);
  }
});
