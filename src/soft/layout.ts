/**
 * The engine's own area at the start of a partition's shared memory: one slab per vCPU (state block, TLBs, block table,
 * decoded records), then, 64 KiB-aligned, guest RAM. Offset 0 is never handed out, so that 0 can mean "fault".
 */
import { STATE_SIZE } from '../x86/state.ts';

/** A TLB entry is { tag: i64, addend: i32, unused: i32 }: tag = linear page address or −1; host offset = low 32 bits of address + addend. */
export const TLB_ENTRY_SIZE = 16;
/** 16 MiB of addresses: the code of a Linux kernel has no two pages in one place. */
export const TLB_ENTRIES = 4096;
export const TLB_SIZE: number = TLB_ENTRY_SIZE * TLB_ENTRIES;
/** Supervisor read, write, fetch; user read, write, fetch; supervisor read and write while RFLAGS.AC suspends SMAP. */
export const TLB_TABLES = 8;
export const TLB_OFFSET: number = STATE_SIZE;
export const TLB_USER: number = 3 * TLB_SIZE;
export const TLB_UNGUARDED: number = 6 * TLB_SIZE;
/** From a table for reading to the one for writing. */
export const TLB_WRITE_DISTANCE: number = TLB_SIZE;

/** Block table: sets of two entries { key: i64 (DECODE_KEY | host offset of the first byte), record: i32, region or heat: i32 (translator/regions.ts) }. */
export const BLOCK_ENTRY_SIZE = 16;
export const BLOCK_ENTRIES = 65_536;
export const BLOCK_OFFSET: number = TLB_OFFSET + TLB_TABLES * TLB_SIZE;
export const BLOCK_SIZE: number = BLOCK_ENTRY_SIZE * BLOCK_ENTRIES;

/** Bytes by which the two entries of a set differ: a block is in one of them. */
export const BLOCK_OTHER_WAY: number = BLOCK_ENTRY_SIZE;

/**
 * Where the block that starts at this host offset has its entry for a mode, as a byte offset into the table: there or in the entry beside it
 * ({@link BLOCK_OTHER_WAY}, to be XORed). The mode counts, because
 * the same kernel code runs in several by turns. Generated code computes the same (block-lookup.ts).
 */
export const blockSlot = (host: number, mode: number): number => ((host ^ (host >>> 15) ^ (mode << 8)) & (BLOCK_ENTRIES - 1)) * BLOCK_ENTRY_SIZE;

/** Decoded records, allocated upwards; when full, everything decoded is forgotten, and with it everything translated: a Linux decodes 8 MiB of them while it boots. */
export const RECORDS_OFFSET: number = BLOCK_OFFSET + BLOCK_SIZE;
export const RECORDS_SIZE: number = 32 * 1024 * 1024;

/** 64 KiB that stay unused at offset 0. */
export const FIRST_SLAB = 0x1_0000;
export const SLAB_SIZE: number = Math.ceil((RECORDS_OFFSET + RECORDS_SIZE) / 0x1_0000) * 0x1_0000;

export const slab = (vcpu: number): number => FIRST_SLAB + vcpu * SLAB_SIZE;
export const reservedBytes = (vcpus: number): number => slab(vcpus);
