/**
 * Where a vCPU's architectural state lies: byte offsets into its block of the partition's shared memory. The block is the
 * only home of the state: interpreter, translated code, system code in TypeScript and snapshots all read and write it here.
 *
 * Offsets of registers double as operand encodings: a decoded instruction names a register by its offset, so AH is simply
 * `gpr(0) + 1`, "no index register" is {@link ZERO}, and RIP-relative addressing has {@link CODE_PAGE} as its base.
 */

/** RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8…R15: 8 bytes each. */
export const GPR = 0x000;
/** Instruction pointer (an offset into CS). Exact whenever guest code is not running, and inside every call out of it. */
export const RIP = 0x080;
/** Linear address of the page that the current block was fetched from (multiple of 4096). */
export const CODE_PAGE = 0x088;
/** Always zero: the register that is not there. */
export const ZERO = 0x090;
/** An effective address prepared by a preceding micro-operation (16-bit addressing, checked segments, 64-bit offsets). */
export const PREPARED = 0x098;

/**
 * Lazy arithmetic flags. FLAG_RESULT (i64) is the last result, sign-extended from its operand size; FLAG_AUX (i32) holds
 * what the result alone cannot tell. ZF = result is 0; SF = (result < 0) xor SIGN_DELTA; PF = even parity of
 * (result ^ PARITY_DELTA byte); CF = CARRY; OF = CARRY xor PARTIAL; AF = ADJUST.
 */
export const FLAG_RESULT = 0x0a0;
export const FLAG_AUX = 0x0a8;
export const AUX_SIGN_DELTA = 1 << 0;
export const AUX_ADJUST = 1 << 3;
export const AUX_PARITY_DELTA_SHIFT = 8;
export const AUX_PARTIAL = 1 << 30;
export const AUX_CARRY = 1 << 31;
/** RFLAGS without the six arithmetic flags; bit 1 is set (i32). */
export const SYSTEM_FLAGS = 0x0ac;

/** Segment registers in encoding order; LDTR and TR follow. */
export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;
export const LDTR = 6;
export const TR = 7;
/** i64 each: `segmentBase(n)`. */
export const SEGMENT_BASE = 0x0b0;
export const GDTR_BASE = 0x0f0;
export const IDTR_BASE = 0x0f8;
/** u32 each: limit in bytes after granularity. */
export const SEGMENT_LIMIT = 0x100;
/** u32 each: VMX access-rights format (SDM 3C §25.4.1): type, S, DPL, P, AVL, L, D/B, G, unusable (bit 16). */
export const SEGMENT_ATTRIBUTES = 0x120;
/** u32 each, 16 bits used. */
export const SEGMENT_SELECTOR = 0x140;
export const GDTR_LIMIT = 0x160;
export const IDTR_LIMIT = 0x164;

/** u32. */
export const CR0 = 0x168;
export const CR4 = 0x16c;
/** i64. */
export const CR2 = 0x170;
export const CR3 = 0x178;
/** u32. */
export const EFER = 0x180;
/** Current privilege level (i32). */
export const CPL = 0x184;

/** Derived from CR0, EFER, CS and SS; `updateMode()` keeps them (see soft/core.ts). */
/** Linear addresses and RIP are ANDed with this: 2^32−1 outside 64-bit mode, all ones within (i64). */
export const LINEAR_MASK = 0x1b8;
/** RSP is used modulo this: 2^16−1, 2^32−1 or all ones (i64). */
export const STACK_MASK = 0x1c0;
/** Which decoding of the same bytes is meant: a MODE_… value shifted left by 40, ORed into block keys (i64). */
export const DECODE_KEY = 0x1c8;
/** MODE_… bits (i32). */
export const MODE = 0x1d0;
export const MODE_CODE_16 = 0;
export const MODE_CODE_32 = 1;
export const MODE_CODE_64 = 2;
export const MODE_CODE_SIZE = 3;
/** CS, DS, ES or SS is not a flat 4 GiB segment: accesses through them are checked one by one. */
export const MODE_SEGMENTED = 1 << 2;
/** FS is unusable or limited: accesses through it are checked one by one. */
export const MODE_FS_CHECKED = 1 << 3;
/** Protected mode with VM = 0 (the decoder needs to know: real and virtual-8086 mode reject some instructions). */
export const MODE_PROTECTED = 1 << 4;
/** CR0.EM or CR0.TS: x87, MMX and SSE instructions fault (SDM 3A table 13-1), so they are decoded as what raises the fault. */
export const MODE_FPU_OFF = 1 << 5;
/** CR4.OSFXSR: without it SSE instructions are undefined. */
export const MODE_SSE_ENABLED = 1 << 6;
/** GS is unusable or limited. Apart from FS: one of the two is null most of the time. */
export const MODE_GS_CHECKED = 1 << 7;
/** Above every MODE_… bit. */
export const MODE_LIMIT = 1 << 8;

