/**
 * Accesses through the same register, at distances known when code is generated, mostly go to the same page. The first one looks
 * into the TLB; where on its page that was, and where in memory, is kept in locals as a *window*. Those that follow compare, and look
 * for themselves only when they leave the page.
 *
 * A window holds until something may change translations (a call, a system operation), or paths meet on one of which its register
 * changed. Before a loop windows are opened for registers that the loop leaves alone.
 */
import { BASE, DISP, INDEX, RECORD_SIZE, SEGMENT } from '../../x86/record.ts';
import { FS, GPR, GS, RSP, segmentBase, ZERO } from '../../x86/state.ts';
import type { Handler } from '../handlers.ts';
import type { Origin } from '../wasm/value.ts';

const REGISTERS = 16;
/** Each costs two locals. */
const MOST_WINDOWS = 64;

export interface Window {
  /** From the root to the access that found the page. */
  readonly distance: number;
  readonly isForWrite: boolean;
  /** Locals (i32): where on the page that access was, or {@link NOT_OPEN}; where in memory. */
  readonly offset: number;
  readonly host: number;
}

/** Larger than any offset, and still so a page before: no access passes. */
export const NOT_OPEN = 0x4000_0000;

/** What is known where code is being generated; never changed, only replaced. */
export interface Places {
  /** For each general register. */
  readonly origins: readonly Origin[];
  /** By root. */
  readonly windows: ReadonlyMap<number, Window>;
}

/** An access at a constant distance from what a register is before the instruction. */
export interface Access {
  readonly register: number;
  readonly distance: number;
  readonly isWrite: boolean;
}

const ON_STACK = new Set(['push', 'push_imm', 'pop', 'call', 'call_rel', 'ret', 'leave']);
const READS_ONLY = new Set(['cmp', 'test', 'movzx_b', 'movzx_w', 'movsx_b', 'movsx_w', 'movsxd', 'cmov', 'imul2', 'imul3', 'push', 'call', 'jmp']);

/** Of a block; where it writes is a guess. */
export function accessesOf(handlers: readonly Handler[], records: DataView): Access[] {
  return handlers.flatMap(({ mnemonic, shape }, n): Access[] => {
    const record = n * RECORD_SIZE;
    const base = records.getUint16(record + BASE, true);
    const segment = records.getUint16(record + SEGMENT, true);
    const stack = ON_STACK.has(mnemonic) ? [{ register: RSP, distance: 0, isWrite: mnemonic !== 'pop' && mnemonic !== 'ret' && mnemonic !== 'leave' }] : [];
    const hasBase = segment === segmentBase(FS) || segment === segmentBase(GS);
    const isAccess = shape.memory && mnemonic !== 'lea' && mnemonic !== 'nop' && !hasBase;
    if (!isAccess || base >= GPR + REGISTERS * 8 || records.getUint16(record + INDEX, true) !== ZERO) return stack;
    const isWrite = shape.pattern.startsWith('rm') && !READS_ONLY.has(mnemonic);
    return [...stack, { register: (base - GPR) >>> 3, distance: records.getInt32(record + DISP, true), isWrite }];
  });
}

/** The registers that more than one access goes through, as a bit set. */
export function worthwhile(accesses: readonly Access[]): number {
  let once = 0;
  let more = 0;
  for (const { register } of accesses) {
    more |= once & (1 << register);
    once |= 1 << register;
  }
  return more;
}

export class Windows {
  places: Places;
  /** Registers that so many accesses go through that a window pays, as a bit set. */
  readonly #worthwhile: number;
  #nextRoot = 0;
  #count = 0;

  constructor(worthwhile: number) {
    this.#worthwhile = worthwhile;
    this.places = this.#unknown();
  }

  originOf(register: number): Origin {
    return this.places.origins[register] as Origin;
  }

  /** The register was set; `origin`: to a constant distance from something. */
  changed(register: number, origin: Origin | undefined): void {
    const origins = [...this.places.origins];
    origins[register] = origin ?? this.#fresh();
    this.places = { ...this.places, origins };
  }

  /** Translations may be others, and all registers. */
  forget(): void {
    this.places = this.#unknown();
  }

  /** Translations may be others. */
  close(): void {
    this.places = { ...this.places, windows: new Map() };
  }

  /** Takes up what was known elsewhere, of registers that did not change since. */
  resume({ origins, windows }: Places, changed: number): void {
    this.places = { origins: origins.map((origin, n) => (changed & (1 << n) ? this.#fresh() : origin)), windows };
  }

  windowOf({ root }: Origin): Window | undefined {
    return this.places.windows.get(root);
  }

  /** A new window, when it pays; `local` makes a local (i32). */
  open({ root, distance }: Origin, isForWrite: boolean, local: () => number): Window | undefined {
    if (this.#count === MOST_WINDOWS || !this.places.origins.some((origin, n) => origin.root === root && this.#worthwhile & (1 << n))) return undefined;
    this.#count++;
    const window = { distance, isForWrite, offset: local(), host: local() };
    this.places = { ...this.places, windows: new Map([...this.places.windows, [root, window]]) };
    return window;
  }

  #fresh(): Origin {
    return { root: this.#nextRoot++, distance: 0 };
  }

  #unknown(): Places {
    return { origins: Array.from({ length: REGISTERS }, () => this.#fresh()), windows: new Map() };
  }
}
