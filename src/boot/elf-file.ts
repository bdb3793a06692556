/**
 * Reads ELF executables: what is to be loaded where, and the entry points.
 * Spec: System V ABI, chapters 4 and 5 ("gABI"); Xen docs/misc/pvh.pandoc for the PVH note.
 * Not modelled: relocation (ET_DYN), sections, big-endian files.
 */
import { BulkheadError } from '../base/index.ts';
import type { Bytes, Gpa } from '../contracts/index.ts';
import { alignUp, hex, matchesAt, toBytes, u16, u32, u64 } from './bytes.ts';
import type { Placement } from './placement.ts';

export const ELF_MAGIC: readonly number[] = [0x7f, 0x45, 0x4c, 0x46];

const CLASS_32 = 1,
  CLASS_64 = 2,
  LITTLE_ENDIAN = 1;
const TYPE_EXECUTABLE = 2,
  TYPE_SHARED = 3;
const MACHINE_386 = 3,
  MACHINE_X86_64 = 62;
const SEGMENT_LOAD = 1,
  SEGMENT_NOTE = 4;
const NOTE_HEADER_SIZE = 12;
const XEN_NOTE_NAME = toBytes('Xen\0');
/** XEN_ELFNOTE_PHYS32_ENTRY (Xen public/elfnote.h). */
const NOTE_PHYS32_ENTRY = 18;
/** More than any linker makes; keeps the work for a hostile file small. */
const SEGMENTS_MAX = 64;

/** Where the fields of the two classes lie (gABI figures 4-3 and 5-1). */
const LAYOUTS = {
  32: {
    headerSize: 52,
    phoff: 28,
    phentsize: 42,
    phnum: 44,
    programHeaderSize: 32,
    offset: 4,
    virtual: 8,
    physical: 12,
    fileSize: 16,
    memorySize: 20,
    align: 28,
  },
  64: {
    headerSize: 64,
    phoff: 32,
    phentsize: 54,
    phnum: 56,
    programHeaderSize: 56,
    offset: 8,
    virtual: 16,
    physical: 24,
    fileSize: 32,
    memorySize: 40,
    align: 48,
  },
} as const;

export interface ElfSegment {
  readonly physical: Gpa;
  /** A number would lose the low bits of a kernel's upper-half addresses. */
  readonly virtual: bigint;
  readonly data: Uint8Array;
  readonly memorySize: Bytes;
}

export interface ElfFile {
  readonly bits: 32 | 64;
  /** As the file has it: a virtual address by the book, a physical one in Linux. */
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  /** The 32-bit entry for PVH, where a note gives one. */
  readonly pvhEntry: Gpa | undefined;
}

export function isElf(data: Uint8Array): boolean {
  return matchesAt(data, 0, ELF_MAGIC);
}

