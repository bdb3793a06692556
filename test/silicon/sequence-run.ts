/** Programs on both sides, what of their outcome is compared, and the smallest program that still differs. */
import { ExitReason } from '../../src/contracts/index.ts';
import { ARITHMETIC_FLAGS, DIRECTION } from './cases.ts';
import { runNatively } from './native.ts';
import { differences, type Outcome } from './outcome.ts';
import { codeOf, type Sequence } from './sequence-cases.ts';
import type { SoftMachine } from './soft.ts';

/** Far more than a program without long loops needs. */
const MOST_INSTRUCTIONS = 20_000;
/** What AF means after logic and shifts is undefined, and nothing in these programs looks at it. */
const COMPARED_FLAGS = (ARITHMETIC_FLAGS & ~0x10) | DIRECTION;

const asCase = (sequence: Sequence): Parameters<typeof runNatively>[1][number] => ({ mnemonic: 'sequence', steps: 0, code: codeOf(sequence), ...sequence });

/** Registers as they are when the program stops, in a fault too: those of the instruction that raised it are not there yet. */
function comparable(sequence: Sequence, outcome: Outcome): Outcome {
  const isWide = sequence.bits === 64;
  return {
    ...outcome,
    gpr: isWide ? outcome.gpr : outcome.gpr.slice(0, 8).map((value) => value & 0xffff_ffffn),
    flags: outcome.flags & COMPARED_FLAGS,
    rip: isWide ? outcome.rip : outcome.rip & 0xffff_ffffn,
  };
}

export function runSequencesNatively(harness: string, sequences: readonly Sequence[]): Outcome[] {
  const outcomes = runNatively(harness, sequences.map(asCase));
  return sequences.map((sequence, i) => comparable(sequence, outcomes[i] as Outcome));
}

export function runSequenceSoftly(machine: SoftMachine, sequence: Sequence): Outcome {
  machine.start(asCase(sequence));
  const reason = machine.vcpu.run(MOST_INSTRUCTIONS);
  const { gpr, rflags, rip } = machine.vcpu.readState();
  const ended = reason === ExitReason.Shutdown ? machine.signal() : { signal: -1, address: 0n };
  return comparable(sequence, { gpr, flags: Number(rflags), rip, memory: machine.contents, ...ended });
}

export interface SequenceDifference {
  readonly sequence: Sequence;
  readonly lines: readonly string[];
}

export function compareSequences(harness: string, machine: SoftMachine, sequences: readonly Sequence[]): SequenceDifference[] {
  const native = runSequencesNatively(harness, sequences);
  return sequences
    .map((sequence, i) => ({ sequence, lines: differences(native[i] as Outcome, runSequenceSoftly(machine, sequence)) }))
    .filter(({ lines }) => lines.length > 0);
}

const NOP = 0x90;

/** Parts become NOPs as long as the program still differs; what is left is in `parts` with something else than NOPs. */
export function shrinkSequence(harness: string, machine: SoftMachine, sequence: Sequence): Sequence {
  let small = sequence;
  for (let n = sequence.parts.length - 2; n >= 0; n--) {
    const part = small.parts[n] as readonly number[];
    const candidate = { ...small, parts: small.parts.with(n, part.map(() => NOP)) };
    if (compareSequences(harness, machine, [candidate]).length > 0) small = candidate;
  }
  return small;
}

/** For a report: the instructions that are left, where they are, and the registers. */
export function describeSequence(sequence: Sequence): string {
  let at = 0;
  const lines: string[] = [];
  for (const part of sequence.parts) {
    if (part.some((byte) => byte !== NOP)) lines.push(`  +${at}: ${part.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}`);
    at += part.length;
  }
  const registers = sequence.gpr.map((value, n) => `r${n}=${value.toString(16)}`).join(' ');
  return `${sequence.bits}-bit\n${lines.join('\n')}\n  ${registers} flags=${sequence.flags.toString(16)}\n  memory ${Buffer.from(sequence.memory).toString('hex')}`;
}
