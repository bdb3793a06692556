/**
 * Linux kernels as distributions ship them (bzImage), and everything else that uses their boot protocol, such as memtest86+.
 *
 * By default the kernel is decompressed here, not in the guest: that saves 0.5 to 4.6 billion guest instructions. The vmlinux
 * inside is entered through PVH where it has the note and there is no screen to tell of, else with a zero page. An image without a compressed payload, and any
 * image with `decompress: false`, is entered as a boot loader would enter it.
 *
 * Spec: Linux Documentation/arch/x86/boot.rst, protocol 2.06 and later.
 * Not modelled: the 16-bit entry (it calls a BIOS), zImage, EFI.
 */
import { BulkheadError, MiB } from '../base/index.ts';
import type { BootEnvironment, BootPlan, Gpa } from '../contracts/index.ts';
import { enterBootParams32, enterBootParams64, placeBootParams, SETUP_HEADER } from './boot-params.ts';
import { fromCString, hex, matchesAt, toBytes, u16, u32, u64 } from './bytes.ts';
import { compressionOf, decompress } from './decompress/index.ts';
import { isElf, parseElf, physicalEntry, placeElf } from './elf-file.ts';
import type { BootInput } from './input.ts';
import { Placement } from './placement.ts';
import { enterPvh } from './pvh.ts';

const SECTOR = 512;
// The setup header (boot.rst "The Real-Mode Kernel Header")
const SETUP_SECTORS = 0x1f1,
  BOOT_FLAG = 0x1fe,
  HEADER_LENGTH = 0x201,
  MAGIC = 0x202,
  VERSION = 0x206,
  KERNEL_VERSION = 0x20e,
  LOADFLAGS = 0x211;
const CODE32_START = 0x214,
  INITRD_ADDRESS_MAX = 0x22c,
  XLOADFLAGS = 0x236,
  COMMAND_LINE_SIZE = 0x238;
const PAYLOAD_OFFSET = 0x248,
  PAYLOAD_LENGTH = 0x24c,
  PREFERRED_ADDRESS = 0x258,
  INIT_SIZE = 0x260,
  HEADER_END_MAX = 0x290;
const HDRS = toBytes('HdrS');
const BOOT_FLAG_VALUE = 0xaa55;
const LOADED_HIGH = 1 << 0;
const KERNEL_64 = 1 << 0;
const PROTOCOL_2_06 = 0x206,
  PROTOCOL_2_08 = 0x208,
  PROTOCOL_2_10 = 0x20a,
  PROTOCOL_2_12 = 0x20c;
const ENTRY_64_OFFSET = 0x200;
const DEFAULT_SETUP_SECTORS = 4;

/** A vmlinux does not become larger than this; what expands further is an attack or an accident. */
export const KERNEL_SIZE_MAX = 512 * MiB;
const MEMTEST_NAME = 'Memtest86+';

export interface LinuxHeader {
  readonly protocol: number;
  /** `6.1.0-56-cloud-amd64`; empty where the image does not say. */
  readonly version: string;
  readonly memtest: boolean;
  /** It has the 64-bit entry. */
  readonly long: boolean;
  readonly setupHeader: Uint8Array;
  /** What runs in protected mode: decompressor and payload. */
  readonly protectedMode: Uint8Array;
  /** The compressed kernel; undefined where the image has none. */
  readonly payload: Uint8Array | undefined;
  readonly code32Start: Gpa;
  readonly preferredAddress: Gpa;
  /** Memory the kernel needs, from where it runs, before it can look at its memory map. */
  readonly initSize: number;
  readonly commandLineMax: number;
  readonly initrdEnd: Gpa;
}

export function isLinuxImage(data: Uint8Array): boolean {
  return matchesAt(data, MAGIC, HDRS) && u16(data, BOOT_FLAG) === BOOT_FLAG_VALUE;
}

/** Throws BH302. */
export function parseLinuxHeader(data: Uint8Array, name: string): LinuxHeader {
  const protocol = u16(data, VERSION);
  if (protocol < PROTOCOL_2_06) fail(name, `boot protocol ${protocol >>> 8}.${protocol & 0xff} is too old`, 'Use Linux 2.6.22 or later.');
  if (!((data[LOADFLAGS] ?? 0) & LOADED_HIGH)) fail(name, 'it is a zImage, which loads low', 'Use a bzImage.');
  const protectedStart = ((data[SETUP_SECTORS] || DEFAULT_SETUP_SECTORS) + 1) * SECTOR;
  const headerEnd = Math.min(MAGIC + (data[HEADER_LENGTH] ?? 0), HEADER_END_MAX);
  if (protectedStart >= data.length) fail(name, 'it ends before its protected-mode code');
  const since = (version: number, value: number, before: number): number => (protocol >= version ? value : before);

  const protectedMode = data.subarray(protectedStart);
  const payloadOffset = u32(data, PAYLOAD_OFFSET),
    payloadLength = since(PROTOCOL_2_08, u32(data, PAYLOAD_LENGTH), 0);
  if (payloadOffset + payloadLength > protectedMode.length) {
    fail(
      name,
      `its payload ends at ${hex(protectedStart + payloadOffset + payloadLength)}, beyond the end of the file (${hex(data.length)})`,
    );
  }
  const versionAt = u16(data, KERNEL_VERSION);
  const versionText = versionAt === 0 ? '' : fromCString(data, SECTOR + versionAt, 128);
  return {
    protocol,
    version: printable(versionText.split(' ')[versionText.startsWith(MEMTEST_NAME) ? 1 : 0] ?? ''),
    memtest: versionText.startsWith(MEMTEST_NAME),
    long: since(PROTOCOL_2_12, u16(data, XLOADFLAGS) & KERNEL_64, 0) !== 0,
    setupHeader: data.subarray(SETUP_HEADER, headerEnd),
    protectedMode,
    payload: payloadLength === 0 ? undefined : protectedMode.subarray(payloadOffset, payloadOffset + payloadLength),
    code32Start: u32(data, CODE32_START),
    preferredAddress: since(PROTOCOL_2_10, u64(data, PREFERRED_ADDRESS), 0),
    initSize: since(PROTOCOL_2_10, u32(data, INIT_SIZE), 0),
    commandLineMax: u32(data, COMMAND_LINE_SIZE),
    initrdEnd: u32(data, INITRD_ADDRESS_MAX) + 1,
  };
}

