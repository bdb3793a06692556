import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPty, type Pty } from './pty.ts';

const missing = ((): string | undefined => {
  try {
    const folder = mkdtempSync(join(tmpdir(), 'bulkhead-pty-'));
    openPty(join(folder, 'probe'), () => undefined)[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
})();
if (missing !== undefined) console.warn(`skipped: a console as a pseudo-terminal: ${missing}`);

describe.skipIf(missing !== undefined)('a console as a pseudo-terminal', () => {
  let folder: string;
  let link: string;
  let typed: string;
  let pty: Pty;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-pty-'));
    link = join(folder, 'hmi.pty');
    typed = '';
    pty = openPty(link, (bytes) => {
      typed += Buffer.from(bytes).toString('latin1');
    });
  });
  afterEach(() => {
    pty[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it('carries bytes both ways as they are, to programs that come and go', async () => {
    for (const round of ['one', 'two']) {
      const program = await open(link, 'r+');
      await program.write(`${round}\r\x03\x00\xff`, null, 'latin1');
      await expect.poll(() => typed).toContain(`${round}\r\x03\x00\xff`);
      pty.write(Buffer.from(`\n${round}\x04\r\n`));
      const { buffer, bytesRead } = await program.read(Buffer.alloc(64), 0, 64, null);
      expect(buffer.toString('latin1', 0, bytesRead)).toBe(`\n${round}\x04\r\n`);
      await program.close();
    }
  });

  it('never waits for a program that does not read', async () => {
    for (let i = 0; i < 200; i++) pty.write(Buffer.alloc(4096, 0x2e));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const program = await open(link, 'r+');
    const { bytesRead } = await program.read(Buffer.alloc(4096), 0, 4096, null);
    expect(bytesRead).toBeGreaterThan(0);
    await program.close();
  });

  it('is a terminal, and takes its link away with it', () => {
    expect(execFileSync('stat', ['-Lc', '%F', link], { encoding: 'utf8' }).trim()).toBe('character special file');
    pty[Symbol.dispose]();
    expect(existsSync(link)).toBe(false);
    pty = openPty(link, () => undefined);
  });

  it('leaves a file of the same name alone', () => {
    const file = join(folder, 'data');
    writeFileSync(file, 'mine');
    expect(() => openPty(file, () => undefined)).toThrow(expect.objectContaining({ code: 'BH660' }));
    expect(lstatSync(file).isFile()).toBe(true);
  });
});
