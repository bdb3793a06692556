/**
 * HCTL-2016 quadrature decoder and 16-bit position counter on an ISA card, and the shaft whose encoder it counts.
 *
 *     offset 0 read   SEL low:  high byte; latches the position so that both bytes belong together
 *            1 read   SEL high: low byte; releases the latch
 *            2 write  RST low:  position := 0
 *
 * The position is a function of the clock: no tick, no drift, and the same run gives the same bytes.
 *
 * Spec: Hewlett-Packard HCTL-2016 datasheet (5965-5894E), "Position Data Latch" and "Inhibit Logic".
 * Not modelled: the digital noise filter's delay, quadrature errors.
 */
import { s } from '../../base/index.ts';
import type { Clock, DeviceState, Nanos } from '../../contracts/index.ts';

/** A motor shaft whose speed swings sinusoidally about its mean. */
export interface ShaftOptions {
  /** Mean speed; negative turns the other way. */
  readonly rpm: number;
  /** Counts after decoding all four quadrature edges. */
  readonly countsPerRevolution: number;
  /** Amplitude of the swing as a fraction of the mean speed, 0 to 1. */
  readonly variation: number;
  readonly variationHertz: number;
}

/** Shaft angle in counts at `now`: the integral of rpm/60 · (1 + variation · sin 2πft). */
export function shaftPosition({ rpm, countsPerRevolution, variation, variationHertz }: ShaftOptions, now: Nanos): number {
  const t = now / s;
  const omega = 2 * Math.PI * variationHertz;
  const swing = omega > 0 ? (variation * (1 - Math.cos((omega * t) % (2 * Math.PI)))) / omega : 0;
  return Math.floor((countsPerRevolution * rpm * (t + swing)) / 60);
}

export class Hctl2016 {
  readonly #clock: Clock;
  readonly #shaft: ShaftOptions;
  /** Shaft position at the last reset of the counter. */
  #zero = 0;
  #latch = 0;
  #latched = false;

  constructor(options: { clock: Clock; shaft: ShaftOptions }) {
    this.#clock = options.clock;
    this.#shaft = options.shaft;
  }

  /** Power-up and the RST pin. */
  reset(): void {
    this.#zero = shaftPosition(this.#shaft, this.#clock.now());
    this.#latched = false;
  }

  /** The counter, 0 to 65535. */
  get position(): number {
    return (shaftPosition(this.#shaft, this.#clock.now()) - this.#zero) & 0xffff;
  }

  read(offset: number): number {
    if (offset > 1) return 0xff;
    if (!this.#latched) this.#latch = this.position;
    this.#latched = offset === 0;
    return offset === 0 ? this.#latch >> 8 : this.#latch & 0xff;
  }

  write(offset: number, _value: number): void {
    if (offset === 2) this.reset();
  }

  save(): DeviceState {
    return { version: 1, zero: this.#zero, latch: this.#latch, latched: this.#latched };
  }

  restore(state: DeviceState): void {
    const saved = state as unknown as { zero: number; latch: number; latched: boolean };
    this.#zero = saved.zero;
    this.#latch = saved.latch;
    this.#latched = saved.latched;
  }
}
