/** A chip on the board: its handlers on the ranges the manifest gave it, and the device life cycle around it. */
import { BulkheadError } from '../base/index.ts';
import type { Device, DeviceSlot, DeviceSpec, DeviceState, IoHandler } from '../contracts/index.ts';

/** What a chip may offer beside its registers. */
export interface Chip {
  /** `warm`: the guest's own reset; `cold`: power-on. */
  reset?(kind: 'cold' | 'warm'): void;
  /** It is taken out: what it holds of the host goes back. */
  dispose?(): void;
  /** Input from the host may be waiting. */
  pollInput?(): void;
  /** See {@link Device}. */
  pause?(): void;
  resume?(): void;
  save?(): DeviceState;
  restore?(state: DeviceState): void;
}

export interface Wired {
  readonly chip: Chip;
  /** One per range of the spec, in its order. */
  readonly handlers: readonly IoHandler[];
}

export class AttachedChip implements Device {
  readonly name: string;
  readonly #spec: DeviceSpec;
  readonly #wire: (slot: DeviceSlot) => Wired;
  readonly #claims: Disposable[] = [];
  #chip: Chip | undefined;

  /** `wire` makes the chip and connects its pins to the slot. */
  constructor(spec: DeviceSpec, wire: (slot: DeviceSlot) => Wired) {
    this.name = spec.name;
    this.#spec = spec;
    this.#wire = wire;
  }

  /** For inspection and tests; undefined before `attach`. */
  get chip(): Chip | undefined {
    return this.#chip;
  }

  /** Throws BH210 when a range is taken, BH215 when the spec has the wrong number of them. */
  attach(slot: DeviceSlot): void {
    const { chip, handlers } = this.#wire(slot);
    if (handlers.length !== this.#spec.ranges.length) {
      throw new BulkheadError(
        'BH215',
        `${this.name} (${this.#spec.model}) needs ${handlers.length} address ranges, not ${this.#spec.ranges.length}`,
      );
    }
    this.#chip = chip;
    for (const [index, range] of this.#spec.ranges.entries()) {
      this.#claims.push(slot.bus.claim(range, this.name, handlers[index] as IoHandler));
    }
  }

  reset(kind: 'cold' | 'warm' = 'cold'): void {
    this.#chip?.reset?.(kind);
  }

  pause(): void {
    this.#chip?.pause?.();
  }

  resume(): void {
    this.#chip?.resume?.();
  }

  save(): DeviceState {
    return this.#chip?.save?.() ?? { version: 1 };
  }

  restore(state: DeviceState): void {
    this.#chip?.restore?.(state);
  }

  [Symbol.dispose](): void {
    this.#chip?.dispose?.();
    for (const claim of this.#claims.splice(0)) claim[Symbol.dispose]();
  }
}
