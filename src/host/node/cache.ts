/** The folder in which fetched and built guest images are kept. Everything in it can be deleted at any time. */
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { BulkheadError } from '../../base/index.ts';

/** `.cache/` in the checkout; BULKHEAD_CACHE overrides it. */
export function cacheFolder(): string {
  return resolve(process.env['BULKHEAD_CACHE'] ?? join(import.meta.dirname, '../../../.cache'));
}

/**
 * Runs `work` with an empty folder inside the cache, so that its results can be renamed into place; the folder is removed afterwards.
 * Throws BH615 when the cache cannot be written.
 */
export async function withScratchFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const cache = cacheFolder();
  let folder: string;
  try {
    await mkdir(cache, { recursive: true });
    folder = await mkdtemp(join(cache, 'partial-'));
  } catch (cause) {
    throw new BulkheadError('BH615', `the cache folder ${cache} cannot be written: ${(cause as Error).message}`, {
      cause,
      hint: 'Set BULKHEAD_CACHE to a folder of yours.',
    });
  }
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Replaces `path` as a whole: a reader sees the old content or the new, never half of it. Unchanged content is not touched. */
export async function writeAtomically(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = Buffer.from(content);
  const existing = await readFile(path).catch(() => undefined);
  if (existing?.equals(bytes)) return;
  await withScratchFolder(async (scratch) => {
    const draft = join(scratch, 'file');
    await writeFile(draft, bytes);
    await mkdir(dirname(path), { recursive: true });
    await rename(draft, path);
  });
}
