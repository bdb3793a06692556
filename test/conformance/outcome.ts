/**
 * What a payload's lines say, check by check, and how two outcomes are compared. The expected one is what the SDM demands; each
 * oracle's deviations from it are known by name (deviations.ts), and a deviation that is no longer there is an error as well.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Check → `ok`, or the value of a sum, or `fail got X want Y`. */
export type Outcome = ReadonlyMap<string, string>;

export function parseOutcome(text: string): Outcome {
  const outcome = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [kind = '', name = '', ...rest] = line.split(' ');
    if (kind === 'ok' || kind === 'done') outcome.set(name === '' ? kind : name, 'ok');
    else if (kind === 'sum' || kind === 'fail') outcome.set(name, [kind, ...rest].join(' '));
    else if (kind === 'skip') outcome.set(`${name}*`, 'skip');
  }
  return outcome;
}

export function expectedText(run: string): string {
  return readFileSync(fileURLToPath(new URL(`../../guests/payloads/expected/${run}.txt`, import.meta.url)), 'latin1');
}

export function imagePath(image: string): string {
  return fileURLToPath(new URL(`../../guests/payloads/images/${image}`, import.meta.url));
}

/**
 * Names of the checks that came out otherwise than expected, or not at all. What the processor says it does not have (`skip PREFIX`)
 * does not count. The last check before an early end may be cut short by it.
 */
export function differences(expected: Outcome, found: Outcome): string[] {
  const skipped = [...found].filter(([, result]) => result === 'skip').map(([name]) => name.slice(0, -1));
  return [...expected]
    .filter(([name, result]) => found.get(name) !== result && !skipped.some((prefix) => name.startsWith(prefix)))
    .map(([name]) => name);
}
