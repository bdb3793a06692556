/** Ways to shared consoles: from what is written to where they are. */
import type { ConsoleWay } from '../contracts/index.ts';
import type { ManifestHost } from './host.ts';
import type { ManifestWay } from './schema.ts';

const PATHS = ['unix', 'pty', 'file'] as const;
const SOCKETS = ['telnet', 'websocket'] as const;
const LOOPBACK = '127.0.0.1';
const HIGHEST_PORT = 65_535;

/** Which ways a row names: it should be one. */
export function kindsOf(way: ManifestWay): ConsoleWay['kind'][] {
  return [...PATHS, ...SOCKETS].filter((kind) => way[kind] !== undefined);
}

/** Undefined: not exactly one way, or one with an address that cannot be. */
export function wayOf(way: ManifestWay, host: Pick<ManifestHost, 'path'>): ConsoleWay | undefined {
  const { access } = way;
  if (kindsOf(way).length !== 1) return undefined;
  for (const kind of PATHS) {
    const written = way[kind];
    if (written !== undefined) return written === '' ? undefined : { kind, path: host.path(written), access };
  }
  for (const kind of SOCKETS) {
    const written = way[kind];
    const address = written === undefined ? undefined : socketAddressOf(written);
    if (address !== undefined) return { kind, ...address, access };
  }
  return undefined;
}

/** `2323` or `0.0.0.0:2323` or `[::1]:2323`. */
export function socketAddressOf(written: number | string): { readonly host: string; readonly port: number } | undefined {
  if (typeof written === 'number') return { host: LOOPBACK, port: written };
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9A-Za-z.-]{1,253})):([0-9]{1,5})$/.exec(written) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  return host === undefined || !(port >= 1 && port <= HIGHEST_PORT) ? undefined : { host, port };
}
