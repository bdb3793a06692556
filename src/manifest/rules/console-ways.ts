import { kindsOf, wayOf } from '../console-ways.ts';
import type { Rule } from '../rule.ts';

export const consoleWays: Rule = {
  code: 'BH295',
  severity: 'error',
  title: 'Each way to a shared console is one, leads somewhere, and belongs to one console',
  *check(draft, { host }) {
    const taken = new Map<string, readonly (string | number)[]>();
    for (const { kind, path, written } of draft.shared) {
      if (kind !== 'console') continue;
      for (const [index, row] of (written.ways ?? []).entries()) {
        const at = [...path, 'ways', index];
        const kinds = kindsOf(row);
        const way = wayOf(row, host);
        if (kinds.length !== 1) {
          yield {
            message: kinds.length === 0 ? 'nothing says which way this is' : `this is ${kinds.map((name) => `\`${name}\``).join(' and ')} in one`,
            at,
            hint: 'write one of `unix`, `pty`, `file`, `telnet`, `websocket`, each in a row of its own',
          };
          continue;
        }
        const [name] = kinds as [(typeof kinds)[number]];
        if (way === undefined) {
          yield { message: `\`${String(row[name]).slice(0, 40)}\` leads nowhere`, at: [...at, name], hint: 'write a port, as in 2323, an address with one, as in 0.0.0.0:2323, or a path' };
          continue;
        }
        const where = 'path' in way ? way.path : `${way.host}:${way.port}`;
        const other = taken.get(where);
        taken.set(where, [...at, name]);
        if (other !== undefined) {
          yield { message: `${where} is taken by another way`, at: [...at, name], related: [{ message: 'here', at: other }], hint: 'choose another path or port' };
        }
      }
    }
  },
};
