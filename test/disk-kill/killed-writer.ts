/** Kills the storage path alone (writer.ts) and looks at what is left: quicker than with a guest, so that it can be done more often. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DiskSource } from '../../src/contracts/index.ts';
import { hostImageFiles } from '../../src/host/node/image-file.ts';
import { openImage } from '../../src/shared/disk/open-disk.ts';
import { runTool } from '../support/qemu-img.ts';
import type { DiskFormat } from './disk-kill.ts';
import { runAndKill } from './killed-process.ts';
import { BATCH, DISK_SECTORS, RECORD_SECTORS, recordBytes, sectorOf } from './records.ts';

const WRITER = join(import.meta.dirname, 'writer.ts');

export class KilledWriter {
  readonly #format: DiskFormat;
  readonly #folder: string;
  readonly #image: string;
  readonly #source: DiskSource;
  readonly #qemuImg: string;
  readonly #random: () => number;
  /** By sector: the last record that is known to be safe there. */
  readonly #safe = new Map<number, number>();
  #next = 1;

  /** In `folder`, which is made anew. `random`: from 0 to 1. */
  constructor(folder: string, format: DiskFormat, qemuImg: string, random: () => number) {
    this.#format = format;
    this.#folder = folder;
    this.#qemuImg = qemuImg;
    this.#random = random;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const base = join(folder, 'base.raw');
    writeFileSync(base, '');
    truncateSync(base, DISK_SECTORS * 512);
    this.#image = format === 'raw' ? base : join(folder, 'disk.qcow2');
    if (format === 'qcow2') execFileSync(qemuImg, ['create', '-q', '-f', 'qcow2', this.#image, String(DISK_SECTORS * 512)], { stdio: 'pipe' });
    this.#source = { image: format === 'overlay' ? base : this.#image, ...(format === 'overlay' ? { overlay: this.#image } : {}), files: [] };
  }

  /** One kill. Returns how many records were safe, and how many clusters are leaked; throws when something is lost. */
  async kill(): Promise<{ readonly records: number; readonly leaked: number }> {
    const first = this.#next;
    const acknowledged = await this.#run(first, Math.floor(this.#random() * 30), this.#random() * 60);
    for (let record = first; record <= acknowledged; record++) this.#safe.set(sectorOf(record), record);
    // Those that were on their way may be there, or not.
    this.#next = Math.max(acknowledged + 1, first) + BATCH;
    return { records: Math.max(0, acknowledged - first + 1), leaked: this.#verify(this.#next - 1) };
  }

  async #run(first: number, batches: number, delay: number): Promise<number> {
    const text = await runAndKill({
      name: `${this.#format}: the writer`,
      args: [WRITER, JSON.stringify(this.#source), String(first)],
      folder: this.#folder,
      isDue: (said) => said.includes('READY') && (said.match(/ACK/g)?.length ?? 0) >= batches,
      delay,
    });
    return Number([...text.matchAll(/ACK (\d+)\n/g)].at(-1)?.[1] ?? first - 1);
  }

  #verify(last: number): number {
    let leaked = 0;
    if (this.#format !== 'raw') {
      const { status, output } = runTool(this.#qemuImg, ['check', this.#image]);
      if (status !== 0 && status !== 3) throw new Error(`${this.#format}: qemu-img check: ${status}: ${output}`);
      leaked = Number(/(\d+) leaked clusters/.exec(output)?.[1] ?? 0);
    }
    using disk = openImage(hostImageFiles(), this.#image, 'ro');
    const found = new Uint8Array(RECORD_SECTORS * 512);
    for (const [sector, record] of this.#safe) {
      disk.read(sector * 512, found);
      const is = new DataView(found.buffer).getUint32(0, true);
      const isWhole = Buffer.compare(found, recordBytes(is, RECORD_SECTORS)) === 0;
      // A later one may have come to the same place; one that was cut off in the middle was never safe, and later than the safe one.
      if (is === record && isWhole) continue;
      if (is > record && is <= last && sectorOf(is) === sector) continue;
      throw new Error(`${this.#format}: record ${record} is lost: sector ${sector} has ${is}${isWhole ? '' : ', and not all of it'}`);
    }
    return leaked;
  }
}
