/**
 * The task-state segment: stacks for inner privilege levels (SDM 3A §5.8.5, §8.7) and hardware task switches (§7.3), which
 * long mode does not have.
 */
import { ATTRIBUTE_UNUSABLE, CR0_PG, CR0_TS, CR4_PAE, CR4_PGE } from '../x86/control.ts';
import { NT, VM } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION, INVALID_TSS, SEGMENT_NOT_PRESENT } from '../x86/vectors.ts';
import { DR6_TASK_SWITCH } from './breakpoints.ts';
import type { Core } from './core.ts';
import { updateMode } from './mode.ts';
import { loadPageDirectoryPointers } from './paging-registers.ts';
import {
  checkStackSegment,
  Descriptor,
  findDescriptor,
  installSegment,
  markAccessed,
  readDescriptor,
  setNullSegment,
  setSegment,
  setVirtual8086Segment,
  systemLinear,
  TSS_BUSY,
  TYPE_LDT,
  TYPE_TSS16,
  TYPE_TSS32,
} from './segments.ts';
import { Stack } from './stack.ts';

/** SS and ESP (or RSP) for an inner level, as the current TSS gives them. */
export interface InnerStack {
  selector: number;
  pointer: number;
}

/** Reads the stack for `level` from a 16- or 32-bit TSS. Raises #TS(TR) when the TSS is too short. */
export function readInnerStack(core: Core, level: number, external: number, into: InnerStack): void {
  const is32Bit = isTss32(core);
  const offset = is32Bit ? 4 + level * 8 : 2 + level * 4;
  checkTssHolds(core, offset, is32Bit ? 6 : 4, external);
  const base = core.getCanonical(S.segmentBase(S.TR));
  into.pointer = is32Bit
    ? core.mmu.loadSystem32(systemLinear(core, base + offset))
    : core.mmu.loadSystem16(systemLinear(core, base + offset));
  into.selector = core.mmu.loadSystem16(systemLinear(core, base + offset + (is32Bit ? 4 : 2)));
}

/** RSP0–RSP2 (`level`), or IST1–IST7 (`ist` not 0), of the 64-bit TSS (SDM 3A §7.7). */
export function readInnerStack64(core: Core, level: number, ist: number, external: number): number {
  const offset = ist !== 0 ? 0x24 + (ist - 1) * 8 : 4 + level * 8;
  checkTssHolds(core, offset, 8, external);
  return core.mmu.loadSystemCanonical(core.getCanonical(S.segmentBase(S.TR)) + offset);
}

function isTss32(core: Core): boolean {
  return (core.getSigned32(S.segmentAttributes(S.TR)) & 8) !== 0;
}

function checkTssHolds(core: Core, offset: number, size: number, external: number): void {
  const isUnusable = (core.getSigned32(S.segmentAttributes(S.TR)) & ATTRIBUTE_UNUSABLE) !== 0;
  if (isUnusable || offset + size - 1 > core.get32(S.segmentLimit(S.TR))) {
    core.raise(INVALID_TSS, (core.get32(S.segmentSelector(S.TR)) & 0xfffc) | external);
  }
}

export type TaskSwitchReason = 'jump' | 'call' | 'return';

/** Where a TSS keeps what (SDM 3A figures 7-2 and 7-10). Segments in the order ES, CS, SS, DS, FS, GS. */
interface TssLayout {
  readonly word: 2 | 4;
  readonly eip: number;
  readonly flags: number;
  readonly registers: number;
  readonly segments: number;
  readonly segmentCount: number;
  readonly ldt: number;
  readonly minimumLimit: number;
}
const TSS32: TssLayout = {
  word: 4,
  eip: 0x20,
  flags: 0x24,
  registers: 0x28,
  segments: 0x48,
  segmentCount: 6,
  ldt: 0x60,
  minimumLimit: 0x67,
};
const TSS16: TssLayout = {
  word: 2,
  eip: 0x0e,
  flags: 0x10,
  registers: 0x12,
  segments: 0x22,
  segmentCount: 4,
  ldt: 0x2a,
  minimumLimit: 0x2b,
};
const TSS32_CR3 = 0x1c;
const TSS32_TRAP = 0x64;

const target = new Descriptor();
const loaded = new Descriptor();

/**
 * Switches to the task of the TSS `selector`. `returnRip` is what the outgoing task continues at. After the outgoing state is
 * saved, faults belong to the incoming task (SDM 3A §7.3 step 13) and S.RIP is its EIP. `errorCode` is pushed on its stack.
 * `savedFlags`: EFLAGS as an exception saves them, where they are not the current ones.
 */
