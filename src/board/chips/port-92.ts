/**
 * System control port A (0x92): fast A20 gate and fast CPU reset.
 *
 * Spec: IBM PS/2 Technical Reference, "System Control Port A".
 * Not modelled: masking of A20. The bit can be written and read; addresses always have all their bits, as after any boot loader.
 */
const FAST_RESET = 1 << 0;
const A20 = 1 << 1;

export class Port92 {
  readonly #reset: () => void;
  #value = A20;

  /** `reset` is the alternate hot reset. */
  constructor(options: { reset(): void }) {
    this.#reset = options.reset;
  }

  reset(): void {
    this.#value = A20;
  }

  read(_offset: number): number {
    return this.#value;
  }

  write(_offset: number, value: number): void {
    const rising = (value & ~this.#value & FAST_RESET) !== 0;
    this.#value = value & (A20 | FAST_RESET);
    if (rising) this.#reset();
  }
}
