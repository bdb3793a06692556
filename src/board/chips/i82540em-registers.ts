/**
 * The registers of the 82540EM and their bits, under the names of the manual: §13.4 of the "PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual" (Intel 317453), called SDM in the files of this chip.
 */

/** Bytes of the memory window (SDM §4.1). */
export const WINDOW_BYTES = 0x2_0000;
/** Registers end here; the rest of the window is empty. */
export const REGISTER_BYTES = 0x5c00;

export const CTRL = 0x0000;
export const STATUS = 0x0008;
export const EECD = 0x0010;
export const EERD = 0x0014;
export const MDIC = 0x0020;
export const VET = 0x0038;
export const ICR = 0x00c0;
export const ITR = 0x00c4;
export const ICS = 0x00c8;
export const IMS = 0x00d0;
export const IMC = 0x00d8;
export const RCTL = 0x0100;
export const TCTL = 0x0400;
export const PBA = 0x1000;
export const RDBAL = 0x2800;
export const RDBAH = 0x2804;
export const RDLEN = 0x2808;
export const RDH = 0x2810;
export const RDT = 0x2818;
export const RDTR = 0x2820;
export const RADV = 0x282c;
export const TDBAL = 0x3800;
export const TDBAH = 0x3804;
export const TDLEN = 0x3808;
export const TDH = 0x3810;
export const TDT = 0x3818;
export const TIDV = 0x3820;
export const TXDCTL = 0x3828;
export const TADV = 0x382c;
export const RXCSUM = 0x5000;
export const MTA = 0x5200;
export const RAL = 0x5400;
export const RAH = 0x5404;
export const VFTA = 0x5600;

export const MTA_WORDS = 128;
export const RECEIVE_ADDRESSES = 16;
export const VFTA_WORDS = 128;

// CTRL (SDM table 13-3)
export const CTRL_FD = 1 << 0;
export const CTRL_SLU = 1 << 6;
export const CTRL_SPEED_1000 = 2 << 8;
export const CTRL_RST = 1 << 26;
export const CTRL_VME = 1 << 30;
export const CTRL_PHY_RST = 0x8000_0000;
// STATUS (table 13-4)
export const STATUS_FD = 1 << 0;
export const STATUS_LU = 1 << 1;
export const STATUS_SPEED_1000 = 2 << 6;
// Interrupt causes (table 13-58)
export const TXDW = 1 << 0;
export const TXQE = 1 << 1;
export const LSC = 1 << 2;
export const RXDMT0 = 1 << 4;
export const RXO = 1 << 6;
export const RXT0 = 1 << 7;
export const MDAC = 1 << 9;
export const TXD_LOW = 1 << 15;
export const CAUSES = 0x1_ffff;
// RCTL (table 13-67)
export const RCTL_EN = 1 << 1;
export const RCTL_UPE = 1 << 3;
export const RCTL_MPE = 1 << 4;
export const RCTL_LPE = 1 << 5;
export const RCTL_LBM = 3 << 6;
export const RCTL_BAM = 1 << 15;
export const RCTL_VFE = 1 << 18;
export const RCTL_CFIEN = 1 << 19;
export const RCTL_CFI = 1 << 20;
export const RCTL_PMCF = 1 << 23;
export const RCTL_BSEX = 1 << 25;
export const RCTL_SECRC = 1 << 26;
// TCTL (table 13-76)
export const TCTL_EN = 1 << 1;
export const TCTL_PSP = 1 << 3;
// RXCSUM (table 13-106)
export const RXCSUM_IPOFL = 1 << 8;
export const RXCSUM_TUOFL = 1 << 9;
// RAH (table 13-91)
export const RAH_AV = 0x8000_0000;

