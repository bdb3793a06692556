/** Bits of the control registers (SDM 3A §2.5) and of IA32_EFER (SDM 4 table 2-2). */
export const CR0_PE = 1 << 0;
export const CR0_MP = 1 << 1;
export const CR0_EM = 1 << 2;
export const CR0_TS = 1 << 3;
export const CR0_ET = 1 << 4;
export const CR0_NE = 1 << 5;
export const CR0_WP = 1 << 16;
export const CR0_AM = 1 << 18;
export const CR0_NW = 1 << 29;
export const CR0_CD = 1 << 30;
export const CR0_PG = 1 << 31;

export const CR4_VME = 1 << 0;
export const CR4_PVI = 1 << 1;
export const CR4_TSD = 1 << 2;
export const CR4_DE = 1 << 3;
export const CR4_PSE = 1 << 4;
export const CR4_PAE = 1 << 5;
export const CR4_MCE = 1 << 6;
export const CR4_PGE = 1 << 7;
export const CR4_PCE = 1 << 8;
export const CR4_OSFXSR = 1 << 9;
export const CR4_OSXMMEXCPT = 1 << 10;
export const CR4_UMIP = 1 << 11;
export const CR4_FSGSBASE = 1 << 16;
export const CR4_PCIDE = 1 << 17;
export const CR4_OSXSAVE = 1 << 18;
export const CR4_SMEP = 1 << 20;
export const CR4_SMAP = 1 << 21;

export const EFER_SCE = 1 << 0;
export const EFER_LME = 1 << 8;
export const EFER_LMA = 1 << 10;
export const EFER_NXE = 1 << 11;

/** Segment attributes as segment registers keep them (SDM 3C §25.4.1, the same bits as descriptor bytes 5 and 6). */
export const ATTRIBUTE_TYPE = 0x0f;
export const ATTRIBUTE_ACCESSED = 1 << 0;
/** Data: writable; code: readable. */
export const ATTRIBUTE_READ_WRITE = 1 << 1;
/** Data: expand-down; code: conforming. */
export const ATTRIBUTE_DOWN_CONFORMING = 1 << 2;
export const ATTRIBUTE_CODE = 1 << 3;
/** S: code or data, not a system segment. */
export const ATTRIBUTE_NOT_SYSTEM = 1 << 4;
export const ATTRIBUTE_DPL_SHIFT = 5;
export const ATTRIBUTE_PRESENT = 1 << 7;
export const ATTRIBUTE_LONG = 1 << 13;
/** D/B. */
export const ATTRIBUTE_DEFAULT_BIG = 1 << 14;
export const ATTRIBUTE_GRANULARITY = 1 << 15;
export const ATTRIBUTE_UNUSABLE = 1 << 16;
