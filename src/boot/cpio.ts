/**
 * cpio archives in the `newc` format, from which Linux fills its first root file system.
 * Spec: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
 * Being bytes, not files, an archive may hold device nodes without anybody being root.
 */
import { BulkheadError } from '../base/index.ts';
import { alignUp, fromCString, matchesAt, toBytes, toCString } from './bytes.ts';

const MAGIC = toBytes('070701');
const HEADER_SIZE = 110,
  FIELD_SIZE = 8;
/** Fields of eight hexadecimal digits, in order, after the magic number. */
const FIELDS = [
  'inode',
  'mode',
  'uid',
  'gid',
  'links',
  'mtime',
  'size',
  'devMajor',
  'devMinor',
  'rdevMajor',
  'rdevMinor',
  'nameSize',
  'check',
] as const;
type Header = Readonly<Record<(typeof FIELDS)[number], number>>;
const TRAILER = 'TRAILER!!!';
const ALIGNMENT = 4;

// st_mode
const TYPE_MASK = 0o170000,
  DIRECTORY = 0o040000,
  REGULAR = 0o100000,
  SYMLINK = 0o120000,
  CHARACTER = 0o020000,
  BLOCK = 0o060000;

export type CpioEntry = { readonly path: string; readonly permissions: number } & (
  | { readonly kind: 'directory' }
  | { readonly kind: 'file'; readonly data: Uint8Array }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'character' | 'block'; readonly major: number; readonly minor: number }
);

const TYPES: Readonly<Record<CpioEntry['kind'], number>> = {
  directory: DIRECTORY,
  file: REGULAR,
  symlink: SYMLINK,
  character: CHARACTER,
  block: BLOCK,
};

/** The same entries give the same bytes: owner root, time 0. Paths have no leading slash; parents come before children. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const append = (piece: Uint8Array): void => {
    const padded = new Uint8Array(alignUp(length + piece.length, ALIGNMENT) - length);
    padded.set(piece);
    pieces.push(padded);
    length += padded.length;
  };
  const record = (inode: number, path: string, mode: number, data: Uint8Array, major: number, minor: number): void => {
    const name = toCString(path);
    const header: Header = {
      inode,
      mode,
      uid: 0,
      gid: 0,
      links: 1,
      mtime: 0,
      size: data.length,
      devMajor: 0,
      devMinor: 0,
      rdevMajor: major,
      rdevMinor: minor,
      nameSize: name.length,
      check: 0,
    };
    const text = FIELDS.map((field) => header[field].toString(16).toUpperCase().padStart(FIELD_SIZE, '0')).join('');
    append(Uint8Array.of(...MAGIC, ...toBytes(text), ...name));
    append(data);
  };
  entries.forEach((entry, i) => {
    const data = entry.kind === 'file' ? entry.data : entry.kind === 'symlink' ? toBytes(entry.target) : new Uint8Array();
    const device = entry.kind === 'character' || entry.kind === 'block' ? entry : { major: 0, minor: 0 };
    record(i + 1, entry.path, TYPES[entry.kind] | entry.permissions, data, device.major, device.minor);
  });
  record(0, TRAILER, 0, new Uint8Array(), 0, 0);

  const archive = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    archive.set(piece, at);
    at += piece.length;
  }
  return archive;
}

/** Entries of an archive, or of several one after another. `name` is the file's name in errors. Throws BH330. */
export function readCpio(archive: Uint8Array, name: string): CpioEntry[] {
  const entries: CpioEntry[] = [];
  for (let at = 0; at < archive.length; ) {
    if (archive[at] === 0) {
      at++; // archives may be padded with zeros
      continue;
    }
    const header = readHeader(archive, at, name);
    const nameAt = at + HEADER_SIZE;
    const dataAt = at + alignUp(HEADER_SIZE + header.nameSize, ALIGNMENT);
    const end = dataAt + header.size;
    if (end > archive.length) fail(name, at, 'an entry reaches beyond the end of the archive');
    const path = fromCString(archive, nameAt, header.nameSize);
    at = alignUp(end, ALIGNMENT);
    if (path !== TRAILER) entries.push(toEntry(path, header, archive.subarray(dataAt, end), name, nameAt));
  }
  return entries;
}

function readHeader(archive: Uint8Array, at: number, name: string): Header {
  if (!matchesAt(archive, at, MAGIC) || at + HEADER_SIZE > archive.length) fail(name, at, 'there is no `newc` header');
  const header: Partial<Record<(typeof FIELDS)[number], number>> = {};
  FIELDS.forEach((field, i) => {
    const text = fromCString(archive, at + MAGIC.length + i * FIELD_SIZE, FIELD_SIZE);
    if (!/^[0-9a-f]{8}$/i.test(text)) fail(name, at, `the field ${field} is not a number`);
    header[field] = Number.parseInt(text, 16);
  });
  return header as Header;
}

function toEntry(path: string, header: Header, data: Uint8Array, name: string, at: number): CpioEntry {
  const common = { path, permissions: header.mode & ~TYPE_MASK };
  switch (header.mode & TYPE_MASK) {
    case DIRECTORY:
      return { ...common, kind: 'directory' };
    case REGULAR:
      return { ...common, kind: 'file', data };
    case SYMLINK:
      return { ...common, kind: 'symlink', target: fromCString(data, 0, data.length) };
    case CHARACTER:
      return { ...common, kind: 'character', major: header.rdevMajor, minor: header.rdevMinor };
    case BLOCK:
      return { ...common, kind: 'block', major: header.rdevMajor, minor: header.rdevMinor };
    default:
      return fail(name, at, `${path} is of a kind that is not supported`);
  }
}

function fail(name: string, at: number, what: string): never {
  throw new BulkheadError('BH330', `${name}: damaged cpio archive: ${what} (at byte ${at})`, {
    hint: 'Build the archive again: cpio -o -H newc.',
  });
}
