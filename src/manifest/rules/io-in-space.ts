import { allDevices } from '../draft.ts';
import { ADDRESS_LIMIT, formatRange } from '../quantities.ts';
import type { Rule } from '../rule.ts';

/** I/O ports are 16 bits wide (SDM 1 §19.3). */
const PORTS = 0x10000;
/** One IOAPIC of 24 inputs, of which the first 16 are the ISA lines (82093AA). */
const LINES = 24;

export const ioInSpace: Rule = {
  code: 'BH119',
  severity: 'error',
  title: 'Ports, addresses and interrupt lines exist',
  *check(draft) {
    for (const { name, path, ranges, irqs, written } of allDevices(draft)) {
      for (const { space, base, size } of ranges) {
        const limit = space === 'pio' ? PORTS : ADDRESS_LIMIT;
        if (base + size <= limit) continue;
        const key = space === 'pio' ? 'ports' : 'mmio';
        const noun = space === 'pio' ? 'ports' : 'addresses';
        yield { message: `${name} reaches to ${noun} that do not exist (${formatRange(base, size)})`, at: [...path, key], hint: `the last one is 0x${(limit - 1).toString(16)}` };
      }
      for (const irq of irqs) {
        if (irq < LINES) continue;
        yield { message: `there is no interrupt line ${irq}`, at: written.includes('irq') ? [...path, 'irq'] : path, hint: `lines are numbered from 0 to ${LINES - 1}` };
      }
    }
  },
};
