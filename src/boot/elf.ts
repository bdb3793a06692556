/**
 * ELF executables: bare-metal programs, RTOS images, an extracted vmlinux.
 *
 * Entry states:
 * - with a PVH note: 32-bit flat protected mode, EBX → hvm_start_info (see pvh.ts);
 * - ELF32 without: 32-bit flat protected mode, ESI → Linux zero page (see boot-params.ts);
 * - ELF64 without: 64-bit mode on page tables that map the first 4 GiB to themselves, RSI → Linux zero page.
 * In all of them interrupts are off, no IDT is loaded, there is no stack, and unnamed registers are 0. The zero page tells the image its
 * memory map, command line and initrd, and is what a vmlinux without PVH expects.
 * Not modelled: mapping an ELF64 image to its virtual addresses; it starts at its physical ones.
 */
import type { BootEnvironment, BootPlan } from '../contracts/index.ts';
import { enterBootParams32, enterBootParams64, placeBootParams } from './boot-params.ts';
import { type ElfFile, parseElf, physicalEntry, placeElf } from './elf-file.ts';
import type { BootInput } from './input.ts';
import { Placement } from './placement.ts';
import { enterPvh } from './pvh.ts';

/** COMMAND_LINE_SIZE of x86 Linux, less the terminating zero. */
const COMMAND_LINE_MAX = 2047;
/** 32-bit Linux maps no more than this at once; 64-bit images may have it anywhere below 2 GiB. */
const INITRD_END = { 32: 0x38000000, 64: 0x80000000 } as const;

/** `ELF32 executable (i386), PVH entry`. */
export function describeElf(elf: ElfFile): string {
  return `ELF${elf.bits} executable (${elf.bits === 64 ? 'x86-64' : 'i386'})${elf.pvhEntry === undefined ? '' : ', PVH entry'}`;
}

export function loadElf(input: BootInput, env: BootEnvironment): BootPlan {
  const elf = parseElf(input.kernel, input.kernelName);
  const placement = new Placement(env.memoryMap);
  placeElf(elf, placement, input.kernelName);
  const limits = { commandLine: COMMAND_LINE_MAX, initrdEnd: INITRD_END[elf.bits] };
  const description = describeElf(elf);
  if (elf.pvhEntry !== undefined) {
    return { description, entry: enterPvh(elf.pvhEntry, input, env, placement, limits), segments: placement.segments };
  }
  const start = physicalEntry(elf, input.kernelName);
  const bootParams = placeBootParams(undefined, input, env, placement, limits);
  return elf.bits === 64
    ? {
        description: `${description}, entered in 64-bit mode`,
        entry: enterBootParams64(start, bootParams, placement),
        segments: placement.segments,
      }
    : {
        description: `${description}, entered in 32-bit protected mode`,
        entry: enterBootParams32(start, bootParams, placement),
        segments: placement.segments,
      };
}
