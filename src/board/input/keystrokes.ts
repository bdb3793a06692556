/**
 * What somebody types, in one line of text: characters as they are, other keys in angle brackets, keys that are held together joined by
 * plus signs: `ls -l<enter>`, `<ctrl+alt+delete>`, `a <lt> b`.
 */
import { BulkheadError } from '../../base/index.ts';
import type { KeyEvent } from '../../contracts/index.ts';
import { KEY_ALIASES, KEYS, keyNumber } from './keys.ts';

/** What can stand between angle brackets, beside single characters. */
const KEY_NAMES = [...Object.keys(KEY_ALIASES), ...KEYS.map(({ name }) => name).filter((name) => name.length > 1)];
/** Characters that the notation itself uses. */
const NAMED_CHARACTERS: Readonly<Record<string, string>> = { lt: '<', gt: '>', plus: '+' };

/** Presses and releases, in order. Throws BH640 for a key or character that a US keyboard does not have. */
export function keystrokes(text: string): KeyEvent[] {
  return pieces(text).flatMap((names) => {
    const keys = names.flatMap((name) => keysFor(name));
    return [...keys.map((key) => ({ key, pressed: true })), ...keys.toReversed().map((key) => ({ key, pressed: false }))];
  });
}

/** Keys that are down together, by name; `ab<ctrl+c>` is three of them. */
function pieces(text: string): string[][] {
  const found: string[][] = [];
  for (const [piece, named] of text.matchAll(/<([^<>\s]+)>|./gsu)) found.push(named === undefined ? [piece] : named.split('+'));
  return found;
}

/** A key, with Shift before it where its character wants it. */
function keysFor(name: string): number[] {
  const character = NAMED_CHARACTERS[name] ?? name;
  const number = keyNumber(character.length === 1 ? (character === '\r' ? '\n' : character) : character);
  if (number !== undefined) return [number];
  const shifted = character.length === 1 ? KEYS.findIndex(({ characters }) => characters[1] === character) : -1;
  if (shifted >= 0) return [keyNumber('shift') as number, shifted];
  throw new BulkheadError('BH640', `a US keyboard has no key \`${name}\``, {
    hint: `keys are named in angle brackets: ${KEY_NAMES.join(', ')}`,
  });
}
