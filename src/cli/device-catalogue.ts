/** The board's device catalogue, in the words of the manifest compiler. */
import type { DeviceCatalogue } from '../manifest/index.ts';

export const DEVICE_CATALOGUE: DeviceCatalogue = {
  models: {
    uart16550: { title: '16550A serial port', ports: [{ base: 0x3f8, size: 8 }], irqs: [4], console: true, options: {} },
    i8042: { title: 'keyboard controller', ports: [{ base: 0x60, size: 1 }, { base: 0x64, size: 1 }], irqs: [1, 12], options: {} },
    hctl2016: { title: 'quadrature decoder', ports: [{ size: 4 }], options: { rpm: { type: 'number', default: 60, doc: 'speed of the shaft' } } },
    telemetry: { title: 'telemetry port', ports: [{ base: 0x500, size: 16 }], options: {} },
  },
  platform: [
    { name: 'interrupt controller', ports: [{ base: 0x20, size: 2 }, { base: 0xa0, size: 2 }], irqs: [2] },
    { name: 'interval timer', ports: [{ base: 0x40, size: 4 }], irqs: [0] },
  ],
};
