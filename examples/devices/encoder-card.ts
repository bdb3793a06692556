/**
 * A quadrature encoder card for the ISA bus: an HCTL-2016 decoder and counter, and the motor shaft whose encoder it counts.
 *
 *     offset 0 read   SEL low:  high byte; latches the position so that both bytes belong together
 *            1 read   SEL high: low byte; releases the latch
 *            2 write  RST low:  position := 0
 *
 * The position is a function of the clock: no tick, no drift, and the same run gives the same bytes. The motion controller of
 * machines/packaging-cell.yaml reads this card a thousand times a second.
 *
 * Spec: Hewlett-Packard HCTL-2016 datasheet (5965-5894E), "Position Data Latch" and "Inhibit Logic".
 * Not modelled: the digital noise filter's delay, quadrature errors.
 */
import { byteWide, type Clock, defineDevice, type DeviceState, type Nanos, s } from 'bulkhead/device';

// Registers
const HIGH_BYTE = 0;
const LOW_BYTE = 1;
const RESET = 2;
const FLOATING = 0xff;

/** A motor shaft whose speed swings sinusoidally about its mean. */
export interface Shaft {
  /** Mean speed; negative turns the other way. */
  readonly rpm: number;
  /** Counts after decoding all four quadrature edges. */
  readonly countsPerRevolution: number;
  /** Amplitude of the swing as a fraction of the mean speed, 0 to 1. */
  readonly variation: number;
  readonly variationHertz: number;
}

/** Shaft angle in counts at `now`: the integral of rpm/60 · (1 + variation · sin 2πft). */
export function shaftPosition({ rpm, countsPerRevolution, variation, variationHertz }: Shaft, now: Nanos): number {
  const t = now / s;
  const omega = 2 * Math.PI * variationHertz;
  const swing = omega > 0 ? (variation * (1 - Math.cos((omega * t) % (2 * Math.PI)))) / omega : 0;
  return Math.floor((countsPerRevolution * rpm * (t + swing)) / 60);
}

export class Hctl2016 {
  readonly #clock: Clock;
  readonly #shaft: Shaft;
  /** Shaft position at the last reset of the counter. */
  #zero = 0;
  #latch = 0;
  #latched = false;

  constructor(clock: Clock, shaft: Shaft) {
    this.#clock = clock;
    this.#shaft = shaft;
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
    if (offset > LOW_BYTE) return FLOATING;
    if (!this.#latched) this.#latch = this.position;
    this.#latched = offset === HIGH_BYTE;
    return offset === HIGH_BYTE ? this.#latch >> 8 : this.#latch & 0xff;
  }

  write(offset: number, _value: number): void {
    if (offset === RESET) this.reset();
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

export const device = defineDevice({
  title: 'Quadrature encoder card (HCTL-2016) on a turning shaft',
  places: [{ ranges: [{ space: 'pio', base: 0x300, size: 4 }], irqs: [] }],
  options: {
    rpm: { type: 'number', default: 90, minimum: -60_000, maximum: 60_000, description: 'mean shaft speed, revolutions per minute' },
    'counts-per-revolution': { type: 'number', default: 4000, minimum: 1, maximum: 1_000_000, description: 'counts after fourfold decoding' },
    variation: { type: 'number', default: 0.05, minimum: 0, maximum: 1, description: 'amplitude of the speed swing, as a fraction of rpm' },
    'variation-hertz': { type: 'number', default: 0.5, minimum: 0, maximum: 1000, description: 'frequency of the speed swing' },
  },
  attach: (slot, { options }) => {
    const chip = new Hctl2016(slot.clock, {
      rpm: options.rpm,
      countsPerRevolution: options['counts-per-revolution'],
      variation: options.variation,
      variationHertz: options['variation-hertz'],
    });
    return { chip, handlers: [byteWide(chip)] };
  },
});
