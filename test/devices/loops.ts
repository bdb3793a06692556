/** Wrong on purpose: it does not come back. */
import { defineDevice } from 'bulkhead/device';

export const device = defineDevice({
  title: 'A card that loops',
  places: [{ ranges: [{ space: 'pio', base: 0x300, size: 4 }], irqs: [] }],
  attach: () => ({
    chip: {},
    handlers: [
      {
        read: () => {
          for (;;);
        },
        write: () => undefined,
      },
    ],
  }),
});
