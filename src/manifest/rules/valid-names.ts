import type { Rule } from '../rule.ts';
import type { Path } from '../source.ts';

/** What can be a file name, a metric label and a prefix on the terminal without quoting. */
const NAME = /^[a-z][a-z0-9-]{0,30}$/;

export const validNames: Rule = {
  code: 'BH112',
  severity: 'error',
  title: 'Names are lower-case letters, digits and hyphens, beginning with a letter, up to 31 characters',
  *check(draft) {
    const names: (readonly [kind: string, name: string, at: Path])[] = [
      ['machine', draft.name, ['machine']],
      ...draft.board.devices.map((device) => ['board device', device.name, device.path] as const),
      ...draft.shared.map((shared) => ['shared resource', shared.name, shared.path] as const),
      ...draft.partitions.map((partition) => ['partition', partition.name, partition.path] as const),
      ...draft.partitions.flatMap((partition) => partition.devices.map((device) => ['device', device.name, device.path] as const)),
    ];
    for (const [kind, name, at] of names) {
      if (NAME.test(name)) continue;
      const better = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^[^a-z]+|-+$/g, '').slice(0, 31);
      yield {
        message: `\`${name.slice(0, 40)}\` is no name for a ${kind}`,
        at,
        key: kind !== 'machine',
        hint: `use lower-case letters, digits and hyphens, a letter first${NAME.test(better) ? `: \`${better}\`` : ''}`,
      };
    }
  },
};
