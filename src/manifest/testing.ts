/** A host for tests of the manifest: a small catalogue, and files that are what their first letters say. */
import type { IoRange } from '../contracts/index.ts';
import type { DeviceCatalogue, DeviceModel, ManifestHost } from './host.ts';

const ports = (base: number, size: number): IoRange => ({ space: 'pio', base, size });
const mmio = (base: number, size: number): IoRange => ({ space: 'mmio', base, size });
const MODEL = { relocatable: true, console: false, options: {} };

export const TEST_CATALOGUE: DeviceCatalogue = {
  models: {
    uart16550: {
      ...MODEL,
      title: '16550A serial port',
      places: [
        { ranges: [ports(0x3f8, 8)], irqs: [4] },
        { ranges: [ports(0x2f8, 8)], irqs: [3] },
      ],
      console: true,
      options: { label: { type: 'string', default: '', description: 'a name for people' } },
    },
    i8042: { ...MODEL, title: 'keyboard controller', places: [{ ranges: [ports(0x60, 1), ports(0x64, 1)], irqs: [1, 12] }], relocatable: false },
    hctl2016: {
      ...MODEL,
      title: 'quadrature decoder',
      places: [{ ranges: [ports(0x310, 4)], irqs: [] }],
      options: {
        rpm: { type: 'number', default: 60, minimum: -6000, maximum: 6000, description: 'speed of the shaft' },
        index: { type: 'boolean', default: false, description: 'has an index mark' },
      },
    },
    e1000: {
      ...MODEL,
      title: 'Ethernet controller',
      places: [{ ranges: [], irqs: [] }],
      network: true,
      options: { mac: { type: 'string', default: '', pattern: '^[0-9a-f:]{17}$', form: 'an address', description: 'its address' } },
    },
    drives: {
      ...MODEL,
      title: 'storage controller',
      places: [{ ranges: [ports(0x1f0, 8)], irqs: [14] }],
      options: {
        disk: { type: 'file', default: '', access: 'rw', readOnlyBy: 'disk-read-only', description: 'a disk' },
        'disk-read-only': { type: 'boolean', default: false, description: 'it cannot be written' },
        cdrom: { type: 'file', default: '', access: 'ro', description: 'a disc' },
      },
    },
    'disk-pci': { ...MODEL, title: 'a shared disk', places: [{ ranges: [], irqs: [] }], shared: 'disk' },
    'disk-mmio': { ...MODEL, title: 'a shared disk', places: [{ ranges: [mmio(0xfed20000, 0x200)], irqs: [23] }], shared: 'disk' },
    hpet: { ...MODEL, title: 'timers', places: [{ ranges: [mmio(0xfed00000, 0x400)], irqs: [20] }], timer: true },
    ivshmem: { ...MODEL, title: 'shared memory', places: [{ ranges: [], irqs: [] }], shared: 'memory' },
    'virtio-rng': { ...MODEL, title: 'random numbers', places: [{ ranges: [], irqs: [] }], shared: 'entropy' },
    telemetry: { ...MODEL, title: 'telemetry port', places: [{ ranges: [ports(0x500, 16)], irqs: [] }] },
    framebuffer: { ...MODEL, title: 'linear framebuffer', places: [{ ranges: [mmio(0xd0000000, 0x400000)], irqs: [] }] },
    'text-screen': { ...MODEL, title: 'text screen', places: [{ ranges: [mmio(0xb8000, 0x8000), ports(0x3c0, 0x20)], irqs: [] }] },
  },
  platform: [
    { name: 'interrupt controller', ranges: [ports(0x20, 2), ports(0xa0, 2)], irqs: [2] },
    { name: 'timer', ranges: [ports(0x40, 4)], irqs: [0] },
    { name: 'local APIC', ranges: [mmio(0xfee00000, 0x1000)], irqs: [] },
  ],
  firmware: [{ name: 'firmware configuration device', ranges: [ports(0x510, 12)], irqs: [] }],
};

