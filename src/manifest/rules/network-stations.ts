import type { Rule } from '../rule.ts';

export const networkStations: Rule = {
  code: 'BH288',
  severity: 'error',
  title: 'Each partition is at one port of a shared network, with an address of its own',
  *check(draft) {
    for (const { name, kind, grants } of draft.shared) {
      if (kind !== 'ethernet') continue;
      for (const [index, { partition, written, path }] of grants.entries()) {
        const mac = written.mac?.toLowerCase();
        const other = mac === undefined ? undefined : grants.slice(0, index).find((candidate) => candidate.written.mac?.toLowerCase() === mac);
        if (other === undefined) continue;
        yield {
          message: `${other.partition} and ${partition} have the same address on \`${name}\``,
          at: [...path, 'mac'],
          related: [{ message: `${other.partition} has it`, at: [...other.path, 'mac'] }],
          hint: 'change one of them, or leave both out: they are made from the names then',
        };
      }
      for (const partition of draft.partitions) {
        const [first, second] = partition.devices.filter(({ shared }) => shared === name);
        if (first === undefined || second === undefined) continue;
        yield {
          message: `${first.name} and ${second.name} of ${partition.name} are both on \`${name}\`: a partition between them would close a loop`,
          at: [...second.path, 'shared'],
          related: [{ message: `${first.name} is there`, at: [...first.path, 'shared'] }],
          hint: 'put one of them on a network of its own',
        };
      }
    }
  },
};
