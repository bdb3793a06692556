import type { Rule } from '../rule.ts';

export const bootSource: Rule = {
  code: 'BH257',
  severity: 'error',
  title: 'A partition starts from a kernel or from firmware; only a kernel is given a command line, and only firmware keeps variables',
  *check(draft) {
    for (const { name, path, boot } of draft.partitions) {
      const at = [...path, 'boot'];
      if (boot.kernel === '')
        yield { message: `nothing says what ${name} starts from`, at, key: true, hint: 'add `kernel:` or `firmware:`' };
      if (boot.isAmbiguous) {
        yield {
          message: `${name} starts from firmware and from a kernel`,
          at: [...at, 'kernel'],
          key: true,
          related: [{ message: 'the firmware', at: [...at, 'firmware'] }],
          hint: 'remove one of them',
        };
      }
      if (boot.source === 'firmware' && boot.cmdline !== '') {
        yield { message: `firmware takes no command line`, at: [...at, 'cmdline'], key: true, hint: 'the boot loader on the disk has one' };
      }
      if (boot.source === 'kernel' && boot.vars !== undefined) {
        yield { message: `${name} starts from a kernel, which has no firmware to keep anything for`, at: [...at, 'vars'], key: true, hint: 'remove it, or start from `firmware: ovmf`' };
      }
    }
  },
};
