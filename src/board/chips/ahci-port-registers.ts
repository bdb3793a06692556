/**
 * The registers of an AHCI port: where they lie, what their bits mean, what they hold after a reset.
 *
 * Spec: Serial ATA AHCI 1.3.1 §3.3.
 */

// Port registers (AHCI §3.3), by offset
export const CLB = 0x00;
export const CLBU = 0x04;
export const FB = 0x08;
export const FBU = 0x0c;
export const IS = 0x10;
export const IE = 0x14;
export const CMD = 0x18;
export const TFD = 0x20;
export const SIG = 0x24;
export const SSTS = 0x28;
export const SCTL = 0x2c;
export const SERR = 0x30;
export const SACT = 0x34;
export const CI = 0x38;
export const PORT_BYTES = 0x80;

// PxIS and PxIE (§3.3.5)
export const IS_REGISTER_FIS = 1 << 0;
export const IS_PIO_SETUP_FIS = 1 << 1;
export const IS_DEVICE_BITS_FIS = 1 << 3;
export const IS_DESCRIPTOR = 1 << 5;
export const IS_CONNECT_CHANGE = 1 << 6;
export const IS_OVERFLOW = 1 << 24;
export const IS_INTERFACE_FATAL = 1 << 27;
export const IS_BUS_DATA = 1 << 28;
export const IS_BUS_FATAL = 1 << 29;
export const IS_TASK_FILE_ERROR = 1 << 30;
/** Cleared by writing ones. */
export const IS_CLEARABLE = 0xfd80_00af;
export const IE_WRITABLE = 0xfdc0_00ff;
// PxCMD (§3.3.7)
export const CMD_START = 1 << 0;
export const CMD_SPIN_UP = 1 << 1;
export const CMD_POWER_ON = 1 << 2;
export const CMD_OVERRIDE = 1 << 3;
export const CMD_RECEIVE_ENABLE = 1 << 4;
export const CMD_SLOT_SHIFT = 8;
export const CMD_RECEIVE_RUNNING = 1 << 14;
export const CMD_LIST_RUNNING = 1 << 15;
export const CMD_ATAPI = 1 << 24;
export const CMD_LED = 1 << 25;
// PxSSTS (§3.3.10): a device and a link, at 3 Gb/s, active
export const SSTS_ESTABLISHED = 0x123;
export const SSTS_OFFLINE = 0x4;
// PxSCTL.DET (§3.3.11)
export const DET = 0x0f;
export const DET_RESET = 1;
export const DET_OFFLINE = 4;
/** PxSERR.DIAG.X: the link came up anew. */
export const SERR_EXCHANGED = 1 << 26;
/** PxSERR.ERR.P: a frame that makes no sense. */
export const SERR_PROTOCOL = 1 << 10;
export const SIG_NONE = 0xffff_ffff;
/** Of a port without a device (§3.3). */
export const POWER_ON = { clb: 0, clbu: 0, fb: 0, fbu: 0, is: 0, ie: 0, cmd: 0, tfd: 0x7f, sig: SIG_NONE, sctl: 0, serr: 0, sact: 0, ci: 0 };

/** What a port holds, by name. */
export type PortRegisters = { -readonly [Register in keyof typeof POWER_ON]: number };
