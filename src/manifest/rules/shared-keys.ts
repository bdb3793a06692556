import type { DraftShared } from '../draft.ts';
import type { Rule } from '../rule.ts';

type Kind = DraftShared['kind'];

/** Keys that only some kinds have. */
const KINDS_OF_KEY: Readonly<Record<string, readonly Kind[]>> = { image: ['disk'], overlay: ['disk'], size: ['memory'], ways: ['console'], ...only('ethernet', 'uplink', 'uplink-vlan', 'network', 'mtu', 'forwards', 'loopback', 'capture') };
const KINDS_OF_GRANT_KEY: Readonly<Record<string, readonly Kind[]>> = { window: ['disk'], doorbells: ['memory'], ...only('ethernet', 'mac', 'vlan', 'storm') };

function only(kind: Kind, ...keys: readonly string[]): Record<string, readonly Kind[]> {
  return Object.fromEntries(keys.map((key) => [key, [kind]]));
}

export const sharedKeys: Rule = {
  code: 'BH286',
  severity: 'error',
  title: 'What is shared has the keys of its kind',
  *check(draft) {
    for (const { name, kind, path, written, grants } of draft.shared) {
      for (const [where, at, kinds] of [
        [written, path, KINDS_OF_KEY] as const,
        ...grants.map((grant) => [grant.written, grant.path, KINDS_OF_GRANT_KEY] as const),
      ]) {
        for (const key of Object.keys(where)) {
          const fitting = Object.hasOwn(kinds, key) ? kinds[key] : undefined;
          if (fitting === undefined || fitting.includes(kind) || (where as Record<string, unknown>)[key] === undefined) continue;
          yield {
            message: `\`${key}\` is for ${fitting.map((word) => `\`kind: ${word}\``).join(' and ')}, and \`${name}\` is \`kind: ${kind}\``,
            at: [...at, key],
            key: true,
            hint: `leave \`${key}\` out, or change the kind`,
          };
        }
      }
    }
  },
};
