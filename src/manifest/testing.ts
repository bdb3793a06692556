/** A host for tests of the manifest: a small catalogue, and files that are what their first letters say. */
import type { DeviceCatalogue, ManifestHost } from './host.ts';

export const TEST_CATALOGUE: DeviceCatalogue = {
  models: {
    uart16550: {
      title: '16550A serial port',
      ports: [{ base: 0x3f8, size: 8 }],
      irqs: [4],
      console: true,
      options: { label: { type: 'text', default: '', doc: 'a name for people' } },
    },
    i8042: { title: 'keyboard controller', ports: [{ base: 0x60, size: 1 }, { base: 0x64, size: 1 }], irqs: [1, 12], options: {} },
    hctl2016: {
      title: 'quadrature decoder',
      ports: [{ size: 4 }],
      options: {
        rpm: { type: 'number', default: 60, min: -6000, max: 6000, doc: 'speed of the shaft' },
        lines: { type: 'integer', default: 500, min: 1, doc: 'lines of the disc' },
        index: { type: 'flag', default: false, doc: 'has an index mark' },
        edges: { type: 'word', words: ['x1', 'x4'], default: 'x4', doc: 'edges counted' },
        filter: { type: 'time', default: 1000, doc: 'shortest pulse counted' },
        log: { type: 'size', default: 4096, doc: 'how much is kept' },
      },
    },
    telemetry: { title: 'telemetry port', ports: [{ base: 0x500, size: 16 }], options: {} },
    framebuffer: { title: 'linear framebuffer', mmio: [{ base: 0xd0000000, size: 0x400000 }], options: {} },
    'text-screen': { title: 'text screen', mmio: [{ base: 0xb8000, size: 0x8000 }], options: {} },
  },
  platform: [
    { name: 'interrupt controller', ports: [{ base: 0x20, size: 2 }, { base: 0xa0, size: 2 }], irqs: [2] },
    { name: 'timer', ports: [{ base: 0x40, size: 4 }], irqs: [0] },
    { name: 'local APIC', mmio: [{ base: 0xfee00000, size: 0x1000 }] },
  ],
};

/** By content: `LINUX…`, `ELF…`, `MULTIBOOT…`, `MEMTEST…`; anything else is no kernel. `c…` is an initrd. A number is a file of that size. */
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
    inspectInitrd: (bytes) => (bytes[0] === 'c'.charCodeAt(0) ? 'cpio archive' : undefined),
  };
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
