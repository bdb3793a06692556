/**
 * A partition's end of the host's random number generator. It draws in the partition's own thread: what partitions share is the host's
 * generator alone, and how much of its time each may take is its grant.
 */
import type { LinkedPort } from '../../contracts/index.ts';
import { PortControl } from '../port.ts';
import type { EntropySource } from './virtio-rng.ts';

/** Where a grant says nothing. */
const DEFAULT_BYTES_PER_SECOND = 1 << 20;

export class EntropyEnd implements EntropySource {
  readonly bytesPerSecond: number;
  readonly fill: (target: Uint8Array) => void;

  /** `fill` fills its argument with random bytes, at once. */
  constructor({ grant: { rate }, port }: Pick<LinkedPort, 'grant' | 'port'>, fill: (target: Uint8Array) => void) {
    const control = new PortControl(port);
    this.bytesPerSecond = rate?.bytesPerSecond ?? DEFAULT_BYTES_PER_SECOND;
    this.fill = (target) => {
      fill(target);
      control.countServed(0, target.length);
    };
  }

  /** Nothing comes from outside. */
  admit(): void {}

  [Symbol.dispose](): void {}
}
