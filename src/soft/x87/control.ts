/**
 * x87 instructions that handle the unit rather than numbers: control and status word, environment, save and restore, stack
 * pointer and tags (SDM 1 §8.1.10, §8.3.10; images: SDM 1 figures 8-9 to 8-12). Names follow the non-waiting forms; the
 * waiting ones (FSTCW …) are WAIT followed by these (SDM 2A, FSTCW).
 */
import { CR0_MP, CR0_TS } from '../../x86/control.ts';
import { IMM, INFO, INFO_SIZE } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import { DEVICE_NOT_AVAILABLE, FLOATING_POINT } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { ALL_EXCEPTIONS } from '../float/environment.ts';
import { effectiveAddress } from '../operands.ts';
import * as U from './unit.ts';

type ControlOperation = (core: Core, record: number) => void;

const index = (core: Core, record: number): number => (core.u8[record + IMM] as number) & 7;
const REGISTER_BYTES = 10;

/** Operand size 16 makes the 14-byte environment, everything else the 28-byte one. */
const isShort = (core: Core, record: number): boolean => (core.view.getUint16(record + INFO, true) & INFO_SIZE) === 1;
const environmentBytes = (short: boolean): number => (short ? 14 : 28);

/** Words of the environment in the image's order; `short` ones are 16 bits wide. */
function storeEnvironment(core: Core, address: number, short: boolean): void {
  const ip = core.getNumber(S.FIP);
  const dp = core.getNumber(S.FDP);
  const cs = core.get32(S.FCS);
  const ds = core.get32(S.FDS);
  const opcode = core.get32(S.FOP);
  let words: readonly number[];
  if (core.isProtected) {
    words = short ? [ip, cs, dp, ds] : [ip, cs | (opcode << 16), dp, ds];
  } else {
    // real and virtual-8086 mode: linear addresses, cut into pieces
    const code = ip + cs * 16;
    const data = dp + ds * 16;
    words = short
      ? [code, ((code >>> 4) & 0xf000) | opcode, data, (data >>> 4) & 0xf000]
      : [code & 0xffff, ((code >>> 4) & 0x0fff_f000) | opcode, data & 0xffff, (data >>> 4) & 0x0fff_f000];
  }
  const all = [core.get32(S.FCW), core.get32(S.FSW), U.fullTags(core), ...words];
  for (let i = 0; i < 7; i++) {
    const word = all[i] as number;
    if (short) core.mmu.store16(address + 2 * i, word);
    // the upper halves of the first three, and of the data selector, read as ones in silicon
    else core.mmu.store32(address + 4 * i, i < 3 || (i === 6 && core.isProtected) ? (word | 0xffff_0000) >>> 0 : word >>> 0);
  }
}

function loadEnvironment(core: Core, address: number, short: boolean): void {
  const words: number[] = [];
  for (let i = 0; i < 7; i++) words.push(short ? core.mmu.load16(address + 2 * i) : core.mmu.load32(address + 4 * i));
  const [control, status, tags, ip, second, dp, fourth] = words as [number, number, number, number, number, number, number];
  if (core.isProtected) {
    core.setNumber(S.FIP, ip);
    core.setNumber(S.FDP, dp);
    core.set32(S.FCS, second & 0xffff);
    core.set32(S.FDS, fourth & 0xffff);
    if (!short) core.set32(S.FOP, (second >>> 16) & 0x7ff);
  } else {
    const mask = short ? 0xf000 : 0x0fff_f000;
    core.setNumber(S.FIP, ip + (second & mask) * 16);
    core.setNumber(S.FDP, dp + (fourth & mask) * 16);
    core.set32(S.FCS, 0);
    core.set32(S.FDS, 0);
    core.set32(S.FOP, second & 0x7ff);
  }
  core.set32(S.FTW, tags & 0xffff);
  core.set32(S.FCW, control);
  U.setStatus(core, status);
  U.setControl(core, control);
}

const storeEnvironmentOperation: ControlOperation = (core, record) => {
  U.requireUnit(core);
  const address = effectiveAddress(core, record);
  const short = isShort(core, record);
  core.mmu.probeWrite(address, environmentBytes(short));
  storeEnvironment(core, address, short);
  // SDM 2A, FSTENV: all exceptions are masked afterwards, so that a handler can use the unit
  U.setControl(core, core.get32(S.FCW) | ALL_EXCEPTIONS);
};

