/**
 * Multiboot 1 images: a header somewhere in the first 8 KiB says how to load what follows.
 * Spec: Multiboot Specification 0.6.96, cited as §.
 * Not modelled: video modes (§3.1.5 makes them a wish), symbol tables, drives, the APM table.
 */
import { BulkheadError, KiB, MiB } from '../base/index.ts';
import type { BootEnvironment, BootPlan, Gpa, MemoryMapEntry } from '../contracts/index.ts';
import { hex, putU32, toCString, u32 } from './bytes.ts';
import { elfEnd, isElf, parseElf, physicalEntry, placeElf } from './elf-file.ts';
import { bootGdt, protectedFlat32 } from './entry-state.ts';
import { baseName, type BootInput, placeCommandLine } from './input.ts';
import { encodeMemoryMap, MULTIBOOT_LAYOUT } from './memory-map.ts';
import { Placement } from './placement.ts';

// §3.1: the header
const HEADER_MAGIC = 0x1badb002,
  SEARCH_LENGTH = 8192;
const FLAGS = 4,
  CHECKSUM = 8,
  HEADER_ADDRESS = 12,
  LOAD_ADDRESS = 16,
  LOAD_END = 20,
  BSS_END = 24,
  ENTRY = 28;
const HEADER_SIZE = 12,
  HEADER_SIZE_WITH_ADDRESSES = 32;
// Bits 0–15 must be understood. 0: align modules, which we do anyway; 1: memory map, which we give anyway; 2: video mode.
const FLAGS_UNDERSTOOD = 0x0007;
const FLAG_ADDRESSES = 1 << 16;

// §3.3: the information structure
const LOADER_MAGIC = 0x2badb002;
const INFO_SIZE = 120;
const INFO_MEM_LOWER = 4,
  INFO_MEM_UPPER = 8,
  INFO_COMMAND_LINE = 16,
  INFO_MODULE_COUNT = 20,
  INFO_MODULES = 24,
  INFO_MAP_LENGTH = 44,
  INFO_MAP = 48,
  INFO_LOADER_NAME = 64;
const HAS_MEMORY = 1 << 0,
  HAS_COMMAND_LINE = 1 << 2,
  HAS_MODULES = 1 << 3,
  HAS_MAP = 1 << 6,
  HAS_LOADER_NAME = 1 << 9;
const MODULE_SIZE = 16;
/** Not the protocol's: a bound on what a guest is handed. */
const COMMAND_LINE_MAX = 4095;

export interface MultibootHeader {
  /** Offset in the file. */
  readonly offset: number;
  readonly flags: number;
}

export function findMultibootHeader(data: Uint8Array): MultibootHeader | undefined {
  const end = Math.min(data.length, SEARCH_LENGTH) - HEADER_SIZE;
  for (let offset = 0; offset <= end; offset += 4) {
    if (u32(data, offset) !== HEADER_MAGIC) continue;
    const flags = u32(data, offset + FLAGS);
    if ((HEADER_MAGIC + flags + u32(data, offset + CHECKSUM)) % 2 ** 32 === 0) return { offset, flags };
  }
  return undefined;
}

export function describeMultiboot(header: MultibootHeader): string {
  return `multiboot image (${header.flags & FLAG_ADDRESSES ? 'load addresses in the header' : 'ELF'})`;
}

/** §3.2: 32-bit flat protected mode, EAX holds the magic number, EBX → information structure. */
export function loadMultiboot(input: BootInput, env: BootEnvironment): BootPlan {
  const header = findMultibootHeader(input.kernel) ?? fail(input.kernelName, 'it has no multiboot header in its first 8 KiB');
  const unknown = header.flags & 0xffff & ~FLAGS_UNDERSTOOD;
  if (unknown !== 0) fail(input.kernelName, `its multiboot header requires features that do not exist here (flags ${hex(unknown)})`);
  const placement = new Placement(env.memoryMap);
  const { entry, end } = header.flags & FLAG_ADDRESSES ? placeByAddresses(header, input, placement) : placeExecutable(input, placement);
  const info = placeInformation(input, env, placement, end);
  const gdt = placement.low('boot GDT', bootGdt('protected'), 8);
  return {
    description: describeMultiboot(header),
    segments: placement.segments,
    entry: protectedFlat32(entry, gdt, { rax: LOADER_MAGIC, rbx: info }),
  };
}

interface Placed {
  readonly entry: Gpa;
  readonly end: Gpa;
}

