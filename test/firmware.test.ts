// SeaBIOS on the modelled board, and what PCs start from disks and CDs with it: unmodified, from Debian packages.
import { describe, expect, it } from 'vitest';
import { KiB, MiB } from '../src/base/index.ts';
import { MemoryDisk } from '../src/board/storage/memory-disk.ts';
import { type BlockBackend, type BootMedium, type DeviceFile, SECTOR_BYTES } from '../src/contracts/index.ts';
import { packageFile } from '../src/host/node/packages.ts';
import { efiDisk, grubDisk, isolinuxCd } from './support/boot-disk.ts';
import { deviceOf, Guest } from './support/guest.ts';
import { ifAvailable } from './support/packages.ts';

/** SeaBIOS needs six million instructions, GRUB some hundred million, OVMF one billion: whoever needs more has lost his way. */
const INSTRUCTIONS = 3e9;
const TIMEOUT = 300_000;
/** Every menu waits long enough to be answered. GRUB drives the serial port itself, which is much less work than a BIOS call for each letter. */
const GRUB_MENU = `
serial --unit=0
terminal_input serial
terminal_output serial
set timeout=60
menuentry "Say hello" { echo "Hello from the" disk; read }
menuentry "Start over" { reboot }
menuentry "Switch off" { halt }
`;
const ISOLINUX_MENU = 'PROMPT 1\nTIMEOUT 600\nSAY Hello from the CD\nDEFAULT none\nLABEL none\n  KERNEL none\n';

const seabios = await ifAvailable('SeaBIOS', () => packageFile('seabios', 'amd64', 'usr/share/seabios/bios-256k.bin'));
const disk = await ifAvailable('a disk with GRUB', () => grubDisk({ 'boot/grub/grub.cfg': GRUB_MENU }, 16 * MiB));
const ovmf = await ifAvailable('OVMF', () => packageFile('ovmf', 'amd64', 'usr/share/ovmf/OVMF.fd'));
const efi = await ifAvailable('a disk for UEFI', () => efiDisk({ 'boot/grub/grub.cfg': GRUB_MENU }, 48 * MiB));
const cd = await ifAvailable('a CD with ISOLINUX', () => isolinuxCd({ 'isolinux/isolinux.cfg': ISOLINUX_MENU }));

/** A drive whose medium is `bytes`, which stay as they are. */
function medium(bytes: Uint8Array): BlockBackend {
  const copy = bytes.slice();
  const at = (sector: number) => sector * SECTOR_BYTES;
  return {
    sectors: copy.length / SECTOR_BYTES,
    readOnly: false,
    read(sector, target) {
      target.set(copy.subarray(at(sector), at(sector) + target.length));
      return true;
    },
    write(sector, source) {
      copy.set(source, at(sector));
      return true;
    },
    flush: () => true,
  };
}

interface PcOptions {
  readonly media?: Readonly<Partial<Record<'disk' | 'cdrom', Uint8Array>>>;
  readonly controller?: 'ide' | 'ahci';
  readonly order?: readonly BootMedium[];
  readonly cpus?: number;
  readonly firmware?: string;
}

/** A PC with a serial console in place of keyboard and screen. */
function pc({ media = {}, controller = 'ide', order = ['disk', 'cdrom'], cpus = 1, firmware = seabios! }: PcOptions = {}): Guest {
  const files = Object.keys(media).map(
    (option): DeviceFile => ({ option, path: option, identity: option, access: option === 'disk' ? 'rw' : 'ro' }),
  );
  const drives = files.length === 0 ? [] : [{ ...deviceOf(controller, controller), files }];
  return new Guest(firmware, {
    order,
    cpus,
    // What the manifest's default is too: loops that wait for a timer end sooner than at a gigahertz.
    instructionsPerMicrosecond: 100,
    models: ['i8042', 'debug-console'],
    devices: drives,
    block: ({ path }) => medium(media[path as 'disk' | 'cdrom']!),
  });
}