/** What every module whose name ends in `card.ts` describes. */
const TEST_CARD: DeviceModel = {
  ...MODEL,
  title: 'a card of the user’s own',
  places: [{ ranges: [ports(0x320, 8)], irqs: [10] }],
  options: { gain: { type: 'number', default: 1, minimum: 0, maximum: 8, description: 'of its amplifier' } },
};

/** By content: `LINUX…`, `ELF…`, `MULTIBOOT…`, `MEMTEST…`; anything else is no kernel. `R…` is firmware, `c…` is an initrd. A number is a file of that size. */
export function testHost(files: Readonly<Record<string, string | number>>, catalogue: DeviceCatalogue = TEST_CATALOGUE): ManifestHost {
  const kinds = { LINUX: 'linux', ELF: 'elf', MULTIBOOT: 'multiboot', MEMTEST: 'memtest' } as const;
  return {
    catalogue,
    resolveImage(reference) {
      if (reference.startsWith('package:')) {
        return { status: 'pending', path: `/cache/${reference.slice(8)}`, reason: `package ${reference.slice(8)} has not been fetched yet` };
      }
      const content = Object.hasOwn(files, reference) ? files[reference] : undefined;
      if (content === undefined) return { status: 'missing', reason: `there is no file ${reference}` };
      const text = typeof content === 'number' ? '' : content;
      return { status: 'found', path: `/m/${reference}`, size: typeof content === 'number' ? content : text.length, read: () => bytesOf(text) };
    },
    inspectKernel(bytes, name) {
      const text = String.fromCharCode(...bytes.subarray(0, 16));
      const found = Object.entries(kinds).find(([magic]) => text.startsWith(magic));
      return found === undefined ? { problem: `${name} is nothing that is known` } : { kind: found[1], description: `a ${found[1]} image` };
    },
    inspectFirmware: (bytes, name) =>
      bytes[0] === 'R'.charCodeAt(0) ? { kind: 'firmware', description: 'a ROM', footprint: 0 } : { problem: `${name} is no ROM` },
    path: (reference) => `/m/${reference}`,
    describeDevice: (reference) =>
      reference.endsWith('card.ts')
        ? { status: 'found', path: `/m/${reference.replace(/^\.\//, '')}`, model: TEST_CARD }
        : { status: 'refused', problem: 'there is no such file', hint: 'write it' },
    inspectMedium(reference) {
      const content = Object.hasOwn(files, reference) ? files[reference] : undefined;
      if (content === undefined) return { status: 'missing', reason: 'there is no such file' };
      const size = typeof content === 'number' ? content : content.length;
      // Names that end alike are one file: `a/disk.img` and `disk.img`.
      const identity = reference.slice(reference.lastIndexOf('/') + 1);
      return { status: 'found', path: `/m/${reference}`, identity, size, writable: !identity.startsWith('locked') };
    },
    inspectDisk({ image, overlay }, access) {
      const content = Object.hasOwn(files, image) ? files[image] : undefined;
      if (content === undefined) return { status: 'unusable', reason: `cannot open ${image}: there is no such file` };
      const file = (reference: string, may: 'ro' | 'rw') => ({ path: `/m/${reference}`, identity: reference.slice(reference.lastIndexOf('/') + 1), access: may });
      return {
        status: 'found',
        description: 'raw',
        size: typeof content === 'number' ? content : content.length,
        image: `/m/${image}`,
        ...(overlay === undefined ? {} : { overlay: `/m/${overlay}` }),
        files: overlay === undefined ? [file(image, access)] : [file(image, 'ro'), file(overlay, access)],
        partitions: [
          { number: 1, offset: 1024, size: 2048 },
          { number: 2, offset: 3072, size: 1024 },
        ],
      };
    },
    inspectRecording: (path) => (Object.hasOwn(files, path.slice(3)) ? undefined : 'there is no such file'),
    inspectInitrd: (bytes) => (bytes[0] === 'c'.charCodeAt(0) ? 'cpio archive' : undefined),
  };
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
