/** What a file is, by its magic numbers. */
import { BulkheadError } from '../base/index.ts';
import type { BootSource, ImageKind } from '../contracts/index.ts';
import { matchesAt, toBytes } from './bytes.ts';
import { compressionOf, decompress } from './decompress/index.ts';
import { describeElf } from './elf.ts';
import { isElf, parseElf } from './elf-file.ts';
import { describeFirmware } from './firmware.ts';
import { describeLinux, isLinuxImage, KERNEL_SIZE_MAX, parseLinuxHeader } from './linux.ts';
import { describeMultiboot, findMultibootHeader } from './multiboot.ts';

export interface DetectedImage {
  readonly kind: ImageKind;
  /** For people: `Linux bzImage 6.1.0-56-cloud-amd64 (x86-64, LZ4)`. */
  readonly description: string;
  /** The image itself: what was found once compression of the whole file was undone. */
  readonly data: Uint8Array;
}

const CPIO_NEWC = toBytes('070701'),
  CPIO_CRC = toBytes('070702');

/**
 * Looks at the headers of a kernel file; only a file that is compressed as a whole is read in full. Throws BH301 (nothing that is
 * known), BH302 to BH304 and BH307 (known, but damaged), BH310 to BH312 (compression).
 */
export function detectImage(kernel: Uint8Array, name: string, protocol: BootSource['protocol']): DetectedImage {
  if (protocol === 'flat') return { kind: 'flat', description: 'flat image', data: kernel };
  if (protocol === 'firmware') return { kind: 'firmware', description: describeFirmware(kernel, name), data: kernel };
  if (compressionOf(kernel) === undefined) return detectBare(kernel, name);
  const { format, data } = decompress(kernel, name, KERNEL_SIZE_MAX);
  const inside = detectBare(data, name);
  return { ...inside, description: `${inside.description}, ${format}-compressed` };
}

function detectBare(data: Uint8Array, name: string): DetectedImage {
  if (isLinuxImage(data)) {
    const header = parseLinuxHeader(data, name);
    return { kind: header.memtest ? 'memtest' : 'linux', description: describeLinux(header), data };
  }
  // Before ELF, because a multiboot kernel is usually an ELF file that cannot be entered as one.
  const multiboot = findMultibootHeader(data);
  if (multiboot !== undefined) return { kind: 'multiboot', description: describeMultiboot(multiboot), data };
  if (isElf(data)) return { kind: 'elf', description: describeElf(parseElf(data, name)), data };
  throw new BulkheadError('BH301', `${name}: ${data.length === 0 ? 'the file is empty' : 'no bzImage, ELF file or multiboot image'}`, {
    hint: 'Give a Linux kernel, an ELF executable or a multiboot image; for raw code set `protocol: flat` and `load:`.',
  });
}

/** What an initrd is, for people; undefined when Linux would not know it either. */
export function describeInitrd(data: Uint8Array): string | undefined {
  if (matchesAt(data, 0, CPIO_NEWC) || matchesAt(data, 0, CPIO_CRC)) return 'cpio archive';
  const compression = compressionOf(data);
  return compression === undefined ? undefined : `${compression}-compressed archive`;
}
