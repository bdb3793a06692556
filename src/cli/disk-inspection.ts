/** What a shared disk lies in, for the manifest's rules: its files are opened for reading, looked at, and closed again. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { BulkheadError } from '../base/index.ts';
import { hostImageFiles } from '../host/node/image-file.ts';
import type { InspectedDisk } from '../manifest/index.ts';
import { openDisk, openImage, partitionsOf } from '../shared/index.ts';
import type { DiskImage } from '../shared/index.ts';
import type { ImageFiles } from '../contracts/index.ts';

type Found = Extract<InspectedDisk, { status: 'found' }>;

/** Never throws. Paths are absolute. */
export function inspectDisk(image: string, overlay: string | undefined, access: 'ro' | 'rw'): InspectedDisk {
  try {
    const opened: string[] = [];
    const files = watchedFiles(opened);
    // An overlay is made when the machine starts; until then the image says all there is to know.
    using disk: DiskImage = overlay === undefined || !files.exists(overlay) ? openImage(files, image, 'ro') : openDisk(files, { image, overlay }, 'ro');
    const written = access === 'ro' ? undefined : (overlay ?? image);
    if (written !== undefined) assertWritable(written, files);
    const paths = [...new Set([image, ...(overlay === undefined ? [] : [overlay]), ...opened])];
    return {
      status: 'found',
      description: disk.description,
      size: disk.size,
      image,
      ...(overlay === undefined ? {} : { overlay }),
      files: paths.map((path): Found['files'][number] => ({ path, identity: identityOf(path), access: path === written ? 'rw' : 'ro' })),
      partitions: partitionsOf(disk),
    };
  } catch (error) {
    const hint = error instanceof BulkheadError ? error.hint : undefined;
    return { status: 'unusable', reason: error instanceof Error ? error.message : String(error), ...(hint === undefined ? {} : { hint }) };
  }
}

/** Notes which files are opened. Locks are not taken: looking at an image that is in use does no harm. */
function watchedFiles(opened: string[]): ImageFiles {
  const files = hostImageFiles();
  return {
    ...files,
    open(path, access) {
      opened.push(path);
      return files.open(path, access);
    },
  };
}

/** Throws what opening it for writing would throw. */
function assertWritable(path: string, files: ImageFiles): void {
  accessSync(files.exists(path) ? path : dirname(path), constants.W_OK);
  if (files.exists(path)) openImage(files, path, 'rw')[Symbol.dispose]();
}

/** The same for two names of one file. One that does not exist yet is its name. */
function identityOf(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return resolve(path);
  }
}