/** Addresses (i32) of the TLBs for the current privilege level. */
export const TLB_READ = 0x1d4;
export const TLB_WRITE = 0x1d8;
export const TLB_FETCH = 0x1dc;
/** Distance (i32) from the supervisor's TLBs for reading and writing to those that apply to it while RFLAGS.AC suspends SMAP; 0 without SMAP. */
export const TLB_UNGUARDED = 0x7d4;

/** Which entry of a translated region is meant (i32): set right before that is called, 0 (the first) otherwise. */
export const REGION_ENTRY = 0x7d8;

/** Instructions that may still retire in this run (i32): written before, read after every call out of generated code. */
export const BUDGET = 0x1e0;
/** Budget taken away from the current run to leave guest code early; the vCPU's loop gives it back (i32). */
export const BUDGET_STASH = 0x1e4;
/** Nonzero: an event waits (EVENT_… bits). Written with atomics by other threads (i32, own cache line not needed yet). */
export const EVENTS = 0x1e8;
export const EVENT_INTERRUPT = 1 << 0;
export const EVENT_NMI = 1 << 1;
export const EVENT_INIT = 1 << 2;
export const EVENT_SIPI = 1 << 3;
export const EVENT_MACHINE_CHECK = 1 << 4;
/** Interrupts are held for one instruction: nonzero = shadow (i32). After MOV SS and POP SS debug traps wait too (SDM 3A §6.8.3). */
export const INTERRUPT_SHADOW = 0x1ec;
export const SHADOW_STI = 1;
export const SHADOW_STACK_SEGMENT = 2;
/** 0 running, 1 halted, 2 waiting for SIPI, 3 shut down, 4 in MWAIT (i32). */
export const ACTIVITY = 0x1f0;
export const ACTIVITY_RUNNING = 0;
export const ACTIVITY_HALTED = 1;
export const ACTIVITY_WAIT_FOR_SIPI = 2;
export const ACTIVITY_SHUTDOWN = 3;
export const ACTIVITY_MWAIT = 4;

/** The exception being raised: vector (i32, −1 none), error code (i32), whether it has one (i32). CR2 is set at raising. */
export const FAULT_VECTOR = 0x1f4;
export const FAULT_ERROR_CODE = 0x1f8;
export const FAULT_HAS_ERROR_CODE = 0x1fc;

/** MSRs: i64 each. */
export const MSR_STAR = 0x200;
export const MSR_LSTAR = 0x208;
export const MSR_CSTAR = 0x210;
export const MSR_SFMASK = 0x218;
export const MSR_KERNEL_GS_BASE = 0x220;
export const MSR_SYSENTER_CS = 0x228;
export const MSR_SYSENTER_ESP = 0x230;
export const MSR_SYSENTER_EIP = 0x238;
export const MSR_PAT = 0x240;
export const MSR_TSC_AUX = 0x248;
/** Added to the wiring's timestamp: IA32_TSC writes and IA32_TSC_ADJUST. */
export const TSC_OFFSET = 0x250;
export const MSR_TSC_ADJUST = 0x258;
export const MSR_MTRR_DEF_TYPE = 0x260;
export const MSR_MISC_ENABLE = 0x268;
export const XCR0 = 0x270;
/** Where execution continues after the current system operation; becomes RIP when it completes (i64). */
export const NEXT_RIP = 0x278;

/** 64 bytes where generated code and the slow memory path exchange operands that are not one piece of RAM. */
export const SCRATCH = 0x280;
/** Where a store through SCRATCH must go once the value is there: linear address (i64), size (i32). */
export const PENDING_STORE = 0x2c0;
export const PENDING_STORE_SIZE = 0x2c8;
/** Nonzero from the delivery of an NMI to the next IRET: further NMIs wait (SDM 3A §6.7.1) (i32). */
export const NMI_BLOCKED = 0x2cc;

