/** What a rule is: one property of a well-shaped manifest, with the code its findings carry. */
import type { Finding } from '../contracts/index.ts';
import type { Draft } from './draft.ts';
import type { DeviceModule, ImageDescription, ImageFile, ImageRefusal, ImageRole, InspectedDisk, ManifestHost, MediumFile } from './host.ts';
import type { Path } from './source.ts';

/** What a rule found. `at` is shown by its value, or by its key where `key` is set. */
export interface Problem {
  readonly message: string;
  readonly at: Path;
  readonly key?: boolean;
  readonly related?: readonly { readonly message: string; readonly at: Path }[];
  readonly hint?: string;
}

export interface RuleContext {
  readonly host: ManifestHost;
  /** By reference as written; looked up once. */
  readonly images: ReadonlyMap<string, ResolvedImage>;
  /** Device models that are modules of the user's own, by reference as written. */
  readonly modules: ReadonlyMap<string, DeviceModule>;
  /** Files behind disks and CD-ROMs, by reference as written; looked up once. */
  readonly media: ReadonlyMap<string, MediumFile>;
  /** What shared disks lie in, by the name of the disk; looked up once. */
  readonly disks: ReadonlyMap<string, InspectedDisk>;
}

export interface ResolvedImage {
  readonly file: ImageFile;
  /** What its bytes are as a kernel or as firmware; undefined when it is none, not found, or only wanted as an initrd. */
  readonly description: ImageDescription | undefined;
  /** Why it is no kernel, no firmware, or no initrd for Linux, where it is wanted as one and was found. */
  readonly refusals: Readonly<Partial<Record<ImageRole, ImageRefusal>>>;
}

export interface Rule {
  readonly code: Finding['code'];
  readonly severity: Finding['severity'];
  /** The property, as a sentence that holds for a good manifest. */
  readonly title: string;
  check(draft: Draft, context: RuleContext): Iterable<Problem>;
}
