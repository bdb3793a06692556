// Screen, keyboard and mouse with the drivers that Debian's kernel brings: bochs-drm and vesafb draw, i8042, atkbd and psmouse read.
import { describe, expect, it } from 'vitest';
import { MiB } from '../src/base/index.ts';
import type { DeviceSpec } from '../src/contracts/index.ts';
import { driverImages } from './support/driver-images.ts';
import { deviceOf, Guest } from './support/guest.ts';
import { ifAvailable } from './support/packages.ts';

const INSTRUCTIONS = 6e9;
const TIMEOUT = 600_000;
/** In the order in which they need each other. */
const MODULES = [
  'gpu/drm/drm',
  'gpu/drm/drm_kms_helper',
  'gpu/drm/ttm/ttm',
  'gpu/drm/drm_ttm_helper',
  'gpu/drm/drm_vram_helper',
  'gpu/drm/tiny/bochs',
  'input/evdev',
  'input/mouse/psmouse',
];
const insert = (...names: string[]): string => names.map((name) => `insmod /modules/${name}.ko`).join('; ');
const images = await ifAvailable("screen and input with Debian's drivers", () => driverImages('display', MODULES));

function linux(screen: DeviceSpec['options'], command: string): Guest {
  return new Guest(images!.kernel, {
    memory: 256 * MiB,
    initrd: images!.initrd,
    cmdline: `console=tty0 console=ttyS0 quiet bulkhead.exec="${command}"`,
    devices: [
      { ...deviceOf('stdvga', 'screen'), options: screen },
      { ...deviceOf('i8042', 'keyboard'), options: { mouse: true } },
    ],
  });
}

/** Pixels of a line as 0xRRGGBB. The cursor blinks in the first lines. */
function line(guest: Guest, y: number, count: number): number[] {
  const { width, pixels } = guest.picture('screen');
  return Array.from({ length: count }, (_, x) => {
    const at = (y * width + x) * 4;
    return (pixels[at]! << 16) | (pixels[at + 1]! << 8) | pixels[at + 2]!;
  });
}

/** Events of `struct input_event` (24 bytes on x86-64) as `type code value`, without the separators between packets. */
function events(hex: string): string[] {
  const bytes = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
  const found: string[] = [];
  for (let at = 0; at + 24 <= bytes.length; at += 24) {
    const [type, code, value] = [bytes.readUInt16LE(at + 16), bytes.readUInt16LE(at + 18), bytes.readInt32LE(at + 20)];
    if (type !== 0) found.push(`${type} ${code} ${value}`);
  }
  return found;
}

describe.skipIf(images === undefined)('Debian on the modelled screen', () => {
  it('reads the EDID with bochs-drm, sets the mode it prefers and draws to the pixel; keys and mouse arrive as events', {
    timeout: TIMEOUT,
  }, () => {
    const guest = linux(
      { prefer: '800x600' },
      [
        insert('drm', 'drm_kms_helper', 'ttm', 'drm_ttm_helper', 'drm_vram_helper', 'bochs', 'evdev', 'psmouse'),
        'head -1 /sys/class/drm/card0-Virtual-1/modes',
        'cat /proc/fb',
        'sleep 1',
        "printf '\\377\\0\\0\\0\\0\\377\\0\\0\\1\\2\\3\\0' | dd of=/dev/fb0 bs=3200 seek=300",
        'sleep 1',
        '(cat /dev/input/event0 > /tmp/keys) & (cat /dev/input/event1 > /tmp/mouse) & sleep 1',
        'echo READY',
        'sleep 2',
        'echo KEYS; od -An -v -tx1 /tmp/keys; echo MOUSE; od -An -v -tx1 /tmp/mouse; echo END',
      ].join('; '),
    );
    expect(guest.run({ instructions: INSTRUCTIONS, until: ({ console }) => console.includes('READY') })).toBe(true);
    expect(guest.console).toMatch(/^800x600$/m);
    expect(guest.console).toMatch(/^0 bochs-drmdrmfb$/m);
    expect(guest.picture('screen')).toMatchObject({ width: 800, height: 600 });
    expect(line(guest, 300, 3)).toEqual([0x0000ff, 0x00ff00, 0x030201]);

    guest.keys('keyboard', 'aB');
    guest.pointer('keyboard', [
      { dx: 7, dy: -2, wheel: 0, buttons: 0 },
      { dx: 0, dy: 0, wheel: 1, buttons: 1 },
      { dx: 0, dy: 0, wheel: 0, buttons: 0 },
    ]);
    guest.run({ instructions: INSTRUCTIONS, until: ({ console }) => console.includes('\nEND') });
    const [, keys = '', mouse = ''] = /KEYS\n([0-9a-f\s]*)MOUSE\n([0-9a-f\s]*)END/.exec(guest.console) ?? [];
    // EV_KEY (1): A is 30, left Shift 42, B 48; EV_MSC (4) has the scan codes.
    expect(events(keys).filter((event) => event.startsWith('1 '))).toEqual(['1 30 1', '1 30 0', '1 42 1', '1 48 1', '1 48 0', '1 42 0']);
    // EV_REL (2): 0 is X, 1 is Y downwards, 8 the wheel upwards; EV_KEY: 272 is the left button.
    expect(events(mouse)).toEqual(expect.arrayContaining(['2 0 7', '2 1 2', '2 8 -1', '1 272 1', '1 272 0']));
  });

  it('finds a framebuffer that is announced to it, and draws with vesafb', { timeout: TIMEOUT }, () => {
    const guest = linux({ mode: '640x480x16' }, "cat /proc/fb; printf '\\37\\0\\340\\7\\0\\370' | dd of=/dev/fb0 bs=1280 seek=300; echo DRAWN; sleep 9");
    expect(guest.run({ instructions: INSTRUCTIONS, until: ({ console }) => console.includes('DRAWN') })).toBe(true);
    expect(guest.console).toMatch(/^0 VESA VGA$/m);
    expect(guest.picture('screen')).toMatchObject({ width: 640, height: 480 });
    expect(line(guest, 300, 3)).toEqual([0x0000ff, 0x00ff00, 0xff0000]);
  });
});
