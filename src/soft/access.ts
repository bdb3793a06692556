/** How a memory access is described: bits of the page-fault error code it would have (SDM 3A figure 4-12), and what paging makes of them. */
export const PAGE = 4096;
/** MAXPHYADDR, as CPUID leaf 0x80000008 announces it. */
export const PHYSICAL_ADDRESS_BITS = 40;

export const ACCESS_PRESENT: number = 1 << 0;
export const ACCESS_WRITE: number = 1 << 1;
export const ACCESS_USER: number = 1 << 2;
export const ACCESS_RESERVED: number = 1 << 3;
export const ACCESS_FETCH: number = 1 << 4;
/** Not an error-code bit: an access the processor makes by itself to descriptor tables and TSSs (SDM 3A §4.6). */
export const ACCESS_IMPLICIT: number = 1 << 8;
/** Nor this: base and limit of the segment were applied by whoever asks. */
export const ACCESS_IN_SEGMENT: number = 1 << 9;
/** Nor this: RFLAGS.AC lets the supervisor reach user pages that SMAP keeps it from otherwise. */
export const ACCESS_UNGUARDED: number = 1 << 10;
