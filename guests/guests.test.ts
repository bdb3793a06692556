/**
 * The committed guest images: built from the sources beside them, and doing on QEMU what their expected output says.
 * `UPDATE_EXPECTED=1` writes that output anew from what QEMU prints.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { PAYLOAD_OK, PAYLOAD_RUNS, RTOS_PANIC } from './payloads/runs.ts';

const here = import.meta.dirname;
const QEMU = 'qemu-system-x86_64';
/** A limit for a busy host, not an expectation: each run takes a second or two. */
const QEMU_SECONDS = 60;
const LIMIT = { timeout: (QEMU_SECONDS + 5) * 1000 };

/** What a program prints; undefined where it is not installed or fails. */
function output(program: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

/** As the Makefiles write it into BUILT-WITH. */
function version(tool: string): string {
  const line = output(tool, '--version')?.split('\n')[0] ?? `no ${tool}`;
  return tool === 'nasm' ? line.split(' ').slice(0, 3).join(' ') : line;
}

/** Skips with the reason on the terminal: a check that silently does not run is none. */
function skip(context: TestContext, reason: string): void {
  console.warn(`skipped: ${context.task.name}: ${reason}`);
  context.skip(reason);
}

const withoutQemu = version(QEMU).startsWith('no ') ? `${QEMU} is not installed` : undefined;

interface QemuRun {
  readonly text: string;
  /** QEMU's exit status; null when it had to be killed. */
  readonly status: number | null;
}

/** Runs QEMU to its end. `dialogue`: each text is typed once its pattern has been seen after the one before. */
function qemu(args: readonly string[], dialogue: readonly (readonly [RegExp, string])[] = []): Promise<QemuRun> {
  const child = spawn(QEMU, [
    // One host thread for all cores: two that spin against each other on a busy host take minutes.
    '-accel', 'tcg,thread=single', '-m', '64', '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot',
    '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', ...args,
  ]);
  let text = '';
  let seen = 0;
  let next = 0;
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    const step = dialogue[next];
    const found = step?.[0].exec(text.slice(seen));
    if (step === undefined || !found) return;
    seen += found.index + found[0].length;
    next++;
    child.stdin.write(step[1]);
  });
  // A guest that floods QEMU with timers keeps it from minding SIGTERM.
  const timer = setTimeout(() => child.kill('SIGKILL'), QEMU_SECONDS * 1000);
  return new Promise((resolve) => {
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ text: text.replaceAll('\r', ''), status });
    });
  });
}

/** Virtual time by instruction count, 1000 instructions per microsecond as on Bulkhead, idle time skipped. */
const COUNTED_TIME = ['-icount', 'shift=0,sleep=off'];

function field(line: string, name: string): number {
  const match = new RegExp(`${name}=(\\d+)`).exec(line);
  if (match?.[1] === undefined) throw new Error(`no ${name} in: ${line}`);
  return Number(match[1]);
}

describe.each(['rtos', 'payloads', 'bios'])('the images of guests/%s', (room) => {
  const images = join(here, room, 'images');
  const sums = readFileSync(join(images, 'SHA256SUMS'), 'latin1').trim().split('\n').map((line) => line.split(/\s+/));

  it('are the ones listed with their checksums', () => {
    expect(sums.length).toBeGreaterThan(0);
    for (const [sum = '', name = ''] of sums) {
      expect(createHash('sha256').update(readFileSync(join(images, name))).digest('hex'), name).toBe(sum);
    }
  });

  it('come out of their sources byte for byte', { timeout: 60_000 }, (context) => {
    const builtWith = readFileSync(join(images, 'BUILT-WITH'), 'latin1').trim();
    const tools = [version(room === 'rtos' ? 'gcc' : 'nasm'), version('ld')].join('\n');
    if (tools !== builtWith) return skip(context, `the images were built with\n${builtWith}\nand here is\n${tools}`);

    const temporary = mkdtempSync(join(tmpdir(), 'bulkhead-guests-'));
    try {
      const make = spawnSync('make', ['-s', '-C', join(here, room), `OUT=${temporary}`, `BUILD=${temporary}/build`], { encoding: 'utf8' });
      expect(make.status, make.stderr).toBe(0);
      for (const [, name = ''] of sums) {
        expect(readFileSync(join(temporary, name)).equals(readFileSync(join(images, name))), name).toBe(true);
      }
    } finally {
      rmSync(temporary, { recursive: true });
    }
  });
});

