/**
 * Message-signalled interrupts: the capability with 64-bit address and per-vector masks.
 *
 * All of its state is in configuration space. A message is a write of 32 bits, whose low bits are the vector's number.
 *
 * Spec: PCI Local Bus Specification 3.0 §6.8.1.
 * Not modelled: the short forms of the capability (32-bit address, no masks).
 */
import { BulkheadError } from '../../base/index.ts';
import type { Gpa } from '../../contracts/index.ts';
import type { PciConfigSpace } from './pci-function.ts';

export const MSI_CAPABILITY = 0x05;
export const MSI_BYTES = 24;
// Offsets (figure 6-9) and message control (§6.8.1.3)
const CONTROL = 2;
const ADDRESS = 4;
const DATA = 12;
const MASK = 16;
const PENDING = 20;
const ENABLE = 1 << 0;
const CAPABLE_SHIFT = 1;
const ENABLED_SHIFT = 4;
const ENABLED_FIELD = 7;
const HAS_64_BIT_ADDRESS = 1 << 7;
const HAS_MASKS = 1 << 8;
const MOST_MESSAGES = 32;
const TWO_32 = 0x1_0000_0000;

/** A posted write of a message. */
export type SendMessage = (address: Gpa, data: number) => void;

export class Msi {
  readonly #config: PciConfigSpace;
  readonly #at: number;
  readonly #capable: number;
  readonly #send: SendMessage;

  /** `at`: the register the capability starts at. Throws BH216 when `messages` is no power of two up to 32. */
  constructor(config: PciConfigSpace, at: number, messages: number, send: SendMessage) {
    const capable = Math.log2(messages);
    if (!Number.isInteger(capable) || messages < 1 || messages > MOST_MESSAGES) {
      throw new BulkheadError('BH216', `a function cannot have ${messages} MSI messages`, { hint: '1, 2, 4, 8, 16 or 32' });
    }
    this.#config = config;
    this.#at = at;
    this.#capable = capable;
    this.#send = send;
    config.preset(at + CONTROL, 2, (capable << CAPABLE_SHIFT) | HAS_64_BIT_ADDRESS | HAS_MASKS);
    config.allowWrites(at + CONTROL, 2, ENABLE | (ENABLED_FIELD << ENABLED_SHIFT));
    config.allowWrites(at + ADDRESS, 4, 0xffff_fffc);
    config.allowWrites(at + ADDRESS + 4, 4, 0xffff_ffff);
    config.allowWrites(at + DATA, 2, 0xffff);
    config.allowWrites(at + MASK, 4, messages === MOST_MESSAGES ? 0xffff_ffff : 2 ** messages - 1);
  }

  get enabled(): boolean {
    return (this.#config.read(this.#at + CONTROL, 2) & ENABLE) !== 0;
  }

  /** What software allocated; more than the function asked for counts as what it asked for. */
  get messages(): number {
    const allocated = (this.#config.read(this.#at + CONTROL, 2) >>> ENABLED_SHIFT) & ENABLED_FIELD;
    return 1 << Math.min(allocated, this.#capable);
  }

  /** A function with fewer messages than it asked for folds its vectors onto them. */
  signal(vector: number): void {
    const message = vector & (this.messages - 1);
    const bit = 1 << message;
    if (this.#config.read(this.#at + MASK, 4) & bit) this.#setPending(this.#pending | bit);
    else this.#deliver(message);
  }

  /** After a write to configuration space: what was held back and is masked no more goes out. */
  update(): void {
    const pending = this.#pending;
    if (pending === 0 || !this.enabled) return;
    const due = pending & ~this.#config.read(this.#at + MASK, 4);
    this.#setPending(pending & ~due);
    for (let message = 0; message < MOST_MESSAGES; message++) if (due & (1 << message)) this.#deliver(message);
  }

  get #pending(): number {
    return this.#config.read(this.#at + PENDING, 4);
  }

  #setPending(bits: number): void {
    this.#config.set(this.#at + PENDING, 4, bits >>> 0);
  }

  #deliver(message: number): void {
    const config = this.#config;
    const address = config.read(this.#at + ADDRESS, 4) + config.read(this.#at + ADDRESS + 4, 4) * TWO_32;
    const data = config.read(this.#at + DATA, 2);
    this.#send(address, ((data & ~(this.messages - 1)) | message) >>> 0);
  }
}
