/**
 * The stack as system code uses it (SDM 1 §6.2): addresses modulo the stack size of SS, its base and limit, #SS on leaving it.
 * A {@link Stack} works on its own copy of the pointer; the register changes only when the operation commits, so that
 * every fault before leaves the guest as it was.
 */
import { ATTRIBUTE_DEFAULT_BIG } from '../x86/control.ts';
import * as S from '../x86/state.ts';
import { STACK_FAULT } from '../x86/vectors.ts';
import type { Core } from './core.ts';
import { segmentHolds } from './segments.ts';

const RSP = S.gpr(S.RSP);
const CANONICAL_END = 2 ** 47;

export class Stack {
  readonly #core: Core;
  #base = 0;
  #limit = 0;
  #attributes = 0;
  #is64Bit = false;
  #isBig = false;
  #isUser = false;
  /** What #SS pushes: 0 for the current stack, the new selector for one that a gate switches to (SDM 3A §6.15). */
  #errorCode = 0;
  pointer = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /** The current stack. */
  open(): Stack {
    const core = this.#core;
    const attributes = core.getSigned32(S.segmentAttributes(S.SS));
    this.#is64Bit = core.is64Bit;
    this.#base = core.get32(S.STACK_BASE);
    this.#limit = core.get32(S.segmentLimit(S.SS));
    this.#attributes = attributes;
    this.#isBig = (attributes & ATTRIBUTE_DEFAULT_BIG) !== 0;
    this.#isUser = core.cpl === 3;
    this.#errorCode = 0;
    this.pointer = stackPointer(core);
    return this;
  }

  /** A stack segment that is not loaded yet; `level` is the privilege level its accesses are made at. */
  openSegment(base: number, limit: number, attributes: number, pointer: number, level: number, errorCode: number): Stack {
    this.#is64Bit = false;
    this.#base = base;
    this.#limit = limit;
    this.#attributes = attributes;
    this.#isBig = (attributes & ATTRIBUTE_DEFAULT_BIG) !== 0;
    this.#isUser = level === 3;
    this.#errorCode = errorCode;
    this.pointer = this.#masked(pointer);
    return this;
  }

  /** A stack in 64-bit mode. */
  open64(pointer: number, level: number, errorCode: number): Stack {
    this.#is64Bit = true;
    this.#base = 0;
    this.#isUser = level === 3;
    this.#errorCode = errorCode;
    this.pointer = pointer;
    return this;
  }

  /** Pushes 2, 4 or 8 bytes of an exact number. */
  push(size: number, value: number): void {
    const offset = this.#masked(this.pointer - size);
    this.#core.mmu.storeAs(this.#isUser, this.#linear(offset, size), size, value);
    this.pointer = offset;
  }

  /** Pushes any 64-bit value, at the current level. */
  push64(value: bigint): void {
    const pointer = this.#masked(this.pointer - 8);
    this.#core.mmu.store64(this.#linear(pointer, 8), value);
    this.pointer = pointer;
  }

  /** Unsigned below 2^32; 8 bytes as a signed number that is exact when canonical. */
  pop(size: number): number {
    const value = this.peek(size, 0);
    this.skip(size);
    return value;
  }

  pop64(): bigint {
    const value = this.#core.mmu.load64(this.#linear(this.pointer, 8));
    this.skip(8);
    return value;
  }

  /** Reads `size` bytes at `distance` above the top. */
  peek(size: number, distance: number): number {
    const linear = this.#linear(this.#masked(this.pointer + distance), size);
    if (size === 2) return this.#core.mmu.load16(linear);
    return size === 4 ? this.#core.mmu.load32(linear) : this.#core.mmu.loadCanonical(linear);
  }

  skip(bytes: number): void {
    this.pointer = this.#masked(this.pointer + bytes);
  }

  /** Faults as `count` pushes of `size` bytes would: everything is checked before anything is written. */
  reserve(count: number, size: number): void {
    const bytes = count * size;
    if (this.#is64Bit || this.pointer >= bytes) this.#probe(this.pointer - bytes, bytes);
    // The pointer wraps on the way, which is no fault as long as no item lies across the end.
    else for (let i = 1; i <= count; i++) this.#probe(this.#masked(this.pointer - i * size), size);
  }

  /** Faults unless `size` bytes could be stored where the pointer is. */
  requireWritable(size: number): void {
    this.#probe(this.pointer, size);
  }

  #probe(offset: number, bytes: number): void {
    this.#core.mmu.probeWriteAs(this.#isUser, this.#linear(offset, bytes), bytes);
  }

  /** Makes the pointer RSP: of a 16-bit stack only SP changes. */
  commit(): void {
    setStackPointer(this.#core, this.pointer, this.#is64Bit, this.#isBig);
  }

  #masked(pointer: number): number {
    if (this.#is64Bit) return pointer;
    return this.#isBig ? pointer >>> 0 : pointer & 0xffff;
  }

  #linear(offset: number, size: number): number {
    if (this.#is64Bit) {
      if (offset < -CANONICAL_END || offset + size > CANONICAL_END) this.#core.raise(STACK_FAULT, this.#errorCode);
      return offset;
    }
    if (!segmentHolds(this.#attributes, this.#limit, offset, size)) this.#core.raise(STACK_FAULT, this.#errorCode);
    return (this.#base + offset) >>> 0;
  }
}

/** RSP within the current stack's size. */
export function stackPointer(core: Core): number {
  if (core.is64Bit) return core.getCanonical(RSP);
  const isBig = (core.getSigned32(S.segmentAttributes(S.SS)) & ATTRIBUTE_DEFAULT_BIG) !== 0;
  return isBig ? core.get32(RSP) : core.get32(RSP) & 0xffff;
}

export function setStackPointer(core: Core, pointer: number, is64Bit: boolean, isBig: boolean): void {
  if (is64Bit) core.setNumber(RSP, pointer);
  else if (isBig) {
    core.set32(RSP, pointer);
    core.set32(RSP + 4, 0);
  } else core.u16[(core.base + RSP) >>> 1] = pointer;
}
