import { isPrivate, subnetOf } from '../networks.ts';
import type { Rule } from '../rule.ts';

/** Unicast, and not all zeros (IEEE 802.3 §3.2.3). */
const STATION = /^(?!00:00:00:00:00:00)[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i;
/** The gateway, its resolver and what is kept for others come before the first partition. */
const BEFORE_THE_FIRST = 15;

export const networkSubnet: Rule = {
  code: 'BH289',
  severity: 'error',
  title: 'The addresses of a shared network are addresses, and there are enough of them',
  *check(draft) {
    for (const { name, path, grants, written } of draft.shared) {
      for (const grant of grants) {
        const { mac } = grant.written;
        if (mac === undefined || STATION.test(mac)) continue;
        yield {
          message: `\`${mac.slice(0, 40)}\` is no station's address`,
          at: [...grant.path, 'mac'],
          hint: 'write six bytes, as in 02:00:00:00:00:01; the first is even',
        };
      }
      if (written.network === undefined) continue;
      const subnet = subnetOf(written.network);
      const at = [...path, 'network'];
      if (subnet === undefined) yield { message: `\`${written.network.slice(0, 40)}\` is no network`, at, hint: 'write its first address and the bits of its prefix, as in 10.0.2.0/24' };
      else if (!isPrivate(subnet.base)) yield { message: `${written.network} belongs to others: partitions could not reach them`, at, hint: 'use a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16' };
      else if (subnet.addresses < BEFORE_THE_FIRST + grants.length + 1) {
        yield { message: `${written.network} has no room for ${grants.length} partitions beside the gateway of \`${name}\``, at, hint: 'use a shorter prefix, as in /24' };
      }
    }
  },
};