describe('the payloads on QEMU', () => {
  for (const run of PAYLOAD_RUNS) {
    it(`${run.name} prints what is expected and ends as it should`, LIMIT, async (context) => {
      if (withoutQemu) return skip(context, withoutQemu);
      const append = run.commandLine === '' ? [] : ['-append', run.commandLine];
      // In counted time: by the host's clock, a timer that is due again at once has kept QEMU 7.2 from its guest for ever on a slow host.
      const image = join(here, 'payloads/images', run.image);
      const result = await qemu(['-kernel', image, '-cpu', 'qemu64,+monitor', '-smp', String(run.cpus), ...COUNTED_TIME, ...append]);
      const lines = result.text.split('\n').filter((line) => !line.startsWith('note '));
      const file = join(here, 'payloads/expected', `${run.name}.txt`);
      if (process.env['UPDATE_EXPECTED']) writeFileSync(file, lines.join('\n'));
      expect(lines).toEqual(readFileSync(file, 'latin1').split('\n'));
      expect(lines.filter((line) => line.startsWith('fail'))).toEqual([]);
      // With -no-reboot a triple fault ends QEMU with status 0.
      expect(result.status).toBe(run.end === 'triple-fault' ? 0 : run.end);
    });
  }
});

describe('the disk that tests firmware, on QEMU', () => {
  it('gets from SeaBIOS what it expects', LIMIT, async (context) => {
    if (withoutQemu) return skip(context, withoutQemu);
    const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bios-'));
    try {
      const disk = join(folder, 'disk.img');
      copyFileSync(join(here, 'bios/images/services.img'), disk);
      truncateSync(disk, 16 << 20);
      const { text } = await qemu(['-nodefaults', '-vga', 'std', '-drive', `file=${disk},format=raw`]);
      expect(text).toMatch(/^done$/m);
      // How long something takes is up to the host here.
      const isOfTime = /clock|ticks|follows-the-8254/;
      const others = (text.match(/^(?:ok|fail|absent) .*$/gm) ?? []).filter((line) => !isOfTime.test(line));
      expect(others.filter((line) => !line.startsWith('ok'))).toEqual(['absent typed-key']);
      expect(others.length).toBeGreaterThan(90);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the RTOS on QEMU', () => {
  const control = join(here, 'rtos/images/control.elf');
  const vision = join(here, 'rtos/images/vision.elf');

  it('control.elf holds the speed at 1 kHz without missing a deadline, and its shell answers', LIMIT, async (context) => {
    if (withoutQemu) return skip(context, withoutQemu);
    const { text, status } = await qemu(['-kernel', control, '-append', 'setpoint=1200', ...COUNTED_TIME], [
      [/t=3s.*\r\n/, 'nonsense\r'],
      [/no such command/, 'tasks\r'],
      [/telemetry|idle .*\d\r\n/, 'encoder\r'],
      [/counts a turn\r\n/, 'crash ud2\r'],
    ]);
    expect(text).toContain('control: Bulkhead RTOS, 32-bit, started through multiboot');
    expect(text).toContain('no card at port 0x300');
    const third = /^.*t=3s.*$/m.exec(text)?.[0] ?? '';
    expect(field(third, 'misses')).toBe(0);
    expect(field(third, 'jobs')).toBeGreaterThan(2900);
    expect(field(third, 'worst')).toBeLessThan(10_000);
    expect(Math.abs(field(third, 'speed') - 1200)).toBeLessThanOrEqual(2);
    expect(text).toMatch(/^control +15 +waiting/m);
    expect(text).toMatch(/source motor model, .* 2000 counts a turn/);
    expect(text).toMatch(/PANIC in shell at \d+ us: #UD invalid opcode/);
    expect(text).toMatch(/^eip 0010[0-9a-f]{4} /m);
    expect(status).toBe(RTOS_PANIC);
  });

  it('vision.elf computes the same pictures as ever, within its period, with its FPU state kept apart', LIMIT, async (context) => {
    if (withoutQemu) return skip(context, withoutQemu);
    const { text, status } = await qemu(['-kernel', vision, ...COUNTED_TIME], [[/frame=100 .*\r\n/, 'crash null\r']]);
    expect(text).toContain('vision: Bulkhead RTOS, 64-bit, started through PVH');
    const frames = [...text.matchAll(/frame=\d+ .*$/gm)].map(([line]) => line).slice(0, 2);
    const pictures = frames.map((line) => line.replace(/ precision=.*/, '')).join('\n');
    const file = join(here, 'rtos/expected/vision.txt');
    if (process.env['UPDATE_EXPECTED']) writeFileSync(file, `${pictures}\n`);
    expect(`${pictures}\n`).toBe(readFileSync(file, 'latin1'));
    for (const line of frames) {
      expect(field(line, 'misses')).toBe(0);
      const [errors, runs, interrupted] = /precision=(\d+)\/(\d+)\/(\d+)/.exec(line)?.slice(1).map(Number) ?? [];
      expect(errors).toBe(0);
      expect(runs).toBeGreaterThan(0);
      expect(interrupted).toBeGreaterThan(0);
    }
    expect(text).toMatch(/PANIC in shell at \d+ us: #PF page fault \(vector 14, error code 0\)\nread at 00000000, page not present/);
    expect(status).toBe(RTOS_PANIC);
  });

  it.for(['selftest32.elf', 'selftest64.elf'])('%s: task order, time-outs, priority inheritance, queues', LIMIT, async (image, context) => {
    if (withoutQemu) return skip(context, withoutQemu);
    const { text, status } = await qemu(['-kernel', join(here, 'rtos/images', image), ...COUNTED_TIME]);
    const results = text.match(/\b(ok|fail) .*$/gm) ?? [];
    const file = join(here, 'rtos/expected/selftest.txt');
    if (process.env['UPDATE_EXPECTED']) writeFileSync(file, `${results.join('\n')}\n`);
    expect(`${results.join('\n')}\n`).toBe(readFileSync(file, 'latin1'));
    expect(results.filter((line) => line.startsWith('fail'))).toEqual([]);
    expect(status).toBe(PAYLOAD_OK);
  });

  it('drives the devices that QEMU has too: HPET, AHCI, display, keyboard, e1000, watchdog', LIMIT, async (context) => {
    if (withoutQemu) return skip(context, withoutQemu);
    const folder = mkdtempSync(join(tmpdir(), 'bulkhead-devices-'));
    try {
      const disk = join(folder, 'disk.img');
      writeFileSync(disk, '');
      truncateSync(disk, 4 << 20);
      const { text } = await qemu([
        '-kernel', join(here, 'rtos/images/devices.elf'), '-append', 'address=10.0.2.15 ping=10.0.2.2', ...COUNTED_TIME, '-vga', 'std',
        '-device', 'i6300esb', '-netdev', 'user,id=net,restrict=on', '-device', 'e1000,netdev=net',
        '-device', 'ich9-ahci,id=ahci', '-drive', `file=${disk},format=raw,if=none,id=disk`, '-device', 'ide-hd,drive=disk,bus=ahci.0',
      ]);
      expect(text).toMatch(/^done$/m);
      // Neither of the two cards is there, and QEMU's watchdog does not interrupt when its first stage is over.
      const exceptions = ['absent card', 'absent encoder', 'fail watchdog-warns-when-it-is-not'];
      expect((text.match(/\b(?:ok|fail|absent) [a-z].*$/gm) ?? []).filter((line) => !line.startsWith('ok'))).toEqual(exceptions);
      expect(text.match(/\bok [a-z].*$/gm)?.length).toBeGreaterThan(15);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('counts a release that finds its job unfinished as a missed deadline', LIMIT, async (context) => {
    if (withoutQemu) return skip(context, withoutQemu);
    // A frame takes 2.7 ms. At 500 frames a second each overruns one release, which is forfeited: every job misses one deadline.
    const { text, status } = await qemu(
      ['-kernel', vision, '-append', 'fps=500', ...COUNTED_TIME],
      [[/frame=50 .*\r\n/, 'crash triple\r']],
    );
    const line = /frame=50 .*/.exec(text)?.[0] ?? '';
    expect(field(line, 'jobs')).toBe(50);
    expect(Math.abs(field(line, 'misses') - 50)).toBeLessThanOrEqual(1);
    expect(line).toContain(readFileSync(join(here, 'rtos/expected/vision.txt'), 'latin1').split('\n')[0]);
    // A triple fault ends QEMU with status 0 here; nothing was written to the debug-exit port.
    expect(status).toBe(0);
  });
});
