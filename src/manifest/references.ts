/** Which packages a manifest wants, before it is compiled: fetching takes time and the network, compiling neither. */
import { firmwareReference } from './draft.ts';
import { isPackageReference } from './images.ts';
import { manifestSchema } from './schema.ts';
import { ManifestSource } from './source.ts';

/** The `package:` references of a manifest, each once; none when it is not of the right shape. Never throws. */
export function packageReferences(text: string): string[] {
  const shape = manifestSchema.safeParse(new ManifestSource(text, '').data);
  if (!shape.success) return [];
  const references = Object.values(shape.data.partitions).flatMap(({ boot: { kernel, firmware, initrd } }) => [kernel ?? '', firmwareReference(firmware ?? ''), initrd ?? '']);
  return [...new Set(references.filter(isPackageReference))];
}
