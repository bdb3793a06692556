/**
 * The lines of the 8254 and of the real-time clock, which an HPET can take over (IA-PC HPET 1.0a §2.4.8, legacy replacement): while it
 * does, those two are cut off.
 */
import type { IrqLine } from '../contracts/index.ts';

export class LegacyTimerLines {
  /** What is on the wires now: of the 8254, of the clock. */
  readonly #levels: [boolean, boolean] = [false, false];
  readonly #lines: readonly [IrqLine, IrqLine];
  #replaced = false;

  constructor(timer: IrqLine, clock: IrqLine) {
    this.#lines = [timer, clock];
  }

  /** The 8254's output. */
  setTimer(level: boolean): void {
    this.#set(0, level);
  }

  /** The real-time clock's. */
  setClock(level: boolean): void {
    this.#set(1, level);
  }

  /** For whoever replaces them: the lines of the 8254 and of the clock. */
  get replacements(): readonly [IrqLine, IrqLine] {
    return this.#lines;
  }

  replace(on: boolean): void {
    if (on === this.#replaced) return;
    this.#replaced = on;
    for (const [index, line] of this.#lines.entries()) line.set(!on && this.#levels[index] === true);
  }

  #set(index: 0 | 1, level: boolean): void {
    this.#levels[index] = level;
    if (!this.#replaced) this.#lines[index].set(level);
  }
}
