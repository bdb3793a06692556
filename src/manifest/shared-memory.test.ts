/** Shared memory, random numbers and consoles in a manifest: what they compile to, and what is refused, where and why. */
import { describe, expect, it } from 'vitest';
import { compileManifest } from './compile.ts';
import { socketAddressOf } from './console-ways.ts';
import { testHost } from './testing.ts';

const GOOD = `version: 1
machine: cell
board: { cores: 2, memory: 1GiB }
shared:
  state: { kind: memory, size: 64KiB, grants: { a: {}, b: { access: ro, doorbells: 500 } } }
  random: { kind: entropy, grants: { a: { rate: { bytes-per-second: 64KiB } } } }
  panel:
    kind: console
    grants: { a: {} }
    ways:
      - { unix: ./a.sock }
      - { telnet: 2323, access: ro }
      - { websocket: '0.0.0.0:8080' }
      - { pty: a.pty }
      - { file: a.log }
partitions:
  a:
    role: gpos
    cores: [0]
    memory: 64MiB
    boot: { kernel: linux }
    devices:
      com1: { model: uart16550, shared: panel }
      mem: { shared: state }
      rng: { shared: random }
    console: com1
  b:
    role: gpos
    cores: [1]
    memory: 64MiB
    boot: { kernel: linux }
    devices:
      mem: { shared: state }
`;

const host = testHost({ linux: 'LINUX' });
const compile = (text: string) => compileManifest(text, 'm.yaml', host);

describe('what is shared without a broker', () => {
  it('becomes a resource with its size, its grants and its ways', () => {
    const { machine, findings } = compile(GOOD);
    expect(findings).toEqual([]);
    expect(machine?.shared).toEqual([
      { name: 'state', kind: 'memory', size: 65_536, grants: [{ partition: 'a', access: 'rw' }, { partition: 'b', access: 'ro', doorbellsPerSecond: 500 }] },
      { name: 'random', kind: 'entropy', grants: [{ partition: 'a', access: 'rw', rate: { bytesPerSecond: 65_536 } }] },
      {
        name: 'panel',
        kind: 'console',
        grants: [{ partition: 'a', access: 'rw' }],
        ways: [
          { kind: 'unix', path: '/m/./a.sock', access: 'rw' },
          { kind: 'telnet', host: '127.0.0.1', port: 2323, access: 'ro' },
          { kind: 'websocket', host: '0.0.0.0', port: 8080, access: 'rw' },
          { kind: 'pty', path: '/m/a.pty', access: 'rw' },
          { kind: 'file', path: '/m/a.log', access: 'rw' },
        ],
      },
    ]);
    expect(machine?.partitions.map(({ devices }) => devices.map(({ model }) => model))).toEqual([['uart16550', 'ivshmem', 'virtio-rng'], ['ivshmem']]);
  });

  it.each([
    ['BH294', 5, 'memory without a size', GOOD.replace('size: 64KiB, ', '')],
    ['BH294', 5, 'a size that is no power of two', GOOD.replace('64KiB, grants', '96KiB, grants')],
    ['BH294', 5, 'less than a page', GOOD.replace('64KiB, grants', '2KiB, grants')],
    ['BH294', 5, 'more than a device can show', GOOD.replace('64KiB, grants', '512MiB, grants')],
    ['BH294', 25, 'the same memory twice', GOOD.replace('      rng: { shared: random }', '      mem2: { shared: state }')],
    ['BH241', 25, 'memory that was not granted', GOOD.replace('grants: { a: {}, b:', 'grants: { b:').replace('      mem: { shared: state }\n      rng', '      rng: { shared: random }\n      mem: { shared: state }\n      x').replace('      x: { shared: random }\n', '')],
    ['BH287', 24, 'a model that is for something else', GOOD.replace('mem: { shared: state }\n      rng', 'mem: { shared: state, model: i8042 }\n      rng')],
    ['BH286', 6, 'a size of random numbers', GOOD.replace('kind: entropy,', 'kind: entropy, size: 4KiB,')],
    ['BH286', 6, 'doorbells of random numbers', GOOD.replace('grants: { a: { rate', 'grants: { a: { doorbells: 5, rate')],
    ['BH286', 5, 'ways to memory', GOOD.replace('size: 64KiB,', 'size: 64KiB, ways: [],')],
    ['BH295', 11, 'a way that is none', GOOD.replace('{ unix: ./a.sock }', '{ access: ro }')],
    ['BH295', 11, 'two ways in one', GOOD.replace('{ unix: ./a.sock }', '{ unix: ./a.sock, telnet: 1 }')],
    ['BH295', 13, 'an address without a port', GOOD.replace("'0.0.0.0:8080'", 'localhost')],
    ['BH295', 14, 'a path that is taken', GOOD.replace('a.pty', './a.sock')],
    ['BH295', 13, 'a port that is taken', GOOD.replace("'0.0.0.0:8080'", '2323')],
  ])('is refused with %s at line %i: %s', (code, line, _, text) => {
    const { machine, findings } = compile(text);
    expect(findings.map((finding) => `${finding.code} ${finding.at.line}`)).toContain(`${code} ${line}`);
    expect(machine).toBeUndefined();
  });
});

describe('an address to listen at', () => {
  it.each([
    [2323, '127.0.0.1 2323'],
    ['0.0.0.0:80', '0.0.0.0 80'],
    ['cell.local:8080', 'cell.local 8080'],
    ['[::1]:23', '::1 23'],
    ['2323', undefined],
    ['::1:23', undefined],
    ['a:0', undefined],
    ['a:65536', undefined],
    ['a b:1', undefined],
  ])('%s', (written, meant) => {
    const address = socketAddressOf(written);
    expect(address === undefined ? undefined : `${address.host} ${address.port}`).toBe(meant);
  });
});
