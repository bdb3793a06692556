import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { BulkheadError, KiB, MiB } from '../base/index.ts';
import type { BootPlan, LoadSegment } from '../contracts/index.ts';
import { fromCString, putU16, putU32, u16, u32, u64 } from './bytes.ts';
import { type BootInput, describeInitrd, detectImage, loadBoot } from './index.ts';
import { bzImage, elfImage, ENVIRONMENT, inputFor, multibootImage } from './test-images.ts';

const initrd = Uint8Array.from({ length: 10_000 }, (_, i) => i);

const load = (kernel: Uint8Array, more: Partial<BootInput> = {}): BootPlan => loadBoot(inputFor(kernel, more), ENVIRONMENT);

function segment(plan: BootPlan, name: string): LoadSegment {
  const found = plan.segments.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no segment ${name} among ${plan.segments.map((each) => each.name).join(', ')}`);
  return found;
}

/** What a guest would read at `gpa`. */
function memoryAt(plan: BootPlan, gpa: number): Uint8Array {
  const found = plan.segments.find((each) => gpa >= each.gpa && gpa < each.gpa + each.data.length);
  if (found === undefined) throw new Error(`nothing is loaded at ${gpa.toString(16)}`);
  return found.data.subarray(gpa - found.gpa);
}

function refusal(act: () => unknown): BulkheadError {
  try {
    act();
  } catch (error) {
    if (error instanceof BulkheadError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const isProtectedMode = (plan: BootPlan): void => {
  expect(plan.entry).toMatchObject({ cr0: 0x11n, cr4: 0n, efer: 0n, rflags: 2n });
  expect(plan.entry.segments.cs).toEqual({ selector: 0x10, base: 0n, limit: 0xffffffff, attributes: 0xc09b });
  expect(plan.entry.segments.ds).toEqual({ selector: 0x18, base: 0n, limit: 0xffffffff, attributes: 0xc093 });
  // The table behind the selectors says the same, for guests that load one again.
  const gdt = memoryAt(plan, Number(plan.entry.gdtr.base));
  expect([u32(gdt, 0x10), u32(gdt, 0x14), u32(gdt, 0x18), u32(gdt, 0x1c)]).toEqual([0xffff, 0xcf9b00, 0xffff, 0xcf9300]);
};

describe('detection', () => {
  it.each([
    ['a bzImage', bzImage({ long: true, payload: gzipSync('x') }), 'linux', 'Linux bzImage 6.1.0-test (x86-64, gzip)'],
    ['memtest86+', bzImage({ version: 'Memtest86+ v6.10' }), 'memtest', 'Memtest86+ v6.10 (i386, Linux boot protocol)'],
    ['an ELF executable', elfImage({ bits: 32 }), 'elf', 'ELF32 executable (i386)'],
    ['an ELF executable with a PVH note', elfImage({ bits: 64, pvhEntry: 0x100000 }), 'elf', 'ELF64 executable (x86-64), PVH entry'],
    ['a multiboot image', multibootImage(), 'multiboot', 'multiboot image (load addresses in the header)'],
    [
      'a packed multiboot image',
      gzipSync(multibootImage()),
      'multiboot',
      'multiboot image (load addresses in the header), gzip-compressed',
    ],
  ] as const)('knows %s', (_, file, kind, description) => {
    expect(detectImage(file, 'kernel', 'auto')).toMatchObject({ kind, description });
  });

  it('prefers a multiboot header over ELF, because such files cannot be entered as ELF', () => {
    const code = multibootImage({ flags: 3 });
    expect(detectImage(elfImage({ bits: 32, code }), 'kernel', 'auto').kind).toBe('multiboot');
  });

  it('takes anything as flat when told so, and nothing unknown otherwise', () => {
    const text = Buffer.from('#!/bin/sh');
    expect(detectImage(text, 'kernel', 'flat').kind).toBe('flat');
    expect(refusal(() => detectImage(text, 'script.sh', 'auto'))).toMatchObject({
      code: 'BH301',
      message: expect.stringContaining('script.sh'),
    });
    expect(refusal(() => detectImage(new Uint8Array(), 'kernel', 'auto')).message).toContain('empty');
  });

  it('tells an initrd from another file', () => {
    expect(describeInitrd(Buffer.from('070701'))).toBe('cpio archive');
    expect(describeInitrd(gzipSync('x'))).toBe('gzip-compressed archive');
    expect(describeInitrd(Buffer.from('hello'))).toBeUndefined();
  });
});

describe('a Linux kernel with a PVH note inside', () => {
  const vmlinux = elfImage({
    bits: 64,
    physical: 0x1000000,
    virtual: 0xffffffff81000000n,
    code: Uint8Array.of(1, 2, 3),
    memorySize: 0x1000,
    pvhEntry: 0x1000040,
  });
  const plan = load(bzImage({ long: true, payload: zstdCompressSync(vmlinux) }), {
    cmdline: 'console=ttyS0',
    initrd,
    initrdName: 'root.cpio',
  });
  const info = memoryAt(plan, Number(plan.entry.gpr[3]));

  it('is decompressed and entered through the note, in 32-bit mode', () => {
    expect(plan.description).toBe('Linux bzImage 6.1.0-test (x86-64, zstd), entered through PVH');
    isProtectedMode(plan);
    expect(plan.entry.rip).toBe(0x1000040n);
    expect(segment(plan, 'kernel segment 0')).toMatchObject({ gpa: 0x1000000, data: Uint8Array.of(1, 2, 3) });
  });

  it('has its memory beyond the file cleared, for a second start', () => {
    const zeros = segment(plan, 'kernel segment 0 (zeros)');
    expect([zeros.gpa, zeros.data.length, zeros.data.some((byte) => byte !== 0)]).toEqual([0x1000003, 0xffd, false]);
  });

  it('finds command line, RSDP and memory map through the start info', () => {
    expect([u32(info, 0), u32(info, 4)]).toEqual([0x336ec578, 1]);
    expect(fromCString(memoryAt(plan, u64(info, 24)), 0, 100)).toBe('console=ttyS0');
    expect(u64(info, 32)).toBe(0xe0000);
    const map = memoryAt(plan, u64(info, 40));
    expect(u32(info, 48)).toBe(4);
    expect([u64(map, 0), u64(map, 8), u32(map, 16), u64(map, 24), u32(map, 40)]).toEqual([0, 0x9fc00, 1, 0x9fc00, 2]);
  });

  it('finds its initrd at the top of memory, page-aligned', () => {
    const module = memoryAt(plan, u64(info, 16));
    expect([u32(info, 12), u64(module, 0), u64(module, 8)]).toEqual([1, 64 * MiB - 12 * KiB, initrd.length]);
    expect(segment(plan, 'root.cpio').data).toEqual(initrd);
  });
});

describe('a Linux kernel without a PVH note', () => {
  it('is entered at its 32-bit entry with the zero page in ESI', () => {
    const vmlinux = elfImage({ bits: 32, physical: 0x1000000, virtual: 0xc1000000n });
    const plan = load(bzImage({ payload: gzipSync(vmlinux) }), { cmdline: 'quiet', initrd });
    isProtectedMode(plan);
    expect(plan.entry.rip).toBe(0x1000000n);
    const page = memoryAt(plan, Number(plan.entry.gpr[6]));
    expect(u16(page, 0x1fe)).toBe(0xaa55);
    expect(fromCString(page, 0x202, 4)).toBe('HdrS');
    expect([page[0x1e8], u64(page, 0x2d0), u64(page, 0x2d8), u32(page, 0x2e0)]).toEqual([4, 0, 0x9fc00, 1]);
    expect(u64(page, 0x70)).toBe(0xe0000);
    expect(fromCString(memoryAt(plan, u32(page, 0x228)), 0, 100)).toBe('quiet');
    expect([u32(page, 0x218), u32(page, 0x21c)]).toEqual([64 * MiB - 12 * KiB, initrd.length]);
    expect(page[0x210]).toBe(0xff);
  });

  it('is entered at its 64-bit entry on identity-mapped pages', () => {
    const plan = load(
      bzImage({ long: true, payload: gzipSync(elfImage({ bits: 64, physical: 0x1000000, virtual: 0xffffffff81000000n })) }),
    );
    expect(plan.entry).toMatchObject({ rip: 0x1000000n, cr0: 0x80000011n, cr4: 0x20n, efer: 0x500n });
    expect(plan.entry.segments.cs.attributes).toBe(0xa09b);
    const root = Number(plan.entry.cr3);
    const walk = (address: number): number => {
      const pointers = u64(memoryAt(plan, root), 0) - 3;
      const directory = u64(memoryAt(plan, pointers + 8 * Math.floor(address / 2 ** 30)), 0) - 3;
      return u64(memoryAt(plan, directory + 8 * (Math.floor(address / 2 ** 21) % 512)), 0);
    };
    expect([walk(0), walk(0x1000000), walk(0xfee00000)]).toEqual([0x83, 0x1000083, 0xfee00083]);
  });
});

describe('an image in the Linux boot protocol that is entered itself', () => {
  it('starts at code32_start when told not to decompress', () => {
    const image = bzImage({ payload: gzipSync(elfImage({ bits: 32 })) });
    const plan = load(image, { decompress: false });
    isProtectedMode(plan);
    expect(plan.entry.rip).toBe(0x100000n);
    expect(segment(plan, 'kernel').data).toEqual(image.subarray(3 * 512));
  });

  it('starts at its 64-bit entry where it has one', () => {
    expect(load(bzImage({ long: true }), { decompress: false }).entry).toMatchObject({ rip: 0x100200n, efer: 0x500n });
  });

  it('needs no payload: memtest86+ has none', () => {
    const plan = load(bzImage({ version: 'Memtest86+ v6.10', preferredAddress: 0x100000 }));
    expect(plan.description).toBe('Memtest86+ v6.10 (i386, Linux boot protocol), entered at its 32-bit entry');
  });

  it('keeps the initrd out of the memory that the kernel unpacks itself to', () => {
    const image = bzImage({ preferredAddress: 0x1000000, initSize: 0x2fff000 });
    expect(refusal(() => load(image, { initrd: new Uint8Array(16 * MiB) }))).toMatchObject({
      code: 'BH322',
      hint: expect.stringContaining('memory the kernel runs in'),
    });
  });
});

describe('an ELF executable', () => {
  it('starts in 32-bit protected mode at its entry', () => {
    const plan = load(elfImage({ bits: 32, entry: 0x100001n, code: Uint8Array.of(0x90, 0xf4) }));
    isProtectedMode(plan);
    expect(plan.entry.rip).toBe(0x100001n);
  });

  it('starts in 64-bit mode when it is ELF64', () => {
    expect(load(elfImage({ bits: 64 })).entry).toMatchObject({ rip: 0x100000n, efer: 0x500n });
  });

  it('may give its entry as a virtual address', () => {
    expect(load(elfImage({ bits: 32, virtual: 0xc0000000n, entry: 0xc0000000n })).entry.rip).toBe(0x100000n);
    expect(load(elfImage({ bits: 64, virtual: 0xffffffff80000000n, entry: 0xffffffff80000000n })).entry.rip).toBe(0x100000n);
  });

  it.each([
    ['an entry outside its segments', elfImage({ bits: 32, entry: 0x500n }), 'BH303', 'entry point'],
    ['memory beyond the partition', elfImage({ bits: 64, physical: 0x3ffffff, memorySize: 2 }), 'BH320', 'segment 0'],
    ['the hole below 1 MiB', elfImage({ bits: 32, physical: 0xa0000 }), 'BH320', '0xa0000'],
  ])('is refused with %s', (_, image, code, words) => {
    expect(refusal(() => load(image))).toMatchObject({ code, message: expect.stringContaining(words) });
  });

  it('is refused when it would need relocation, with the linker option that helps', () => {
    const image = elfImage({ bits: 64 });
    putU16(image, 16, 3);
    expect(refusal(() => load(image))).toMatchObject({ code: 'BH303', hint: expect.stringContaining('-no-pie') });
  });

  it('is refused when it is cut off', () => {
    expect(refusal(() => load(elfImage({ bits: 32 }).subarray(0, 84)))).toMatchObject({ code: 'BH303' });
  });
});

describe('a multiboot image', () => {
  it('is placed by its address fields and told about memory, command line and module', () => {
    const plan = load(multibootImage({ bssEnd: 0x101000 }), { cmdline: 'fast', initrd, initrdName: 'a/mod ule' });
    isProtectedMode(plan);
    expect([plan.entry.rip, plan.entry.gpr[0]]).toEqual([0x100000n, 0x2badb002n]);
    expect(segment(plan, 'images/kernel (zeros)')).toMatchObject({ gpa: 0x100100, data: new Uint8Array(0xf00) });
    const info = memoryAt(plan, Number(plan.entry.gpr[3]));
    expect(u32(info, 0)).toBe(0b10_0100_1101);
    expect([u32(info, 4), u32(info, 8)]).toEqual([639, 63 * KiB]);
    expect(fromCString(memoryAt(plan, u32(info, 16)), 0, 100)).toBe('kernel fast');
    const module = memoryAt(plan, u32(info, 24));
    expect([u32(info, 20), u32(module, 0), u32(module, 4)]).toEqual([1, 0x101000, 0x101000 + initrd.length]);
    expect(fromCString(memoryAt(plan, u32(module, 8)), 0, 100)).toBe('mod_ule');
    const map = memoryAt(plan, u32(info, 48));
    expect([u32(info, 44), u32(map, 0), u64(map, 4), u64(map, 12), u32(map, 20)]).toEqual([96, 20, 0, 0x9fc00, 1]);
  });

  it('loads only up to load_end_addr', () => {
    expect(segment(load(multibootImage({ loadEnd: 0x100040 })), 'images/kernel').data).toHaveLength(0x40);
  });

  it('finds the header up to 8 KiB into the file, and not behind', () => {
    expect(load(multibootImage({ headerAt: 8160, size: 9000 })).entry.rip).toBe(0x100000n);
    expect(refusal(() => load(multibootImage({ headerAt: 8184, size: 9000 })))).toMatchObject({ code: 'BH301' });
  });

  it.each([
    ['requires an unknown feature', { flags: 0x10008 }, 'flags 0x8'],
    ['has no addresses and is no ELF file', { flags: 3 }, 'no ELF file'],
    ['starts outside of itself', { entry: 0x200000 }, 'entry_addr'],
    ['ends before it starts', { loadEnd: 0xfffff }, 'load_end_addr'],
    ['has a bss inside its data', { bssEnd: 0x100001 }, 'bss_end_addr'],
  ])('is refused when it %s', (_, options, words) => {
    expect(refusal(() => load(multibootImage(options)))).toMatchObject({ code: 'BH304', message: expect.stringContaining(words) });
  });
});

describe('a flat image', () => {
  const code = Uint8Array.of(0xf4, 0xf4, 0xf4);
  const flat = (more: Partial<BootInput>): BootPlan => load(code, { protocol: 'flat', ...more });

  it('starts in real mode below 1 MiB, like a boot sector', () => {
    const plan = flat({ load: 0x7c00 });
    expect(plan.entry).toMatchObject({ rip: 0x7c00n, cr0: 0x10n, idtr: { base: 0n, limit: 0x3ff } });
    expect(plan.entry.segments.cs).toEqual({ selector: 0, base: 0n, limit: 0xffff, attributes: 0x9b });
    expect(plan.segments).toEqual([{ gpa: 0x7c00, data: code, name: 'images/kernel' }]);
  });

  it('gets a code segment that reaches its entry', () => {
    const { entry } = flat({ load: 0x8fff0, entry: 0x8fff1 });
    expect([entry.segments.cs.selector, entry.segments.cs.base, entry.rip]).toEqual([0x8000, 0x80000n, 0xfff1n]);
  });

  it('starts in 32-bit protected mode above', () => {
    isProtectedMode(flat({ load: 0x200000 }));
  });

  it.each([
    ['without an address', {}, 'BH305'],
    ['with an entry outside', { load: 0x7c00, entry: 0x7c03 }, 'BH305'],
    ['with an initrd', { load: 0x7c00, initrd }, 'BH306'],
    ['with a command line', { load: 0x7c00, cmdline: 'x' }, 'BH306'],
    ['outside of RAM', { load: 0xffffff00 }, 'BH320'],
  ])('is refused %s', (_, more, code) => {
    expect(refusal(() => flat(more)).code).toBe(code);
  });
});

describe('a Linux image is refused', () => {
  it('when its command line is longer than it accepts', () => {
    expect(refusal(() => load(bzImage(), { cmdline: 'x'.repeat(2048) }))).toMatchObject({
      code: 'BH323',
      message: expect.stringContaining('2047'),
    });
  });

  it('when it is cut off inside its payload', () => {
    const image = bzImage({ payload: gzipSync(elfImage({ bits: 32 })) });
    expect(refusal(() => load(image.subarray(0, -100)))).toMatchObject({
      code: 'BH302',
      message: expect.stringContaining('images/kernel'),
    });
  });

  it('when its payload is no ELF file', () => {
    expect(refusal(() => load(bzImage({ payload: gzipSync('text') })))).toMatchObject({
      code: 'BH302',
      hint: expect.stringContaining('decompress: false'),
    });
  });

  it('when the partition is too small, with the size it needs', () => {
    const image = bzImage({ payload: gzipSync(elfImage({ bits: 32, physical: 0x1000000, memorySize: 100 * MiB })) });
    expect(refusal(() => load(image))).toMatchObject({ code: 'BH320', hint: expect.stringContaining('116 MiB') });
  });
});

describe('whatever the bytes', () => {
  let seed = 99;
  const random = (limit: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
  /** The values that headers go wrong with. */
  const EDGES = [0, 1, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff];
  const images: Readonly<Record<string, Uint8Array>> = {
    'bzImage with PVH': bzImage({ long: true, payload: gzipSync(elfImage({ bits: 64, pvhEntry: 0x100000 })) }),
    'bzImage without payload': bzImage(),
    ELF32: elfImage({ bits: 32, pvhEntry: 0x100000 }),
    ELF64: elfImage({ bits: 64 }),
    multiboot: multibootImage(),
    'multiboot ELF': elfImage({ bits: 32, code: multibootImage({ flags: 3 }) }),
    gzip: gzipSync(multibootImage()),
  };

  it.each(Object.entries(images))('a changed %s gives a plan inside RAM or an error of ours', (_, original) => {
    const outcomes = new Set<string>();
    for (let round = 0; round < 500; round++) {
      const image = original.slice(0, round % 10 === 0 ? random(original.length) : original.length);
      for (let changes = 1 + random(4); changes > 0; changes--) {
        if (random(2) === 0) putU32(image, random(image.length), EDGES[random(EDGES.length)] ?? 0);
        else if (image.length > 0) image[random(Math.min(image.length, 0x280))] = random(256);
      }
      try {
        const plan = load(image, { initrd, cmdline: 'x', decompress: round % 2 === 0 });
        for (const { gpa, data } of plan.segments) {
          expect(
            ENVIRONMENT.memoryMap.some(({ kind, base, size }) => kind === 'ram' && gpa >= base && gpa + data.length <= base + size),
          ).toBe(true);
        }
        outcomes.add('plan');
      } catch (error) {
        if (!(error instanceof BulkheadError)) throw error;
        expect(error.code).toMatch(/^BH3\d\d$/);
        outcomes.add(error.code);
      }
    }
    expect(outcomes.size).toBeGreaterThan(1);
  });

  it('noise is refused', () => {
    for (let round = 0; round < 300; round++) {
      const noise = Uint8Array.from({ length: random(2000) }, () => random(256));
      expect(refusal(() => load(noise)).code).toMatch(/^BH3\d\d$/);
    }
  });
});
