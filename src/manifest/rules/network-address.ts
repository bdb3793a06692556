import type { Rule } from '../rule.ts';

/** A switch lets a station send with the address it was granted and with no other: a device with one of its own would be silent. */
export const networkAddress: Rule = {
  code: 'BH292',
  severity: 'error',
  title: 'A device on a shared network has the address that was granted',
  *check(draft) {
    for (const partition of draft.partitions) {
      for (const { name, shared, sharing, options, written, path } of partition.devices) {
        const resource = draft.shared.find((candidate) => candidate.name === shared);
        if (resource?.kind !== 'ethernet' || sharing !== 'shared') continue;
        const own = String(options['mac'] ?? '');
        const grant = resource.grants.find((candidate) => candidate.partition === partition.name);
        if (own === '' || grant?.written.mac?.toLowerCase() === own.toLowerCase()) continue;
        yield {
          message: `${name} of ${partition.name} is to be ${own}, and \`${resource.name}\` grants ${grant?.written.mac ?? 'an address made from the names'}`,
          at: written.includes('options') ? [...path, 'options', 'mac'] : path,
          ...(grant === undefined
            ? {}
            : { related: [{ message: 'granted here', at: grant.written.mac === undefined ? grant.path : [...grant.path, 'mac'] }] }),
          hint: `leave \`mac:\` out of the options, and write \`${partition.name}: { mac: ${own} }\` under the grants of \`${resource.name}\``,
        };
      }
    }
  },
};
