/** Wrong on purpose: it keeps everything. */
import { defineDevice } from 'bulkhead/device';

export const device = defineDevice({
  title: 'A card that leaks',
  places: [{ ranges: [{ space: 'pio', base: 0x300, size: 4 }], irqs: [] }],
  attach: () => {
    const kept: unknown[] = [];
    return {
      chip: {},
      handlers: [
        {
          read: () => {
            for (let i = 0; i < 100; i++) kept.push(new Array(1000).fill(i));
            return 0;
          },
          write: () => undefined,
        },
      ],
    };
  },
});
