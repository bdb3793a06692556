/**
 * DR0–DR3 under DR7 (SDM 3B §18.2): which instruction, data and I/O addresses are watched, and what was hit. Nothing of it costs
 * anything while DR7 enables nothing; armed, the vCPU runs one instruction at a time, and pages that hold a watched datum stay
 * out of the TLBs, so that every access to them comes past here.
 */
import { CR4_DE } from '../x86/control.ts';
import * as S from '../x86/state.ts';
import type { Core } from './core.ts';

const SLOTS = 4;
const DR6 = S.DR + 6 * 8;
const DR7 = S.DR + 7 * 8;
/** DR7: L0–L3 and G0–G3, LE; the general-detect flag. */
const DR7_ENABLES = 0xff;
const DR7_LOCAL = 0x155;
const DR7_GENERAL_DETECT = 1 << 13;
/** R/Wn: what slot n waits for (§18.2.4). */
const ON_EXECUTION = 0;
const ON_WRITE = 1;
const ON_PORT = 2;
/** Bytes by LENn. */
const LENGTHS = [1, 2, 8, 4] as const;
const PAGE = 4096;
const TWO_32 = 0x1_0000_0000;

/** DR6: single step, task switch (§18.2.3). */
export const DR6_SINGLE_STEP: number = 1 << 14;
export const DR6_TASK_SWITCH: number = 1 << 15;

export class Breakpoints {
  readonly #core: Core;
  /** DR7 enables something. */
  isArmed = false;
  watchesData = false;
  watchesPorts = false;
  /** DR6 bits of what the current instruction touched: they become a trap when it completes. */
  hits = 0;
  /** DR6 bits of a debug trap that is due before the next instruction. */
  pending = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /** DR0–DR7 or CR4.DE changed. */
  update(): void {
    const core = this.#core;
    const watchedBefore = this.watchesData;
    const control = core.get32(DR7);
    this.isArmed = (control & DR7_ENABLES) !== 0;
    this.watchesData = false;
    this.watchesPorts = false;
    for (let slot = 0; slot < SLOTS; slot++) {
      if (!this.#isEnabled(slot)) continue;
      const kind = this.#kind(slot);
      if (kind === ON_PORT) this.watchesPorts ||= (core.getSigned32(S.CR4) & CR4_DE) !== 0;
      else if (kind !== ON_EXECUTION) this.watchesData = true;
    }
    if (this.watchesData || watchedBefore) core.mmu.flush();
  }

  /** A task switch ends what was enabled for the old task only (§18.2.4). */
  leaveTask(): void {
    const control = this.#core.get32(DR7);
    if ((control & DR7_LOCAL) === 0) return;
    this.#core.set32(DR7, control & ~DR7_LOCAL);
    this.update();
  }

  /** DR6 bits of the instruction breakpoints at the current instruction. */
  atInstruction(): number {
    const core = this.#core;
    const linear = core.is64Bit ? core.getCanonical(S.RIP) : (core.get32(S.RIP) + core.get32(S.CODE_BASE)) >>> 0;
    let found = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.#isEnabled(slot) && this.#kind(slot) === ON_EXECUTION && this.#address(slot) === linear) found |= 1 << slot;
    }
    return found;
  }

  /** The page of this linear address holds a watched datum: it must not enter a TLB. */
  isOnPage(low: number, high: number): boolean {
    const page = linearOf(low & -PAGE, high);
    for (let slot = 0; slot < SLOTS; slot++) {
      const address = this.#address(slot);
      if (this.#isEnabled(slot) && this.#kind(slot) !== ON_EXECUTION && address >= page && address < page + PAGE) return true;
    }
    return false;
  }

  /** A data access at the current instruction. */
  access(low: number, high: number, size: number, isWrite: boolean): void {
    const linear = linearOf(low, high);
    for (let slot = 0; slot < SLOTS; slot++) {
      const kind = this.#kind(slot);
      if (!this.#isEnabled(slot) || kind === ON_EXECUTION || kind === ON_PORT || (kind === ON_WRITE && !isWrite)) continue;
      if (this.#overlaps(slot, linear, size)) this.hits |= 1 << slot;
    }
  }

  port(port: number, size: number): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.#isEnabled(slot) && this.#kind(slot) === ON_PORT && this.#overlaps(slot, port, size)) this.hits |= 1 << slot;
    }
  }

  /** What a debug exception leaves in DR6 and DR7: its causes; general detection ends with it. */
  report(causes: number): void {
    const core = this.#core;
    core.set32(DR6, core.get32(DR6) | causes);
    core.set32(DR7, core.get32(DR7) & ~DR7_GENERAL_DETECT);
  }

  #isEnabled(slot: number): boolean {
    return ((this.#core.getSigned32(DR7) >>> (slot * 2)) & 3) !== 0;
  }

  #kind(slot: number): number {
    return (this.#core.getSigned32(DR7) >>> (16 + slot * 4)) & 3;
  }

  #length(slot: number): number {
    return LENGTHS[(this.#core.getSigned32(DR7) >>> (18 + slot * 4)) & 3] as number;
  }

  /** Outside 64-bit mode the upper half does not take part. */
  #address(slot: number): number {
    const core = this.#core;
    return core.is64Bit ? core.getCanonical(S.DR + slot * 8) : core.get32(S.DR + slot * 8);
  }

  /** A watched range is as long as it is aligned: the low bits of its address do not count (§18.2.5). */
  #overlaps(slot: number, address: number, size: number): boolean {
    const length = this.#length(slot);
    const start = Math.floor(this.#address(slot) / length) * length;
    return address < start + length && start < address + size;
  }
}

function linearOf(low: number, high: number): number {
  return high * TWO_32 + (low >>> 0);
}