export function switchTask(
  core: Core,
  selector: number,
  reason: TaskSwitchReason,
  returnRip: number,
  external: number,
  errorCode?: number,
  savedFlags?: number,
): void {
  const code = (selector & 0xfffc) | external;
  const vector = reason === 'return' ? INVALID_TSS : GENERAL_PROTECTION;
  if (selector & 4 || (selector & 0xfffc) === 0) core.raise(vector, code);
  readDescriptor(core, selector, vector, external, target);
  const wanted = reason === 'return' ? TSS_BUSY : 0;
  const type = target.type & ~TSS_BUSY;
  if (!target.isSystem || (type !== TYPE_TSS16 && type !== TYPE_TSS32) || (target.type & TSS_BUSY) !== wanted) core.raise(vector, code);
  if (!target.isPresent) core.raise(SEGMENT_NOT_PRESENT, code);
  const layout = type === TYPE_TSS32 ? TSS32 : TSS16;
  if (target.limit < layout.minimumLimit) core.raise(INVALID_TSS, code);

  const incoming = readTask(core, target.base, layout);
  saveTask(core, returnRip, reason, savedFlags ?? core.getFlags());

  const oldSelector = core.get32(S.segmentSelector(S.TR));
  if (reason !== 'call' && findDescriptor(core, oldSelector, loaded)) {
    core.mmu.storeSystem8(systemLinear(core, loaded.address + 5), (loaded.high >>> 8) & 0xff & ~TSS_BUSY);
  }
  let flags = incoming.flags;
  if (reason === 'call') {
    core.mmu.storeSystem16(target.base, oldSelector);
    flags |= NT;
  }
  target.high |= TSS_BUSY << 8;
  core.mmu.storeSystem8(systemLinear(core, target.address + 5), (target.high >>> 8) & 0xff);
  setSegment(core, S.TR, selector, target.base, target.limit, target.attributes);
  core.set32(S.CR0, core.get32(S.CR0) | CR0_TS);
  core.breakpoints.leaveTask();
  // TF of the outgoing task does not trap in the incoming one.
  core.clearedTrap = true;
  loadTask(core, incoming, flags, layout);
  if (errorCode !== undefined) {
    const stack = new Stack(core).open();
    stack.push(layout.word, errorCode);
    stack.commit();
  }
  if (incoming.trap) core.breakpoints.pending |= DR6_TASK_SWITCH;
}

/** IRET with NT set: back to the task that the current TSS links to. */
export function returnFromTask(core: Core, returnRip: number): void {
  const link = core.mmu.loadSystem16(core.getCanonical(S.segmentBase(S.TR)));
  switchTask(core, link, 'return', returnRip, 0);
}

interface IncomingTask {
  readonly cr3: number;
  readonly eip: number;
  readonly flags: number;
  readonly registers: readonly number[];
  readonly segments: readonly number[];
  readonly ldt: number;
  /** The T flag: a debug exception before the first instruction. */
  readonly trap: boolean;
}

function readTask(core: Core, base: number, layout: TssLayout): IncomingTask {
  const read = (offset: number): number =>
    layout.word === 4 ? core.mmu.loadSystem32((base + offset) >>> 0) : core.mmu.loadSystem16((base + offset) >>> 0);
  return {
    cr3: layout === TSS32 ? read(TSS32_CR3) : core.get32(S.CR3),
    eip: read(layout.eip),
    flags: read(layout.flags),
    registers: Array.from({ length: 8 }, (_, i) => read(layout.registers + i * layout.word)),
    segments: Array.from({ length: 6 }, (_, i) => (i < layout.segmentCount ? read(layout.segments + i * layout.word) & 0xffff : 0)),
    ldt: read(layout.ldt) & 0xffff,
    trap: layout === TSS32 && (read(TSS32_TRAP) & 1) !== 0,
  };
}

function saveTask(core: Core, returnRip: number, reason: TaskSwitchReason, flags: number): void {
  const layout = isTss32(core) ? TSS32 : TSS16;
  const base = core.get32(S.segmentBase(S.TR));
  checkTssHolds(core, 0, layout.minimumLimit + 1, 0);
  const write = (offset: number, value: number): void => {
    if (layout.word === 4) core.mmu.storeSystem32((base + offset) >>> 0, value);
    else core.mmu.storeSystem16((base + offset) >>> 0, value);
  };
  write(layout.eip, returnRip);
  write(layout.flags, reason === 'return' ? flags & ~NT : flags);
  for (let i = 0; i < 8; i++) write(layout.registers + i * layout.word, core.get32(S.gpr(i)));
  for (let i = 0; i < layout.segmentCount; i++) write(layout.segments + i * layout.word, core.get32(S.segmentSelector(i)));
}

