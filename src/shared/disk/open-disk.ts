/** From the name of an image to a disk: its format found out, its backing images opened behind it, its overlay made if need be. */
import { BulkheadError } from '../../base/index.ts';
import type { DiskSource, ImageFile, ImageFiles } from '../../contracts/index.ts';
import type { DiskImage } from './disk-image.ts';
import { createQcow2, isQcow2, readHeader } from './qcow2-header.ts';
import { Qcow2Image } from './qcow2-image.ts';
import { RawImage } from './raw-image.ts';

/** Longer chains are a mistake, and a loop is endless. */
const LONGEST_CHAIN = 16;

/**
 * Opens what a shared disk lies in. Throws BH670 and BH671 when files cannot be opened, BH673 and BH674 when an image cannot be used,
 * BH675 when an overlay belongs to another image.
 */
export function openDisk(files: ImageFiles, { image, overlay }: Pick<DiskSource, 'image' | 'overlay'>, access: 'ro' | 'rw'): DiskImage {
  if (overlay === undefined) return openImage(files, image, access);
  if (!files.exists(overlay)) createOverlay(files, image, overlay);
  const reference = backingOf(files, overlay);
  if (reference === undefined || files.resolve(overlay, reference) !== image) {
    throw new BulkheadError('BH675', `${overlay} is no overlay of ${image}${reference === undefined ? '' : `, but of ${reference}`}`, {
      hint: 'name another file, which is made, or the image it belongs to',
    });
  }
  return openImage(files, overlay, access);
}

/** The image that an overlay is in front of, as it says itself. */
function backingOf(files: ImageFiles, overlay: string): string | undefined {
  using file = files.open(overlay, 'ro');
  return isQcow2(file) ? readHeader(file).backing?.reference : undefined;
}

function createOverlay(files: ImageFiles, image: string, overlay: string): void {
  using base = openImage(files, image, 'ro');
  using file = files.create(overlay);
  if (!createQcow2(file, base.size, { reference: image, format: base instanceof Qcow2Image ? 'qcow2' : 'raw' })) {
    throw new BulkheadError('BH670', `${overlay} cannot be written`);
  }
}

/** An image and everything behind it. `format`: what the image in front says it is; absent, its first bytes do. */
export function openImage(files: ImageFiles, path: string, access: 'ro' | 'rw', format?: string, chain: readonly string[] = []): DiskImage {
  if (chain.includes(path) || chain.length >= LONGEST_CHAIN) {
    throw new BulkheadError('BH673', `${chain[0]}: its chain of backing images does not end: ${[...chain, path].join(' → ')}`);
  }
  const file = files.open(path, access);
  try {
    if (format === 'raw' || (format === undefined && !isQcow2(file))) return new RawImage(file);
    if (format !== undefined && format !== 'qcow2') {
      throw new BulkheadError('BH673', `${path}: images of the format ${format.slice(0, 20)} are not known`, { hint: 'raw and qcow2 are' });
    }
    return openQcow2(files, file, chain);
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

function openQcow2(files: ImageFiles, file: ImageFile, chain: readonly string[]): DiskImage {
  const header = readHeader(file);
  const { backing } = header;
  const behind = backing === undefined ? undefined : openImage(files, files.resolve(file.path, backing.reference), 'ro', backing.format, [...chain, file.path]);
  try {
    return new Qcow2Image(file, header, behind, (...what) => files.inflate(...what));
  } catch (error) {
    behind?.[Symbol.dispose]();
    throw error;
  }
}
