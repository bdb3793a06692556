// fio writes patterns to disks in every order and size, and verifies what it reads back: Debian's ahci and ata_piix on the modelled
// controllers. BULKHEAD_FIO_MIB makes it as long as you like: MiB written to each disk by each job, 2 where nothing is said.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MiB } from '../src/base/index.ts';
import { MemoryDisk } from '../src/board/storage/memory-disk.ts';
import { SECTOR_BYTES } from '../src/contracts/index.ts';
import { type BlockFile, openBlockFile } from '../src/host/node/block-file.ts';
import { FIO, fioDisc } from './support/fio.ts';
import { deviceOf } from './support/guest.ts';
import { Linux } from './support/linux.ts';
import { ifAvailable } from './support/packages.ts';
import { LOAD_DRIVERS, storageImages } from './support/storage.ts';

const MEBIBYTES = Number(process.env['BULKHEAD_FIO_MIB'] ?? 2);
const TIMEOUT = 300_000 + MEBIBYTES * 60_000;
/** Linux's names: AHCI's driver is loaded first. */
const DISKS = { ahci: 'sda', ide: 'sdb' } as const;
const DISK_SECTORS = (4 * Math.max(2, MEBIBYTES) * MiB) / SECTOR_BYTES;
const COMMON = `--thread --direct=1 --size=${MEBIBYTES}M --verify=crc32c --do_verify=1 --verify_fatal=1 --randseed=7 --output-format=terse`;
/** Sequential and random, from a sector to more than one transfer, one command at a time and 16. */
const JOBS = {
  'random writes of 512 bytes to 64 KiB, 16 at a time': '--rw=randwrite --bsrange=512-64k --ioengine=libaio --iodepth=16',
  'a sequence of 256 KiB, one at a time': '--rw=write --bs=256k --ioengine=psync',
} as const;

const images = await ifAvailable('fio, and Debian’s storage drivers', async () => ({ linux: await storageImages(), disc: await fioDisc() }));

describe.skipIf(images === undefined)('fio in a Debian guest', () => {
  let linux: Linux;
  let disc: BlockFile | undefined;
  const disks = { ahci: new MemoryDisk(DISK_SECTORS), ide: new MemoryDisk(DISK_SECTORS) };

  beforeAll(() => {
    disc = openBlockFile(images!.disc, { readOnly: true });
    const file = (option: string, path: string, access: 'rw' | 'ro') => ({ option, path, identity: path, access });
    linux = new Linux(images!.linux, 1, {
      devices: [
        { ...deviceOf('ahci', 'ahci'), files: [file('disk', 'ahci', 'rw'), file('cdrom', 'disc', 'ro')] },
        { ...deviceOf('ide', 'ide'), files: [file('disk', 'ide', 'rw')] },
      ],
      block: ({ path }) => (path === 'disc' ? disc! : disks[path as keyof typeof disks]),
    });
    linux.shell(`${LOAD_DRIVERS} && until [ -b /dev/sr0 ] && [ -b /dev/sdb ]; do sleep 0.2; done`);
    linux.shell('mkdir -p /cd /tmp && mount -t iso9660 -o ro /dev/sr0 /cd');
  }, TIMEOUT);
  afterAll(() => disc?.[Symbol.dispose]());

  describe.each(Object.entries(DISKS))('on %s', (controller, disk) => {
    it.each(Object.entries(JOBS))('verifies %s', { timeout: TIMEOUT }, (_, job) => {
      const before = disks[controller as keyof typeof disks].bytes.slice();
      const line = linux.shell(`cd /tmp && ${FIO} --name=job --filename=/dev/${disk} ${COMMON} ${job} 2>&1 | tail -1`);
      // Terse format 3 (fio(1)): version; fio; name; group; error; KiB read …, 46th field: KiB written
      const fields = line.trim().split(';');
      expect(fields.slice(0, 5).filter((_field, index) => index !== 1), line).toEqual(['3', 'job', '0', '0']);
      expect(Number(fields[5])).toBe(MEBIBYTES * 1024);
      expect(Number(fields[46])).toBe(MEBIBYTES * 1024);
      expect(disks[controller as keyof typeof disks].bytes).not.toEqual(before);
    });
  });

  it('leaves the kernel with nothing to complain about', () => {
    expect(linux.shell('dmesg | grep -E "ata[0-9]|sd[ab]|sr0"')).not.toMatch(/exception|error|timeout|failed|lost interrupt|reset|SError/i);
  });

  it('notices when a disk does not keep what was written', { timeout: TIMEOUT }, () => {
    const verify = `${FIO} --name=job --filename=/dev/sda ${COMMON.replace('--do_verify=1', '--verify_only')} ${JOBS['a sequence of 256 KiB, one at a time']}`;
    linux.shell(`cd /tmp && ${verify} > /dev/null`);
    disks.ahci.bytes[MiB + 100] = (disks.ahci.bytes[MiB + 100] as number) ^ 1;
    expect(linux.shell(`cd /tmp && { ${verify} 2>&1 || true; }`)).toMatch(/verify: bad (?:header|magic|checksum)|crc32c: verify failed/);
  });
});
