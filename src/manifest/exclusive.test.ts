/** What could be shared, and is one partition's own: what it compiles to, and what is refused, where and why. */
import { describe, expect, it } from 'vitest';
import type { Machine } from '../contracts/index.ts';
import { compileManifest } from './compile.ts';
import { prove } from './proof.ts';
import { testHost } from './testing.ts';

const GOOD = `version: 1
machine: cell
board: { cores: 2, memory: 1GiB }
shared:
  disk0: { kind: disk, image: disk.img, grants: { a: { window: { offset: 1MiB, size: 1MiB } } } }
  lan: { kind: ethernet, uplink: { tap: tap0 }, capture: lan.pcap, grants: { a: {} } }
  panel: { kind: console, ways: [ { pty: a.pty } ], grants: { a: {} } }
  tick: { kind: timer, grants: { a: {}, b: {} } }
  state: { kind: memory, size: 64KiB, grants: { a: {} } }
partitions:
  a:
    role: gpos
    cores: [0]
    memory: 64MiB
    boot: { kernel: linux }
    devices:
      com1: { model: uart16550, exclusive: panel }
      vda: { exclusive: disk0 }
      eth0: { model: e1000, exclusive: lan }
      hpet: { model: hpet, shared: tick }
      mem: { shared: state }
    console: com1
  b:
    role: rtos
    cores: [1]
    memory: 64MiB
    boot: { kernel: linux }
    devices:
      hpet: { shared: tick }
`;

const host = testHost({ linux: 'LINUX', 'disk.img': 4 << 20 });
const compile = (text: string) => compileManifest(text, 'm.yaml', host);
const devicesOf = (text: string) => compile(text).machine?.partitions[0]?.devices ?? [];

describe('a device that has its resource to itself', () => {
  it('is served by its own partition: no broker has a port for it', () => {
    expect(compile(GOOD).findings).toEqual([]);
    const [com1, vda, eth0, hpet] = devicesOf(GOOD);
    expect(com1?.exclusive).toEqual({ kind: 'console', name: 'panel', pty: '/m/a.pty' });
    expect(vda).toMatchObject({
      model: 'disk-pci',
      exclusive: { kind: 'disk', name: 'disk0', disk: { image: '/m/disk.img' }, grant: { partition: 'a', access: 'rw', window: { offset: 1 << 20, size: 1 << 20 } } },
    });
    expect(eth0?.wire).toEqual({ name: 'lan', tap: 'tap0', capture: '/m/lan.pcap' });
    expect([com1, vda, eth0].map((device) => device?.shared)).toEqual([undefined, undefined, undefined]);
    expect(hpet?.shared).toBe('tick');
  });

  it('shares it when one word says so', () => {
    const shared = devicesOf(GOOD.replaceAll('exclusive:', 'shared:'));
    expect(shared.map((device) => device.shared)).toEqual(['panel', 'disk0', 'lan', 'tick', 'state']);
    expect(shared.some((device) => device.exclusive !== undefined || device.wire !== undefined)).toBe(false);
  });

  it('keeps time by its partition’s own clock when its timer is its own', () => {
    const alone = GOOD.replace('a: {}, b: {} } }\n  state', 'a: {} } }\n  state').replace('shared: tick }\n      mem', 'exclusive: tick }\n      mem').replace('{ shared: tick }', '{ model: hpet }');
    const hpet = devicesOf(alone)[3];
    expect([hpet?.model, hpet?.shared, hpet?.exclusive]).toEqual(['hpet', undefined, undefined]);
  });

  it.each([
    ['BH296', 5, 'a second grant', GOOD.replace('size: 1MiB } } } }', 'size: 1MiB } }, b: { window: { offset: 3MiB, size: 1MiB } } } }')],
    ['BH296', 18, 'a second user', GOOD.replace('      eth0', '      vdb: { shared: disk0 }\n      eth0')],
    ['BH296', 18, 'another resource that is shared', GOOD.replace('exclusive: disk0', 'exclusive: disk0, shared: tick')],
    ['BH296', 5, 'a rate, which is for those who share', GOOD.replace('a: { window', 'a: { rate: { operations-per-second: 5 }, window')],
    ['BH296', 6, 'a network that is nothing but a switch', GOOD.replace('uplink: { tap: tap0 }, ', '')],
    ['BH296', 19, 'a controller without a cable', GOOD.replace('{ model: e1000, exclusive: lan }', '{ exclusive: lan }')],
    ['BH296', 7, 'a serial line with two ends', GOOD.replace('[ { pty: a.pty } ]', '[ { pty: a.pty }, { unix: a.sock } ]')],
    ['BH296', 7, 'a serial line without an end', GOOD.replace('ways: [ { pty: a.pty } ], ', '')],
    ['BH296', 21, 'memory, which nobody stands before', GOOD.replace('mem: { shared: state }', 'mem: { exclusive: state }')],
    ['BH240', 18, 'a resource that nobody declared', GOOD.replace('exclusive: disk0', 'exclusive: disk9')],
    ['BH287', 20, 'a timer behind what keeps no time', GOOD.replace('hpet: { model: hpet, shared', 'pit: { model: i8042, shared')],
  ])('is refused with %s at line %i: %s', (code, line, _, text) => {
    const { machine, findings } = compile(text);
    expect(findings.map((finding) => `${finding.code} ${finding.at.line}`)).toContain(`${code} ${line}`);
    expect(machine).toBeUndefined();
  });

  it('is proved to be alone, whatever a rule overlooks', () => {
    const { machine } = compile(GOOD);
    const violations = (changed: Machine) => prove(changed).claims.find(({ claim }) => claim === 'whoever has a resource to itself is its only user');
    expect(violations(machine!)).toMatchObject({ checked: 2, violations: [] });
    const [a, b] = machine!.partitions;
    const disk = a!.devices[1]!;
    const twice = { ...machine!, partitions: [a!, { ...b!, devices: [...b!.devices, { ...disk, name: 'stolen' }] }] };
    expect(violations(twice)?.violations).toContain('disk0: a has it to itself, and stolen of b is there');
    const granted = { ...machine!, shared: machine!.shared!.map((resource) => (resource.name === 'disk0' ? { ...resource, grants: [...resource.grants, { partition: 'b', access: 'ro' as const }] } : resource)) };
    expect(violations(granted)?.violations).toEqual(['disk0: a has it to itself, and it is granted to a and b']);
  });
});
