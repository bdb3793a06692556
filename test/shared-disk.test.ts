// Debian's own virtio_blk in two partitions that share a disk: one over PCI, one over memory-mapped registers, each with its window of one
// overlay. What they write is where it belongs and nowhere else, and the host finds it in order. A second disk, which both may only read,
// has fio on it. BULKHEAD_FIO_MIB makes that as long as you like: MiB written by each job.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MiB } from '../src/base/index.ts';
import { linuxCmdline } from '../src/boot/index.ts';
import { hostImageFiles } from '../src/host/node/image-file.ts';
import { packageFile } from '../src/host/node/packages.ts';
import { openDisk } from '../src/shared/index.ts';
import { FIO, fioDisc } from './support/fio.ts';
import { LiveMachine, machineOf } from './support/live-machine.ts';
import { ifAvailable } from './support/packages.ts';
import { qemuImg, runTool } from './support/qemu-img.ts';
import { LOAD_DISK_DRIVERS, sharedDiskImages } from './support/shared-disk.ts';

const TIMEOUT = 600_000;
const WINDOW = 16 * MiB;
const FIO_MIB = Number(process.env['BULKHEAD_FIO_MIB'] ?? 1);
const PARTITIONS = [
  { name: 'left', transport: 'pci', offset: 0, interrupt: /PCI-MSI.*virtio0-req\.0/ },
  { name: 'right', transport: 'mmio', offset: WINDOW, interrupt: /23-fasteoi\s+virtio0/ },
] as const;

const images = await ifAvailable("Debian's virtio drivers", async () => ({
  linux: await sharedDiskImages(),
  fio: await fioDisc(),
  busybox: await packageFile('busybox-static', 'amd64', '{bin,usr/bin}/busybox'),
}));
const judge = await qemuImg();
const e2fsck = toolAt('e2fsck');
const mke2fs = toolAt('mke2fs');

function toolAt(name: string): string | undefined {
  const path = [`/usr/sbin/${name}`, `/sbin/${name}`].find((candidate) => existsSync(candidate));
  if (path === undefined) console.warn(`skipped: what needs ${name}: there is no such tool here`);
  return path;
}

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

