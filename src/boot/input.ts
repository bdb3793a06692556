/** What a loader is given, and the checks that all loaders share. */
import { BulkheadError } from '../base/index.ts';
import type { BootSource, Gpa } from '../contracts/index.ts';
import { toCString } from './bytes.ts';
import type { Placement } from './placement.ts';

/** The files of a {@link BootSource}, read; names are for messages and for what a guest is told of them. */
export interface BootInput extends Pick<BootSource, 'cmdline' | 'protocol' | 'decompress'> {
  readonly kernel: Uint8Array;
  readonly kernelName: string;
  readonly initrd?: Uint8Array | undefined;
  readonly initrdName?: string | undefined;
  readonly load?: Gpa | undefined;
  readonly entry?: Gpa | undefined;
}

/** Places the command line low in memory, zero-terminated. Throws BH323 where it has more than `limit` bytes. */
export function placeCommandLine(placement: Placement, text: string, limit: number, reader: string): Gpa {
  const bytes = toCString(text);
  if (bytes.length - 1 > limit) {
    throw new BulkheadError('BH323', `the command line has ${bytes.length - 1} bytes; ${reader} accepts ${limit}`, {
      hint: 'Shorten `cmdline:`.',
    });
  }
  return placement.low('command line', bytes, 16);
}

/** The last part of a path, as one word. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).replaceAll(/\s/g, '_');
}
