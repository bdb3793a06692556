/** How disk images are reached on this host, by a broker or by the partition that has a disk to itself. */
import type { ImageFiles } from '../contracts/index.ts';
import { fileLocker, holePuncher } from '../host/linux/index.ts';
import { hostImageFiles } from '../host/node/image-file.ts';

/** `refused` hears what the host cannot do. */
export function diskFiles(refused: (what: string) => void): ImageFiles {
  return hostImageFiles({ punchHole: holePuncher(), lock: fileLocker(), refused });
}
