/** Screens, keyboards and mice of a partition: which of its devices have one, and the machine's end of them. */
import { DEVICE_CATALOGUE, drawPicture, keystrokes, type Picture, screenText, type CellPlace, textCursor } from '../board/index.ts';
import type { DisplayBuffers, KeyEvent, Partition, PointerEvent } from '../contracts/index.ts';
import type { PartitionLink } from '../partition/index.ts';

/** Names of the devices with a keyboard. */
export function inputDevices({ devices }: Pick<Partition, 'devices'>): string[] {
  return devices.filter(({ model }) => DEVICE_CATALOGUE[model]?.input === true).map(({ name }) => name);
}

/** A screen at this moment. Looking at it costs the partition nothing: it is drawn from shared memory, by whoever asks. */
export class Screen {
  readonly device: string;
  readonly #buffers: DisplayBuffers;

  constructor(device: string, buffers: DisplayBuffers) {
    this.device = device;
    this.#buffers = buffers;
  }

  picture(): Picture {
    return drawPicture(this.#buffers);
  }

  /** The characters of a text mode, line by line; undefined in a graphics mode. */
  text(): string[] | undefined {
    return screenText(this.#buffers);
  }

  cursor(): CellPlace | undefined {
    return textCursor(this.#buffers);
  }
}

/** A keyboard and mouse. What the guest has not taken yet waits, in order; nothing is lost. */
export class InputEnd {
  readonly device: string;
  readonly #link: PartitionLink;

  constructor(link: PartitionLink, device: string) {
    this.device = device;
    this.#link = link;
  }

  /** Types `text<enter>`; see `keystrokes`. Returns how many presses and releases had room. Throws BH640 for keys there are not. */
  type(text: string): number {
    return this.keys(keystrokes(text));
  }

  /** Presses and releases keys by their number; returns how many had room, the rest is to be sent again later. */
  keys(events: readonly KeyEvent[]): number {
    return this.#link.sendKeys(this.device, events);
  }

  pointer(events: readonly PointerEvent[]): number {
    return this.#link.sendPointer(this.device, events);
  }
}
