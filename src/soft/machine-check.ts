/**
 * The machine-check architecture (SDM 3B chapter 16): its registers, and the delivery of an error that something outside reports.
 * Nothing here fails by itself.
 *
 * Not modelled: IA32_MCG_CTL, the extended state, corrected errors and their interrupt (CMCI), recovery (SER).
 */
import { CR4_MCE } from '../x86/control.ts';
import * as S from '../x86/state.ts';
import { MACHINE_CHECK } from '../x86/vectors.ts';
import type { Core } from './core.ts';
import { deliverException, endSleep } from './interrupts.ts';

/** Error-reporting banks, as IA32_MCG_CAP counts them. */
export const MACHINE_CHECK_BANKS = 2;
/** IA32_MC0_CTL; each bank has CTL, STATUS, ADDR and MISC, one after the other (SDM 4 table 2-2). */
const FIRST_BANK_MSR = 0x400;

/** IA32_MCG_STATUS (§16.3.1.2): restart at the saved RIP is possible; a machine check is being handled. */
const STATUS_RESTART = 1n << 0n;
const STATUS_IN_PROGRESS = 1n << 2n;
const STATUS_DEFINED = 0b111n;
/** IA32_MCi_STATUS (§16.3.2.2): the bank holds an error, uncorrected, whose address is in IA32_MCi_ADDR. */
const BANK_VALID = 1n << 63n;
const BANK_UNCORRECTED = 1n << 61n;
const BANK_ENABLED = 1n << 60n;
const BANK_ADDRESS_VALID = 1n << 58n;

const BANK_CTL = 0;
const BANK_STATUS = 8;
const BANK_ADDRESS = 16;

/** The value of IA32_MCi_… `index`; undefined: there is no such register. */
export function readBank(core: Core, index: number): bigint | undefined {
  return isBankRegister(core, index) ? core.get64(offsetOf(index)) : undefined;
}

/** False: no such register, or not with this value. Software clears errors, it does not make them (§16.3.2.2). */
export function writeBank(core: Core, index: number, value: bigint): boolean {
  if (!isBankRegister(core, index)) return false;
  const offset = offsetOf(index);
  if ((offset - S.MSR_MC_BANKS) % S.MC_BANK_SIZE !== BANK_CTL && value !== 0n) return false;
  core.set64(offset, value);
  return true;
}

export function writeStatus(core: Core, value: bigint): boolean {
  if ((value & ~STATUS_DEFINED) !== 0n) return false;
  core.set64(S.MSR_MCG_STATUS, value);
  return true;
}

/**
 * An uncorrected error, reported in bank 0: #MC before the instruction at S.RIP. Without CR4.MCE, and while another one is being
 * handled, the processor shuts down (§16.3.1.2; SDM 3A §6.15).
 */
export function deliverMachineCheck(core: Core, code: number, address: number | undefined): void {
  core.set64(S.MSR_MC_BANKS + BANK_STATUS, BANK_VALID | BANK_UNCORRECTED | BANK_ENABLED | (address === undefined ? 0n : BANK_ADDRESS_VALID) | BigInt(code & 0xffff));
  core.set64(S.MSR_MC_BANKS + BANK_ADDRESS, BigInt(address ?? 0));
  const isNested = (core.get64(S.MSR_MCG_STATUS) & STATUS_IN_PROGRESS) !== 0n;
  if (isNested || (core.getSigned32(S.CR4) & CR4_MCE) === 0) {
    core.set32(S.ACTIVITY, S.ACTIVITY_SHUTDOWN);
    core.detail = `machine check ${isNested ? 'while another was handled' : 'with CR4.MCE clear'}`;
    return;
  }
  core.set64(S.MSR_MCG_STATUS, STATUS_RESTART | STATUS_IN_PROGRESS);
  endSleep(core);
  core.recordFault(MACHINE_CHECK);
  deliverException(core);
}

function isBankRegister(core: Core, index: number): boolean {
  return index >= FIRST_BANK_MSR && index < FIRST_BANK_MSR + MACHINE_CHECK_BANKS * 4 && core.features.has('mca');
}

function offsetOf(index: number): number {
  return S.MSR_MC_BANKS + (index - FIRST_BANK_MSR) * 8;
}
