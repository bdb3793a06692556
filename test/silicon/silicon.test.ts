/**
 * The software engine against the host CPU, instruction by instruction. `BULKHEAD_CASES` per table row (default 150) and
 * `BULKHEAD_SEED` (default: random, printed) choose the run.
 */
import { describe, expect, it } from 'vitest';
import { bareVcpu, longModeState } from '../support/bare-vcpu.ts';
import { type Case, DATA_ADDRESS, definedFlags, makeCase, MEMORY_BYTES, Random, TESTED_ROWS } from './cases.ts';
import { compileHarness, type Outcome, runNatively } from './native.ts';

const harness = compileHarness();
const casesPerRow = Number(process.env['BULKHEAD_CASES'] ?? 150);
const seed = Number(process.env['BULKHEAD_SEED'] ?? (Date.now() & 0x7fff_ffff));
const CODE_ADDRESS = 0x2100_0000;
const CODE_SLOTS = 0x8_0000;
/** A repeated string instruction of three elements, and the instruction itself once more. */
const MOST_STEPS = 8;

const { memory, vcpu } = bareVcpu(0x2300_0000);
const data = memory.offsetOf(DATA_ADDRESS, MEMORY_BYTES);

function runSoftly({ code, gpr, flags, memory: before }: Case, slot: number): Outcome {
  const rip = CODE_ADDRESS + (slot % CODE_SLOTS) * 16;
  memory.bytes.set(before, data);
  memory.write(rip, Uint8Array.from({ length: 16 }, (_, i) => code[i] ?? 0x90));
  vcpu.writeState(longModeState(vcpu, { gpr, rip: BigInt(rip), rflags: BigInt(flags) }));
  let state = vcpu.readState();
  for (let step = 0; step < MOST_STEPS && state.rip === BigInt(rip); step++) {
    vcpu.run(1);
    state = vcpu.readState();
  }
  return {
    gpr: state.gpr,
    flags: Number(state.rflags),
    memory: memory.bytes.slice(data, data + MEMORY_BYTES),
    // There is no IDT here: a fault becomes a triple fault, and RIP is not behind the instruction.
    signal: state.rip === BigInt(rip + code.length) ? 0 : -1,
  };
}

function differences(test: Case, native: Outcome, soft: Outcome): string[] {
  const found: string[] = [];
  const hex = (n: number | bigint): string => n.toString(16);
  if ((native.signal !== 0) !== (soft.signal !== 0)) return [`native signal ${native.signal}, soft ${soft.signal}`];
  if (native.signal !== 0) return [];
  for (const [n, value] of native.gpr.entries()) {
    if (value !== soft.gpr[n]) found.push(`r${n} is ${hex(soft.gpr[n] as bigint)}, silicon says ${hex(value)}`);
  }
  const mask = definedFlags(test);
  if ((native.flags & mask) !== (soft.flags & mask)) found.push(`flags are ${hex(soft.flags & mask)}, silicon says ${hex(native.flags & mask)}`);
  if (Buffer.compare(native.memory, soft.memory) !== 0) found.push('memory differs');
  return found;
}

describe(`against silicon, ${casesPerRow} cases per encoding, seed ${seed}`, () => {
  it.skipIf(harness.path === undefined)(`every integer encoding gives the host's registers, flags, memory and faults${harness.reason ? ` (skipped: ${harness.reason})` : ''}`, () => {
    const random = new Random(seed);
    const cases = TESTED_ROWS.flatMap((row) => Array.from({ length: casesPerRow }, () => makeCase(row, random)));
    const native = runNatively(harness.path as string, cases);
    const wrong: string[] = [];
    for (const [i, test] of cases.entries()) {
      const found = differences(test, native[i] as Outcome, runSoftly(test, i));
      const bytes = test.code.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
      if (found.length > 0) wrong.push(`${test.row.mnemonic} [${bytes}] flags ${test.flags.toString(16)}: ${found.join('; ')}`);
    }
    expect(wrong.slice(0, 20)).toEqual([]);
    console.log(`silicon: ${cases.length} cases over ${TESTED_ROWS.length} encodings agree (seed ${seed})`);
  }, 300_000);
});
