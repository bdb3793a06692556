/** Turns what zod objects to into findings: our codes, our words, the place in the file. */
import type { z } from 'zod';
import type { Finding } from '../contracts/index.ts';
import { clip } from './quantities.ts';
import type { ScalarProblem } from './schema.ts';
import type { ManifestSource, Path } from './source.ts';
import { nearest, suggestion } from './suggest.ts';

type Issue = z.core.$ZodIssue;

const KIND_WORDS: Readonly<Record<string, string>> = {
  string: 'a text', number: 'a number', int: 'a whole number', boolean: '`true` or `false`',
  object: 'a mapping', record: 'a mapping', array: 'a list in brackets',
};

/** At most `limit` of them: a mapping can hold any number of unknown keys. A key that is missing because it was mistyped is one finding, not two. */
export function schemaFindings(issues: readonly Issue[], source: ManifestSource, limit: number): Finding[] {
  const meant = new Set<string>();
  const findings: Finding[] = [];
  const unknownFirst = [...issues].sort((a, b) => Number(b.code === 'unrecognized_keys') - Number(a.code === 'unrecognized_keys'));
  for (const issue of unknownFirst) {
    if (findings.length >= limit) break;
    if (issue.code === 'unrecognized_keys') {
      const known = issue.message.split(' ');
      for (const key of issue.keys.slice(0, limit)) meant.add([...issue.path, nearest(key, known) ?? ''].join('\n'));
    }
    const missing = valueAt(source.data, issue.path.map(stepOf)) === undefined;
    if (!missing || !meant.has(issue.path.join('\n'))) findings.push(...findingsOf(issue, [], source, limit));
  }
  return findings;
}

const stepOf = (step: PropertyKey): string | number => (typeof step === 'symbol' ? String(step) : step);

function findingsOf(issue: Issue, above: Path, source: ManifestSource, limit: number): Finding[] {
  const path: Path = [...above, ...issue.path.map(stepOf)];
  const value = valueAt(source.data, path);
  const name = nameOf(path);
  const finding = (code: Finding['code'], message: string, hint?: string, at = source.at(path)): Finding[] => [
    { code, severity: 'error', message, at, ...(hint === undefined ? {} : { hint }) },
  ];

  if (issue.code === 'unrecognized_keys') {
    const known = issue.message.split(' ');
    return issue.keys.slice(0, limit).flatMap((key) =>
      finding('BH104', `unknown key \`${clip(key)}\` ${ofParent(path)}`, suggestion(key, known), source.keyAt([...path, key])),
    );
  }
  // A key without a value (`memory:`) reads as null: it is as missing as one that is not there.
  if (value === undefined || value === null) {
    if (path.length === 0) return finding('BH103', 'the manifest is empty', 'start with `version: 1`');
    return finding('BH105', `${name} is missing ${ofParent(path.slice(0, -1))}`, `add \`${path.at(-1)}:\` with a value`);
  }
  switch (issue.code) {
    case 'invalid_union': {
      // The scalar stands first, the mapping or list last (schema.ts).
      const kinds = issue.errors.map((inner) => (inner[0]?.code === 'invalid_type' && inner[0].path.length === 0 ? inner[0].expected : undefined));
      if (kinds.every((kind) => kind !== undefined)) {
        return finding('BH106', `${name} must be ${kinds.map((kind) => KIND_WORDS[kind] ?? kind).join(' or ')}, not ${kindOf(value)}`);
      }
      const branch = typeof value === 'object' ? issue.errors.at(-1) : issue.errors[0];
      return (branch ?? []).flatMap((inner) => findingsOf(inner, path, source, limit));
    }
    case 'invalid_value': {
      if (path.length === 1 && path[0] === 'version') return finding('BH111', `manifest version ${clip(String(value))} is not known`, 'this release reads version 1');
      return finding('BH107', `${name} cannot be \`${clip(shown(value))}\``, suggestion(shown(value), issue.values.map(String)));
    }
    case 'invalid_type':
      return finding('BH106', `${name} must be ${KIND_WORDS[issue.expected] ?? issue.expected}, not ${kindOf(value)}`);
    case 'too_small':
      return finding('BH110', `${name} is too small: at least ${issue.minimum}`);
    case 'too_big':
      return finding('BH110', issue.origin === 'array' ? `${name} has too many entries: at most ${issue.maximum}` : `${name} is too large: at most ${issue.maximum}`);
    case 'custom': {
      const problem = issue.params as ScalarProblem | undefined;
      return finding(problem?.finding ?? 'BH106', issue.message, problem?.hint);
    }
    default:
      return finding('BH106', `${name} cannot be ${kindOf(value)}`);
  }
}

function nameOf(path: Path): string {
  const last = path.at(-1);
  if (last === undefined) return 'the manifest';
  return typeof last === 'number' ? `entry ${last + 1} of \`${path.at(-2) ?? 'the list'}\`` : `\`${clip(last)}\``;
}

function ofParent(path: Path): string {
  return path.length === 0 ? 'at the top of the manifest' : `in \`${path.join('.')}\``;
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const step of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[step];
  }
  return value;
}

function shown(value: unknown): string {
  return typeof value === 'object' ? kindOf(value) : String(value);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a number';
  return typeof value === 'boolean' ? `\`${value}\`` : 'this';
}
