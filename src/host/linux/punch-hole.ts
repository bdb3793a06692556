/** Gives the space of a part of a file back to its file system: fallocate(2) with FALLOC_FL_PUNCH_HOLE. */
import type { Bytes } from '../../contracts/index.ts';
import { libc } from './koffi.ts';

// <linux/falloc.h>
const KEEP_SIZE = 0x01;
const PUNCH_HOLE = 0x02;

/**
 * A function that makes `[offset, offset + size)` of an open file a hole, which reads as zeros; it says false where the file system has
 * none. undefined where the C library cannot be called.
 */
export function holePuncher(): ((file: number, offset: Bytes, size: Bytes) => boolean) | undefined {
  try {
    const fallocate = libc().library.func('int fallocate(int fd, int mode, int64_t offset, int64_t len)');
    return (file, offset, size) => fallocate(file, PUNCH_HOLE | KEEP_SIZE, offset, size) === 0;
  } catch {
    return undefined;
  }
}
