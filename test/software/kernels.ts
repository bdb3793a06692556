/** Debian's kernels as they come, each with the architecture it is for. */
import type { PackageArchitecture } from '../../src/host/node/packages.ts';

export interface Kernel {
  readonly name: string;
  readonly architecture: PackageArchitecture;
  /** As `packageFile` takes it. */
  readonly package: string;
}

const BACKPORTS = 'bookworm-backports';

/** Debian has no 6.12 for i386: the last suite with kernels for that architecture is the one with 6.1. */
export const KERNELS: readonly Kernel[] = [
  { name: '6.1 cloud-amd64', architecture: 'amd64', package: 'linux-image-cloud-amd64' },
  { name: '6.1 amd64', architecture: 'amd64', package: 'linux-image-amd64' },
  { name: '6.1 rt-amd64', architecture: 'amd64', package: 'linux-image-rt-amd64' },
  { name: '6.12 amd64', architecture: 'amd64', package: `linux-image-amd64/${BACKPORTS}` },
  { name: '6.12 rt-amd64', architecture: 'amd64', package: `linux-image-rt-amd64/${BACKPORTS}` },
  { name: '6.1 686-pae', architecture: 'i386', package: 'linux-image-686-pae' },
  { name: '6.1 rt-686-pae', architecture: 'i386', package: 'linux-image-rt-686-pae' },
];

export function kernelNamed(name: string): Kernel {
  const kernel = KERNELS.find((each) => each.name === name);
  if (kernel === undefined) throw new Error(`there is no kernel ${name}: ${KERNELS.map((each) => each.name).join(', ')}`);
  return kernel;
}
