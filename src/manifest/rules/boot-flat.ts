import type { Rule } from '../rule.ts';

export const bootFlat: Rule = {
  code: 'BH253',
  severity: 'error',
  title: 'A flat image says where it is loaded, and only a flat one does',
  *check(draft) {
    for (const { name, path, boot, memory } of draft.partitions) {
      if (boot.protocol === 'flat' && boot.load === undefined) {
        yield { message: `nothing says where the flat image of ${name} is loaded`, at: [...path, 'boot', 'protocol'], hint: 'add `load:`, as in `load: 0x7c00`' };
      }
      for (const key of ['load', 'entry'] as const) {
        const address = boot[key];
        if (address === undefined) continue;
        if (boot.protocol !== 'flat') {
          yield { message: `\`${key}\` is for flat images`, at: [...path, 'boot', key], key: true, hint: 'this image brings its own addresses: remove it, or add `protocol: flat`' };
        } else if (address >= memory.size) {
          yield { message: `\`${key}\` of ${name} is beyond its RAM`, at: [...path, 'boot', key], related: [{ message: 'its RAM', at: [...path, 'memory'] }], hint: 'the guest sees its RAM from address 0' };
        }
      }
    }
  },
};
