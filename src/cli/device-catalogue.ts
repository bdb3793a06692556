/**
 * What the manifest compiler needs to know of the board: the models there are, and what every partition has without asking. The
 * second list says in words what platform.ts claims in code; device-catalogue.test.ts holds it to a real platform.
 */
import { DEVICE_CATALOGUE as MODELS } from '../board/index.ts';
import { LARGEST_FIRMWARE } from '../boot/index.ts';
import type { IoRange } from '../contracts/index.ts';
import type { DeviceCatalogue } from '../manifest/index.ts';
import { SHARED_MODELS } from '../shared/index.ts';

const ports = (base: number, size: number): IoRange => ({ space: 'pio', base, size });
const mmio = (base: number, size: number): IoRange => ({ space: 'mmio', base, size });

export const DEVICE_CATALOGUE: DeviceCatalogue = {
  models: { ...MODELS, ...SHARED_MODELS },
  platform: [
    { name: '8259 interrupt controllers', ranges: [ports(0x20, 2), ports(0xa0, 2), ports(0x4d0, 2)], irqs: [2] },
    { name: '8254 timer', ranges: [ports(0x40, 4), ports(0x61, 1)], irqs: [0] },
    { name: 'real-time clock', ranges: [ports(0x70, 2)], irqs: [8] },
    { name: 'diagnostic port', ranges: [ports(0x80, 1)], irqs: [] },
    { name: 'system control port', ranges: [ports(0x92, 1)], irqs: [] },
    { name: 'ACPI power management', ranges: [ports(0xb2, 1), ports(0x600, 16)], irqs: [9] },
    { name: 'PCI host bridge', ranges: [ports(0xcf8, 8)], irqs: [] },
    { name: 'I/O APIC', ranges: [mmio(0xfec00000, 0x1000)], irqs: [] },
    { name: 'local APIC', ranges: [mmio(0xfee00000, 0x1000)], irqs: [] },
  ],
  firmware: [
    { name: 'firmware configuration device', ranges: [ports(0x510, 12)], irqs: [] },
    { name: 'firmware ROM', ranges: [mmio(0x1_0000_0000 - LARGEST_FIRMWARE, LARGEST_FIRMWARE)], irqs: [] },
  ],
};
