/** The host CPU as an oracle: compiles harness.c and runs cases through it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Case, MEMORY_BYTES } from './cases.ts';
import type { Outcome } from './outcome.ts';

const STATE = 128 + 8 + MEMORY_BYTES;
const INPUT = 24 + STATE;
const OUTPUT = STATE + 24;
const LONGEST = 15;

/** Path of the compiled harness, or the reason why there is none. */
export function compileHarness(): { readonly path?: string; readonly reason?: string } {
  if (process.arch !== 'x64' || process.platform !== 'linux') return { reason: `the host is ${process.platform}/${process.arch}, not Linux on x86-64` };
  const path = join(mkdtempSync(join(tmpdir(), 'bulkhead-silicon-')), 'harness');
  const source = join(import.meta.dirname, 'harness.c');
  const gcc = spawnSync('gcc', ['-O1', '-fno-pie', '-no-pie', '-fno-stack-protector', '-o', path, source], { encoding: 'utf8' });
  if (gcc.error) return { reason: 'gcc is not installed' };
  if (gcc.status !== 0) throw new Error(gcc.stderr);
  return { path };
}

/** Names as x86/features.ts has them. */
export function hostFeatures(): ReadonlySet<string> {
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  return new Set(flags.trim().split(' ').map((name) => (name === 'pni' ? 'sse3' : name)));
}

/** Bytes of code that find no room in the fixed part of a case: none of a single instruction, all of a program. */
const more = (code: readonly number[]): number => (code.length > LONGEST ? code.length : 0);

export function runNatively(harness: string, cases: readonly Case[]): Outcome[] {
  const input = Buffer.alloc(cases.reduce((sum, { code }) => sum + INPUT + more(code), 0));
  let at = 0;
  for (const { code, bits, steps, gpr, flags, memory } of cases) {
    const first = code.length - more(code);
    input.set(code.slice(0, first), at);
    input[at + 15] = first;
    input[at + 16] = bits;
    input[at + 17] = steps;
    input.writeUInt16LE(more(code), at + 18);
    for (const [n, value] of gpr.entries()) input.writeBigUInt64LE(value, at + 24 + n * 8);
    input.writeBigUInt64LE(BigInt(flags), at + 152);
    input.set(memory, at + 160);
    input.set(code.slice(first), at + INPUT);
    at += INPUT + more(code);
  }
  const { stdout, signal } = spawnSync(harness, { input, maxBuffer: 1 << 30 });
  if (stdout.length !== cases.length * OUTPUT) throw new Error(`the harness died (${signal}) after ${stdout.length / OUTPUT} cases`);
  return cases.map((_, i) => {
    const at = i * OUTPUT;
    return {
      gpr: Array.from({ length: 16 }, (_unused, n) => stdout.readBigUInt64LE(at + n * 8)),
      flags: Number(stdout.readBigUInt64LE(at + 128)),
      memory: stdout.subarray(at + 136, at + 136 + MEMORY_BYTES),
      rip: stdout.readBigUInt64LE(at + STATE),
      signal: Number(stdout.readBigUInt64LE(at + STATE + 8)),
      address: stdout.readBigUInt64LE(at + STATE + 16),
    };
  });
}
