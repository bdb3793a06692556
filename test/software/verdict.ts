/** What is wrong with a load's run in a guest. */
import type { GuestOutcome, Outcome } from './run.ts';

/** What a kernel says when something is amiss, in itself or in the machine under it. */
const COMPLAINTS = [
  /\bBUG:|\bOops\b|WARNING:|Call Trace|[Kk]ernel panic/,
  /detected (expedited )?stalls?\b|soft lockup|hard LOCKUP|blocked for more than|not responding/,
  /segfault|traps:|general protection|unable to handle|invalid opcode|divide error|Machine check|Out of memory/,
  /unstable|clock skew|nobody cared|[Ss]purious/,
];
/** What the engine says when a guest needs what it does not have. */
const ENGINE_COMPLAINTS = /undefined instruction|not implemented/;
/** Lines beyond which a reader has seen enough. */
const SHOWN = 10;

/** Lines of the kernel's log that no healthy system has. */
export function complaintsIn(messages: string): string[] {
  return messages.split('\n').filter((line) => COMPLAINTS.some((pattern) => pattern.test(line)));
}

/** Empty where all is well. `expected`: the same load on the host. */
export function faultsOf(guest: GuestOutcome, expected?: Outcome): string[] {
  return [
    ...(guest.status === (expected?.status ?? 0) ? [] : [`status ${guest.status}, and ${expected?.status ?? 0} is expected`]),
    ...complaintsIn(guest.messages).map((line) => `kernel: ${line}`),
    ...guest.log.filter((line) => ENGINE_COMPLAINTS.test(line)).map((line) => `engine: ${line}`),
    ...(expected === undefined ? [] : differences(guest.output, expected.output)),
  ];
}

/** Line by line, until enough differ. */
function differences(actual: string, expected: string): string[] {
  if (actual === expected) return [];
  const [ours, theirs] = [actual.split('\n'), expected.split('\n')];
  const found: string[] = [];
  for (let i = 0; i < Math.max(ours.length, theirs.length) && found.length < SHOWN; i++) {
    if (ours[i] !== theirs[i]) found.push(`line ${i + 1}: guest: ${ours[i] ?? '(nothing)'}, host: ${theirs[i] ?? '(nothing)'}`);
  }
  return found;
}
