import type { Rule } from '../rule.ts';

/** Kinds whose boot protocol hands over an initrd or a module. */
const TAKE_INITRD = ['linux', 'multiboot', 'elf'];

export const bootInitrdUse: Rule = {
  code: 'BH255',
  severity: 'warning',
  title: 'An initrd is given to a kernel that takes one',
  *check(draft, { images }) {
    for (const { name, path, boot } of draft.partitions) {
      const kind = boot.protocol === 'flat' ? 'flat' : images.get(boot.kernel)?.description?.kind;
      if (boot.initrd === undefined || kind === undefined || TAKE_INITRD.includes(kind)) continue;
      yield { message: `${name} starts a ${kind} image, which takes no initrd`, at: [...path, 'boot', 'initrd'], key: true, hint: 'remove it' };
    }
  },
};