/** `Linux bzImage 6.1.0-56-cloud-amd64 (x86-64, LZ4)`. */
export function describeLinux(header: LinuxHeader): string {
  const bits = header.long ? 'x86-64' : 'i386';
  if (header.memtest) return `Memtest86+ ${header.version} (${bits}, Linux boot protocol)`;
  const packing = header.payload === undefined ? 'not compressed' : (compressionOf(header.payload) ?? 'unknown compression');
  return `Linux bzImage ${header.version || 'of unknown version'} (${bits}, ${packing})`;
}

export function loadLinux(input: BootInput, env: BootEnvironment): BootPlan {
  const header = parseLinuxHeader(input.kernel, input.kernelName);
  return header.payload !== undefined && input.decompress
    ? loadPayload(header, header.payload, input, env)
    : loadAsBootLoader(header, input, env);
}

function loadPayload(header: LinuxHeader, payload: Uint8Array, input: BootInput, env: BootEnvironment): BootPlan {
  const name = input.kernelName;
  const vmlinux = decompress(payload, name, KERNEL_SIZE_MAX).data;
  if (!isElf(vmlinux))
    fail(name, 'its compressed payload is not an ELF file', 'Set `decompress: false` to let the kernel decompress itself.');
  const elf = parseElf(vmlinux, name);
  const placement = new Placement(env.memoryMap);
  placeElf(elf, placement, 'kernel');
  const limits = { commandLine: header.commandLineMax, initrdEnd: header.initrdEnd };
  const description = describeLinux(header);
  // PVH has no word for a screen: with one, the kernel is entered as a boot loader enters it.
  if (elf.pvhEntry !== undefined && env.display === undefined) {
    const entry = enterPvh(elf.pvhEntry, input, env, placement, limits);
    return { description: `${description}, entered through PVH`, segments: placement.segments, entry };
  }
  const start = physicalEntry(elf, name);
  const bootParams = placeBootParams(header.setupHeader, input, env, placement, limits);
  const entry = elf.bits === 64 ? enterBootParams64(start, bootParams, placement) : enterBootParams32(start, bootParams, placement);
  return { description: `${description}, entered at its ${elf.bits}-bit entry`, segments: placement.segments, entry };
}

/** boot.rst "Loading The Rest of The Kernel" and the 32- and 64-bit protocols: the image itself at its load address. */
function loadAsBootLoader(header: LinuxHeader, input: BootInput, env: BootEnvironment): BootPlan {
  const placement = new Placement(env.memoryMap);
  const { code32Start, protectedMode } = header;
  placement.fixed('kernel', code32Start, protectedMode);
  // The image decompresses itself to its preferred address; what it needs there is kept free.
  const runEnd = Math.max(header.preferredAddress, code32Start) + header.initSize;
  const loadEnd = code32Start + protectedMode.length;
  const scratchStart = Math.max(loadEnd, header.preferredAddress);
  if (runEnd > scratchStart) placement.reserve('memory the kernel runs in', scratchStart, runEnd - scratchStart);
  const bootParams = placeBootParams(header.setupHeader, input, env, placement, {
    commandLine: header.commandLineMax,
    initrdEnd: header.initrdEnd,
  });
  const description = describeLinux(header);
  return header.long
    ? {
        description: `${description}, entered at its 64-bit entry`,
        entry: enterBootParams64(code32Start + ENTRY_64_OFFSET, bootParams, placement),
        segments: placement.segments,
      }
    : {
        description: `${description}, entered at its 32-bit entry`,
        entry: enterBootParams32(code32Start, bootParams, placement),
        segments: placement.segments,
      };
}

/** Version strings end up in terminals. */
function printable(text: string): string {
  return text.replaceAll(/[^\x21-\x7e]/g, '?');
}

function fail(name: string, what: string, hint = 'Fetch or build the kernel again.'): never {
  throw new BulkheadError('BH302', `${name}: ${what}`, { hint });
}
