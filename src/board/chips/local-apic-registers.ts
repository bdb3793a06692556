/**
 * The registers of a local APIC: numbers, bits, what exists in which interface, the state after power-on.
 *
 * Spec: Intel SDM volume 3A chapter 11; sections are cited alone below.
 */

// Register numbers: MMIO offset / 0x10, MSR - 0x800 (table 11-1, table 11-6)
export const ID = 0x02;
export const VERSION = 0x03;
export const TPR = 0x08;
export const APR = 0x09;
export const PPR = 0x0a;
export const EOI = 0x0b;
export const LDR = 0x0d;
export const DFR = 0x0e;
export const SVR = 0x0f;
export const ISR0 = 0x10;
export const TMR0 = 0x18;
export const IRR0 = 0x20;
export const ESR = 0x28;
export const ICR = 0x30;
export const ICR_HIGH = 0x31;
export const LVT0 = 0x32;
export const INITIAL_COUNT = 0x38;
export const CURRENT_COUNT = 0x39;
export const DIVIDE = 0x3e;
export const SELF_IPI = 0x3f;

// Local vector table, in register order from 0x320 (figure 11-8)
export const Lvt = { Timer: 0, Thermal: 1, Performance: 2, Lint0: 3, Lint1: 4, Error: 5 } as const;
export const LVT_ENTRIES = 6;
export const LVT_MASKED = 1 << 16;
export const LVT_LEVEL = 1 << 15;
export const LVT_REMOTE_IRR = 1 << 14;
export const LVT_ACTIVE_LOW = 1 << 13;
export const LVT_DELIVERY_STATUS = 1 << 12;
export const LVT_WRITABLE = [0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff] as const;

/** 0x14: an integrated APIC; bits 23:16 give the highest LVT entry (§11.4.8). */
export const VERSION_VALUE = ((LVT_ENTRIES - 1) << 16) | 0x14;
export const SVR_ENABLE = 1 << 8;
export const SVR_WRITABLE = 0x3ff;

// ESR (figure 11-9)
export const ERROR_SEND_VECTOR = 1 << 5;
export const ERROR_RECEIVED_VECTOR = 1 << 6;
export const ERROR_REGISTER = 1 << 7;
/** Vectors 0–15 are reserved to exceptions (§11.5.2). */
export const FIRST_LEGAL_VECTOR = 16;

// IA32_APIC_BASE (§11.4.4, §11.12.1)
export const BASE_BSP = 1 << 8;
export const BASE_X2APIC = 1 << 10;
export const BASE_ENABLE = 1 << 11;
export const BASE_DEFAULT = 0xfee0_0000;
export const BASE_ADDRESS = 0xff_ffff_f000n; // 40 physical address bits; higher ones are reserved
export const BASE_DEFINED = BASE_ADDRESS | BigInt(BASE_BSP | BASE_X2APIC | BASE_ENABLE);

export const ICR_DEFINED = 0x000c_dfff;

export type LocalApicRegisters = {
  globalEnable: boolean;
  x2apic: boolean;
  base: number;
  tpr: number;
  ldr: number;
  dfr: number;
  svr: number;
  esr: number;
  errors: number;
  icrLow: number;
  icrHigh: number;
  lvt: number[];
  irr: number[];
  isr: number[];
  tmr: number[];
  lint: [boolean, boolean];
  externalMessage: boolean;
};

export function powerOn(): LocalApicRegisters {
  return {
    globalEnable: true,
    x2apic: false,
    base: BASE_DEFAULT,
    tpr: 0,
    ldr: 0,
    dfr: 0xffff_ffff,
    svr: 0xff,
    esr: 0,
    errors: 0,
    icrLow: 0,
    icrHigh: 0,
    lvt: new Array<number>(LVT_ENTRIES).fill(LVT_MASKED),
    irr: new Array<number>(8).fill(0),
    isr: new Array<number>(8).fill(0),
    tmr: new Array<number>(8).fill(0),
    lint: [false, false],
    externalMessage: false,
  };
}

/** Bits an x2APIC write may set; others are #GP (§11.12.1.3). */
export function x2apicDefined(register: number): number {
  switch (register) {
    case TPR:
      return 0xff;
    case EOI:
    case ESR:
      return 0;
    case SVR:
      return SVR_WRITABLE;
    case DIVIDE:
      return 0x0b;
    case SELF_IPI:
      return 0xff;
    case INITIAL_COUNT:
      return 0xffff_ffff;
    default:
      return (LVT_WRITABLE[register - LVT0] ?? 0) | LVT_DELIVERY_STATUS | LVT_REMOTE_IRR;
  }
}

export function copy(state: LocalApicRegisters): LocalApicRegisters {
  return { ...state, lvt: [...state.lvt], irr: [...state.irr], isr: [...state.isr], tmr: [...state.tmr], lint: [...state.lint] };
}
