/** IN, OUT, INS, OUTS (SDM 2; SDM 1 chapter 19 for I/O privilege and the permission bitmap of the TSS). */
import { ATTRIBUTE_UNUSABLE } from '../../x86/control.ts';
import { DF } from '../../x86/flags.ts';
import { INFO_REP, INFO_REPNE } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import { GENERAL_PROTECTION } from '../../x86/vectors.ts';
import type { AccessSize } from '../../contracts/index.ts';
import type { Core } from '../core.ts';
import { immediate, infoOf, loadSized, operandSize, segmentOf, storeSized, writeRegister } from '../operands.ts';
import { checkedLinear, systemLinear, TSS_BUSY, TYPE_TSS32 } from '../segments.ts';
import { isRealMode, ioPrivilege, type SystemOperations } from './operation.ts';
import { advanceIndex, countIsZero, indexOffset, nextIteration, stepCount } from './string-index.ts';

const RAX = S.gpr(S.RAX);
const DX = S.gpr(S.RDX);
/** Of the I/O map base in a 32- or 64-bit TSS. */
const TSS_IO_MAP_BASE = 0x66;

/** Port access: allowed at or below IOPL, else (and always in virtual-8086 mode) by the bitmap (SDM 1 §19.5.2). */
function checkPort(core: Core, port: number, size: number): void {
  if (isRealMode(core) || (core.cpl <= ioPrivilege(core) && !core.isVirtual8086)) return;
  const attributes = core.getSigned32(S.segmentAttributes(S.TR));
  const limit = core.get32(S.segmentLimit(S.TR));
  const isTss = (attributes & ATTRIBUTE_UNUSABLE) === 0 && (attributes & 0xf & ~TSS_BUSY) === TYPE_TSS32;
  if (!isTss || limit < TSS_IO_MAP_BASE + 1) core.raise(GENERAL_PROTECTION, 0);
  const base = core.getCanonical(S.segmentBase(S.TR));
  // Two bytes are read, so that a port at the end of a byte finds its neighbours' bits.
  const at = core.mmu.loadSystem16(systemLinear(core, base + TSS_IO_MAP_BASE)) + (port >>> 3);
  if (at + 1 > limit) core.raise(GENERAL_PROTECTION, 0);
  const bits = core.mmu.loadSystem16(systemLinear(core, base + at)) >>> (port & 7);
  if ((bits & ((1 << size) - 1)) !== 0) core.raise(GENERAL_PROTECTION, 0);
}

/** The access is allowed: it happens now, under the eyes of I/O breakpoints. */
function admitPort(core: Core, port: number, size: number): void {
  checkPort(core, port, size);
  if (core.breakpoints.watchesPorts) core.breakpoints.port(port, size);
}

function readPort(core: Core, port: number, size: number): void {
  admitPort(core, port, size);
  writeRegister(core, RAX, size, core.wiring.io.read('pio', port, size as AccessSize));
}

function writePort(core: Core, port: number, size: number): void {
  admitPort(core, port, size);
  const mask = size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
  core.wiring.io.write('pio', port, size as AccessSize, (core.get32(RAX) & mask) >>> 0);
}

const portSize = (core: Core, record: number): number => Math.min(operandSize(core, record), 4);
const portInDx = (core: Core): number => core.get32(DX) & 0xffff;

/** One element, or as many as its count says and nothing comes in between. */
function stringPort(core: Core, record: number, transfer: (core: Core, record: number, size: number) => void): void {
  const isRepeated = (infoOf(core, record) & (INFO_REP | INFO_REPNE)) !== 0;
  if (isRepeated && countIsZero(core, record)) return;
  const size = portSize(core, record);
  for (;;) {
    transfer(core, record, size);
    if (!isRepeated) return;
    stepCount(core, record);
    if (!nextIteration(core, countIsZero(core, record))) return;
  }
}

export const IO_OPERATIONS: SystemOperations = {
  in_immediate: (core, record) => readPort(core, immediate(core, record) & 0xff, portSize(core, record)),
  in_dx: (core, record) => readPort(core, portInDx(core), portSize(core, record)),
  out_immediate: (core, record) => writePort(core, immediate(core, record) & 0xff, portSize(core, record)),
  out_dx: (core, record) => writePort(core, portInDx(core), portSize(core, record)),

  ins: (core, record) =>
    stringPort(core, record, (_, __, size) => {
      const port = portInDx(core);
      admitPort(core, port, size);
      const linear = checkedLinear(core, S.ES, indexOffset(core, record, S.RDI), size, true);
      // A device must not be read for a value that has nowhere to go.
      core.mmu.probeWrite(linear, size);
      storeSized(core, linear, size, core.wiring.io.read('pio', port, size as AccessSize));
      advanceIndex(core, record, S.RDI, (core.getSigned32(S.SYSTEM_FLAGS) & DF) !== 0 ? -size : size);
    }),
  outs: (core, record) =>
    stringPort(core, record, (_, __, size) => {
      const port = portInDx(core);
      admitPort(core, port, size);
      const linear = checkedLinear(core, segmentOf(core, record), indexOffset(core, record, S.RSI), size, false);
      core.wiring.io.write('pio', port, size as AccessSize, loadSized(core, linear, size));
      advanceIndex(core, record, S.RSI, (core.getSigned32(S.SYSTEM_FLAGS) & DF) !== 0 ? -size : size);
    }),
};
