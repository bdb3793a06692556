/**
 * Reset control register (0xCF9): what ACPI's reset register names and `reboot=pci` writes.
 *
 * Spec: Intel 82371SB (PIIX3) datasheet §2.5.5.3, "RC". Bit 1 chooses a hard reset, a 0→1 change of bit 2 does it.
 */
const FULL_RESET = 1 << 1;
const RESET_CPU = 1 << 2;

export class PortCf9 {
  readonly #reset: (kind: 'cold' | 'warm') => void;
  #value = 0;

  constructor(options: { reset(kind: 'cold' | 'warm'): void }) {
    this.#reset = options.reset;
  }

  reset(): void {
    this.#value = 0;
  }

  read(_offset: number): number {
    return this.#value;
  }

  write(_offset: number, value: number): void {
    const rising = (value & ~this.#value & RESET_CPU) !== 0;
    this.#value = value & (FULL_RESET | RESET_CPU);
    if (rising) this.#reset(value & FULL_RESET ? 'cold' : 'warm');
  }
}
