import { formatRange, formatSize } from '../quantities.ts';
import type { Rule } from '../rule.ts';

/** A PC's display memory: a hole in its RAM. */
const DISPLAY_HOLE = { start: 0xa0000, end: 0xc0000 };

export const mmioOverRam: Rule = {
  code: 'BH230',
  severity: 'error',
  title: "No device's registers lie over the RAM its guest sees",
  *check(draft) {
    for (const { name, path, memory, devices } of draft.partitions) {
      for (const device of devices) {
        for (const { space, base, size } of device.ranges) {
          if (space !== 'mmio' || base >= memory.size || (base >= DISPLAY_HOLE.start && base + size <= DISPLAY_HOLE.end)) continue;
          const written = device.written.includes('mmio');
          yield {
            message: `${device.name} at ${formatRange(base, size)} lies over RAM of ${name}, which sees ${formatSize(memory.size)} from address 0`,
            at: written ? [...device.path, 'mmio'] : device.path,
            key: !written,
            related: [{ message: `the RAM of ${name}`, at: [...path, 'memory'] }],
            hint: 'put the registers above the RAM, as at 0xd0000000',
          };
        }
      }
    }
  },
};
