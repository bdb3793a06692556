/** Programs and modules for tests of networks: Debian's, inside guests and on this host. */
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { packageFile } from '../../src/host/node/packages.ts';
import type { PackagedProgram } from './driver-images.ts';

const LIBRARIES = 'lib/x86_64-linux-gnu';

/** For {@link driverImages}, in the order in which they are to be loaded. */
export const VIRTIO_PCI_MODULES: readonly string[] = ['virtio/virtio_ring', 'virtio/virtio', 'virtio/virtio_pci_modern_dev', 'virtio/virtio_pci_legacy_dev', 'virtio/virtio_pci'];

const library = (name: string, file: string): PackagedProgram => ({ package: name, file: `{lib,usr/lib}/x86_64-linux-gnu/${file}`, path: `${LIBRARIES}/${file}` });

/** iperf3 with what it is linked against. */
export const IPERF3: readonly PackagedProgram[] = [
  { package: 'iperf3', file: 'usr/bin/iperf3', path: 'bin/iperf3' },
  library('libiperf0', 'libiperf.so.0'),
  library('libsctp1', 'libsctp.so.1'),
  library('libssl3', 'libcrypto.so.3'),
  library('libc6', 'libm.so.6'),
  library('libc6', 'libc.so.6'),
  { package: 'libc6', file: `{lib,usr/lib}/x86_64-linux-gnu/ld-linux-x86-64.so.2`, path: 'lib64/ld-linux-x86-64.so.2' },
];

/** What tshark is linked against, beyond what every system has. */
const TSHARK_LIBRARIES: readonly (readonly [string, string])[] = [];

/** tshark out of its package; returns its output. */
export async function tshark(): Promise<(options: readonly string[]) => string> {
  const program = await packageFile('tshark', 'amd64', 'usr/bin/tshark');
  const libraries = await Promise.all(TSHARK_LIBRARIES.map(([name, file]) => packageFile(name, 'amd64', file)));
  const environment = { ...process.env, LD_LIBRARY_PATH: libraries.map((path) => dirname(path)).join(':') };
  return (options) => execFileSync(program, options, { encoding: 'utf8', env: environment, maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] });
}
