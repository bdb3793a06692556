/** What a disk image is to its broker, whatever its format; all calls block, and say false when the host could not. */
import type { Bytes } from '../../contracts/index.ts';

export interface DiskImage extends Disposable {
  /** In words: `qcow2 version 3, on base.raw (raw)`. */
  readonly description: string;
  /** What a guest sees of it. */
  readonly size: Bytes;
  readonly readOnly: boolean;
  /** Bytes it allocates at a time. */
  readonly clusterBytes: Bytes;
  /** Something was written that is not on the medium. */
  readonly dirty: boolean;
  /** Within {@link size}. */
  read(offset: Bytes, target: Uint8Array): boolean;
  write(offset: Bytes, source: Uint8Array): boolean;
  /** The range reads as zeros from now on. `unmap`: its room may be given back. */
  zero(offset: Bytes, size: Bytes, unmap: boolean): boolean;
  /** What lies there does not matter any more: some or all of it may read as zeros from now on. */
  discard(offset: Bytes, size: Bytes): boolean;
  /** Returns when everything written is on the medium. */
  flush(): boolean;
}