/** x87: FCW, FSW, FTW (full 16-bit tags), FOP as i32; FIP, FDP as i64; TOP is kept in FSW. */
export const FCW = 0x2d0;
export const FSW = 0x2d4;
export const FTW = 0x2d8;
export const FOP = 0x2dc;
export const FIP = 0x2e0;
export const FDP = 0x2e8;
export const MXCSR = 0x2f0;
/** Selectors of the last x87 instruction and operand (i32). */
export const FCS = 0x2f4;
export const FDS = 0x2f8;
/** R0–R7 in physical order, 16 bytes each: significand (u64), sign and exponent (u16). */
export const X87 = 0x300;
/** XMM0–XMM15, 32 bytes apart: room for the upper halves of YMM. */
export const XMM = 0x400;
export const XMM_STRIDE = 32;

/** PDPTEs as loaded by MOV CR3 in PAE paging (SDM 3A §4.4.1): 4 × i64. */
export const PDPTE = 0x600;

/** Segment bases as code fetch and stack use them: 0 in 64-bit mode, CS.base and SS.base elsewhere (i64, kept by `updateMode`). */
export const CODE_BASE = 0x620;
export const STACK_BASE = 0x628;

/** MTRRs, plain storage (SDM 3A §11.11): 11 fixed-range registers in ascending address order, 8 base/mask pairs: i64 each. */
export const MSR_MTRR_FIXED = 0x680;
export const MSR_MTRR_VARIABLE = 0x6e0;
/** IA32_BIOS_SIGN_ID, as the guest last wrote it. */
export const MSR_BIOS_SIGN_ID = 0x760;

/** IA32_MCG_STATUS; then CTL, STATUS, ADDR and MISC of each machine-check bank: i64 each. */
export const MSR_MCG_STATUS = 0x768;
export const MSR_MC_BANKS = 0x770;
export const MC_BANK_SIZE = 32;

/** A repeated string instruction has done an iteration and has more to do: its next one comes next (i32). */
export const REPEATING = 0x7b0;

/** CODE_PAGE where the next instruction is to be looked for anew: a page that no address has. */
export const NO_PAGE = 1;
/** Host offset of the page at CODE_PAGE (i32). */
export const CODE_HOST = 0x630;

/** The record of the near branch for whose target no block was known, when generated code came back for that; else 0 (i32). */
export const BRANCH_RECORD = 0x634;

/** Host offset of the line that MONITOR armed (i32, 0: none), and the extensions that MWAIT was given in ECX (i32). */
export const MONITOR_LINE = 0x638;
export const MWAIT_EXTENSIONS = 0x63c;
/** An interrupt ends MWAIT even while IF is clear. */
export const MWAIT_MASKED_INTERRUPTS = 1 << 0;

/** Backward links the interpreter will still follow before it tells which loop it is in (i32). */
export const LOOP_SAMPLE = 0x7b8;

/** Nonzero: PAUSE lets the partition's other vCPUs run (i32). */
export const PAUSE_YIELDS = 0x7bc;

/**
 * The time-stamp counter, before TSC_OFFSET, as a function of what this run has retired: TIME_NANOS (i64) plus
 * (retired · 1000 + TIME_THOUSANDTHS) / TIME_RATE (i32 each; a rate of 0: ask the wiring). Retired is GRANTED (i32) less what is left of it.
 */
export const TIME_NANOS = 0x7c0;
export const TIME_THOUSANDTHS = 0x7c8;
export const TIME_RATE = 0x7cc;
export const GRANTED = 0x7d0;

/** DR0–DR7: i64 each (DR4 and DR5 are never used). */
export const DR = 0x640;

/** Where an FXSAVE or XSAVE area is put together, or taken apart, that does not lie in one piece of RAM. */
export const XSAVE_AREA = 0x800;

/** Bytes of one vCPU's architectural block. */
export const STATE_SIZE = 0x1000;

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

export const gpr = (n: number): number => GPR + n * 8;
export const segmentBase = (n: number): number => SEGMENT_BASE + n * 8;
export const segmentLimit = (n: number): number => SEGMENT_LIMIT + n * 4;
export const segmentAttributes = (n: number): number => SEGMENT_ATTRIBUTES + n * 4;
export const segmentSelector = (n: number): number => SEGMENT_SELECTOR + n * 4;
export const xmm = (n: number): number => XMM + n * XMM_STRIDE;
