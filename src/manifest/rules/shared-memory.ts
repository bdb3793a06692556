import type { Rule } from '../rule.ts';

const SMALLEST = 4096;
const LARGEST = 256 * 1024 * 1024;

export const sharedMemory: Rule = {
  code: 'BH294',
  severity: 'error',
  title: 'Shared memory has a size that a PCI device can show, and each partition sees it once',
  *check(draft) {
    for (const { name, kind, path, written } of draft.shared) {
      if (kind !== 'memory') continue;
      const { size } = written;
      if (size === undefined) {
        yield { message: `nothing says how much memory \`${name}\` is`, at: path, key: true, hint: 'add `size:`, as in `size: 1MiB`' };
      } else if (size < SMALLEST || size > LARGEST || !Number.isInteger(Math.log2(size))) {
        yield { message: 'shared memory is a power of two from 4KiB to 256MiB', at: [...path, 'size'], hint: `the next one is ${nextPower(size)}` };
      }
      for (const { name: partition, devices } of draft.partitions) {
        const [first, second] = devices.filter(({ shared }) => shared === name);
        if (first === undefined || second === undefined) continue;
        yield {
          message: `${partition} sees \`${name}\` twice`,
          at: [...second.path, 'shared'],
          related: [{ message: 'here already', at: [...first.path, 'shared'] }],
          hint: 'leave one of the devices out',
        };
      }
    }
  },
};

function nextPower(size: number): string {
  const power = Math.min(LARGEST, Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(size))));
  return power >= 1024 * 1024 ? `${power / 1024 / 1024}MiB` : `${power / 1024}KiB`;
}