/** Registers that keep what is written, and which of their bits do. What is missing here and in the chip's own code reads as zero. */
export const KEPT: ReadonlyMap<number, number> = new Map([
  [CTRL, 0xffff_ffff & ~(CTRL_RST | CTRL_PHY_RST)],
  [0x0018, 0xffff_ffff], // CTRL_EXT
  [0x0028, 0xffff_ffff], // FCAL
  [0x002c, 0xffff], // FCAH
  [0x0030, 0xffff], // FCT
  [VET, 0xffff],
  [ITR, 0xffff],
  [RCTL, 0x06df_b3fe],
  [0x0170, 0xffff], // FCTTV
  [0x0178, 0xffff_ffff], // TXCW
  [TCTL, 0x03ff_fffa],
  [0x0410, 0x3fff_ffff], // TIPG
  [0x0458, 0xffff], // AIFS
  [0x0e00, 0xffff_ffff], // LEDCTL
  [PBA, 0x7f],
  [0x2160, 0x8000_fff8], // FCRTL
  [0x2168, 0xfff8], // FCRTH
  [RDBAL, 0xffff_fff0],
  [RDBAH, 0xffff_ffff],
  [RDLEN, 0xf_ff80],
  [RDH, 0xffff],
  [RDT, 0xffff],
  [RDTR, 0xffff],
  [0x2828, 0x013f_3f3f], // RXDCTL
  [RADV, 0xffff],
  [0x2c00, 0xfff], // RSRPD
  [0x3000, 0xff], // TXDMAC
  [TDBAL, 0xffff_fff0],
  [TDBAH, 0xffff_ffff],
  [TDLEN, 0xf_ff80],
  [TDH, 0xffff],
  [TDT, 0xffff],
  [TIDV, 0xffff],
  [TXDCTL, 0xff3f_3f3f],
  [TADV, 0xffff],
  [0x3830, 0xffff_ffff], // TSPMT
  [RXCSUM, 0x7ff],
  [0x5800, 0x0f], // WUC
  [0x5808, 0x000f_80ff], // WUFC
  [0x5820, 0xffff_ffff], // MANC
  [0x5838, 0x1_000f], // IPAV
]);

/** Statistics (SDM §13.7): cleared when read; they stop at their largest value. */
export const STATISTICS = {
  CRCERRS: 0x4000,
  MPC: 0x4010,
  TNCRS: 0x4034,
  RLEC: 0x4040,
  /** Received and sent frames by length: 64, 65–127, 128–255, 256–511, 512–1023, 1024 and more. */
  PRC64: 0x405c,
  GPRC: 0x4074,
  BPRC: 0x4078,
  MPRC: 0x407c,
  GPTC: 0x4080,
  GORCL: 0x4088,
  GOTCL: 0x4090,
  RNBC: 0x40a0,
  ROC: 0x40ac,
  TORL: 0x40c0,
  TOTL: 0x40c8,
  TPR: 0x40d0,
  TPT: 0x40d4,
  PTC64: 0x40d8,
  MPTC: 0x40f0,
  BPTC: 0x40f4,
  TSCTC: 0x40f8,
} as const;

export const FIRST_STATISTIC = 0x4000;
export const LAST_STATISTIC = 0x40fc;
/** Counters of 64 bits: the low half is kept while the high half is read, which clears both. */
export const WIDE_STATISTICS: readonly number[] = [STATISTICS.GORCL, STATISTICS.GOTCL, STATISTICS.TORL, STATISTICS.TOTL];

/** Values after power-on and CTRL.RST that are not zero (SDM §13, "Initial Value"). */
export const INITIAL: ReadonlyMap<number, number> = new Map([
  // SLU as the EEPROM's initialization control word asks for (§5.6.7).
  [CTRL, CTRL_FD | CTRL_SLU | CTRL_SPEED_1000],
  [VET, 0x8100],
  [PBA, 0x30],
  [0x2160, 0],
  [0x5820, 0],
]);

/** The bucket of a frame of `length` bytes with FCS, as an offset from PRC64 or PTC64. */
export function lengthBucket(length: number): number {
  if (length <= 64) return 0x00;
  if (length <= 127) return 0x04;
  if (length <= 255) return 0x08;
  if (length <= 511) return 0x0c;
  return length <= 1023 ? 0x10 : 0x14;
}
