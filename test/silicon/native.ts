/** The host CPU as an oracle: compiles harness.c and runs cases through it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bits, type Case, DATA_ADDRESS, MEMORY_BYTES } from './cases.ts';
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

/** What the host runs as the CPU would. */
export interface Faithful {
  readonly widths: readonly Bits[];
  /** 64-bit code whatever RSP is: some virtual machines take one that is not canonical for a fault. */
  readonly anyStack: boolean;
  /** What it does not, for the name of a test; empty when there is nothing. */
  readonly missing: string;
}

/**
 * Some virtual machines lose DS and ES on the way back from a signal: 64-bit code does not notice, other code faults at its first access to
 * memory. What they say then is not the CPU's.
 */
export function whatIsFaithful({ path }: { readonly path?: string }): Faithful {
  if (path === undefined) return { widths: [], anyStack: false, missing: '' };
  const isFaithful = (bits: Bits, rsp = 0n): boolean => {
    // mov eax, [rbx], [ebx] or [bx]
    const code = bits === 16 ? [0x66, 0x8b, 0x07] : [0x8b, 0x03];
    const gpr = Array.from({ length: 16 }, (_, n) => (n === 3 && bits !== 16 ? BigInt(DATA_ADDRESS) : n === 4 ? rsp : 0n));
    try {
      const [outcome] = runNatively(path, [{ mnemonic: 'mov', code, bits, steps: 1, gpr, flags: 2, memory: new Uint8Array(MEMORY_BYTES).fill(7) }]);
      return outcome?.signal === 0 && outcome.gpr[0] === 0x0707_0707n;
    } catch {
      return false;
    }
  };
  const all = [64, 32, 16] as const;
  const widths = all.filter((bits) => isFaithful(bits));
  const anyStack = isFaithful(64, 1n << 62n);
  const lost = all.filter((bits) => !widths.includes(bits));
  const missing = [
    ...(lost.length === 0 ? [] : [`${lost.join('- and ')}-bit code skipped: this host loses its segments`]),
    ...(anyStack ? [] : ['stacks that are not canonical skipped: this host takes them for faults']),
  ];
  return { widths, anyStack, missing: missing.length === 0 ? '' : ` (${missing.join('; ')})` };
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
