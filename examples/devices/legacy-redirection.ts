/**
 * Legacy redirection: an encoder card for the ISA bus that nobody makes any more, mapped onto a counter card that one can buy. The old
 * control program talks to ports 0x300 to 0x303 as it always did; what answers is on PCI.
 *
 *     old program ──ports──▶ redirection ──registers──▶ counter card on PCI ◀──BAR 0── new driver
 *
 * The redirection knows the new card by its registers only, so it could sit before any card that has a counter:
 *
 *     ISA   offset 0 read   high byte, and both bytes are latched         BAR 0   0x00  ID          "CNTR"
 *                  1 read   low byte, and the latch is released                   0x04  COUNT       32 bits, signed; a write presets it
 *                  2 write  counter := 0                                          0x08  INDEX       counts per revolution
 *
 * What is obsolete is the HCTL-2016 of encoder-card.ts (Hewlett-Packard 5965-5894E): 16 bits, read in two halves. The counter card does
 * not exist: vendor 1234 is nobody's.
 * Not modelled: the wait states of the ISA bus, which old programs no longer notice.
 */
import { byteWide, type ByteRegisters, type Clock, defineDevice, type DeviceState, type IoHandler } from 'bulkhead/device';
import { type Shaft, shaftPosition } from './encoder-card.ts';

const ID = 0x5254_4e43; // "CNTR", little-endian
const ID_AT = 0x00;
const COUNT_AT = 0x04;
const INDEX_AT = 0x08;

/** The present-day card: 32 bits, one register, no latch needed. */
export class CounterCard implements IoHandler {
  readonly #clock: Clock;
  readonly #shaft: Shaft;
  /** Added to the position of the shaft. */
  #offset = 0;

  constructor(clock: Clock, shaft: Shaft) {
    this.#clock = clock;
    this.#shaft = shaft;
  }

  reset(): void {
    this.#preset(0);
  }

  read(offset: number, size: number): number {
    const register = offset & ~3;
    const value = register === ID_AT ? ID : register === COUNT_AT ? this.#count : register === INDEX_AT ? this.#shaft.countsPerRevolution : 0;
    return (value >>> (8 * (offset & 3))) & (size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1);
  }

  write(offset: number, size: number, value: number): void {
    if (offset === COUNT_AT && size === 4) this.#preset(value | 0);
  }

  save(): DeviceState {
    return { version: 1, offset: this.#offset };
  }

  restore(state: DeviceState): void {
    this.#offset = (state as unknown as { offset: number }).offset;
  }

  get #count(): number {
    return (shaftPosition(this.#shaft, this.#clock.now()) + this.#offset) | 0;
  }

  #preset(count: number): void {
    this.#offset = count - shaftPosition(this.#shaft, this.#clock.now());
  }
}

/** The obsolete card's four ports, in front of another card's registers. */
export class Redirection implements ByteRegisters {
  readonly #card: IoHandler;
  #latch: number | undefined;

  constructor(card: IoHandler) {
    this.#card = card;
  }

  reset(): void {
    this.#latch = undefined;
  }

  read(offset: number): number {
    if (offset > 1) return 0xff;
    const count = this.#latch ?? this.#card.read(COUNT_AT, 4) & 0xffff;
    this.#latch = offset === 0 ? count : undefined;
    return offset === 0 ? count >> 8 : count & 0xff;
  }

  write(offset: number): void {
    if (offset !== 2) return;
    this.#card.write(COUNT_AT, 4, 0);
    this.#latch = undefined;
  }

  save(): number | null {
    return this.#latch ?? null;
  }

  restore(latch: number | null): void {
    this.#latch = latch ?? undefined;
  }
}

export const device = defineDevice({
  title: 'Counter card on PCI that also answers as an HCTL-2016 encoder card',
  places: [{ ranges: [{ space: 'pio', base: 0x300, size: 4 }], irqs: [] }],
  options: {
    rpm: { type: 'number', default: 90, minimum: -60_000, maximum: 60_000, description: 'shaft speed, revolutions per minute' },
    'counts-per-revolution': { type: 'number', default: 4000, minimum: 1, maximum: 1_000_000, description: 'counts after fourfold decoding' },
  },
  attach: (slot, { options }) => {
    const shaft = { rpm: options.rpm, countsPerRevolution: options['counts-per-revolution'], variation: 0, variationHertz: 0 };
    const card = new CounterCard(slot.clock, shaft);
    const redirection = new Redirection(card);
    slot.pci({ identity: { vendor: 0x1234, device: 0x4354, classCode: 0x11_8000 }, bars: [{ kind: 'mmio', size: 4096, handler: card }] });
    return {
      chip: {
        reset: () => {
          card.reset();
          redirection.reset();
        },
        save: () => ({ version: 1, card: card.save(), latch: redirection.save() }),
        restore: (state) => {
          card.restore(state['card'] as DeviceState);
          redirection.restore(state['latch'] as number | null);
        },
      },
      handlers: [byteWide(redirection)],
    };
  },
});
