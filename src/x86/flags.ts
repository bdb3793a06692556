/** RFLAGS bits (SDM 1 §3.4.3). */
export const CF = 1 << 0;
export const PF = 1 << 2;
export const AF = 1 << 4;
export const ZF = 1 << 6;
export const SF = 1 << 7;
export const TF = 1 << 8;
export const IF = 1 << 9;
export const DF = 1 << 10;
export const OF = 1 << 11;
export const IOPL = 3 << 12;
export const NT = 1 << 14;
export const RF = 1 << 16;
export const VM = 1 << 17;
export const AC = 1 << 18;
export const VIF = 1 << 19;
export const VIP = 1 << 20;
export const ID = 1 << 21;
/** The six that arithmetic sets and the engine keeps lazily. */
export const ARITHMETIC: number = CF | PF | AF | ZF | SF | OF;
/** What of RFLAGS is stored beside them; bit 1, which is always set. */
export const OTHERS = 0x003f_7700;
export const FIXED = 2;
