/**
 * The statistics registers of the 82540EM: cleared when read, and none counts beyond its largest value.
 *
 * Spec: SDM (Intel 317453) §13.7.
 * Not modelled: counters of what a wire does not have, such as collisions and symbol errors; they read as zero.
 */
import { FCS_BYTES, MINIMUM_FRAME_BYTES } from '../ethernet.ts';
import { FIRST_STATISTIC, LAST_STATISTIC, lengthBucket, STATISTICS, WIDE_STATISTICS } from './i82540em-registers.ts';

export class Statistics {
  readonly #registers: Uint32Array;

  /** `registers` are the chip's, by dword. */
  constructor(registers: Uint32Array) {
    this.#registers = registers;
  }

  /** What reading a register does to it. */
  afterRead(offset: number): void {
    // The low half of a wide counter is kept until its high half is read.
    if (offset < FIRST_STATISTIC || offset > LAST_STATISTIC || WIDE_STATISTICS.includes(offset)) return;
    this.#registers[offset >> 2] = 0;
    if (WIDE_STATISTICS.includes(offset - 4)) this.#registers[(offset - 4) >> 2] = 0;
  }

  count(statistic: number, by = 1): void {
    this.#registers[statistic >> 2] = Math.min(0xffff_ffff, (this.#registers[statistic >> 2] as number) + by);
  }

  /** A good frame, given without check sequence. */
  countFrame(frame: Uint8Array, bytes: number, direction: 'sent' | 'received'): void {
    const sent = direction === 'sent';
    const length = Math.max(MINIMUM_FRAME_BYTES, bytes) + FCS_BYTES;
    this.count(sent ? STATISTICS.GPTC : STATISTICS.GPRC);
    this.count(sent ? STATISTICS.TPT : STATISTICS.TPR);
    this.count((sent ? STATISTICS.PTC64 : STATISTICS.PRC64) + lengthBucket(length));
    this.#countWide(sent ? STATISTICS.GOTCL : STATISTICS.GORCL, length);
    this.#countWide(sent ? STATISTICS.TOTL : STATISTICS.TORL, length);
    if (!((frame[0] as number) & 1)) return;
    if (frame[0] === 0xff && frame[5] === 0xff) this.count(sent ? STATISTICS.BPTC : STATISTICS.BPRC);
    else this.count(sent ? STATISTICS.MPTC : STATISTICS.MPRC);
  }

  #countWide(low: number, by: number): void {
    const registers = this.#registers;
    const sum = (registers[low >> 2] as number) + by;
    registers[low >> 2] = sum;
    if (sum > 0xffff_ffff) this.count(low + 4);
  }
}
