import { createHash } from 'node:crypto';
import type { PhysicalMemory } from '../../src/contracts/index.ts';

/** SHA-256 of all RAM of a partition, in hexadecimal. */
export function ramDigest(memory: PhysicalMemory): string {
  const hash = createHash('sha256');
  for (const { base, size } of memory.regions) hash.update(memory.read(base, size) as Uint8Array);
  return hash.digest('hex');
}