const save: ControlOperation = (core, record) => {
  U.requireUnit(core);
  const address = effectiveAddress(core, record);
  const short = isShort(core, record);
  core.mmu.probeWrite(address, environmentBytes(short) + 8 * REGISTER_BYTES);
  storeEnvironment(core, address, short);
  for (let i = 0; i < 8; i++) {
    const at = address + environmentBytes(short) + i * REGISTER_BYTES;
    core.mmu.store64(at, U.significandOf(core, i));
    core.mmu.store16(at + 8, U.signExponentOf(core, i));
  }
  U.initialize(core);
};

const restore: ControlOperation = (core, record) => {
  U.enter(core);
  const address = effectiveAddress(core, record);
  const short = isShort(core, record);
  core.mmu.probeRead(address, environmentBytes(short) + 8 * REGISTER_BYTES);
  loadEnvironment(core, address, short);
  const tags = core.get32(S.FTW);
  for (let i = 0; i < 8; i++) {
    const at = address + environmentBytes(short) + i * REGISTER_BYTES;
    U.writeRaw(core, i, core.mmu.load64(at), core.mmu.load16(at + 8));
  }
  core.set32(S.FTW, tags);
};

/** Non-waiting, but needs the unit. */
const immediate =
  (action: (core: Core, record: number) => void): ControlOperation =>
  (core, record) => {
    U.requireUnit(core);
    action(core, record);
  };

const waiting =
  (action: (core: Core, record: number) => void): ControlOperation =>
  (core, record) => {
    U.enter(core);
    action(core, record);
  };

function clearC1(core: Core): void {
  core.set32(S.FSW, core.get32(S.FSW) & ~U.C1);
}

export const CONTROL_OPERATIONS: Readonly<Record<string, ControlOperation>> = {
  /** WAIT heeds TS only with MP set, and EM never (SDM 3A table 2-2). */
  fwait: (core) => {
    const heeded = CR0_MP | CR0_TS;
    if ((core.get32(S.CR0) & heeded) === heeded) core.raise(DEVICE_NOT_AVAILABLE);
    if (core.get32(S.FSW) & U.ERROR_SUMMARY) core.raise(FLOATING_POINT);
  },
  /** Stands for every x87 instruction but WAIT while CR0.EM or CR0.TS is set: they are not decoded as themselves. */
  x87_unavailable: (core) => U.requireUnit(core),
  fnop: waiting(() => undefined),
  fninit: immediate((core) => U.initialize(core)),
  /** SDM 2A: exceptions, SF, ES and B go; the condition bits stay. */
  fnclex: immediate((core) => U.setStatus(core, core.get32(S.FSW) & ~(ALL_EXCEPTIONS | U.STACK_FAULT))),
  /** FENI, FDISI, FSETPM of the 8087 and 287: nothing since the 387 (SDM 1 §23.18, 3B §23.18.9). */
  fnobsolete: immediate(() => undefined),
  fnstcw: immediate((core, record) => core.mmu.store16(effectiveAddress(core, record), core.get32(S.FCW))),
  fldcw: waiting((core, record) => U.setControl(core, core.mmu.load16(effectiveAddress(core, record)))),
  fnstsw_m16: immediate((core, record) => core.mmu.store16(effectiveAddress(core, record), core.get32(S.FSW))),
  fnstsw_ax: immediate((core) => {
    core.u16[(core.base + S.gpr(S.RAX)) >>> 1] = core.get32(S.FSW);
  }),
  fnstenv: storeEnvironmentOperation,
  fldenv: waiting((core, record) => {
    const address = effectiveAddress(core, record);
    const short = isShort(core, record);
    core.mmu.probeRead(address, environmentBytes(short));
    loadEnvironment(core, address, short);
  }),
  fnsave: save,
  frstor: restore,
  ffree: waiting((core, record) => {
    U.free(core, index(core, record));
    clearC1(core);
  }),
  ffreep: waiting((core, record) => {
    U.free(core, index(core, record));
    U.pop(core);
    clearC1(core);
  }),
  fincstp: waiting((core) => {
    U.setTop(core, U.getTop(core) + 1);
    clearC1(core);
  }),
  fdecstp: waiting((core) => {
    U.setTop(core, U.getTop(core) - 1);
    clearC1(core);
  }),
};
