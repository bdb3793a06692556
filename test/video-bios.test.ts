// The video BIOS that Debian ships for the standard VGA (SeaVGABIOS) sets modes and draws, as a boot sector asks it to.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Picture, screenText } from '../src/board/index.ts';
import { type BlockBackend, SECTOR_BYTES } from '../src/contracts/index.ts';
import { packageFile } from '../src/host/node/packages.ts';
import { deviceOf, Guest } from './support/guest.ts';
import { ifAvailable } from './support/packages.ts';

const INSTRUCTIONS = 300e6;
const TIMEOUT = 120_000;
const SECTORS = 2048;

const images = await ifAvailable('SeaBIOS and its video BIOS', async () => ({
  bios: await packageFile('seabios', 'amd64', 'usr/share/seabios/bios-256k.bin'),
  video: await packageFile('seabios', 'amd64', 'usr/share/seabios/vgabios-stdvga.bin'),
}));

const word = (value: number): number[] => [value & 0xff, value >> 8];

/** INT 10h with AX, BX, CX, DX. */
function video(ax: number, bx = 0, cx = 0, dx = 0): number[] {
  return [0xb8, ...word(ax), 0xbb, ...word(bx), 0xb9, ...word(cx), 0xba, ...word(dx), 0xcd, 0x10];
}

/** INT 16h, AH 0: waits for a key. */
const WAIT_FOR_KEY = [0xb4, 0x00, 0xcd, 0x16];

/** A disk whose boot sector does these things and halts with interrupts off: the guest's end. */
function bootDisk(code: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(SECTORS * SECTOR_BYTES);
  expect(code.length).toBeLessThan(508);
  bytes.set([...code, 0xfa, 0xf4]); // cli, hlt
  bytes.set([0x55, 0xaa], SECTOR_BYTES - 2);
  return bytes;
}

function disk(bytes: Uint8Array): BlockBackend {
  return {
    sectors: bytes.length / SECTOR_BYTES,
    readOnly: true,
    read(sector, target) {
      target.set(bytes.subarray(sector * SECTOR_BYTES, sector * SECTOR_BYTES + target.length));
      return true;
    },
    write: () => false,
    flush: () => true,
  };
}

function boot(code: readonly number[]): Guest {
  const bytes = bootDisk(code);
  return new Guest(images!.bios, {
    order: ['disk'],
    instructionsPerMicrosecond: 100,
    devices: [
      deviceOf('stdvga', 'screen'),
      deviceOf('i8042', 'keyboard'),
      { ...deviceOf('ide', 'ide'), files: [{ option: 'disk', path: 'disk', access: 'rw', identity: 'disk' }] },
    ],
    roms: { screen: new Uint8Array(readFileSync(images!.video)) },
    block: () => disk(bytes),
  });
}

const [X, Y] = [123, 45];

/** Every pixel that is not black: `123,45: ff5555`. */
function lit({ width, pixels }: Picture): string[] {
  const found: string[] = [];
  for (let at = 0; at < pixels.length; at += 4) {
    const value = (pixels[at]! << 16) | (pixels[at + 1]! << 8) | pixels[at + 2]!;
    if (value !== 0) found.push(`${(at / 4) % width},${Math.floor(at / 4 / width)}: ${value.toString(16)}`);
  }
  return found;
}

/** Modes of a VGA: number, size, the colour that is asked for and what it looks like. */
const MODES = [
  [0x04, 320, 200, 2, 0xff55ff],
  [0x06, 640, 200, 1, 0xffffff],
  [0x0d, 320, 200, 12, 0xff5555],
  [0x0e, 640, 200, 10, 0x55ff55],
  [0x10, 640, 350, 14, 0xffff55],
  [0x11, 640, 480, 15, 0xffffff],
  [0x12, 640, 480, 9, 0x5555ff],
  [0x13, 320, 200, 12, 0xff5555],
  [0x6a, 800, 600, 4, 0xaa0000],
] as const;
/** VBE modes, with a linear framebuffer. */
const VBE_MODES = [
  [0x101, 640, 480],
  [0x115, 800, 600],
  [0x117, 1024, 768],
  [0x192, 1920, 1080],
] as const;
const LINEAR = 0x4000;

describe.skipIf(images === undefined)('the video BIOS', () => {
  it('writes text; sets every mode in turn, at a key press each, and puts a pixel where it was asked to', { timeout: TIMEOUT }, () => {
    const guest = boot([
      ...[...'Hello'].flatMap((c) => video(0x0e00 | c.charCodeAt(0), 7)),
      ...WAIT_FOR_KEY,
      ...MODES.flatMap(([mode, , , colour]) => [...video(mode), ...video(0x0c00 | colour, 0, X, Y), ...WAIT_FOR_KEY]),
    ]);
    const text = (): string => screenText(guest.partition.displays['screen']!)?.join('\n') ?? '';
    expect(guest.run({ instructions: INSTRUCTIONS, until: () => text().includes('Hello') })).toBe(true);
    expect(text()).toMatch(/SeaBIOS[\s\S]*Booting from Hard Disk[\s\S]*Hello/);
    for (const [mode, width, height, , rgb] of MODES) {
      guest.keys('keyboard', '<enter>');
      const expected = [`${X},${Y}: ${rgb.toString(16)}`];
      const is = (): { mode: number; width: number; height: number; lit: string[] } => {
        const picture = guest.picture('screen');
        return {
          mode,
          width: picture.width,
          height: picture.height,
          lit: picture.width === width && picture.height === height ? lit(picture).slice(0, 5) : [],
        };
      };
      guest.run({ instructions: 20e6, until: () => is().lit.join() === expected.join() });
      expect(is()).toEqual({ mode, width, height, lit: expected });
    }
    guest.keys('keyboard', '<enter>');
    guest.run({ instructions: INSTRUCTIONS });
    expect(guest.partition.end).toEqual({ state: 'halted', reason: 'interrupts-off' });
  });

  it('sets VBE modes with a linear framebuffer, up to 1920×1080', { timeout: TIMEOUT }, () => {
    const guest = boot(VBE_MODES.flatMap(([mode]) => [...video(0x4f02, LINEAR | mode), ...WAIT_FOR_KEY]));
    for (const [mode, width, height] of VBE_MODES) {
      const is = () => {
        const picture = guest.picture('screen');
        return { mode, width: picture.width, height: picture.height };
      };
      guest.run({ instructions: INSTRUCTIONS, until: () => is().width === width && is().height === height });
      expect(is()).toEqual({ mode, width, height });
      guest.keys('keyboard', '<space>');
    }
  });
});
