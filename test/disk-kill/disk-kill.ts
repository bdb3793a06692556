/**
 * Ends whole machines by SIGKILL while a guest writes to its shared disk, and looks at what is left: the image is in order, ext4 on it is in
 * order, and every record is there that the guest was told is safe.
 *
 * One kill is: the guest boots, mounts what the kills before left (its own kernel replays the journals), writes records with fsync to a raw
 * disk, a qcow2 disk and an overlay at the same time, and the process that runs the machine is killed after a random number of them and a
 * random time. The images live through all kills of a run.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CpioEntry, writeCpio } from '../../src/boot/index.ts';
import { writeAtomically } from '../../src/host/node/cache.ts';
import { buildInitramfs } from '../../src/host/node/initramfs.ts';
import { packageFile } from '../../src/host/node/packages.ts';
import { runAndKill } from './killed-process.ts';

const countOf = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
const INIT = join(import.meta.dirname, 'init');
const KERNEL = 'linux-image-cloud-amd64';
const MODULES = ['virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci'].map((name) => `virtio/${name}`);
const DISK_BYTES = 24 << 20;
const PIECES = 7;

/** How the disk lies on the host. */
export type DiskFormat = 'raw' | 'qcow2' | 'overlay';
export const FORMATS: readonly DiskFormat[] = ['raw', 'qcow2', 'overlay'];

export interface KillTools {
  readonly e2fsck: string;
  readonly mke2fs: string;
  readonly debugfs: string;
  readonly qemuImg: string;
}

export interface KillImages {
  readonly kernel: string;
  readonly initrd: string;
  readonly busybox: Uint8Array;
}

/** Debian's cloud kernel, which has ext4 built in, and a RAM disk that does nothing but write. Throws BH610 to BH615. */
export async function killImages(folder: string): Promise<KillImages> {
  const kernel = await packageFile(KERNEL, 'amd64', 'boot/vmlinuz-*');
  const busybox = await readFile(await packageFile('busybox-static', 'amd64', '{bin,usr/bin}/busybox'));
  const entries: CpioEntry[] = [{ kind: 'directory', path: 'modules', permissions: 0o755 }];
  for (const module of [...MODULES, 'block/virtio_blk']) {
    const data = await readFile(await packageFile(KERNEL, 'amd64', `lib/modules/*/kernel/drivers/${module}.ko`));
    entries.push({ kind: 'file', path: `modules/${module.split('/').at(-1)}.ko`, permissions: 0o644, data });
  }
  const initrd = join(folder, 'initramfs.cpio');
  await writeAtomically(initrd, Buffer.concat([buildInitramfs(busybox, await readFile(INIT)), writeCpio(entries)]));
  return { kernel, initrd, busybox };
}

/** What a guest said of one disk before it was killed. */
export interface Acknowledged {
  readonly life: number;
  readonly records: number;
  /** By number of the piece: its size. */
  readonly pieces: ReadonlyMap<number, number>;
}

export interface KillResult {
  readonly records: number;
  readonly pieces: number;
  /** `qemu-img check`: clusters that are counted and not used. */
  readonly leaked: number;
}

/** A machine with a disk of each format, each with an ext4 that its guest writes to, and what is known to be safe on them. */
export class KilledMachine {
  readonly #folder: string;
  readonly #disks: readonly KilledDisk[];
  readonly #manifest: string;
  readonly #random: () => number;

  /** In `folder`, which is made anew. `random`: from 0 to 1. */
  constructor(folder: string, images: KillImages, tools: KillTools, random: () => number) {
    this.#folder = folder;
    this.#random = random;
    rmSync(folder, { recursive: true, force: true });
    this.#disks = FORMATS.map((format, index) => new KilledDisk(join(folder, format), `vd${'abc'[index]}`, format, images, tools));
    this.#manifest = join(folder, 'machine.yaml');
    const shared = this.#disks.map(({ name, source }) => `  ${name}: { kind: disk, ${source}, grants: { writer: {} } }`);
    const devices = this.#disks.map(({ name }) => `${name}: { shared: ${name} }`);
    writeFileSync(
      this.#manifest,
      `version: 1
machine: kill
board: { cores: 1, memory: 128MiB }
shared:
${shared.join('\n')}
partitions:
  writer:
    role: gpos
    cores: [0]
    memory: 96MiB
    speed: 1000MIPS
    boot: { kernel: ${images.kernel}, initrd: ${images.initrd}, cmdline: "console=ttyS0 quiet loglevel=1 mitigations=off nokaslr tsc=reliable panic=-1" }
    console: com1
    devices: { com1: { model: uart16550 }, ${devices.join(', ')} }
`,
    );
  }

