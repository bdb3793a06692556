// The command line as its users meet it: what it prints where, and how it ends.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from './main.ts';

const MANIFEST = `version: 1
machine: cell
board:
  cores: 4
  memory: 1GiB
  devices:
    encoder-card: { model: telemetry, ports: 0x300, irq: 5 }
partitions:
  a:
    role: rtos
    cores: [1]
    memory: 16MiB
    boot: { kernel: a.bin, protocol: flat, load: 0x7c00 }
    devices:
      com1: { model: uart16550 }
      encoder: { board: encoder-card }
    console: com1
  b:
    role: rtos
    cores: [2, 3]
    memory: 4MiB
    boot: { kernel: a.bin, protocol: flat, load: 0x7c00 }
    devices:
      com1: { model: uart16550 }
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-cli-'));
  writeFileSync(join(folder, 'a.bin'), Uint8Array.of(0xf4));
  writeFileSync(join(folder, 'good.yaml'), MANIFEST);
  writeFileSync(join(folder, 'bad.yaml'), MANIFEST.replace('[2, 3]', '[1, 2]'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function bulkhead(args: readonly string[], { terminal = false, environment = {} } = {}): Promise<Outcome> {
  let out = '';
  let err = '';
  const status = await main(args, {
    out: { write: (text) => void (out += text), isTTY: terminal },
    err: { write: (text) => void (err += text), isTTY: terminal },
    environment,
  });
  return { status, out, err };
}

const good = () => join(folder, 'good.yaml');
const bad = () => join(folder, 'bad.yaml');

describe('bulkhead check', () => {
  it('says that a good manifest is sound, and what was proved', async () => {
    const { status, out, err } = await bulkhead(['check', good()]);
    expect(status).toBe(0);
    expect(out).toMatch(/^sound: machine cell\n {2}2 partitions on 3 of 4 cores, 20MiB of 1GiB RAM\n/);
    expect(out).toContain('proved: no core has two owners (3 checked)');
    expect(err).toBe('');
  });

  it('refuses a bad one with status 3 and shows where', async () => {
    const { status, out } = await bulkhead(['check', bad()]);
    expect(status).toBe(3);
    expect(out).toMatch(/bad\.yaml:20:13: error BH200: core 1 is owned by both a and b/);
    expect(out).toContain('20 |     cores: [1, 2]\n   |             ^\n');
    expect(out).toMatch(/refused: .*bad\.yaml has 1 error\n$/);
  });

  it('prints one JSON document for programs, whatever the result', async () => {
    const sound = JSON.parse((await bulkhead(['check', good(), '--json'])).out);
    expect(sound).toMatchObject({ valid: true, findings: [], proof: { holds: true }, machine: { name: 'cell' } });
    const refused = await bulkhead(['check', bad(), '--json']);
    expect(refused.status).toBe(3);
    expect(JSON.parse(refused.out)).toMatchObject({ valid: false, machine: null, findings: [{ code: 'BH200', at: { line: 20, column: 13 } }] });
  });

  it('fails with status 1 when there is no such file', async () => {
    const { status, out, err } = await bulkhead(['check', join(folder, 'none.yaml')]);
    expect([status, out]).toEqual([1, '']);
    expect(err).toMatch(/^bulkhead: error BH600: cannot read .*none\.yaml: there is no such file\n/);
  });
});

describe('bulkhead inspect', () => {
  it('shows who owns which core', async () => {
    const { status, out } = await bulkhead(['inspect', 'cpu', good()]);
    expect(status).toBe(0);
    expect(out.split('\n').slice(0, 6)).toEqual([
      'cores',
      'core  owner   role  vCPU  engine    speed',
      '   0  (free)',
      '   1  a       rtos     0  soft    100MIPS',
      '   2  b       rtos     0  soft    100MIPS',
      '   3  b       rtos     1  soft    100MIPS',
    ]);
  });

  it('shows RAM with its gaps, the board and what each guest sees', async () => {
    const { out } = await bulkhead(['inspect', 'map', good()]);
    expect(out).toMatch(/0x0–0xffffff +16MiB +a\n0x1000000–0x13fffff +4MiB +b\n0x1400000–0x3fffffff +1004MiB +\(free\)/);
    expect(out).toMatch(/port +0x300–0x\w+ +\d+B +encoder-card +telemetry +a\n/);
    expect(out).toMatch(/b +port +0x3f8–0x3ff +8B +com1 +uart16550\n/);
  });

  it('shows who owns which interrupt line', async () => {
    const { out } = await bulkhead(['inspect', 'irq', good()]);
    expect(out).toMatch(/^board interrupt lines\nline {2}device {8}owner\n {3}5 {2}encoder-card {2}a\n/);
    expect(out).toMatch(/\nb +4 +com1 +uart16550\n/);
  });

  it('shows devices, and without a file the models there are', async () => {
    expect((await bulkhead(['inspect', 'devices', good()])).out).toMatch(/\na +com1 \(console\) +uart16550 +0x3f8–0x3ff +4/);
    expect((await bulkhead(['inspect', 'devices'])).out).toMatch(/^device models\nmodel.*\n(.*\n)*uart16550 /);
  });

  it('prints the same rows as JSON', async () => {
    const { out } = await bulkhead(['inspect', 'cpu', good(), '--json']);
    expect(JSON.parse(out).cores[1]).toEqual({ core: '1', owner: 'a', role: 'rtos', vCPU: '0', engine: 'soft', speed: '100MIPS' });
  });

  it('refuses a bad manifest with its findings on stderr', async () => {
    const { status, out, err } = await bulkhead(['inspect', 'map', bad()]);
    expect([status, out]).toEqual([3, '']);
    expect(err).toContain('BH200');
  });
});

describe('bulkhead', () => {
  it('shows its exit statuses in --help', async () => {
    const { status, out } = await bulkhead(['--help']);
    expect(status).toBe(0);
    expect(out).toMatch(/Exit status:\n +status +meaning\n +0 +done\n/);
    expect(out).toMatch(/ 124 +`--timeout` was over\n/);
  });

  it.each([
    ['an unknown command', ['chekc', 'x.yaml']],
    ['no command', []],
    ['an unknown option', ['check', 'x.yaml', '--jsn']],
    ['a missing argument', ['check']],
    ['an argument too many', ['schema', 'x']],
    ['an unknown view', ['inspect', 'ram', 'x.yaml']],
  ])('ends with status 2 and a message on stderr for %s', async (_, args) => {
    const { status, out, err } = await bulkhead(args);
    expect([status, out]).toEqual([2, '']);
    expect(err).not.toBe('');
  });

  it('uses colour on a terminal, and not where NO_COLOR asks for none', async () => {
    expect((await bulkhead(['check', good()], { terminal: true })).out).toContain('\u001b[');
    expect((await bulkhead(['check', good()], { terminal: true, environment: { NO_COLOR: '1' } })).out).not.toContain('\u001b[');
    expect((await bulkhead(['check', good()])).out).not.toContain('\u001b[');
  });

  it('prints a JSON Schema that knows the models', async () => {
    const schema = JSON.parse((await bulkhead(['schema'])).out);
    expect(schema.required).toEqual(['version', 'machine', 'board', 'partitions']);
    expect(JSON.stringify(schema)).toContain('"const":"uart16550"');
  });
});