function loadTask(core: Core, task: IncomingTask, flags: number, layout: TssLayout): void {
  if (layout === TSS32 && (core.getSigned32(S.CR0) & CR0_PG) !== 0) {
    if ((core.getSigned32(S.CR4) & CR4_PAE) !== 0 && !core.isLongMode) loadPageDirectoryPointers(core, task.cr3);
    core.setNumber(S.CR3, task.cr3);
    if ((core.getSigned32(S.CR4) & CR4_PGE) !== 0) core.mmu.flushLocal();
    else core.mmu.flush();
  }
  for (let i = 0; i < 8; i++) {
    // A 16-bit TSS leaves the upper halves of the registers as they are.
    if (layout === TSS32) core.set32(S.gpr(i), task.registers[i] as number);
    else core.u16[(core.base + S.gpr(i)) >>> 1] = task.registers[i] as number;
  }
  core.setFlags(layout === TSS32 ? flags : (flags & 0xffff) | (core.getFlags() & 0xffff_0000 & ~VM));
  core.setNumber(S.RIP, task.eip);
  core.jumpTo(task.eip);

  setNullSegment(core, S.LDTR, task.ldt);
  if ((task.ldt & 0xfffc) !== 0) {
    const isLdt =
      (task.ldt & 4) === 0 && findDescriptor(core, task.ldt, loaded) && loaded.isSystem && loaded.type === TYPE_LDT && loaded.isPresent;
    if (!isLdt) core.raise(INVALID_TSS, task.ldt & 0xfffc);
    installSegment(core, S.LDTR, task.ldt, loaded);
  }
  if (flags & VM) {
    for (let i = 0; i < 6; i++) setVirtual8086Segment(core, i, task.segments[i] as number);
    updateMode(core);
    return;
  }
  for (let i = 0; i < 6; i++) setNullSegment(core, i, task.segments[i] as number);
  const codeSelector = task.segments[S.CS] as number;
  const level = codeSelector & 3;
  core.set32(S.CPL, level);
  updateMode(core);
  loadTaskCode(core, codeSelector, level, task.eip);
  const stackSelector = task.segments[S.SS] as number;
  if ((stackSelector & 0xfffc) === 0) core.raise(INVALID_TSS, 0);
  checkStackSegment(core, stackSelector, level, INVALID_TSS, 0, loaded);
  markAccessed(core, loaded);
  installSegment(core, S.SS, stackSelector, loaded);
  for (const segment of [S.ES, S.DS, S.FS, S.GS]) loadTaskData(core, segment, task.segments[segment] as number, level);
  updateMode(core);
}

function loadTaskCode(core: Core, selector: number, level: number, eip: number): void {
  const code = selector & 0xfffc;
  if (code === 0) core.raise(INVALID_TSS, 0);
  readDescriptor(core, selector, INVALID_TSS, 0, loaded);
  const isAllowed = loaded.isCode && (loaded.isConforming ? loaded.privilege <= level : loaded.privilege === level);
  if (!isAllowed) core.raise(INVALID_TSS, code);
  if (!loaded.isPresent) core.raise(SEGMENT_NOT_PRESENT, code);
  markAccessed(core, loaded);
  installSegment(core, S.CS, selector, loaded);
  updateMode(core);
  if (eip > loaded.limit) core.raise(GENERAL_PROTECTION, 0);
}

function loadTaskData(core: Core, segment: number, selector: number, level: number): void {
  const code = selector & 0xfffc;
  if (code === 0) return;
  readDescriptor(core, selector, INVALID_TSS, 0, loaded);
  const isShared = loaded.isCode && loaded.isConforming;
  const isReadable = !loaded.isSystem && (!loaded.isCode || loaded.isReadableOrWritable);
  if (!isReadable || (!isShared && ((selector & 3) > loaded.privilege || level > loaded.privilege))) core.raise(INVALID_TSS, code);
  if (!loaded.isPresent) core.raise(SEGMENT_NOT_PRESENT, code);
  markAccessed(core, loaded);
  installSegment(core, segment, selector, loaded);
}
