/** What an instruction left behind, what of that is compared, and how it differs. */
import { ARITHMETIC_FLAGS, type Case, DATA_ADDRESS, DIRECTION, MEMORY_BYTES } from './cases.ts';
import { definedFlags } from './coverage.ts';

export interface Outcome {
  readonly gpr: readonly bigint[];
  readonly flags: number;
  readonly memory: Uint8Array;
  readonly rip: bigint;
  /** 0, or the signal that the instruction raised. */
  readonly signal: number;
  /** Of a page fault, the address that it reports; else 0. */
  readonly address: bigint;
}

const RSP = 4;

/**
 * The part that both sides promise. After a fault that is which one it was, and where a page fault was: the engine has no handler
 * here that could save the rest.
 */
export function comparable(test: Case, outcome: Outcome): Outcome {
  if (outcome.signal !== 0) return { gpr: [], flags: 0, memory: new Uint8Array(0), rip: 0n, signal: outcome.signal, address: outcome.address };
  const is64 = test.bits === 64;
  const memory = outcome.memory.slice();
  // the host runs with IF, and TF for the single step
  if (test.mnemonic === 'pushf') {
    const at = test.bits === 16 ? Number((outcome.gpr[RSP] as bigint) & 0xffffn) : Number(outcome.gpr[RSP]) - DATA_ADDRESS;
    if (at >= 0 && at + 2 < MEMORY_BYTES) {
      memory[at + 1] = (memory[at + 1] as number) & ~0x03;
      memory[at + 2] = (memory[at + 2] as number) & ~0x01;
    }
  }
  const flags = (definedFlags(test.mnemonic, test.code, test.bits) & ARITHMETIC_FLAGS) | DIRECTION;
  return {
    // what 64-bit registers hold above 32 bits after 32-bit code is not promised (SDM 1 §3.4.1.1)
    gpr: is64 ? outcome.gpr : outcome.gpr.slice(0, 8).map((value) => value & 0xffff_ffffn),
    flags: outcome.flags & flags,
    memory,
    rip: is64 ? outcome.rip : outcome.rip & 0xffff_ffffn,
    signal: 0,
    address: 0n,
  };
}

/** In words, one for each difference; both sides must be {@link comparable}. */
export function differences(expected: Outcome, found: Outcome): string[] {
  const hex = (n: number | bigint): string => n.toString(16);
  if (expected.signal !== found.signal) return [`signal is ${found.signal}, silicon says ${expected.signal}`];
  const list: string[] = [];
  if (expected.address !== found.address) list.push(`fault address is ${hex(found.address)}, silicon says ${hex(expected.address)}`);
  for (const [n, value] of expected.gpr.entries()) {
    if (value !== found.gpr[n]) list.push(`r${n} is ${hex(found.gpr[n] as bigint)}, silicon says ${hex(value)}`);
  }
  if (expected.flags !== found.flags) list.push(`flags are ${hex(found.flags)}, silicon says ${hex(expected.flags)}`);
  if (expected.rip !== found.rip) list.push(`rip is ${hex(found.rip)}, silicon says ${hex(expected.rip)}`);
  for (const [i, byte] of expected.memory.entries()) {
    if (byte !== found.memory[i]) list.push(`memory[${i}] is ${hex(found.memory[i] as number)}, silicon says ${hex(byte)}`);
  }
  return list;
}
