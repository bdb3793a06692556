/** Programs and modules for tests of networks: Debian's, inside guests and on this host. */
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { packageFile } from '../../src/host/node/packages.ts';
import type { PackagedProgram } from './driver-images.ts';

const LIBRARIES = 'lib/x86_64-linux-gnu';

/** For {@link driverImages}, in the order in which they are to be loaded. */
export const VIRTIO_PCI_MODULES: readonly string[] = ['virtio/virtio_ring', 'virtio/virtio', 'virtio/virtio_pci_modern_dev', 'virtio/virtio_pci_legacy_dev', 'virtio/virtio_pci'];

const library = (name: string, file: string): PackagedProgram => ({ package: name, file: `{lib,usr/lib}/x86_64-linux-gnu/${file}`, path: `${LIBRARIES}/${file}` });

const LIBC: readonly PackagedProgram[] = [
  library('libc6', 'libc.so.6'),
  { package: 'libc6', file: `{lib,usr/lib}/x86_64-linux-gnu/ld-linux-x86-64.so.2`, path: 'lib64/ld-linux-x86-64.so.2' },
];

/** The ping that can flood, under a name that busybox does not have, with what it is linked against. */
export const PING: readonly PackagedProgram[] = [
  { package: 'iputils-ping', file: '{bin,usr/bin}/ping', path: 'bin/iputils-ping' },
  library('libcap2', 'libcap.so.2'),
  library('libidn2-0', 'libidn2.so.0'),
  library('libunistring2', 'libunistring.so.2'),
  ...LIBC,
];

/** iperf3 with what it is linked against. */
export const IPERF3: readonly PackagedProgram[] = [
  { package: 'iperf3', file: 'usr/bin/iperf3', path: 'bin/iperf3' },
  library('libiperf0', 'libiperf.so.0'),
  library('libsctp1', 'libsctp.so.1'),
  library('libssl3', 'libcrypto.so.3'),
  library('libc6', 'libm.so.6'),
  ...LIBC,
];

/** What tshark is linked against, beyond what every system has: package and library. */
const TSHARK_LIBRARIES: readonly (readonly [string, string])[] = [
  ['libwireshark16', 'libwireshark.so.16'],
  ['libwiretap13', 'libwiretap.so.13'],
  ['libwsutil14', 'libwsutil.so.14'],
  ['libpcap0.8', 'libpcap.so.0.8'],
  ['libdbus-1-3', 'libdbus-1.so.3'],
  ['libbcg729-0', 'libbcg729.so.0'],
  ['libbrotli1', 'libbrotlidec.so.1'],
  ['libc-ares2', 'libcares.so.2'],
  ['liblua5.2-0', 'liblua5.2.so.0'],
  ['liblz4-1', 'liblz4.so.1'],
  ['libnghttp2-14', 'libnghttp2.so.14'],
  ['libsbc1', 'libsbc.so.1'],
  ['libsmi2ldbl', 'libsmi.so.2'],
  ['libsnappy1v5', 'libsnappy.so.1'],
  ['libspandsp2', 'libspandsp.so.2'],
  ['libxml2', 'libxml2.so.2'],
  ['libjpeg62-turbo', 'libjpeg.so.62'],
  ['libtiff6', 'libtiff.so.6'],
  ['libicu72', 'libicuuc.so.72'],
];

/** tshark out of its package; what it returns runs it and gives its output. */
export async function tshark(): Promise<(options: readonly string[]) => string> {
  const program = await packageFile('tshark', 'amd64', 'usr/bin/tshark');
  const folders = new Set<string>();
  for (const [name, file] of TSHARK_LIBRARIES) folders.add(dirname(await packageFile(name, 'amd64', `{lib,usr/lib}/x86_64-linux-gnu/${file}`)));
  const environment = { ...process.env, LD_LIBRARY_PATH: [...folders].join(':') };
  return (options) => execFileSync(program, options, { encoding: 'utf8', env: environment, maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] });
}
