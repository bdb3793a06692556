// Translated code does what the interpreter does: the same guest on both, side by side, compared after every slice and at the end.
import { describe, expect, it } from 'vitest';
import { MiB } from '../src/base/index.ts';
import { linuxCmdline } from '../src/boot/index.ts';
import { linuxImages } from '../src/host/node/initramfs.ts';
import { Lockstep } from './support/lockstep.ts';
import { ifAvailable } from './support/packages.ts';

const linux = await ifAvailable('Linux in lockstep', () => linuxImages('amd64'));

const payload = (name: string): string => `guests/payloads/images/${name}.elf`;

describe('with every block translated before it runs', { timeout: 300_000 }, () => {
  it.each(['alu', 'alu64', 'faults', 'gates', 'interrupts', 'modes', 'paging', 'protection', 'segments', 'selfmod', 'syscalls', 'tasks', 'v86'])(
    '%s leaves the same registers, RAM and console',
    (name) => {
      expect(new Lockstep(payload(name), 0).run(400_000)).toBeUndefined();
    },
  );

  it('four vCPUs that take turns leave the same, too', () => {
    expect(new Lockstep(payload('smp'), 0, { cpus: 4 }).run(400_000)).toBeUndefined();
  });
});

describe('with hot code translated', { timeout: 600_000 }, () => {
  it('a long loop', () => {
    expect(new Lockstep(payload('loop'), 1000).run(20_000_000)).toBeUndefined();
  });

  it.skipIf(linux === undefined)('the first 60 million instructions of Linux', () => {
    const { kernel, initrd } = linux!;
    expect(new Lockstep(kernel, 500, { initrd, memory: 256 * MiB, cmdline: linuxCmdline() }).run(60_000_000)).toBeUndefined();
  });
});
