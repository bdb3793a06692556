import { MiB } from '../../base/index.ts';
import { formatSize } from '../quantities.ts';
import type { Rule } from '../rule.ts';

export const bootFitsMemory: Rule = {
  code: 'BH254',
  severity: 'error',
  title: 'Kernel and initrd fit the RAM of their partition',
  *check(draft, { images }) {
    for (const { name, path, boot, memory } of draft.partitions) {
      const kernel = images.get(boot.kernel);
      const initrd = boot.initrd === undefined ? undefined : images.get(boot.initrd);
      if (kernel?.file.status !== 'found') continue;
      const kernelSize = kernel.description?.footprint ?? kernel.file.size;
      const initrdSize = initrd?.file.status === 'found' ? initrd.file.size : 0;
      const base = boot.protocol === 'flat' ? (boot.load ?? 0) : 0;
      if (base + kernelSize + initrdSize <= memory.size) continue;
      yield {
        message: `kernel and initrd of ${name} need ${rounded(kernelSize + initrdSize)} and it has ${formatSize(memory.size)}`,
        at: [...path, 'memory'],
        related: [{ message: 'what it starts', at: [...path, 'boot', boot.source] }],
        hint: `give it more than ${rounded(base + kernelSize + initrdSize)}`,
      };
    }
  },
};

function rounded(bytes: number): string {
  return bytes < MiB ? formatSize(bytes) : `${Math.ceil(bytes / MiB)}MiB`;
}
