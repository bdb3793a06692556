// Debian's own drivers on the modelled controllers: what they write is on the host's file, what they read is what was there.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MiB } from '../src/base/index.ts';
import type { DeviceSpec } from '../src/contracts/index.ts';
import { holePuncher } from '../src/host/linux/index.ts';
import { openBlockFile } from '../src/host/node/block-file.ts';
import { packageFile } from '../src/host/node/packages.ts';
import { deviceOf } from './support/guest.ts';
import { Linux } from './support/linux.ts';
import { ifAvailable } from './support/packages.ts';
import { LOAD_DRIVERS, storageImages } from './support/storage.ts';

const TIMEOUT = 300_000;
const DISK = 16 * MiB;
/** Linux's names: AHCI's driver is loaded first. */
const CONTROLLERS = [
  { model: 'ahci', disk: 'sda', cdrom: 'sr0', interrupt: /PCI-MSI.*ahci/ },
  { model: 'ide', disk: 'sdb', cdrom: 'sr1', interrupt: /14-edge.*ata_piix/ },
] as const;

const images = await ifAvailable("Debian's storage drivers", async () => ({
  linux: await storageImages(),
  genisoimage: await packageFile('genisoimage', 'amd64', 'usr/bin/genisoimage'),
  busybox: await packageFile('busybox-static', 'amd64', '{bin,usr/bin}/busybox'),
}));
const e2fsck = toolOf('e2fsck', ['-V']);
const debugfs = toolOf('debugfs', ['-V']);
const mke2fs = toolOf('mke2fs', ['-V']);

/** The path of a tool of the host; without it, a word about what is not checked. */
function toolOf(name: string, probe: readonly string[]): string | undefined {
  for (const path of [name, `/usr/sbin/${name}`, `/sbin/${name}`]) {
    try {
      execFileSync(path, probe, { stdio: 'ignore' });
      return path;
    } catch {
      // not here
    }
  }
  console.warn(`skipped: what needs ${name}: there is no such tool here`);
  return undefined;
}

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');