  /** Boots, lets it write, kills it, and looks. Throws when something is lost. */
  async kill(): Promise<KillResult> {
    const text = await this.#run(1 + Math.floor(this.#random() * 40), this.#random() * 250);
    let [records, pieces, leaked] = [0, 0, 0];
    for (const disk of this.#disks) {
      const told = disk.told(text);
      leaked += disk.verify(told);
      records += told.records;
      pieces += told.pieces.size;
    }
    return { records, pieces, leaked };
  }

  /** The machine in a process of its own, killed `delay` milliseconds after so many records are safe. What its guest said. */
  #run(records: number, delay: number): Promise<string> {
    return runAndKill({
      name: 'the guest',
      args: [MAIN, 'run', this.#manifest, '--pace', 'free', '--quiet', '--log-dir', join(this.#folder, 'logs')],
      folder: this.#folder,
      isDue: (text) => countOf(text, /READY vd/g) === FORMATS.length && countOf(text, /ACK vd/g) >= records,
      delay,
    });
  }
}

class KilledDisk {
  readonly name: string;
  /** As the manifest names it. */
  readonly source: string;
  readonly #format: DiskFormat;
  readonly #folder: string;
  readonly #images: KillImages;
  readonly #tools: KillTools;
  readonly #image: string;
  /** Acknowledged records, by life: logs of the last seven are still on the disk. */
  readonly #records = new Map<number, number>();
  readonly #pieces = new Map<number, number>();

