import { MiB } from '../../base/index.ts';
import type { ImageKind } from '../../contracts/index.ts';
import { formatSize } from '../quantities.ts';
import type { Rule } from '../rule.ts';

/** Below this a guest of that kind ends in a panic that does not name the cause. A distribution's Linux unpacks itself, its initrd and its tables. */
const MINIMUM: Readonly<Record<ImageKind, number>> = { linux: 64 * MiB, memtest: 4 * MiB, elf: MiB, multiboot: 2 * MiB, flat: MiB, firmware: 4 * MiB };

export const memoryMinimum: Rule = {
  code: 'BH207',
  severity: 'error',
  title: 'Every partition has the RAM its kind of guest needs at least',
  *check(draft, { images }) {
    for (const { name, path, memory, boot } of draft.partitions) {
      const kind = boot.protocol === 'flat' ? 'flat' : images.get(boot.kernel)?.description?.kind;
      const minimum = kind === undefined ? MiB : MINIMUM[kind];
      if (memory.size >= minimum) continue;
      yield {
        message: `${formatSize(memory.size)} are too little RAM for ${name}`,
        at: [...path, 'memory'],
        ...(kind === undefined ? {} : { related: [{ message: `it starts a ${kind} image`, at: [...path, 'boot', boot.source] }] }),
        hint: `give it at least ${formatSize(minimum)}`,
      };
    }
  },
};
