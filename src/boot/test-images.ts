/** Small images for the tests of this room, well-formed in every field that a loader looks at. */
import type { BootEnvironment } from '../contracts/index.ts';
import { putU16, putU32, putU64, putU8, toBytes, toCString } from './bytes.ts';
import type { BootInput } from './input.ts';

/** A PC with 64 MiB. */
export const ENVIRONMENT: BootEnvironment = {
  memoryMap: [
    { base: 0, size: 0x9fc00, kind: 'ram' },
    { base: 0x9fc00, size: 0x400, kind: 'reserved' },
    { base: 0xe0000, size: 0x20000, kind: 'reserved' },
    { base: 0x100000, size: 0x3f00000, kind: 'ram' },
  ],
  rsdp: 0xe0000,
};

export function inputFor(kernel: Uint8Array, more: Partial<BootInput> = {}): BootInput {
  return { kernel, kernelName: 'images/kernel', cmdline: '', protocol: 'auto', decompress: true, ...more };
}

export interface ElfOptions {
  readonly bits: 32 | 64;
  readonly entry?: bigint;
  readonly physical?: number;
  readonly virtual?: bigint;
  readonly code?: Uint8Array;
  readonly memorySize?: number;
  readonly pvhEntry?: number;
}

/** One loaded segment and, where asked for, a PVH note behind another Xen note. */
export function elfImage(options: ElfOptions): Uint8Array {
  const { bits, physical = 0x100000, code = Uint8Array.of(0xf4), pvhEntry } = options;
  const headerSize = bits === 64 ? 64 : 52,
    programHeaderSize = bits === 64 ? 56 : 32;
  const codeAt = headerSize + 2 * programHeaderSize;
  const note = new Uint8Array(44);
  putU32(note, 0, 4);
  putU32(note, 4, 6);
  putU32(note, 8, 6); // XEN_ELFNOTE_GUEST_OS
  note.set(toCString('Xen'), 12);
  note.set(toBytes('linux\0'), 16);
  putU32(note, 24, 4);
  putU32(note, 28, bits / 8);
  putU32(note, 32, 18); // XEN_ELFNOTE_PHYS32_ENTRY
  note.set(toCString('Xen'), 36);
  putU32(note, 40, pvhEntry ?? 0);
  const noteAt = codeAt + code.length;

  const image = new Uint8Array(noteAt + note.length + 4);
  const putWord = bits === 64 ? putU64 : putU32;
  image.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, 1, 1]);
  putU16(image, 16, 2);
  putU16(image, 18, bits === 64 ? 62 : 3);
  putU32(image, 20, 1);
  putAddress(image, 24, options.entry ?? BigInt(physical), bits);
  putWord(image, bits === 64 ? 32 : 28, headerSize);
  putU16(image, bits === 64 ? 54 : 42, programHeaderSize);
  putU16(image, bits === 64 ? 56 : 44, pvhEntry === undefined ? 1 : 2);
  image.set(code, codeAt);
  image.set(note, noteAt);

  const program = (index: number, kind: number, offset: number, fileSize: number, memorySize: number): void => {
    const at = headerSize + index * programHeaderSize;
    putU32(image, at, kind);
    const fields =
      bits === 64
        ? { offset: 8, virtual: 16, physical: 24, fileSize: 32, memorySize: 40, align: 48 }
        : { offset: 4, virtual: 8, physical: 12, fileSize: 16, memorySize: 20, align: 28 };
    putWord(image, at + fields.offset, offset);
    putAddress(image, at + fields.virtual, options.virtual ?? BigInt(physical), bits);
    putWord(image, at + fields.physical, physical);
    putWord(image, at + fields.fileSize, fileSize);
    putWord(image, at + fields.memorySize, memorySize);
    putWord(image, at + fields.align, 4);
  };
  program(0, 1, codeAt, code.length, options.memorySize ?? code.length);
  program(1, 4, noteAt, note.length, note.length);
  return image;
}

function putAddress(image: Uint8Array, at: number, address: bigint, bits: 32 | 64): void {
  putU32(image, at, Number(address & 0xffffffffn));
  if (bits === 64) putU32(image, at + 4, Number(address >> 32n));
}

export interface BzImageOptions {
  readonly payload?: Uint8Array;
  readonly long?: boolean;
  readonly version?: string;
  readonly preferredAddress?: number;
  readonly initSize?: number;
}

/** Two sectors of set-up code, then the protected-mode part with the payload at offset 0x300. */
export function bzImage(options: BzImageOptions = {}): Uint8Array {
  const payload = options.payload ?? new Uint8Array();
  const payloadOffset = 0x300,
    protectedStart = 3 * 512;
  const image = new Uint8Array(protectedStart + payloadOffset + payload.length + 64);
  putU8(image, 0x1f1, 2);
  putU16(image, 0x1fe, 0xaa55);
  putU8(image, 0x201, 0x6a);
  image.set(toBytes('HdrS'), 0x202);
  putU16(image, 0x206, 0x20f);
  putU16(image, 0x20e, 0x300);
  putU8(image, 0x211, 1);
  putU32(image, 0x214, 0x100000);
  putU32(image, 0x22c, 0x7fffffff);
  putU16(image, 0x236, options.long ? 1 : 0);
  putU32(image, 0x238, 2047);
  putU32(image, 0x248, payloadOffset);
  putU32(image, 0x24c, payload.length);
  putU64(image, 0x258, options.preferredAddress ?? 0x1000000);
  putU32(image, 0x260, options.initSize ?? 0x100000);
  image.set(toCString(options.version ?? '6.1.0-test (builder@example) #1 SMP'), 0x500);
  image.set(payload, protectedStart + payloadOffset);
  return image;
}

export interface MultibootOptions {
  readonly flags?: number;
  readonly loadAddress?: number;
  readonly loadEnd?: number;
  readonly bssEnd?: number;
  readonly entry?: number;
  readonly headerAt?: number;
  readonly size?: number;
}

/** A raw image with the address fields filled in. */
export function multibootImage(options: MultibootOptions = {}): Uint8Array {
  const { flags = 0x10003, loadAddress = 0x100000, headerAt = 16, size = 256 } = options;
  const image = new Uint8Array(size).fill(0x90);
  putU32(image, headerAt, 0x1badb002);
  putU32(image, headerAt + 4, flags);
  putU32(image, headerAt + 8, -(0x1badb002 + flags));
  putU32(image, headerAt + 12, loadAddress + headerAt);
  putU32(image, headerAt + 16, loadAddress);
  putU32(image, headerAt + 20, options.loadEnd ?? 0);
  putU32(image, headerAt + 24, options.bssEnd ?? 0);
  putU32(image, headerAt + 28, options.entry ?? loadAddress);
  return image;
}
