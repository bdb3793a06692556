/** Wrong on purpose: it cannot be read. */
import { defineDevice } from 'bulkhead/device';

export const device = defineDevice({
  title: 'A card that throws',
  places: [{ ranges: [{ space: 'pio', base: 0x300, size: 4 }], irqs: [] }],
  attach: () => ({
    chip: {},
    handlers: [
      {
        read: (offset) => {
          throw new RangeError(`register ${offset} is not there yet`);
        },
        write: () => undefined,
      },
    ],
  }),
});