/** §3.1.2: ELF files speak for themselves. ELF64 is entered in 32-bit mode like the others, as GRUB does. */
function placeExecutable(input: BootInput, placement: Placement): Placed {
  if (!isElf(input.kernel))
    fail(
      input.kernelName,
      'its multiboot header gives no load addresses, and it is no ELF file',
      "Set bit 16 of the header's flags and fill in the addresses.",
    );
  const elf = parseElf(input.kernel, input.kernelName);
  placeElf(elf, placement, input.kernelName);
  return { entry: physicalEntry(elf, input.kernelName), end: elfEnd(elf) };
}

/** §3.1.3: the address fields, for formats that a loader need not know. */
function placeByAddresses(header: MultibootHeader, input: BootInput, placement: Placement): Placed {
  const { kernel, kernelName } = input;
  if (header.offset + HEADER_SIZE_WITH_ADDRESSES > kernel.length) fail(kernelName, 'it ends inside its multiboot header');
  const field = (offset: number): number => u32(kernel, header.offset + offset);
  const load = field(LOAD_ADDRESS),
    entry = field(ENTRY);
  const fileStart = header.offset - (field(HEADER_ADDRESS) - load);
  if (fileStart < 0 || fileStart > header.offset)
    fail(kernelName, `header_addr ${hex(field(HEADER_ADDRESS))} and load_addr ${hex(load)} do not fit the file`);
  const loadEnd = field(LOAD_END) || load + (kernel.length - fileStart);
  const end = field(BSS_END) || loadEnd;
  if (loadEnd < load || loadEnd - load > kernel.length - fileStart) fail(kernelName, `load_end_addr ${hex(loadEnd)} does not fit the file`);
  if (end < loadEnd) fail(kernelName, `bss_end_addr ${hex(end)} lies before the end of the data`);
  if (entry < load || entry >= end) fail(kernelName, `entry_addr ${hex(entry)} lies outside the image`);
  placement.fixed(kernelName, load, kernel.subarray(fileStart, fileStart + (loadEnd - load)), end - load);
  return { entry, end };
}

/** §3.3. */
function placeInformation(input: BootInput, env: BootEnvironment, placement: Placement, kernelEnd: Gpa): Gpa {
  const info = new Uint8Array(INFO_SIZE);
  let flags = HAS_MEMORY | HAS_COMMAND_LINE | HAS_MAP | HAS_LOADER_NAME;
  const { lower, upper } = memorySizes(env.memoryMap);
  putU32(info, INFO_MEM_LOWER, lower);
  putU32(info, INFO_MEM_UPPER, upper);
  // The first word is the image's own name; kernels skip it.
  const commandLine = [baseName(input.kernelName), input.cmdline].filter((word) => word !== '').join(' ');
  putU32(info, INFO_COMMAND_LINE, placeCommandLine(placement, commandLine, COMMAND_LINE_MAX, 'a multiboot image'));
  if (input.initrd !== undefined) {
    const name = input.initrdName ?? 'module';
    const start = placement.above(name, input.initrd, kernelEnd);
    const module = new Uint8Array(MODULE_SIZE);
    putU32(module, 0, start);
    putU32(module, 4, start + input.initrd.length);
    putU32(module, 8, placement.low('module name', toCString(baseName(name)), 16));
    putU32(info, INFO_MODULE_COUNT, 1);
    putU32(info, INFO_MODULES, placement.low('module list', module, 16));
    flags |= HAS_MODULES;
  }
  const map = encodeMemoryMap(env.memoryMap, MULTIBOOT_LAYOUT);
  putU32(info, INFO_MAP_LENGTH, map.length);
  putU32(info, INFO_MAP, placement.low('multiboot memory map', map, 16));
  putU32(info, INFO_LOADER_NAME, placement.low('boot loader name', toCString('Bulkhead'), 16));
  putU32(info, 0, flags);
  return placement.low('multiboot information', info, 16);
}

/** In KiB: conventional memory from 0, and extended memory from 1 MiB up to its first hole (§3.3). */
function memorySizes(memoryMap: readonly MemoryMapEntry[]): { readonly lower: number; readonly upper: number } {
  const endOfRamAt = (address: Gpa): Gpa => {
    let end = address;
    for (const { kind, base, size } of memoryMap.toSorted((a, b) => a.base - b.base)) {
      if (kind === 'ram' && base <= end && base + size > end) end = base + size;
    }
    return end;
  };
  return {
    lower: Math.floor(Math.min(endOfRamAt(0), 640 * KiB) / KiB),
    upper: Math.floor((Math.min(endOfRamAt(1 * MiB), 2 ** 32) - 1 * MiB) / KiB),
  };
}

function fail(name: string, what: string, hint = 'Correct the multiboot header of the image.'): never {
  throw new BulkheadError('BH304', `${name}: ${what}`, { hint });
}
