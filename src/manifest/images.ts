/** The files a machine starts from: found, and looked into, once each. */
import type { Draft, DraftPartition } from './draft.ts';
import type { ImageFile, ImageRole, ManifestHost } from './host.ts';
import type { ResolvedImage } from './rule.ts';

export interface BootFile {
  readonly reference: string;
  readonly role: ImageRole;
  readonly partition: DraftPartition;
}

export function bootFiles(draft: Draft): BootFile[] {
  return draft.partitions.flatMap((partition) => {
    const { kernel, source } = partition.boot;
    const files: BootFile[] = kernel === '' ? [] : [{ reference: kernel, role: source, partition }];
    if (partition.boot.initrd !== undefined) files.push({ reference: partition.boot.initrd, role: 'initrd', partition });
    return files;
  });
}

export function resolveImages(draft: Draft, host: ManifestHost): ReadonlyMap<string, ResolvedImage> {
  const files = bootFiles(draft);
  const images = new Map<string, ResolvedImage>();
  for (const { reference, role } of files) {
    if (images.has(reference)) continue;
    const file = host.resolveImage(reference, role);
    const roles = files.filter((other) => other.reference === reference);
    images.set(reference, file.status === 'found' ? lookInto(file, reference, roles, host) : { file, description: undefined, refusals: {} });
  }
  return images;
}

function lookInto(file: Extract<ImageFile, { status: 'found' }>, reference: string, uses: readonly BootFile[], host: ManifestHost): ResolvedImage {
  const usedAs = (role: BootFile['role']): boolean =>
    uses.some((use) => use.role === role && (role === 'initrd' || use.partition.boot.protocol !== 'flat'));
  const bytes = usedAs('kernel') || usedAs('initrd') || usedAs('firmware') ? file.read() : new Uint8Array(0);
  const firmware = usedAs('firmware') ? host.inspectFirmware(bytes, reference) : undefined;
  const kernel = usedAs('kernel') ? host.inspectKernel(bytes, reference) : undefined;
  const archive = usedAs('initrd') ? host.inspectInitrd(bytes) : '';
  return {
    file,
    description: [kernel, firmware].find((found) => found !== undefined && 'kind' in found),
    refusals: {
      ...(kernel !== undefined && 'problem' in kernel ? { kernel } : {}),
      ...(firmware !== undefined && 'problem' in firmware ? { firmware } : {}),
      ...(archive === undefined ? { initrd: { problem: 'it is no archive that Linux unpacks' } } : {}),
    },
  };
}

/** `package:NAME`: fetched from a package by the host, not a path. */
export function isPackageReference(reference: string): boolean {
  return reference.startsWith('package:');
}
