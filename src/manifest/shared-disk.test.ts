/** Shared disks in a manifest: what it compiles to, and what is refused, where and why. */
import { describe, expect, it } from 'vitest';
import { compileManifest } from './compile.ts';
import { prove } from './proof.ts';
import { testHost } from './testing.ts';

const GOOD = `version: 1
machine: cell
board: { cores: 2, memory: 1GiB }
shared:
  disk0:
    kind: disk
    image: disk.img
    grants:
      a: { window: { offset: 0, size: 4KiB }, weight: 3, depth: 8, rate: { bytes-per-second: 1MiB, operations-per-second: 100 } }
      b: { window: { partition: 2 }, access: ro }
partitions:
  a:
    role: gpos
    cores: [0]
    memory: 64MiB
    boot: { kernel: linux }
    devices:
      vda: { shared: disk0 }
  b:
    role: gpos
    cores: [1]
    memory: 64MiB
    boot: { kernel: linux }
    devices:
      vda: { shared: disk0, transport: mmio }
`;

const host = testHost({ linux: 'LINUX', 'disk.img': 8192, 'other.img': 8192, 'other/disk.img': 8192 });
const apart = GOOD.replace('size: 4KiB', 'size: 1KiB');
const compile = (text: string) => compileManifest(text, 'm.yaml', host);

describe('a shared disk', () => {
  it('becomes a resource with its files, windows and limits, and a device of the model for it', () => {
    const { machine, findings } = compile(apart);
    expect(findings).toEqual([]);
    expect(machine?.shared).toEqual([
      {
        name: 'disk0',
        kind: 'disk',
        disk: { image: '/m/disk.img', files: [{ path: '/m/disk.img', identity: 'disk.img', access: 'rw' }] },
        grants: [
          { partition: 'a', access: 'rw', weight: 3, depth: 8, rate: { bytesPerSecond: 1 << 20, operationsPerSecond: 100 }, window: { offset: 0, size: 1024 } },
          { partition: 'b', access: 'ro', window: { offset: 3072, size: 1024 } },
        ],
      },
    ]);
    expect(machine?.partitions.map(({ devices }) => devices.map(({ model, shared }) => `${model} ${shared}`))).toEqual([['disk-pci disk0'], ['disk-mmio disk0']]);
  });

  it('can be read by any number, and then has no owner', () => {
    const { findings } = compile(apart.replace('a: { window: { offset: 0, size: 1KiB }', 'a: { access: ro').replace('window: { partition: 2 }, ', ''));
    expect(findings).toEqual([]);
  });
});

const REFUSED: readonly (readonly [code: string, line: number, what: string, text: string])[] = [
  ['BH285', 10, 'two windows that overlap, one of them written', GOOD],
  ['BH285', 10, 'a whole disk beside a window', apart.replace('window: { partition: 2 }, ', '')],
  ['BH283', 5, 'a disk without an image', apart.replace('    image: disk.img\n', '')],
  ['BH283', 7, 'an image that is not there', apart.replace('disk.img', 'nothing.img')],
  ['BH284', 9, 'a window that ends behind its disk', apart.replace('offset: 0', 'offset: 8KiB')],
  ['BH284', 9, 'a window that is no whole sectors', apart.replace('size: 1KiB', 'size: 1000B')],
  ['BH284', 10, 'a partition that the disk does not have', apart.replace('partition: 2', 'partition: 9')],
  ['BH284', 10, 'a window that is said twice', apart.replace('partition: 2', 'partition: 2, offset: 0')],
  ['BH286', 7, 'an image of something that is no disk', apart.replace('kind: disk', 'kind: console')],
  ['BH287', 18, 'a model that is for something else', apart.replace('vda: { shared: disk0 }', 'vda: { shared: disk0, model: i8042 }')],
  ['BH282', 7, 'an image that a drive writes too', apart.replace('vda: { shared: disk0 }', 'vda: { shared: disk0 }\n      ide: { model: drives, options: { disk: other/disk.img } }')],
];

describe('what is refused', () => {
  it.each(REFUSED)('%s at line %i: %s', (code, line, _, text) => {
    const { machine, findings } = compile(text);
    expect(machine).toBeUndefined();
    expect(findings.map((finding) => `${finding.code} ${finding.at.line}`)).toContain(`${code} ${line}`);
  });
});

describe('the proof', () => {
  const { machine } = compile(apart);
  const claims = (change: (grants: { window?: { offset: number; size: number }; access: string }[]) => void): string[] => {
    const copy = structuredClone(machine!);
    change(copy.shared![0]!.grants as never);
    return prove(copy).claims.filter(({ violations }) => violations.length > 0).map(({ claim }) => claim);
  };
  const ALONE = 'whoever writes a part of a shared disk is alone at it';

  it('finds windows that overlap by one byte, whoever of the two writes', () => {
    expect(claims(() => undefined)).toEqual([]);
    expect(claims((grants) => void (grants[0]!.window = { offset: 2049, size: 1024 }))).toEqual([ALONE]);
    expect(claims((grants) => void (grants[0]!.window = { offset: 2048, size: 1024 }))).toEqual([]);
    expect(claims((grants) => void delete grants[1]!.window)).toEqual([ALONE]);
    expect(claims((grants) => {
      delete grants[1]!.window;
      grants[0]!.access = 'ro';
    })).toEqual([]);
  });
});
