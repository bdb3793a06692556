/** A word in shared memory that a thread sleeps on: whoever has something for it counts the word up and wakes it. */

/** Wakes whoever sleeps on `alarm`. What was written before is seen by whoever wakes. */
export function ring(alarm: Int32Array): void {
  Atomics.add(alarm, 0, 1);
  Atomics.notify(alarm, 0);
}