/** The console up to where `text` shows on it, but for what moves the cursor. Throws when it never does. */
function until(guest: Guest, text: string): string {
  const plain = () => guest.console.replaceAll(/\x1b(\[[0-9;?]*[A-Za-z]|c)/g, '');
  if (!guest.run({ instructions: INSTRUCTIONS, until: () => plain().includes(text) })) throw new Error(`no "${text}" in:\n${plain()}`);
  return plain();
}

describe.skipIf(seabios === undefined)('SeaBIOS', () => {
  it(
    'starts, says so on the serial console and finds nothing to boot',
    () => {
      const console = until(pc(), 'No bootable device.');
      expect(console).toMatch(/^SeaBIOS \(version \S+\)$/m);
    },
    TIMEOUT,
  );

  it(
    'counts the processors',
    () => {
      const guest = pc({ cpus: 3 });
      until(guest, 'No bootable device.');
      // Each was started and sleeps now, in real mode or on its way to it.
      expect(guest.partition.registers().map(({ retired }) => retired > 0)).toEqual([true, true, true]);
    },
    TIMEOUT,
  );
});

describe.skipIf(seabios === undefined || disk === undefined)('GRUB on a disk', () => {
  it.each(['ide', 'ahci'] as const)(
    'shows its menu from a disk on %s, and runs an entry',
    (controller) => {
      const guest = pc({ media: { disk: disk! }, controller });
      const menu = until(guest, 'Switch off');
      expect(menu).toContain('Booting from Hard Disk...');
      expect(menu).toMatch(/GNU GRUB {2}version 2\.\d\d/);
      guest.type('\r');
      until(guest, 'Hello from the disk');
    },
    TIMEOUT,
  );

  it(
    'resets the machine, comes up again, and switches it off by the ACPI tables that firmware placed',
    () => {
      const guest = pc({ media: { disk: disk! } });
      until(guest, 'Switch off');
      guest.type('\x1b[B\r');
      const menus = () => guest.console.split('Switch off').length - 1;
      const before = menus();
      const hasMenuAgain = guest.run({ instructions: INSTRUCTIONS, until: () => guest.partition.resets === 1 && menus() > before });
      expect(hasMenuAgain).toBe(true);
      guest.type('\x1b[B\x1b[B\r');
      guest.run({ instructions: INSTRUCTIONS });
      expect(guest.partition.end).toEqual({ state: 'halted', reason: 'power-off' });
    },
    TIMEOUT,
  );
});

describe.skipIf(seabios === undefined || cd === undefined)('ISOLINUX on a CD', () => {
  it.each(['ide', 'ahci'] as const)(
    'asks for a system from a drive on %s',
    (controller) => {
      const console = until(pc({ media: { cdrom: cd! }, controller }), 'boot:');
      expect(console).toMatch(/ISOLINUX 6\.\d\d/);
      expect(console).toContain('Hello from the CD');
    },
    TIMEOUT,
  );

  it.skipIf(disk === undefined)(
    'comes before the disk, or after it, as the manifest says',
    () => {
      const media = { disk: disk!, cdrom: cd! };
      expect(until(pc({ media, order: ['cdrom', 'disk'] }), 'Hello from the CD')).not.toContain('GRUB');
      expect(until(pc({ media, order: ['disk', 'cdrom'] }), 'Switch off')).not.toContain('ISOLINUX');
    },
    TIMEOUT,
  );
});

describe.skipIf(ovmf === undefined)('OVMF and its flash memory', () => {
  it(
    'keep variables in a file that was all zeros, from one life of the partition to the next',
    () => {
      const file = new MemoryDisk((128 * KiB) / SECTOR_BYTES);
      const shell = (command: string): string => {
        const flash = { ...deviceOf('cfi-flash', 'flash'), files: [{ option: 'image', path: 'vars', identity: 'vars', access: 'rw' } as const] };
        // The serial port takes keys and lines from the shell; what draws on a screen would only cost time.
        const guest = new Guest(ovmf!, { order: ['disk'], instructionsPerMicrosecond: 100, devices: [flash], block: () => file });
        until(guest, 'any other key to continue');
        guest.type('\x1b');
        until(guest, 'Shell>');
        guest.type(`${command}\r`);
        guest.run({ instructions: INSTRUCTIONS, until: ({ console }) => console.split('Shell>').length > 2 });
        return guest.console.replaceAll(/\x1b(\[[0-9;?]*[A-Za-z]|c)/g, '');
      };
      // The names of the specification's own namespace are given; any other GUID is a namespace of ours.
      const variable = 'setvar Bulkhead -guid 0f2a1b7c-5d1e-4c58-9a55-6b6f3c9d2e10';
      shell(`${variable} -nv -bs =0x4c6f`);
      expect(Buffer.from(file.bytes).includes(Buffer.from('Bulkhead', 'utf16le'))).toBe(true);
      expect(shell(variable)).toMatch(/Bulkhead - 0002 Bytes\n6F 4C/);
    },
    TIMEOUT,
  );
});

describe.skipIf(ovmf === undefined || efi === undefined)('OVMF', () => {
  it(
    'starts the loader on an EFI system partition, which finds the ACPI tables',
    () => {
      const guest = pc({ firmware: ovmf!, media: { disk: efi! } });
      until(guest, 'Switch off');
      guest.type('\r');
      until(guest, 'Hello from the disk');
    },
    TIMEOUT,
  );
});
