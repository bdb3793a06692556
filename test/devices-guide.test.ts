// docs/devices.md, followed word for word in an empty folder: its files are taken from the page, its commands are given to a shell, and
// what the page says comes of them is looked for.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const GUIDE = readFileSync(join(ROOT, 'docs', 'devices.md'), 'utf8');
/** What the page has the reader type, in order. */
const COMMANDS = [...GUIDE.matchAll(/^```sh\n(.*?)\n```$/gms)].map(([, command = '']) => command);
const FILES = [...GUIDE.matchAll(/^```\w+ (\S+\.\w+)\n(.*?)^```$/gms)].map(([, name = '', text = '']) => ({ name, text }));
const [install = '', test = '', check = '', run = ''] = COMMANDS;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-guide-'));
  expect(shell(install).status).toBe(0);
  for (const { name, text } of FILES) writeFileSync(join(folder, name), text);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const environment = { ...process.env, BULKHEAD: ROOT, NO_COLOR: '1' };
const shell = (command: string) => spawnSync('sh', ['-c', command], { cwd: folder, encoding: 'utf8', env: environment });

it('has four commands and three files', () => {
  expect([COMMANDS.length, FILES.map(({ name }) => name)]).toEqual([4, ['encoder.ts', 'encoder.test.ts', 'machine.yaml']]);
});

it('its files have no type errors', () => {
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  const options = '--noEmit --strict --module nodenext --target es2024 --lib es2024,esnext.disposable --allowImportingTsExtensions --skipLibCheck --types node';
  const { stdout } = shell(`${tsc} ${options} --typeRoots ${join(ROOT, 'node_modules', '@types')} ${join(ROOT, 'types')}/*.d.ts encoder.ts encoder.test.ts`);
  expect(stdout).toBe('');
});

it('its tests pass', () => {
  const { status, stdout } = shell(test);
  expect(stdout).toMatch(/pass 2\n/);
  expect(status).toBe(0);
});

it('its manifest is sound, and a wrong option is found where the page says', () => {
  expect(shell(check).stdout).toContain('sound: machine workbench');
  const text = readFileSync(join(folder, 'machine.yaml'), 'utf8');
  writeFileSync(join(folder, 'machine.yaml'), text.replace('rpm: 1500', 'rpm: 7000'));
  const { stdout } = shell(check);
  writeFileSync(join(folder, 'machine.yaml'), text);
  const promised = /^```text findings\n(.*?)\n```$/ms.exec(GUIDE)?.[1] ?? 'nothing';
  expect(stdout).toContain(promised);
});

it('its machine runs, and takes a changed device while it does', async () => {
  const child = spawn('sh', ['-c', `exec ${run}`], { cwd: folder, env: environment });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const until = async (pattern: RegExp): Promise<void> => {
    for (let i = 0; i < 4500 && !pattern.test(output); i++) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(output).toMatch(pattern);
  };
  await until(/HCTL-2016 at port 0x300/);
  await until(/speed=1(49|50)\drpm/);
  const source = readFileSync(join(folder, 'encoder.ts'), 'utf8');
  expect(source).toContain('options.rpm / 60');
  writeFileSync(join(folder, 'encoder.ts'), source.replace('options.rpm / 60', 'options.rpm / 120'));
  await until(/device encoder \(\.\/encoder\.ts\) was loaded anew and reset/);
  await until(/speed=7(4|5)\drpm/);
  child.kill('SIGINT');
  await exited;
}, 240_000);