describe.skipIf(images === undefined)('a Debian guest with disks and CD-ROM drives', () => {
  let folder: string;
  let linux: Linux;
  /** Bytes that are the same on both sides: the guest's /bin/busybox. */
  const program = images === undefined ? Buffer.alloc(0) : readFileSync(images.busybox);
  const diskOf = (model: string): string => join(folder, `${model}.img`);
  const discOf = (model: string): string => join(folder, `${model}.iso`);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-storage-'));
    for (const { model } of CONTROLLERS) {
      writeFileSync(diskOf(model), '');
      truncateSync(diskOf(model), DISK);
      const tree = join(folder, `${model}-disc`);
      mkdirSync(join(tree, 'sub'), { recursive: true });
      writeFileSync(join(tree, 'sub/program'), Buffer.concat([Buffer.from(model), program]));
      execFileSync(images!.genisoimage, ['-quiet', '-R', '-V', model, '-o', discOf(model), tree]);
    }
    const devices = CONTROLLERS.map(({ model }): DeviceSpec => {
      const files = [
        { option: 'disk', path: diskOf(model), access: 'rw', identity: diskOf(model) },
        { option: 'cdrom', path: discOf(model), access: 'ro', identity: discOf(model) },
      ] as const;
      return { ...deviceOf(model, model), files };
    });
    linux = new Linux(images!.linux, 1, {
      devices,
      block: ({ path, access }) => openBlockFile(path, { readOnly: access === 'ro', punchHole: holePuncher() }),
    });
    linux.shell(`${LOAD_DRIVERS} && until [ -b /dev/sr1 ] && [ -b /dev/sdb ]; do sleep 0.2; done`);
  }, TIMEOUT);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('finds each drive, by its name and size', () => {
    for (const { disk, cdrom } of CONTROLLERS) {
      expect(linux.shell(`cat /sys/block/${disk}/size /sys/block/${disk}/device/model /sys/block/${cdrom}/device/model`)).toMatch(
        new RegExp(`^${DISK / 512}\nBULKHEAD HARDDIS\\s*\nBULKHEAD CD-ROM\\s*\n$`),
      );
    }
    expect(linux.shell('dmesg')).toMatch(/NCQ \(depth 32\)/);
  });

  describe.each(CONTROLLERS)('$model', ({ model, disk, cdrom, interrupt }) => {
    it('keeps what is written, to the byte', { timeout: TIMEOUT }, () => {
      linux.shell(`dd if=/bin/busybox of=/dev/${disk} bs=4k seek=100 count=64 conv=fsync 2>/dev/null`);
      expect(sha256(readFileSync(diskOf(model)).subarray(100 * 4096, 164 * 4096))).toBe(sha256(program.subarray(0, 64 * 4096)));
      linux.shell('echo 3 > /proc/sys/vm/drop_caches');
      const readBack = linux.shell(`dd if=/dev/${disk} bs=4k skip=100 count=64 2>/dev/null | sha256sum`);
      expect(readBack).toBe(`${sha256(program.subarray(0, 64 * 4096))}  -\n`);
    });

    it('reads what the host has written, sector by sector', { timeout: TIMEOUT }, () => {
      const bytes = readFileSync(diskOf(model));
      for (let sector = 0; sector < 64; sector++) bytes.fill(sector, (2000 + sector) * 512, (2001 + sector) * 512);
      writeFileSync(diskOf(model), bytes);
      const expected = bytes.subarray(2000 * 512, 2064 * 512);
      expect(linux.shell(`dd if=/dev/${disk} bs=512 skip=2000 count=64 2>/dev/null | sha256sum`)).toBe(`${sha256(expected)}  -\n`);
    });

    it.skipIf(mke2fs === undefined)('bears an ext4 file system with a journal, which the host finds in order', { timeout: TIMEOUT }, () => {
      // Made by the host, because it has random numbers for the identity of the file system at once.
      execFileSync(mke2fs!, ['-q', '-F', '-t', 'ext4', diskOf(model)], { stdio: 'pipe' });
      linux.shell(`mkdir -p /mnt && echo 3 > /proc/sys/vm/drop_caches && mount -t ext4 /dev/${disk} /mnt`);
      linux.shell('for i in 1 2 3 4; do mkdir /mnt/d$i && head -c $((i * 100000)) /bin/busybox > /mnt/d$i/piece; done');
      linux.shell('sync; rm -r /mnt/d3; umount /mnt');
      expect(linux.shell('dmesg | grep EXT4 | tail -2')).toMatch(/mounted filesystem with ordered data mode/);
      const verdict = e2fsck && execFileSync(e2fsck, ['-fn', diskOf(model)], { encoding: 'latin1', stdio: 'pipe' });
      if (verdict !== undefined) expect(verdict).toMatch(/: \d+\/\d+ files/);
      const content = debugfs === undefined ? undefined : execFileSync(debugfs, ['-R', 'cat /d4/piece', diskOf(model)], { stdio: 'pipe' });
      if (content !== undefined) expect(sha256(content)).toBe(sha256(program.subarray(0, 400_000)));
    });

    it('reads a disc, as a file system and as a whole', { timeout: TIMEOUT }, () => {
      linux.shell(`mkdir -p /cd && mount -t iso9660 -o ro /dev/${cdrom} /cd`);
      const expected = sha256(Buffer.concat([Buffer.from(model), program]));
      expect(linux.shell('sha256sum < /cd/sub/program; umount /cd')).toBe(`${expected}  -\n`);
      expect(linux.shell(`dd if=/dev/${cdrom} bs=2048 2>/dev/null | sha256sum`)).toBe(`${sha256(readFileSync(discOf(model)))}  -\n`);
    });

    it('interrupts', () => {
      const line = linux.shell('cat /proc/interrupts').split('\n').find((text) => interrupt.test(text));
      expect(Number(/:\s*(\d+)/.exec(line ?? '')?.[1])).toBeGreaterThan(10);
    });
  });

  it('forgets what it is told to forget, and the host gets the space back', { timeout: TIMEOUT }, (context) => {
    const canDiscard = linux.shell('cat /sys/block/sda/queue/discard_max_bytes') !== '0\n';
    if (!canDiscard) context.skip('the host cannot punch holes into the file of the disk');
    linux.shell('dd if=/bin/busybox of=/dev/sda bs=64k seek=64 count=4 conv=fsync 2>/dev/null');
    expect(sha256(readFileSync(diskOf('ahci')).subarray(4 * MiB, 4 * MiB + 4096))).toBe(sha256(program.subarray(0, 4096)));
    linux.shell('blkdiscard -o 4194304 -l 1048576 /dev/sda');
    expect(readFileSync(diskOf('ahci')).subarray(4 * MiB, 5 * MiB).every((byte) => byte === 0)).toBe(true);
  });

  it('has nothing to complain about', () => {
    const messages = linux.shell('dmesg | grep -E "ata[0-9]|sd[ab]|sr[01]|EXT4"');
    expect(messages).not.toMatch(/exception|error|timeout|failed|lost interrupt|reset|SError/i);
    expect(linux.guest.log.filter((line) => /cannot|DMA/.test(line))).toEqual([]);
  });
});
