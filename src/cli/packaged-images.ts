/**
 * What `package:NAME` in a manifest stands for. Fetching takes a network and minutes, so it is a step of its own, which leaves a note of
 * where each image lies; whoever compiles a manifest reads the note and fetches nothing.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, writeAtomically } from '../host/node/cache.ts';
import { linuxImages } from '../host/node/initramfs.ts';
import { packageFile, type ProgressListener } from '../host/node/packages.ts';
import type { ImageRole } from '../manifest/index.ts';

export interface PackagedImage {
  readonly role: ImageRole;
  readonly title: string;
  /** The path of the image, fetched or built on the first call. */
  fetch(progress: ProgressListener | undefined): Promise<string>;
}

/** Every name that can stand behind `package:`. */
export const PACKAGED_IMAGES: Readonly<Record<string, PackagedImage>> = {
  'linux-amd64': { role: 'kernel', title: "Debian's cloud kernel for amd64", fetch: async (progress) => (await linuxImages('amd64', progress)).kernel },
  'busybox-amd64': { role: 'initrd', title: 'a busybox system for amd64', fetch: async (progress) => (await linuxImages('amd64', progress)).initrd },
  'linux-i386': { role: 'kernel', title: "Debian's 686-pae kernel", fetch: async (progress) => (await linuxImages('i386', progress)).kernel },
  'busybox-i386': { role: 'initrd', title: 'a busybox system for i386', fetch: async (progress) => (await linuxImages('i386', progress)).initrd },
  'memtest-amd64': { role: 'kernel', title: 'memtest86+ for 64 bits', fetch: (progress) => packageFile('memtest86+', 'amd64', 'boot/*x64.bin', progress) },
  seabios: { role: 'firmware', title: 'SeaBIOS', fetch: (progress) => packageFile('seabios', 'amd64', 'usr/share/seabios/bios-256k.bin', progress) },
  ovmf: { role: 'firmware', title: 'OVMF (UEFI)', fetch: (progress) => packageFile('ovmf', 'amd64', 'usr/share/ovmf/OVMF.fd', progress) },
  'memtest-i386': { role: 'kernel', title: 'memtest86+ for 32 bits', fetch: (progress) => packageFile('memtest86+', 'amd64', 'boot/*ia32.bin', progress) },
};

const PREFIX = 'package:';
const note = (): string => join(cacheFolder(), 'images', 'packaged.json');

/** Name behind a `package:` reference; undefined for a path. */
export function packagedName(reference: string): string | undefined {
  return reference.startsWith(PREFIX) ? reference.slice(PREFIX.length) : undefined;
}

/**
 * Fetches what is not there yet of `references` (paths among them are left alone; names nobody knows are left for the compiler to
 * find). Throws BH610 to BH615 when a package cannot be had.
 */
export async function fetchPackagedImages(references: readonly string[], progress?: ProgressListener): Promise<void> {
  for (const reference of references) {
    const name = packagedName(reference) ?? '';
    const image = Object.hasOwn(PACKAGED_IMAGES, name) ? PACKAGED_IMAGES[name] : undefined;
    if (image === undefined) continue;
    // Also when it is noted: a newer initrd may have to be built. What is fetched already costs nothing.
    const path = await image.fetch(progress);
    await writeAtomically(note(), `${JSON.stringify({ ...readNote(), [name]: path }, null, 2)}\n`);
  }
}

export type PackagedFile =
  | { readonly status: 'ready'; readonly path: string }
  | { readonly status: 'pending'; readonly path: string }
  | { readonly status: 'unknown'; readonly known: readonly string[] };

/** Where an image lies, or will; looks at the disk only. */
export function locatePackagedImage(name: string, role: PackagedImage['role']): PackagedFile {
  const image = Object.hasOwn(PACKAGED_IMAGES, name) ? PACKAGED_IMAGES[name] : undefined;
  if (image?.role !== role) {
    return { status: 'unknown', known: Object.keys(PACKAGED_IMAGES).filter((candidate) => PACKAGED_IMAGES[candidate]?.role === role) };
  }
  const path = readNote()[name];
  return path !== undefined && existsSync(path) ? { status: 'ready', path } : { status: 'pending', path: `${PREFIX}${name}` };
}

/** A note that cannot be read is one that was not written yet. */
function readNote(): Readonly<Record<string, string>> {
  try {
    const read: unknown = JSON.parse(readFileSync(note(), 'utf8'));
    return read !== null && typeof read === 'object' ? (read as Readonly<Record<string, string>>) : {};
  } catch {
    return {};
  }
}

/** Those of `references` that would have to be fetched. */
export function pendingImages(references: readonly string[]): string[] {
  return references.filter((reference) => {
    const name = packagedName(reference);
    const image = name === undefined || !Object.hasOwn(PACKAGED_IMAGES, name) ? undefined : PACKAGED_IMAGES[name];
    return image !== undefined && locatePackagedImage(name!, image.role).status === 'pending';
  });
}