  constructor(folder: string, name: string, format: DiskFormat, images: KillImages, tools: KillTools) {
    this.name = name;
    this.#format = format;
    this.#folder = folder;
    this.#images = images;
    this.#tools = tools;
    mkdirSync(folder, { recursive: true });
    const base = join(folder, 'base.raw');
    writeFileSync(base, '');
    truncateSync(base, DISK_BYTES);
    execFileSync(tools.mke2fs, ['-q', '-F', '-t', 'ext4', '-O', 'metadata_csum', base], { stdio: 'pipe' });
    this.#image = format === 'raw' ? base : join(folder, 'disk.qcow2');
    if (format === 'qcow2') execFileSync(tools.qemuImg, ['convert', '-O', 'qcow2', base, this.#image], { stdio: 'pipe' });
    this.source = format === 'overlay' ? `image: ${base}, overlay: ${this.#image}` : `image: ${this.#image}`;
  }

  told(text: string): Acknowledged {
    const { name } = this;
    const life = Number(new RegExp(`READY ${name} (\\d+)`).exec(text)?.[1]);
    const acknowledged = [...text.matchAll(new RegExp(`ACK ${name} \\d+ (\\d+)\\r?\\n`, 'g'))].map(([, number]) => Number(number));
    const pieces = new Map([...text.matchAll(new RegExp(`PIECE ${name} (\\d+) (\\d+)\\r?\\n`, 'g'))].map(([, piece, size]) => [Number(piece), Number(size)]));
    return { life, records: acknowledged.at(-1) ?? 0, pieces };
  }

  /** Looks at what is left. Returns how many clusters are leaked; throws when something is lost. */
  verify({ life, records, pieces }: Acknowledged): number {
    this.#records.set(life, records);
    for (const [piece, size] of pieces) this.#pieces.set(piece, size);
    const copy = join(this.#folder, 'copy.raw');
    let leaked = 0;
    if (this.#format === 'raw') copyFileSync(this.#image, copy);
    else {
      leaked = this.#checkQcow2();
      execFileSync(this.#tools.qemuImg, ['convert', '-O', 'raw', this.#image, copy], { stdio: 'pipe' });
    }
    // First the journal, as any system would; then everything must be in order.
    this.#e2fsck(['-p', copy], [0, 1]);
    this.#e2fsck(['-fn', copy], [0]);
    for (let past = Math.max(1, life - 6); past <= life; past++) this.#checkLog(copy, past);
    for (const [piece, size] of this.#pieces) this.#checkPiece(copy, piece, size, records);
    return leaked;
  }

  #checkQcow2(): number {
    const { status, output } = run(this.#tools.qemuImg, ['check', this.#image]);
    // 3: clusters are leaked, which a kill may do; anything else is damage.
    if (status !== 0 && status !== 3) throw new Error(`${this.#format}: qemu-img check: ${status}: ${output}`);
    return Number(/(\d+) leaked clusters/.exec(output)?.[1] ?? 0);
  }

  #e2fsck(args: readonly string[], allowed: readonly number[]): void {
    const { status, output } = run(this.#tools.e2fsck, args);
    if (!allowed.includes(status)) throw new Error(`${this.#format}: e2fsck ${args[0]}: ${status}: ${output}`);
  }

  #checkLog(copy: string, life: number): void {
    const expected = this.#records.get(life) ?? 0;
    if (expected === 0) return;
    const lines = this.#file(copy, `log.${life}`).toString('latin1').split('\n');
    for (let record = 1; record <= expected; record++) {
      if (lines[record - 1] === `record ${life} ${record} of what must not be lost`) continue;
      throw new Error(`${this.#format}: record ${record} of ${expected} of life ${life} is lost: ${JSON.stringify(lines[record - 1])}`);
    }
  }

  /** The piece the guest was told is safe, or one that came after it and was not told of. */
  #checkPiece(copy: string, piece: number, size: number, records: number): void {
    const found = this.#file(copy, `piece.${piece}`);
    const following = Array.from({ length: 2 * PIECES }, (_, index) => 10_000 + (((records + index) * 7919) % 50_000));
    if (found.length !== size && !following.includes(found.length)) throw new Error(`${this.#format}: piece ${piece} has ${found.length} bytes, not ${size}`);
    if (Buffer.compare(found, this.#images.busybox.subarray(0, found.length)) !== 0) throw new Error(`${this.#format}: piece ${piece} is not what was written`);
    this.#pieces.set(piece, found.length);
  }

  #file(copy: string, name: string): Buffer {
    const target = join(this.#folder, 'file');
    rmSync(target, { force: true });
    execFileSync(this.#tools.debugfs, ['-R', `dump /${name} ${target}`, copy], { stdio: 'pipe' });
    if (!existsSync(target)) throw new Error(`${this.#format}: ${name} is not there`);
    return readFileSync(target);
  }
}

function run(program: string, args: readonly string[]): { readonly status: number; readonly output: string } {
  try {
    return { status: 0, output: execFileSync(program, args, { encoding: 'latin1', stdio: 'pipe' }) };
  } catch (error) {
    const { status, stdout, stderr } = error as { readonly status: number | null; readonly stdout: string; readonly stderr: string };
    return { status: status ?? -1, output: `${stdout}${stderr}` };
  }
}

/** The tools that look at what is left; undefined, with a word about it, where one is missing. */
export async function killTools(): Promise<KillTools | undefined> {
  const find = (name: string): string | undefined => [`/usr/sbin/${name}`, `/sbin/${name}`, `/usr/bin/${name}`].find((path) => existsSync(path));
  const [e2fsck, mke2fs, debugfs] = [find('e2fsck'), find('mke2fs'), find('debugfs')];
  if (e2fsck === undefined || mke2fs === undefined || debugfs === undefined) {
    console.warn('skipped: there are no e2fsprogs here');
    return undefined;
  }
  const qemuImg = find('qemu-img') ?? (await packageFile('qemu-utils', 'amd64', 'usr/bin/qemu-img'));
  if (run(qemuImg, ['--version']).status === 0) return { e2fsck, mke2fs, debugfs, qemuImg };
  console.warn('skipped: qemu-img does not run here');
  return undefined;
}
