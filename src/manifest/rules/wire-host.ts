import type { Rule } from '../rule.ts';

/** IFNAMSIZ is 16 with its final zero; `/`, `:` and blanks cannot stand in a name (Linux, dev_valid_name). */
const INTERFACE_NAME = /^(?!\.{1,2}$)[^\s/:]{1,15}$/;

export const wireHost: Rule = {
  code: 'BH248',
  severity: 'error',
  title: "A wire's recordings and host interface exist, and are no other wire's",
  *check(draft, { host }) {
    const captures = new Map<string, string>();
    const taps = new Map<string, string>();
    for (const { name, path, tap, replay, capture } of draft.wires) {
      if (tap !== undefined && !INTERFACE_NAME.test(tap)) {
        yield { message: `\`${tap.slice(0, 40)}\` cannot be the name of a network interface`, at: [...path, 'tap'], hint: 'up to 15 letters and digits, as in tap0' };
      }
      const problem = replay === undefined ? undefined : host.inspectRecording(host.path(replay));
      if (problem !== undefined) yield { message: `the recording ${replay} cannot be played: ${problem}`, at: [...path, 'replay'] };
      if (capture !== undefined && replay !== undefined && host.path(capture) === host.path(replay)) {
        yield { message: `\`${name}\` would overwrite the recording it plays`, at: [...path, 'capture'], related: [{ message: 'played here', at: [...path, 'replay'] }] };
      }
      for (const [key, value, others] of [['tap', tap, taps], ['capture', capture === undefined ? undefined : host.path(capture), captures]] as const) {
        if (value === undefined) continue;
        const other = others.get(value);
        if (other === undefined) others.set(value, name);
        else {
          yield {
            message: `the wires \`${other}\` and \`${name}\` both have the ${key === 'tap' ? 'interface' : 'file'} ${value}`,
            at: [...path, key],
            related: [{ message: `\`${other}\` has it`, at: ['wires', other, key] }],
          };
        }
      }
    }
  },
};
