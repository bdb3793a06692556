import type { DraftDevice, DraftShared } from '../draft.ts';
import type { Problem, Rule } from '../rule.ts';

/** What only makes sense among several. */
const FOR_MANY = ['weight', 'rate', 'doorbells', 'mac', 'vlan', 'storm'] as const;

export const exclusiveAlone: Rule = {
  code: 'BH296',
  severity: 'error',
  title: 'Who has a resource to itself is alone with it',
  *check(draft) {
    const users = draft.partitions.flatMap(({ devices }) => devices);
    for (const device of users) {
      const { shared, sharing, written, path } = device;
      if (written.includes('shared') && written.includes('exclusive')) {
        yield { message: `${device.name} shares one thing and has another to itself`, at: [...path, 'exclusive'], related: [{ message: 'shared', at: [...path, 'shared'] }], hint: 'keep one of `shared:` and `exclusive:`' };
      }
      const resource = draft.shared.find(({ name }) => name === shared);
      if (sharing !== 'exclusive' || resource === undefined) continue;
      const other = users.find((candidate) => candidate !== device && candidate.shared === resource.name);
      if (other !== undefined) {
        yield {
          message: `\`${resource.name}\` has another user`,
          at: [...path, 'exclusive'],
          related: [{ message: `${other.name} is in front of it, too`, at: [...other.path, other.sharing] }],
          hint: 'write `shared:` for both, or give each one of its own',
        };
      }
      for (const grant of resource.grants.slice(1)) {
        yield { message: `\`${resource.name}\` is granted to ${grant.partition} as well`, at: grant.path, key: true, related: [{ message: 'exclusive here', at: [...path, 'exclusive'] }], hint: 'leave the grant out, or share it' };
      }
      for (const grant of resource.grants) {
        const key = FOR_MANY.find((candidate) => grant.written[candidate] !== undefined);
        if (key !== undefined) yield { message: `\`${key}\` is for those who share, and \`${resource.name}\` is not shared`, at: [...grant.path, key], key: true, hint: `leave \`${key}\` out` };
      }
      yield* ofItsKind(device, resource);
    }
  },
};

function* ofItsKind({ path, name: device, model, known, wire }: DraftDevice, { name, kind, path: declared, written }: DraftShared): Iterable<Problem> {
  const at = [...path, 'exclusive'];
  if (kind === 'memory' || kind === 'entropy') {
    yield { message: `\`kind: ${kind}\` is served in each partition's own thread already`, at, hint: 'write `shared:`' };
  } else if (kind === 'ethernet') {
    if (typeof written.uplink !== 'object') {
      yield { message: `\`${name}\` leads nowhere without its switch`, at: declared, key: true, hint: 'add `uplink: { tap: tap0 }`, or use a wire' };
    }
    if (known?.network !== true) yield { message: `${model} is no controller with a cable of its own`, at: [...path, 'exclusive'], hint: 'use `model: e1000`' };
    if (wire !== undefined) yield { message: `${device} has one socket and two cables`, at: [...path, 'wire'], related: [{ message: 'the other one', at }], hint: 'keep one of `wire:` and `exclusive:`' };
  } else if (kind === 'console') {
    const [way, ...more] = written.ways ?? [];
    if (way?.pty === undefined || way.access !== 'rw' || more.length > 0) {
      yield { message: `a serial line has one end, and \`${name}\` has ${written.ways?.length ?? 0} ways`, at: declared, key: true, hint: 'give it one way, as in `ways: [{ pty: ./line }]`' };
    }
  }
}
