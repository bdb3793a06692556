/**
 * Runs v86 (the npm package) headless, its first serial port on standard output: `v86-guest.ts --memory MIB --kernel F --initrd F
 * --cmdline TEXT`, or `--multiboot F`. `--bios` and `--vga-bios` name Debian's SeaBIOS files.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { MiB } from '../src/base/index.ts';

const { values } = parseArgs({
  options: {
    memory: { type: 'string', default: '256' },
    kernel: { type: 'string' },
    initrd: { type: 'string' },
    cmdline: { type: 'string', default: '' },
    multiboot: { type: 'string' },
    bios: { type: 'string', default: '/usr/share/seabios/bios-256k.bin' },
    'vga-bios': { type: 'string', default: '/usr/share/seabios/vgabios-stdvga.bin' },
  },
});
const folder = dirname(createRequire(import.meta.url).resolve('v86/package.json'));
const { V86 } = (await import(join(folder, 'build/libv86.mjs'))) as { V86: new (options: object) => Emulator };

interface Emulator {
  add_listener(event: string, listener: (value: number) => void): void;
}

const file = (path: string): { readonly buffer: ArrayBufferLike } => {
  const data = readFileSync(path);
  return { buffer: data.buffer.slice(data.byteOffset, data.byteOffset + data.length) };
};

const emulator = new V86({
  wasm_path: join(folder, 'build/v86.wasm'),
  bios: file(values.bios),
  vga_bios: file(values['vga-bios']),
  memory_size: Number(values.memory) * MiB,
  vga_memory_size: 8 * MiB,
  autostart: true,
  acpi: false,
  disable_speaker: true,
  log_level: 0,
  ...(values.multiboot === undefined ? {} : { multiboot: file(values.multiboot) }),
  ...(values.kernel === undefined ? {} : { bzimage: file(values.kernel), cmdline: values.cmdline }),
  ...(values.initrd === undefined ? {} : { initrd: file(values.initrd) }),
});
let line = '';
emulator.add_listener('serial0-output-byte', (byte) => {
  line += String.fromCharCode(byte);
  if (byte !== 0x0a) return;
  process.stdout.write(line);
  line = '';
});