/** Throws BH303. `name` is the file's name in errors. Bytes behind the ELF file are allowed (Linux appends relocations). */
export function parseElf(data: Uint8Array, name: string): ElfFile {
  const bits = data[4] === CLASS_64 ? 64 : 32;
  const layout = LAYOUTS[bits];
  if (!isElf(data) || (data[4] !== CLASS_32 && data[4] !== CLASS_64) || data.length < layout.headerSize)
    fail(name, 'the ELF header is not complete');
  if (data[5] !== LITTLE_ENDIAN) fail(name, 'it is a big-endian ELF file');
  const type = u16(data, 16),
    machine = u16(data, 18);
  if (machine !== (bits === 64 ? MACHINE_X86_64 : MACHINE_386))
    fail(name, `it is an ELF${bits} file for machine ${machine}, not for ${bits === 64 ? 'x86-64' : 'i386'}`);
  if (type === TYPE_SHARED) fail(name, 'it is position-independent and would need relocation', 'Link it with -no-pie at a fixed address.');
  if (type !== TYPE_EXECUTABLE) fail(name, `it is an ELF file of type ${type}, not an executable`, 'Link it first (ld).');

  const word = bits === 64 ? u64 : u32;
  const tableStart = word(data, layout.phoff),
    entrySize = u16(data, layout.phentsize),
    count = u16(data, layout.phnum);
  if (count === 0 || count > SEGMENTS_MAX) fail(name, `it has ${count} program headers`);
  if (entrySize < layout.programHeaderSize || tableStart + count * entrySize > data.length)
    fail(name, 'its program headers lie outside the file');

  const segments: ElfSegment[] = [];
  let pvhEntry: Gpa | undefined;
  for (let i = 0; i < count; i++) {
    const at = tableStart + i * entrySize;
    const kind = u32(data, at);
    if (kind !== SEGMENT_LOAD && kind !== SEGMENT_NOTE) continue;
    const offset = word(data, at + layout.offset),
      fileSize = word(data, at + layout.fileSize),
      memorySize = word(data, at + layout.memorySize);
    if (offset + fileSize > data.length)
      fail(name, `program header ${i} reaches beyond the end of the file (${hex(offset + fileSize)} of ${hex(data.length)})`);
    const content = data.subarray(offset, offset + fileSize);
    if (kind === SEGMENT_NOTE) {
      pvhEntry ??= findPvhEntry(content, word(data, at + layout.align));
      continue;
    }
    if (memorySize < fileSize) fail(name, `program header ${i} is larger in the file than in memory`);
    if (memorySize > 0)
      segments.push({
        physical: word(data, at + layout.physical),
        virtual: big(data, at + layout.virtual, bits),
        data: content,
        memorySize,
      });
  }
  if (segments.length === 0) fail(name, 'it has nothing to load');
  return { bits, entry: big(data, 24, bits), segments, pvhEntry };
}

/** Puts the segments where they are linked to. Throws BH320, BH321. */
export function placeElf(elf: ElfFile, placement: Placement, name: string): void {
  elf.segments.forEach(({ physical, data, memorySize }, i) => {
    placement.fixed(`${name} segment ${i}`, physical, data, memorySize);
  });
}

/** End of the highest segment. */
export function elfEnd(elf: ElfFile): Gpa {
  return elf.segments.reduce((end, segment) => Math.max(end, segment.physical + segment.memorySize), 0);
}

/** The entry as a physical address, whichever kind the file has. Throws BH303 where it lies in no segment. */
export function physicalEntry(elf: ElfFile, name: string): Gpa {
  for (const { physical, memorySize } of elf.segments) {
    if (elf.entry >= BigInt(Math.floor(physical)) && elf.entry < BigInt(Math.floor(physical + memorySize))) return Number(elf.entry);
  }
  for (const { physical, virtual, memorySize } of elf.segments) {
    if (elf.entry >= virtual && elf.entry < virtual + BigInt(Math.floor(memorySize))) return physical + Number(elf.entry - virtual);
  }
  return fail(name, `its entry point 0x${elf.entry.toString(16)} lies in none of its segments`);
}

/** gABI "Note Section": name size, description size, type, then name and description, each padded. */
function findPvhEntry(notes: Uint8Array, segmentAlignment: number): Gpa | undefined {
  const alignment = segmentAlignment === 8 ? 8 : 4;
  for (let at = 0; at + NOTE_HEADER_SIZE <= notes.length; ) {
    const nameSize = u32(notes, at),
      descriptionSize = u32(notes, at + 4),
      type = u32(notes, at + 8);
    const nameAt = at + NOTE_HEADER_SIZE;
    const description = at + alignUp(NOTE_HEADER_SIZE + nameSize, alignment);
    if (
      type === NOTE_PHYS32_ENTRY &&
      nameSize === XEN_NOTE_NAME.length &&
      matchesAt(notes, nameAt, XEN_NOTE_NAME) &&
      descriptionSize >= 4
    ) {
      return description + 4 <= notes.length ? u32(notes, description) : undefined;
    }
    at = alignUp(description + descriptionSize, alignment);
  }
  return undefined;
}

function big(data: Uint8Array, at: number, bits: 32 | 64): bigint {
  return BigInt(u32(data, at)) | (bits === 64 ? BigInt(u32(data, at + 4)) << 32n : 0n);
}

function fail(
  name: string,
  what: string,
  hint = 'Give a statically placed ELF executable for i386 or x86-64, or `protocol: flat` for raw code.',
): never {
  throw new BulkheadError('BH303', `${name}: ${what}`, { hint });
}
