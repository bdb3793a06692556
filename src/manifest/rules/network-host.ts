import type { Rule } from '../rule.ts';
import type { Path } from '../source.ts';

/** IFNAMSIZ is 16 with its final zero; `/`, `:` and blanks cannot stand in a name (Linux, dev_valid_name). */
const INTERFACE_NAME = /^(?!\.{1,2}$)[^\s/:]{1,15}$/;

export const networkHost: Rule = {
  code: 'BH291',
  severity: 'error',
  title: "A shared network's interface and recording are nobody else's",
  *check(draft, { host }) {
    const taken = new Map<string, { readonly owner: string; readonly at: Path }>();
    for (const { name, path, tap, capture, replay } of draft.wires) {
      for (const [key, value] of [['tap', tap], ['capture', capture], ['replay', replay]] as const) {
        if (value !== undefined) taken.set(key === 'tap' ? `tap ${value}` : host.path(value), { owner: `the wire \`${name}\``, at: [...path, key] });
      }
    }
    for (const { name, path, written } of draft.shared) {
      const tap = typeof written.uplink === 'object' ? written.uplink.tap : undefined;
      if (tap !== undefined && !INTERFACE_NAME.test(tap)) {
        yield { message: `\`${tap.slice(0, 40)}\` cannot be the name of a network interface`, at: [...path, 'uplink'], hint: 'up to 15 letters and digits, as in tap0' };
      }
      for (const [key, value, what] of [
        ['uplink', tap === undefined ? undefined : `tap ${tap}`, `the interface ${tap}`],
        ['capture', written.capture === undefined ? undefined : host.path(written.capture), `the file ${written.capture}`],
      ] as const) {
        if (value === undefined) continue;
        const other = taken.get(value);
        const at = [...path, key];
        if (other === undefined) taken.set(value, { owner: `\`${name}\``, at });
        else yield { message: `${other.owner} and \`${name}\` both have ${what}`, at, related: [{ message: `${other.owner} has it`, at: other.at }] };
      }
    }
  },
};
