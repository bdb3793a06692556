/**
 * PVH: the shortest way into a kernel. 32-bit flat protected mode, EBX points to a structure that names everything else.
 * Spec: Xen docs/misc/pvh.pandoc; public/arch-x86/hvm/start_info.h (version 1).
 */
import { BulkheadError } from '../base/index.ts';
import type { BootEnvironment, Gpa, VcpuState } from '../contracts/index.ts';
import { putU32, putU64 } from './bytes.ts';
import { bootGdt, protectedFlat32 } from './entry-state.ts';
import { type BootInput, placeCommandLine } from './input.ts';
import { encodeMemoryMap, PVH_LAYOUT } from './memory-map.ts';
import type { Placement } from './placement.ts';

const MAGIC = 0x336ec578,
  VERSION = 1;
// struct hvm_start_info
const START_INFO_SIZE = 56;
const MODULE_COUNT = 12,
  MODULE_LIST = 16,
  COMMAND_LINE = 24,
  RSDP = 32,
  MEMORY_MAP = 40,
  MEMORY_MAP_ENTRIES = 48;
// struct hvm_modlist_entry
const MODULE_ENTRY_SIZE = 32,
  MODULE_ADDRESS = 0,
  MODULE_SIZE = 8;

export interface PvhLimits {
  readonly commandLine: number;
  /** The first address that the initrd must not reach. */
  readonly initrdEnd: Gpa;
}

/** Places what PVH needs beside the kernel, which is placed already; returns the state to start in. */
export function enterPvh(entry: Gpa, input: BootInput, env: BootEnvironment, placement: Placement, limits: PvhLimits): VcpuState {
  const info = new Uint8Array(START_INFO_SIZE);
  putU32(info, 0, MAGIC);
  putU32(info, 4, VERSION);
  putU64(info, COMMAND_LINE, placeCommandLine(placement, input.cmdline, limits.commandLine, input.kernelName));
  putU64(info, RSDP, env.rsdp ?? 0);
  putU64(info, MEMORY_MAP, placement.low('PVH memory map', encodeMemoryMap(env.memoryMap, PVH_LAYOUT), 8));
  putU32(info, MEMORY_MAP_ENTRIES, env.memoryMap.length);
  if (input.initrd !== undefined) {
    const module = new Uint8Array(MODULE_ENTRY_SIZE);
    putU64(module, MODULE_ADDRESS, placement.high(input.initrdName ?? 'initrd', input.initrd, limits.initrdEnd));
    putU64(module, MODULE_SIZE, input.initrd.length);
    putU32(info, MODULE_COUNT, 1);
    putU64(info, MODULE_LIST, placement.low('PVH module list', module, 8));
  }
  if (entry === 0) {
    throw new BulkheadError('BH303', `${input.kernelName}: its PVH note gives address 0 as the entry`, {
      hint: 'Link the image again with a PVH note that names its 32-bit entry.',
    });
  }
  const gdt = placement.low('boot GDT', bootGdt('protected'), 8);
  return protectedFlat32(entry, gdt, { rbx: placement.low('PVH start info', info, 8) });
}
