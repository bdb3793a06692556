// Files of the host behind disks and discs: whose they are, and the proof of it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Machine, Partition } from '../contracts/index.ts';
import { type Compilation, compileManifest, prove } from './index.ts';
import { testHost } from './testing.ts';

const MEDIA = { 'root.img': 8192, 'link/root.img': 8192, 'data.img': 512, 'debian.iso': 4096, 'locked.img': 512 };
const host = testHost({ 'rtos.elf': 'ELF', ...MEDIA });

type Options = Readonly<Record<string, string | boolean>>;

/** A partition for each entry, with a storage controller that has these options. */
function compile(...controllers: readonly Options[]): Compilation {
  const partitions = controllers.map((options, core) => [
    `p${core}`,
    { role: 'gpos', cores: [core], memory: '1MiB', boot: { kernel: 'rtos.elf' }, devices: { drives: { model: 'drives', options } } },
  ]);
  const manifest = { version: 1, machine: 'm', board: { cores: 4, memory: '8MiB' }, partitions: Object.fromEntries(partitions) };
  return compileManifest(JSON.stringify(manifest, undefined, 1), 'm.json', host);
}

const codes = ({ findings }: Compilation): string[] => findings.map(({ code }) => code);

describe('a file behind a disk', () => {
  it('comes to its device with its path and what may be done with it', () => {
    const { machine } = compile({ disk: 'root.img', cdrom: 'debian.iso' });
    expect(machine?.partitions[0]?.devices[0]?.files).toEqual([
      { option: 'disk', path: '/m/root.img', access: 'rw', identity: 'root.img' },
      { option: 'cdrom', path: '/m/debian.iso', access: 'ro', identity: 'debian.iso' },
    ]);
  });

  it('is only read where the manifest says so, and then need not be writable', () => {
    const { machine } = compile({ disk: 'locked.img', 'disk-read-only': true });
    expect(machine?.partitions[0]?.devices[0]?.files?.[0]?.access).toBe('ro');
    const { findings } = compile({ disk: 'locked.img' });
    expect(findings[0]).toMatchObject({ code: 'BH280', hint: 'change its permissions, or set `disk-read-only: true`' });
  });

  it('is no file at all where the option is left out', () => {
    expect(compile({}).machine?.partitions[0]?.devices[0]?.files).toBeUndefined();
  });
});

describe('ownership of files', () => {
  it('is refused to two partitions of which one writes, with both named, and whatever the names of the file', () => {
    const { findings } = compile({ disk: 'root.img' }, { disk: 'link/root.img', 'disk-read-only': true });
    expect(findings).toMatchObject([
      {
        code: 'BH282',
        message: 'link/root.img is used by both p0 (disk of drives) and p1 (disk of drives), and written',
        related: [{ message: 'p0 (disk of drives) writes it' }],
      },
    ]);
  });

  it('is shared by any number of readers', () => {
    expect(codes(compile({ cdrom: 'debian.iso' }, { cdrom: 'debian.iso' }, { disk: 'debian.iso', 'disk-read-only': true }))).toEqual([]);
  });

  it('is refused to a writer that comes after readers, and to readers after it', () => {
    expect(codes(compile({ cdrom: 'root.img' }, { disk: 'root.img' }, { cdrom: 'root.img' }))).toEqual(['BH282', 'BH282']);
  });
});

describe('the proof', () => {
  it('sees a file with a writer and another user, whatever the rules said', () => {
    const { machine } = compile({ disk: 'root.img' }, { disk: 'data.img' });
    const [first, second] = machine!.partitions as [Partition, Partition];
    const stolen = { ...second, devices: [{ ...second.devices[0]!, files: first.devices[0]!.files! }] };
    const forged: Machine = { ...machine!, partitions: [first, stolen] };
    const { holds, claims } = prove(forged);
    expect([prove(machine!).holds, holds]).toEqual([true, false]);
    const violated = claims.filter(({ violations }) => violations.length > 0);
    expect(violated.map(({ claim }) => claim)).toEqual(['whoever writes a file of the host is alone at it']);
  });

  it('holds for exactly what the rules let pass', () => {
    const name = fc.constantFrom('', 'root.img', 'link/root.img', 'data.img', 'debian.iso');
    const controller = fc.record({ disk: name, cdrom: name, 'disk-read-only': fc.boolean() });
    let passed = 0;
    fc.assert(
      fc.property(fc.array(controller, { minLength: 1, maxLength: 3 }), (controllers) => {
        const { machine, findings } = compile(...controllers);
        // An oracle of its own: every file, its users and its writers.
        const uses = controllers.flatMap((options) => [
          ...(options.disk === '' ? [] : [{ file: options.disk.replace('link/', ''), writes: !options['disk-read-only'] }]),
          ...(options.cdrom === '' ? [] : [{ file: options.cdrom.replace('link/', ''), writes: false }]),
        ]);
        const isRight = uses.every((use) => !use.writes || uses.filter(({ file }) => file === use.file).length === 1);
        expect(machine !== undefined).toBe(isRight);
        expect(findings.some(({ code }) => code === 'BH270')).toBe(false);
        if (isRight) passed++;
      }),
      { numRuns: 300, seed: 5 },
    );
    expect(passed).toBeGreaterThan(50);
  });
});
