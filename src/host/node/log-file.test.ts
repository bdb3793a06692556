import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LogFile } from './log-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-log-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a log file', () => {
  it('makes its folders and appends to what is there', () => {
    const path = join(folder, 'cell', 'hmi.log');
    for (const line of ['one\n', 'two\n']) {
      using log = new LogFile(path);
      log.write(line);
    }
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
  });

  it('never takes more room than its limits, and keeps the newest', () => {
    const path = join(folder, 'hmi.log');
    using log = new LogFile(path, { fileBytes: 100, kept: 2 });
    for (let i = 0; i < 100; i++) log.write(`line ${String(i).padStart(4)}\n`);
    expect(readdirSync(folder).sort()).toEqual(['hmi.log', 'hmi.log.1', 'hmi.log.2']);
    for (const name of readdirSync(folder)) expect(readFileSync(join(folder, name)).length).toBeLessThanOrEqual(100);
    expect(readFileSync(path, 'utf8')).toMatch(/line {3}99\n$/);
  });

  it('that cannot be opened says where and what to do', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => new LogFile(join(folder, 'file', 'hmi.log'))).toThrow(/cannot write the log .*hmi\.log/);
  });
});
