/** The files a machine starts from: found, and looked into, once each. */
import type { Draft, DraftPartition } from './draft.ts';
import type { ManifestHost } from './host.ts';
import type { ResolvedImage } from './rule.ts';

export interface BootFile {
  readonly reference: string;
  readonly role: 'kernel' | 'initrd';
  readonly partition: DraftPartition;
}

export function bootFiles(draft: Draft): BootFile[] {
  return draft.partitions.flatMap((partition) => {
    const files: BootFile[] = [{ reference: partition.boot.kernel, role: 'kernel', partition }];
    if (partition.boot.initrd !== undefined) files.push({ reference: partition.boot.initrd, role: 'initrd', partition });
    return files;
  });
}

export function resolveImages(draft: Draft, host: ManifestHost): ReadonlyMap<string, ResolvedImage> {
  const files = bootFiles(draft);
  const kernels = new Set(files.filter((file) => file.role === 'kernel').map((file) => file.reference));
  const images = new Map<string, ResolvedImage>();
  for (const { reference, role } of files) {
    if (images.has(reference)) continue;
    const file = host.resolveImage(reference, role);
    const description = file.status === 'found' && kernels.has(reference) ? host.inspectImage(file.read()) : undefined;
    images.set(reference, { file, description });
  }
  return images;
}

/** `package:NAME`: fetched from a package by the host, not a path. */
export function isPackageReference(reference: string): boolean {
  return reference.startsWith('package:');
}