describe.skipIf(images === undefined)('two Debian guests on one disk', () => {
  let folder: string;
  let live: LiveMachine;
  const base = (): string => join(folder, 'base.raw');
  const overlay = (): string => join(folder, 'over.qcow2');
  const program = images === undefined ? Buffer.alloc(0) : readFileSync(images.busybox);

  /** What the overlay holds now, as a host program sees it. */
  const window = (offset: number): Uint8Array => {
    using disk = openDisk(hostImageFiles(), { image: base(), overlay: overlay() }, 'ro');
    const bytes = new Uint8Array(WINDOW);
    expect(disk.read(offset, bytes)).toBe(true);
    return bytes;
  };

  const shell = async (name: string, command: string): Promise<string> => {
    const from = live.console(name).length;
    const reply = (): RegExpExecArray | null => /\x02([\s\S]*)\x03(\d+)\x04/.exec(live.console(name).slice(from));
    live.type(name, `printf '\\2'; ${command}; printf '\\3%d\\4' $?\r`);
    await live.until(command, () => reply() !== null, TIMEOUT / 2);
    const [, output, status] = reply() ?? [];
    expect(status, `${command}: ${output}`).toBe('0');
    return output as string;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-shared-disk-'));
    writeFileSync(base(), '');
    truncateSync(base(), 2 * WINDOW);
    if (mke2fs !== undefined) {
      // Made by the host, each in the place of a window, because it has random numbers for their identity at once.
      for (const { offset } of PARTITIONS) execFileSync(mke2fs, ['-q', '-F', '-t', 'ext4', '-E', `offset=${offset}`, base(), `${WINDOW / 1024}k`], { stdio: 'pipe' });
    }
    const { kernel, initrd } = images!.linux;
    const partition = ({ name, transport }: (typeof PARTITIONS)[number], core: number): string =>
      `  ${name}: { role: gpos, cores: [${core}], memory: 192MiB, speed: 1000MIPS, boot: { kernel: ${kernel}, initrd: ${initrd}, cmdline: "${linuxCmdline()}" }, console: com1, devices: { com1: { model: uart16550 }, vda: { shared: disk0, transport: ${transport} }, vdb: { shared: tools, transport: ${transport} } } }`;
    const grants = PARTITIONS.map(({ name, offset }) => `${name}: { window: { offset: ${offset}, size: 16MiB } }`);
    live = new LiveMachine(
      machineOf(`version: 1
machine: shared-disk
board: { cores: 2, memory: 1GiB }
shared:
  disk0: { kind: disk, image: ${base()}, overlay: ${overlay()}, grants: { ${grants.join(', ')} } }
  tools: { kind: disk, image: ${images!.fio}, grants: { left: { access: ro }, right: { access: ro } } }
partitions:
${PARTITIONS.map(partition).join('\n')}
`),
      'host',
    );
    live.running.startAll();
    for (const { name } of PARTITIONS) {
      await live.until(`${name} has a shell`, () => live.console(name).includes('/root # '), TIMEOUT / 2);
      await shell(name, `${LOAD_DISK_DRIVERS} && until [ -b /dev/vda ]; do sleep 0.1; done`);
    }
  }, TIMEOUT);
  afterAll(async () => {
    await live?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }, TIMEOUT);

  describe.each(PARTITIONS)('$name, over $transport', ({ name, offset, interrupt }) => {
    it('finds its window as a disk, with a write cache, discard, and the name of what is shared', { timeout: TIMEOUT }, async () => {
      const facts = await shell(name, 'cd /sys/block/vda && cat size queue/write_cache serial && [ $(cat queue/discard_max_bytes) -gt 0 ] && cat /proc/interrupts; cd');
      expect(facts).toMatch(new RegExp(`^${WINDOW / 512}\nwrite back\ndisk0`));
      expect(facts).toMatch(interrupt);
    });

    it.skipIf(mke2fs === undefined)('bears an ext4 file system with a journal', { timeout: TIMEOUT }, async () => {
      await shell(name, 'mkdir -p /mnt && mount -t ext4 -o discard /dev/vda /mnt && for i in 1 2 3 4; do mkdir /mnt/d$i && head -c $((i * 100000)) /bin/busybox > /mnt/d$i/piece; done');
      await shell(name, 'sync; rm -r /mnt/d3; umount /mnt');
      expect(await shell(name, 'dmesg | grep -c "EXT4-fs error\\|I/O error" || true')).toBe('0\n');
    });

    it('keeps what is written, to the byte, and reads it back', { timeout: TIMEOUT }, async () => {
      await shell(name, 'dd if=/bin/busybox of=/dev/vda bs=4k seek=3500 count=64 conv=fsync 2>/dev/null && echo 3 > /proc/sys/vm/drop_caches');
      const expected = sha256(program.subarray(0, 64 * 4096));
      expect(await shell(name, 'dd if=/dev/vda bs=4k skip=3500 count=64 2>/dev/null | sha256sum')).toBe(`${expected}  -\n`);
      expect(sha256(window(offset).subarray(3500 * 4096, 3564 * 4096))).toBe(expected);
    });
  });

  it('verifies what fio writes, in both partitions at the same time, from a disk that both read', { timeout: TIMEOUT + FIO_MIB * 120_000 }, async () => {
    const job = `--name=job --filename=/dev/vda --offset=2M --thread --direct=1 --size=${FIO_MIB}M --verify=crc32c --do_verify=1 --verify_fatal=1 --randseed=7 --output-format=terse --rw=randwrite --bsrange=512-64k --ioengine=libaio --iodepth=16`;
    const lines = await Promise.all(
      PARTITIONS.map(({ name }) => shell(name, `mkdir -p /cd && mount -t iso9660 -o ro /dev/vdb /cd && cd /tmp && ${FIO} ${job} 2>&1 | tail -1; cd`)),
    );
    for (const line of lines) {
      // Terse format 3 (fio(1)): version; fio; name; group; error
      const fields = line.trim().split(';');
      expect(fields.slice(0, 5).filter((_field, index) => index !== 1), line).toEqual(['3', 'job', '0', '0']);
      expect(Number(fields[46])).toBe(FIO_MIB * 1024);
    }
    for (const { name } of PARTITIONS) expect(await shell(name, 'cat /sys/block/vdb/ro')).toBe('1\n');
  });

  it('serves the next life of a partition that was restarted in the middle of writing, and the neighbour all the while', { timeout: TIMEOUT }, async () => {
    const written = live.running.ports().find(({ partition, device }) => partition === 'left' && device === 'vda')!.counters['bytesIn']!;
    live.type('left', 'while :; do dd if=/bin/busybox of=/dev/vda bs=256k seek=12 oflag=direct 2>/dev/null; done\r');
    await live.until('left writes', () => live.running.ports().some(({ partition, device, counters }) => partition === 'left' && device === 'vda' && counters['bytesIn']! > written), TIMEOUT / 2);
    const lives = live.console('left').split('/root # ').length;
    await Promise.all([live.running.restart('left'), shell('right', 'dd if=/dev/vda of=/dev/null bs=64k count=32 iflag=direct 2>/dev/null')]);
    await live.until('left has a shell again', () => live.console('left').split('/root # ').length > lives, TIMEOUT / 2);
    await shell('left', `${LOAD_DISK_DRIVERS} && until [ -b /dev/vda ]; do sleep 0.1; done`);
    await shell('left', 'dd if=/bin/busybox of=/dev/vda bs=4k seek=3072 count=64 conv=fsync 2>/dev/null');
    const readBack = await shell('left', 'dd if=/dev/vda bs=4k skip=3072 count=64 iflag=direct 2>/dev/null | sha256sum');
    expect(readBack).toBe(`${sha256(program.subarray(0, 64 * 4096))}  -\n`);
  });

  it('leaves an image that QEMU finds in order, and file systems that e2fsck finds in order', { timeout: TIMEOUT }, async () => {
    await live.running.stopAll();
    if (judge !== undefined) expect(runTool(judge, ['check', overlay()]).output).toMatch(/No errors were found/);
    expect(readFileSync(base()).length).toBe(2 * WINDOW);
    for (const { name, offset } of PARTITIONS) {
      if (e2fsck === undefined || mke2fs === undefined) continue;
      const copy = join(folder, `${name}.raw`);
      writeFileSync(copy, window(offset));
      expect(runTool(e2fsck, ['-fn', copy])).toMatchObject({ status: 0 });
    }
    expect(live.running.ports().every(({ counters }) => counters['failed'] === 0)).toBe(true);
  });
});
