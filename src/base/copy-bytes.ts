/**
 * Copies between memories that threads share. Where the host has Node's Buffer, by its `copy`, a plain memory copy;
 * `Uint8Array.prototype.set` moves shared bytes word by word, so that two threads see whole words (ECMA-262 §29.11), at half the speed. Nobody
 * here wants whole words of data: what one side may read is said by an atomic word beside it.
 */

type Copy = (this: Uint8Array, target: Uint8Array, at: number, from: number, end: number) => number;

const nodeCopy: Copy | undefined = (globalThis as { readonly Buffer?: { readonly prototype: { readonly copy: Copy } } }).Buffer?.prototype.copy;

/** Puts `size` bytes of `source` from `from` on at `at` of `target`. Both must have them. */
export const copyBytes: (target: Uint8Array, at: number, source: Uint8Array, from: number, size: number) => void =
  nodeCopy === undefined
    ? (target, at, source, from, size) => target.set(source.subarray(from, from + size), at)
    : (target, at, source, from, size) => void nodeCopy.call(source, target, at, from, from + size);
