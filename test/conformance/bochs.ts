/**
 * Runs a payload on Bochs, the stricter oracle for rings, segments and gates. Bochs starts no Multiboot image by itself, and no
 * BIOS is needed: a ROM of ours enters 32-bit protected mode as Multiboot §3.2 wants it and jumps to the payload, which Bochs
 * has put into RAM. It has no debug-exit port: the payload's last line says that it has ended.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BOCHS = 'bochs-bin';
const ROM_BYTES = 0x1_0000;
const ROM_BASE = 0xf_0000;
const RESET_VECTOR = 0xfff0;
const SECONDS = 30;
const POLL_MS = 100;

/** ELF32 (System V ABI chapter 4): entry, and the one loadable segment. */
interface Payload {
  readonly entry: number;
  readonly address: number;
  readonly bytes: Uint8Array;
}

export function bochsIsInstalled(): boolean {
  return spawnSync(BOCHS, ['--help'], { encoding: 'latin1' }).error === undefined;
}

/** What the payload prints; ends with `done` when it came so far. */
export async function runOnBochs(image: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bochs-'));
  try {
    const payload = readElf(readFileSync(image));
    const console = join(folder, 'com1.txt');
    writeFileSync(join(folder, 'boot.rom'), bootRom(payload.entry));
    writeFileSync(join(folder, 'payload.bin'), payload.bytes);
    writeFileSync(join(folder, 'start'), 'continue\n');
    writeFileSync(join(folder, 'bochsrc'), configuration(folder, console, payload.address));
    const child = spawn(BOCHS, ['-q', '-f', join(folder, 'bochsrc'), '-rc', join(folder, 'start')], { stdio: 'ignore' });
    const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
    const text = (): string => (existsSync(console) ? readFileSync(console, 'latin1').replaceAll('\r', '') : '');
    for (let waited = 0; waited < SECONDS * 1000 && !/^done$/m.test(text()) && child.exitCode === null; waited += POLL_MS) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    child.kill('SIGKILL');
    await ended;
    return text();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function configuration(folder: string, console: string, address: number): string {
  return [
    // A screen nobody looks at, which waits for no one.
    'display_library: rfb, options="timeout=0"',
    'megs: 64',
    `romimage: file=${join(folder, 'boot.rom')}, address=0xffff0000`,
    `optramimage1: file=${join(folder, 'payload.bin')}, address=0x${address.toString(16)}`,
    'cpu: model=corei7_icelake_u, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0',
    `com1: enabled=1, mode=file, dev=${console}`,
    `log: ${join(folder, 'log.txt')}`,
    'panic: action=report',
    'error: action=ignore',
    'info: action=ignore',
    'clock: sync=none',
    '',
  ].join('\n');
}

function readElf(file: Uint8Array): Payload {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const header = view.getUint32(28, true);
  const offset = view.getUint32(header + 4, true);
  return {
    entry: view.getUint32(24, true),
    address: view.getUint32(header + 12, true),
    bytes: file.subarray(offset, offset + view.getUint32(header + 16, true)),
  };
}

/** Real mode at F000:FFF0, then flat protected mode with EAX and EBX as Multiboot leaves them; a command line of one word. */
function bootRom(entry: number): Uint8Array {
  const rom = new Uint8Array(ROM_BYTES);
  const word32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
  const gdt = 0x100;
  const gdtRegister = 0x118;
  const information = 0x120;
  const commandLine = 0x160;
  const protectedMode = 0x20;
  rom.set([
    0xfa, // cli
    0x2e, 0x66, 0x0f, 0x01, 0x16, gdtRegister & 0xff, gdtRegister >> 8, // lgdt [cs:gdtRegister], 32 bits
    0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, // mov eax, cr0; or al, 1; mov cr0, eax
    0x66, 0xea, ...word32(ROM_BASE + protectedMode), 0x08, 0x00, // jmp 8:protectedMode
  ]);
  rom.set([
    0x66, 0xb8, 0x10, 0x00, // mov ax, 16
    0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0x8e, 0xe0, 0x8e, 0xe8, // to DS, ES, SS, FS, GS
    0xbb, ...word32(ROM_BASE + information), // mov ebx, information
    0xb8, ...word32(0x2bad_b002), // mov eax, the boot loader's magic
    0xb9, ...word32(entry), 0xff, 0xe1, // mov ecx, entry; jmp ecx
  ], protectedMode);
  rom.set([0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0, 0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0], gdt);
  rom.set([23, 0, ...word32(ROM_BASE + gdt)], gdtRegister);
  rom.set(word32(4), information); // flags: there is a command line, at +16
  rom.set(word32(ROM_BASE + commandLine), information + 16);
  rom.set([0x78], commandLine);
  rom.set([0xea, 0x00, 0x00, 0x00, 0xf0], RESET_VECTOR); // jmp F000:0
  return rom;
}
