/**
 * The circumstances of one floating-point operation: rounding, masks and what it reports. FCW/FSW and MXCSR use the same
 * bits for both (SDM 1 §8.1.3, §8.1.5, §10.2.3), so x87 and SSE share this class.
 */

/** Exception flags and masks, as in FSW/FCW bits 5:0 and MXCSR bits 5:0 (12:7). */
export const INVALID = 1 << 0;
export const DENORMAL = 1 << 1;
export const ZERO_DIVIDE = 1 << 2;
export const OVERFLOW = 1 << 3;
export const UNDERFLOW = 1 << 4;
export const INEXACT = 1 << 5;
export const ALL_EXCEPTIONS = 0x3f;
/** Found before the operation computes: unmasked, they leave the operands and the destination as they were (SDM 1 §8.5). */
export const PRE_COMPUTATION: number = INVALID | DENORMAL | ZERO_DIVIDE;

/** The RC field's encoding. */
export const ROUND_NEAREST = 0;
export const ROUND_DOWN = 1;
export const ROUND_UP = 2;
export const ROUND_TO_ZERO = 3;

export class FloatEnvironment {
  rounding: number = ROUND_NEAREST;
  /** Bits of significand that x87 arithmetic rounds to (FCW.PC): 24, 53 or 64. SSE formats have their own. */
  precision = 64;
  /** A set bit masks the exception. */
  masks: number = ALL_EXCEPTIONS;
  /** Exceptions raised so far. */
  flags = 0;
  /** The last rounding increased the magnitude (FSW.C1). */
  roundedUp = false;
  /** MXCSR.FZ: masked underflow gives zero. */
  flushToZero = false;
  /** MXCSR.DAZ: denormal operands count as zeros. */
  denormalsAreZero = false;
  /** x87 register results wrap their exponent on unmasked overflow and underflow (SDM 1 §8.5.4); others are not stored. */
  wraps = false;

  raise(flags: number): void {
    this.flags |= flags;
  }

  isMasked(flag: number): boolean {
    return (this.masks & flag) !== 0;
  }

  /** An unmasked exception was found before computing: there is no result. */
  get stopped(): boolean {
    return (this.flags & ~this.masks & PRE_COMPUTATION) !== 0;
  }

  /** Some unmasked exception was raised. */
  get faulted(): boolean {
    return (this.flags & ~this.masks & ALL_EXCEPTIONS) !== 0;
  }
}
