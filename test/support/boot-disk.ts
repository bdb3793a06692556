/**
 * Disks and CDs that a PC's firmware can start from, made of Debian packages by tools that run as anybody: a disk with GRUB and an ext2
 * file system, a CD with ISOLINUX. Without the tools or the network there are none; tests then say so.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MiB } from '../../src/base/index.ts';
import { packageFile, packageFolder } from '../../src/host/node/packages.ts';

const SECTOR = 512;
/** Where the partition begins: everything before it, but the first sector, is GRUB's (the gap that partitioning tools leave). */
const PARTITION_AT = 1 * MiB;
// The master boot record (UEFI 2.10 table 5.1)
const BOOT_CODE_BYTES = 440;
const PARTITION_ENTRY = 446;
const SIGNATURE = 510;
const ACTIVE = 0x80;
const TYPE_LINUX = 0x83;
const TYPE_EFI_SYSTEM = 0xef;
/** What the image of GRUB must know before it can read the disk, and what menus use. */
const GRUB_COMMANDS = 'part_msdos normal linux serial terminal echo read boot reboot halt ls cat test acpi lsacpi lsmmap lspci chain'.split(
  ' ',
);
const GRUB_MODULES = [...GRUB_COMMANDS, 'biosdisk', 'ext2', 'linux16', 'multiboot'];
const EFI_MODULES = [...GRUB_COMMANDS, 'fat', 'efi_gop', 'efi_uga'];

/** Files of a disk or CD: content, or the path of a file of the host, by their path there. */
export type DiskFiles = Readonly<Record<string, string | { readonly copyOf: string }>>;

/** A raw disk: GRUB, which reads `boot/grub/grub.cfg`, and one partition with `files`. Throws BH61x as packageFile does. */
export async function grubDisk(files: DiskFiles, size: number): Promise<Uint8Array> {
  const tools = await packageFolder('grub-common', 'amd64');
  const modules = join(await packageFolder('grub-pc-bin', 'amd64'), 'usr/lib/grub/i386-pc');
  return inScratchFolder((scratch) => {
    const core = join(scratch, 'core.img');
    execFileSync(join(tools, 'usr/bin/grub-mkimage'), [
      '-O',
      'i386-pc',
      '-d',
      modules,
      '-p',
      '(hd0,msdos1)/boot/grub',
      '-o',
      core,
      ...GRUB_MODULES,
    ]);
    const fileSystem = join(scratch, 'ext2.img');
    const sectors = Math.floor((size - PARTITION_AT) / SECTOR);
    execFileSync('mke2fs', ['-q', '-t', 'ext2', '-d', writeTree(scratch, files), '-L', 'bulkhead', fileSystem, `${sectors / 2}k`]);
    const disk = new Uint8Array(PARTITION_AT + sectors * SECTOR);
    disk.set(readFileSync(join(modules, 'boot.img')).subarray(0, BOOT_CODE_BYTES));
    disk.set(partitionEntry(PARTITION_AT / SECTOR, sectors, TYPE_LINUX), PARTITION_ENTRY);
    disk.set([0x55, 0xaa], SIGNATURE);
    disk.set(readFileSync(core), SECTOR);
    disk.set(readFileSync(fileSystem), PARTITION_AT);
    return disk;
  });
}

/** A raw disk for UEFI: GRUB as the loader that firmware starts where nothing is installed, and `files` beside it, on one FAT partition. */
export async function efiDisk(files: DiskFiles, size: number): Promise<Uint8Array> {
  const tools = await packageFolder('grub-common', 'amd64');
  const modules = join(await packageFolder('grub-efi-amd64-bin', 'amd64'), 'usr/lib/grub/x86_64-efi');
  const mtools = await packageFile('mtools', 'amd64', 'usr/bin/mtools');
  return inScratchFolder((scratch) => {
    const loader = join(scratch, 'grub.efi');
    const grub = ['-O', 'x86_64-efi', '-d', modules, '-p', '/boot/grub', '-o', loader, ...EFI_MODULES];
    execFileSync(join(tools, 'usr/bin/grub-mkimage'), grub);
    const tree = writeTree(scratch, { ...files, 'EFI/BOOT/BOOTX64.EFI': { copyOf: loader } });
    const fileSystem = join(scratch, 'fat.img');
    const sectors = Math.floor((size - PARTITION_AT) / SECTOR);
    writeFileSync(fileSystem, new Uint8Array(sectors * SECTOR));
    execFileSync(mtools, ['-c', 'mformat', '-i', fileSystem, '-F', '-T', `${sectors}`, '::']);
    execFileSync(mtools, ['-c', 'mcopy', '-i', fileSystem, '-s', '-Q', ...readdirSync(tree).map((name) => join(tree, name)), '::/']);
    const disk = new Uint8Array(PARTITION_AT + sectors * SECTOR);
    disk.set(partitionEntry(PARTITION_AT / SECTOR, sectors, TYPE_EFI_SYSTEM), PARTITION_ENTRY);
    disk.set([0x55, 0xaa], SIGNATURE);
    disk.set(readFileSync(fileSystem), PARTITION_AT);
    return disk;
  });
}

/** A CD with ISOLINUX, which reads `isolinux/isolinux.cfg`. */
export async function isolinuxCd(files: DiskFiles): Promise<Uint8Array> {
  const tool = await packageFile('genisoimage', 'amd64', 'usr/bin/genisoimage');
  const loader = await packageFile('isolinux', 'amd64', 'usr/lib/ISOLINUX/isolinux.bin');
  const library = await packageFile('syslinux-common', 'amd64', 'usr/lib/syslinux/modules/bios/ldlinux.c32');
  return inScratchFolder((scratch) => {
    const tree = writeTree(scratch, { ...files, 'isolinux/isolinux.bin': { copyOf: loader }, 'isolinux/ldlinux.c32': { copyOf: library } });
    const image = join(scratch, 'cd.iso');
    const boot = ['-b', 'isolinux/isolinux.bin', '-c', 'isolinux/boot.cat', '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table'];
    execFileSync(tool, ['-quiet', '-J', '-R', '-V', 'BULKHEAD', ...boot, '-o', image, tree]);
    return new Uint8Array(readFileSync(image));
  });
}

/** Cylinders and heads are those of a drive too large for them: loaders use the sector numbers. */
function partitionEntry(first: number, count: number, type: number): Uint8Array {
  const entry = new Uint8Array(16);
  entry.set([ACTIVE, 0xfe, 0xff, 0xff, type, 0xfe, 0xff, 0xff]);
  const view = new DataView(entry.buffer);
  view.setUint32(8, first, true);
  view.setUint32(12, count, true);
  return entry;
}

function writeTree(scratch: string, files: DiskFiles): string {
  const root = join(scratch, 'root');
  for (const [path, content] of Object.entries(files)) {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    if (typeof content === 'string') writeFileSync(target, content);
    else copyFileSync(content.copyOf, target);
  }
  return root;
}

function inScratchFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-disk-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
