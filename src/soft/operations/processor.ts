/**
 * CPUID, PAUSE, CMPXCHG8B/16B, undefined instructions, and the micro-operations that check segments.
 */
import { CR4_OSXSAVE } from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { GENERAL_PROTECTION, STACK_FAULT } from '../../x86/vectors.ts';
import { type Core, GUEST_FAULT } from '../core.ts';
import { effectiveAddress, effectiveOffset, immediate, immediateHigh, segmentOf, writeRegister } from '../operands.ts';
import { checkSegment, segmentHolds } from '../segments.ts';
import { stackPointer } from '../stack.ts';
import { setZeroFlag } from './arithmetic-flags.ts';
import { MISC_ENABLE_MONITOR } from './monitor.ts';
import { raiseUndefined, type SystemOperations } from './operation.ts';

const RAX = S.gpr(S.RAX);
const RBX = S.gpr(S.RBX);
const RCX = S.gpr(S.RCX);
const RDX = S.gpr(S.RDX);

const leaf = new Uint32Array(4);

/** How many different opcodes one core reports before it keeps silent. */
const REPORTED_OPCODES = 64;
const LONGEST_INSTRUCTION = 15;

/** Bytes at RIP, as many as can be read. */
function instructionBytes(core: Core): number[] {
  const bytes: number[] = [];
  try {
    for (let i = 0; i < LONGEST_INSTRUCTION; i++) {
      const linear = core.getNumber(S.CODE_BASE) + core.getCanonical(S.RIP) + i;
      bytes.push(core.mmu.load8(core.is64Bit ? linear : linear >>> 0));
    }
  } catch (fault) {
    if (fault !== GUEST_FAULT) throw fault;
  }
  return bytes;
}

/** Prefixes, and in 64-bit mode REX, say nothing about which instruction it is; what must be implemented is the opcode. */
function opcodeOf(bytes: readonly number[], is64Bit: boolean): string {
  let at = 0;
  while (isPrefix(bytes[at], is64Bit)) at++;
  const isTwoByte = bytes[at] === 0x0f;
  const isThreeByte = isTwoByte && (bytes[at + 1] === 0x38 || bytes[at + 1] === 0x3a);
  return hex(bytes.slice(at, at + (isThreeByte ? 3 : isTwoByte ? 2 : 1)));
}

function isPrefix(byte: number | undefined, is64Bit: boolean): boolean {
  if (byte === undefined) return false;
  if (is64Bit && byte >= 0x40 && byte <= 0x4f) return true;
  return [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3].includes(byte);
}

function hex(bytes: readonly number[]): string {
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

function reportUndefined(core: Core): never {
  const bytes = instructionBytes(core);
  const opcode = opcodeOf(bytes, core.is64Bit);
  if (!core.reportedOpcodes.has(opcode) && core.reportedOpcodes.size < REPORTED_OPCODES) {
    core.reportedOpcodes.add(opcode);
    core.log.log('warn', `undefined instruction ${hex(bytes)}: #UD`, {
      opcode,
      rip: core.get64(S.RIP).toString(16),
      cpl: core.cpl,
      vcpu: core.id,
    });
  }
  return raiseUndefined(core);
}

/** The old value is written back when the comparison fails: the access is always a write (SDM 2). */
function compareExchange8(core: Core, record: number): void {
  const linear = effectiveAddress(core, record);
  core.mmu.probeWrite(linear, 8);
  const old = core.mmu.load64(linear);
  const expected = (BigInt(core.get32(RDX)) << 32n) | BigInt(core.get32(RAX));
  const isEqual = old === expected;
  core.mmu.replace64(linear, old, isEqual ? (BigInt(core.get32(RCX)) << 32n) | BigInt(core.get32(RBX)) : old);
  if (!isEqual) {
    writeRegister(core, RAX, 4, Number(old & 0xffff_ffffn));
    writeRegister(core, RDX, 4, Number(old >> 32n));
  }
  setZeroFlag(core, isEqual);
}

function compareExchange16(core: Core, record: number): void {
  const linear = effectiveAddress(core, record);
  if (linear % 16 !== 0) core.raise(GENERAL_PROTECTION, 0);
  core.mmu.probeWrite(linear, 16);
  const low = core.mmu.load64(linear);
  const high = core.mmu.load64(linear + 8);
  const isEqual = low === core.get64(RAX) && high === core.get64(RDX);
  core.mmu.store64(linear, isEqual ? core.get64(RBX) : low);
  core.mmu.store64(linear + 8, isEqual ? core.get64(RCX) : high);
  if (!isEqual) {
    core.set64(RAX, low);
    core.set64(RDX, high);
  }
  setZeroFlag(core, isEqual);
}

const OSXSAVE = 1 << 27;
const XSAVE = 1 << 26;
const MONITOR = 1 << 3;

/** What CPUID says of the operating system's doing (SDM 2A table 3-8): XSAVE is switched on, or MONITOR off. */
function applyDynamicBits(core: Core, number: number): void {
  if (number !== 1) return;
  let ecx = leaf[2] as number;
  if ((ecx & XSAVE) !== 0 && (core.getSigned32(S.CR4) & CR4_OSXSAVE) !== 0) ecx |= OSXSAVE;
  if ((core.get32(S.MSR_MISC_ENABLE) & MISC_ENABLE_MONITOR) === 0) ecx &= ~MONITOR;
  leaf[2] = ecx;
}

export const PROCESSOR_OPERATIONS: SystemOperations = {
  cpuid: (core) => {
    core.wiring.cpuid.lookup(core.get32(RAX), core.get32(RCX), leaf);
    applyDynamicBits(core, core.get32(RAX));
    writeRegister(core, RAX, 4, leaf[0] as number);
    writeRegister(core, RBX, 4, leaf[1] as number);
    writeRegister(core, RCX, 4, leaf[2] as number);
    writeRegister(core, RDX, 4, leaf[3] as number);
  },
  pause: (core) => {
    core.yielding = true;
    core.leave = true;
  },

  /** There is no cache, but it faults as a load does (SDM 2A, CLFLUSH); nothing is read, which a device would notice. */
  clflush: (core, record) => core.mmu.probeRead(effectiveAddress(core, record), 1),
  cmpxchg8b: compareExchange8,
  cmpxchg16b: compareExchange16,

  ud: raiseUndefined,
  undefined: reportUndefined,

  /**
   * Before an instruction with a memory operand in a segment that is not flat. IMM: bit 0 write, bit 1 read, size in bytes from
   * bit 8; upper half: address mask. PREPARED ← the offset, for the instruction to use as its base.
   */
  check_segment: (core, record) => {
    const access = immediate(core, record);
    const offset = (effectiveOffset(core, record) & immediateHigh(core, record)) >>> 0;
    const isWrite = (access & 1) !== 0;
    checkSegment(core, segmentOf(core, record), offset, access >>> 8, !isWrite || (access & 2) !== 0, isWrite);
    core.setNumber(S.PREPARED, offset);
  },

  /** Before an instruction that pushes IMM bytes (pops, when negative) on a stack that is not flat. */
  check_stack: (core, record) => {
    const bytes = immediate(core, record);
    const pointer = stackPointer(core);
    const mask = core.get32(S.STACK_MASK);
    const offset = bytes > 0 ? ((pointer - bytes) & mask) >>> 0 : pointer;
    const isHeld = segmentHolds(core.getSigned32(S.segmentAttributes(S.SS)), core.get32(S.segmentLimit(S.SS)), offset, Math.abs(bytes));
    if (!isHeld) core.raise(STACK_FAULT, 0);
  },
};
