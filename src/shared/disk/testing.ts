/** For tests: image files in memory, and a shared disk whose broker works when it is told to, in the test's own thread. */
import { BulkheadError } from '../../base/index.ts';
import type { Bytes, Grant, GrantedPort, ImageFile, ImageFiles } from '../../contracts/index.ts';
import { Broker } from '../broker.ts';
import { PORT_NUMBERS } from '../port.ts';
import { DiskBroker } from './disk-broker.ts';
import { createDiskPort, DiskEnd } from './disk-end.ts';

/** A change of a file, in the order in which they were made. */
export type FileEvent =
  | { readonly kind: 'write'; readonly path: string; readonly offset: Bytes; readonly bytes: Uint8Array }
  | { readonly kind: 'flush'; readonly path: string };

/** Files by their path. What happens to them is noted. */
export class MemoryImageFiles implements ImageFiles {
  readonly contents = new Map<string, Uint8Array>();
  readonly events: FileEvent[] = [];
  /** The host refuses to write and flush. */
  failing = false;

  put(path: string, bytes: Uint8Array): void {
    this.contents.set(path, bytes);
  }

  open(path: string, access: 'ro' | 'rw'): ImageFile {
    if (!this.contents.has(path)) throw new BulkheadError('BH670', `cannot open ${path}`);
    return new MemoryImageFile(path, access === 'ro', this);
  }

  create(path: string): ImageFile {
    this.contents.set(path, new Uint8Array(0));
    return this.open(path, 'rw');
  }

  exists(path: string): boolean {
    return this.contents.has(path);
  }

  resolve(_path: string, reference: string): string {
    return reference;
  }

  /** Nothing here is compressed. */
  inflate(): boolean {
    return false;
  }
}

class MemoryImageFile implements ImageFile {
  readonly path: string;
  readonly readOnly: boolean;
  readonly #files: MemoryImageFiles;

  constructor(path: string, readOnly: boolean, files: MemoryImageFiles) {
    this.path = path;
    this.readOnly = readOnly;
    this.#files = files;
  }

  get size(): Bytes {
    return this.#bytes.length;
  }

  read(offset: Bytes, target: Uint8Array): boolean {
    target.fill(0);
    if (offset < this.size) target.set(this.#bytes.subarray(offset, Math.min(this.size, offset + target.length)));
    return true;
  }

  write(offset: Bytes, source: Uint8Array): boolean {
    if (this.#files.failing || this.readOnly) return false;
    // A host's file system has its limits too.
    if (offset + source.length > 1 << 28) return false;
    if (offset + source.length > this.size) this.resize(offset + source.length);
    this.#bytes.set(source, offset);
    this.#files.events.push({ kind: 'write', path: this.path, offset, bytes: source.slice() });
    return true;
  }

  resize(size: Bytes): boolean {
    const bytes = new Uint8Array(size);
    bytes.set(this.#bytes.subarray(0, size));
    this.#files.contents.set(this.path, bytes);
    return true;
  }

  flush(): boolean {
    if (this.#files.failing) return false;
    this.#files.events.push({ kind: 'flush', path: this.path });
    return true;
  }

  punchHole(offset: Bytes, size: Bytes): boolean {
    if (this.readOnly) return false;
    this.#bytes.fill(0, offset, offset + size);
    return true;
  }

  [Symbol.dispose](): void {}

  get #bytes(): Uint8Array {
    return this.#files.contents.get(this.path) as Uint8Array;
  }
}

/** A disk with its ports, one for each grant, all in one thread. Nothing is served before {@link serve}. */
export class TestDisk {
  readonly files: MemoryImageFiles;
  readonly ends: readonly DiskEnd[];
  readonly ports: readonly GrantedPort[];
  readonly broker: DiskBroker;
  now = 0;
  readonly #rounds: Broker;

  constructor(grants: readonly Partial<Grant>[], { image = 'disk.raw', files = new MemoryImageFiles(), bytes = 1 << 20 } = {}) {
    this.files = files;
    if (!files.exists(image)) files.put(image, new Uint8Array(bytes));
    const ports = grants.map((grant, index) => ({
      grant: { partition: `p${index}`, access: 'rw', ...grant } as Grant,
      device: 'vda',
      port: createDiskPort(grant.depth),
      alarm: new Int32Array(new SharedArrayBuffer(4)),
    }));
    this.ports = ports;
    this.broker = new DiskBroker({ name: 'disk0', source: { image }, ports, files });
    this.#rounds = new Broker(this.broker.ports, () => this.now, (now) => this.broker.idle(now));
    this.ends = ports.map(({ port }) => new DiskEnd({ resource: 'disk0', port, alarm: new Int32Array(new SharedArrayBuffer(4)) }));
  }

  /** The broker works until it would sleep; then devices see what came of it. Returns how long it would sleep. */
  serve(): number {
    for (;;) {
      const before = this.#done;
      const sleep = this.#rounds.round();
      for (const end of this.ends) end.admit();
      if (this.#done === before && sleep > 0) return sleep;
    }
  }

  /** Requests that are over, whatever became of them, and generations agreed to. */
  get #done(): number {
    let done = 0;
    for (const { slots: { control } } of this.ends) {
      const { statistics } = control;
      done += control.agreed;
      for (const { name, unit } of PORT_NUMBERS) if (unit === 'requests') done += statistics[name];
    }
    return done;
  }

  /** One round of the broker, and nobody sees what came of it. */
  round(): number {
    return this.#rounds.round();
  }
}
