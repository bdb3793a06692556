/** Keeps other programs off a file: flock(2). */
import { libc } from './koffi.ts';

// <sys/file.h>
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * A function that takes a lock on an open file, shared or alone, for as long as it is open; it says false where another open file has one
 * that forbids it. undefined where the C library cannot be called.
 */
export function fileLocker(): ((file: number, mode: 'shared' | 'alone') => boolean) | undefined {
  try {
    const flock = libc().library.func('int flock(int fd, int operation)');
    return (file, mode) => flock(file, (mode === 'alone' ? LOCK_EX : LOCK_SH) | LOCK_NB) === 0;
  } catch {
    return undefined;
  }
}
