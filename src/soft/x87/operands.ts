/** What x87 operations share: memory operands as values, the stack index, the start of an instruction. */
import { IMM } from '../../x86/record.ts';
import type { Core } from '../core.ts';
import type { FloatEnvironment } from '../float/environment.ts';
import { fromInteger, unpack32, unpack64 } from '../float/formats.ts';
import type { FloatValue } from '../float/value.ts';
import { effectiveAddress } from '../operands.ts';
import * as U from './unit.ts';

export type X87Operation = (core: Core, record: number) => void;
export type Load = (core: Core, address: number) => FloatValue;

/** ST index of the instruction. */
export const index = (core: Core, record: number): number => (core.u8[record + IMM] as number) & 7;

export const loadSingle: Load = (core, address) => unpack32(core.mmu.load32(address));
export const loadDouble: Load = (core, address) => unpack64(core.mmu.load64(address));
export const loadInteger16: Load = (core, address) => fromInteger(BigInt((core.mmu.load16(address) << 16) >> 16));
export const loadInteger32: Load = (core, address) => fromInteger(BigInt(core.mmu.load32(address) | 0));
export const loadInteger64: Load = (core, address) => fromInteger(BigInt.asIntN(64, core.mmu.load64(address)));

/** Common start of an instruction with a memory source: its value. */
export function loadOperand(core: Core, record: number, load: Load): FloatValue {
  U.enter(core);
  const address = effectiveAddress(core, record);
  const value = load(core, address);
  U.remember(core, record, address);
  U.prepare(core);
  return value;
}

export function startRegister(core: Core, record: number): FloatEnvironment {
  U.enter(core);
  U.remember(core, record);
  return U.prepare(core);
}
