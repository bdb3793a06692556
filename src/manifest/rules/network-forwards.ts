import type { Rule } from '../rule.ts';
import type { Path } from '../source.ts';

export const networkForwards: Rule = {
  code: 'BH290',
  severity: 'error',
  title: 'A port of the host leads to one partition, which is on the network',
  *check(draft) {
    const taken = new Map<string, Path>();
    for (const { name, path, grants, written } of draft.shared) {
      const { forwards = [], loopback, uplink } = written;
      for (const [key, value] of [['forwards', forwards.length > 0 ? forwards : undefined], ['loopback', loopback], ['network', written.network]] as const) {
        if (value === undefined || uplink === 'nat') continue;
        yield { message: `\`${name}\` has no gateway that could do this`, at: [...path, key], key: true, hint: 'add `uplink: nat`' };
      }
      for (const [index, { host, partition, protocol }] of forwards.entries()) {
        const at = [...path, 'forwards', index];
        const key = `${protocol} ${host}`;
        const other = taken.get(key);
        if (other === undefined) taken.set(key, at);
        else {
          yield {
            message: `${protocol.toUpperCase()} port ${host} of this host is forwarded twice`,
            at: [...at, 'host'],
            related: [{ message: 'here as well', at: [...other, 'host'] }],
            hint: 'choose another port of the host',
          };
        }
        const owner = draft.partitions.find((candidate) => candidate.name === partition);
        if (owner?.devices.some(({ shared }) => shared === name) && grants.some((grant) => grant.partition === partition)) continue;
        yield {
          message: `${partition.slice(0, 40)} is not on \`${name}\``,
          at: [...at, 'partition'],
          hint: owner === undefined ? 'name a partition of the machine' : `give it a device with \`shared: ${name}\``,
        };
      }
    }
  },
};
