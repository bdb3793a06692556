import { describe, expect, it } from 'vitest';
import { compileManifest } from './index.ts';
import { prove } from './proof.ts';
import { TEST_CATALOGUE, testHost } from './testing.ts';

const HOST = testHost({ 'a.elf': 'ELF' }, { ...TEST_CATALOGUE, models: { ...TEST_CATALOGUE.models, 'net-pci': { title: 'a shared network', places: [{ ranges: [], irqs: [] }], relocatable: false, console: false, shared: 'ethernet', options: {} } } });

/** Two partitions with a device on `lan`; `lines` are the network's. */
function manifest(lines: readonly string[], { grants = 'a: {}, b: {}', extra = '' } = {}): string {
  const partition = (name: string, core: number): string => `
  ${name}:
    role: gpos
    cores: [${core}]
    memory: 64MiB
    boot: { kernel: a.elf }
    devices:
      lan0: { shared: lan }${name === 'a' ? extra : ''}`;
  return `version: 1
machine: m
board: { cores: 2, memory: 1GiB }
shared:
  lan:
    kind: ethernet
    grants: { ${grants} }
${lines.map((line) => `    ${line}\n`).join('')}partitions:${partition('a', 0)}${partition('b', 1)}
`;
}

const codes = (text: string): string[] => compileManifest(text, 'm.yaml', HOST).findings.filter(({ severity }) => severity === 'error').map(({ code }) => code);

describe('a shared network', () => {
  it('has a switch and nothing else where nothing is said', () => {
    const { machine, findings } = compileManifest(manifest([]), 'm.yaml', HOST);
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    const [lan] = machine!.shared!;
    expect(lan?.network).toEqual({ uplink: { kind: 'none' }, uplinkVlan: { mode: 'access', vlan: 1 }, subnet: '10.0.2.0/24', mtu: 1500, forwards: [], loopback: [] });
    expect(lan?.grants[0]).toMatchObject({ partition: 'a', network: { vlan: { mode: 'access', vlan: 1 }, storm: { broadcast: 1000, multicast: 1000, unknown: 1000 } } });
    expect(machine!.partitions[0]!.devices[0]).toMatchObject({ model: 'net-pci', shared: 'lan' });
  });

  it('has all that can be said', () => {
    const grants = 'a: { mac: 02:00:00:00:00:01, vlan: 10, storm: 50, weight: 3, depth: 32, rate: { bytes-per-second: 1MiB } }, b: { vlan: { trunk: [10, 20], native: 5 }, storm: { broadcast: 7 } }';
    const lines = ['uplink: nat', 'uplink-vlan: 10', 'network: 192.168.7.0/24', 'mtu: 9000', 'forwards: [ { host: 2222, partition: a, port: 22 }, { host: 2222, partition: b, port: 53, protocol: udp } ]', 'loopback: [80]', 'capture: lan.pcapng'];
    const { machine } = compileManifest(manifest(lines, { grants }), 'm.yaml', HOST);
    const [lan] = machine!.shared!;
    expect(lan?.network).toEqual({
      uplink: { kind: 'nat' },
      uplinkVlan: { mode: 'access', vlan: 10 },
      subnet: '192.168.7.0/24',
      mtu: 9000,
      forwards: [{ host: 2222, partition: 'a', port: 22, protocol: 'tcp' }, { host: 2222, partition: 'b', port: 53, protocol: 'udp' }],
      loopback: [80],
      capture: '/m/lan.pcapng',
    });
    expect(lan?.grants).toMatchObject([
      { partition: 'a', weight: 3, depth: 32, rate: { bytesPerSecond: 1 << 20 }, network: { mac: '02:00:00:00:00:01', vlan: { mode: 'access', vlan: 10 }, storm: { broadcast: 50, multicast: 50, unknown: 50 } } },
      { partition: 'b', network: { vlan: { mode: 'trunk', native: 5, allowed: [10, 20] }, storm: { broadcast: 7, multicast: 1000, unknown: 1000 } } },
    ]);
  });

  it('is proved: a forged machine with one address twice, or a port of the host that leads two ways, is refused', () => {
    const { machine } = compileManifest(manifest(['uplink: nat', 'forwards: [ { host: 80, partition: a, port: 80 } ]'], { grants: 'a: { mac: 02:00:00:00:00:01 }, b: { mac: 02:00:00:00:00:02 }' }), 'm.yaml', HOST);
    expect(prove(machine!).holds).toBe(true);
    const [lan] = machine!.shared!;
    const [a, b] = lan!.grants;
    const twice = { ...lan!, grants: [a!, { ...b!, network: a!.network! }] };
    const forked = { ...lan!, network: { ...lan!.network!, forwards: [...lan!.network!.forwards, { host: 80, partition: 'b', port: 81, protocol: 'tcp' as const }] } };
    for (const forged of [twice, forked]) expect(prove({ ...machine!, shared: [forged] }).holds).toBe(false);
  });

  it('may be reached by any network controller', () => {
    const text = manifest([]).replace('lan0: { shared: lan }', 'lan0: { model: e1000, shared: lan }');
    expect(codes(text)).toEqual([]);
  });

  it('says itself who a station is: an address among a controller’s options is the granted one, or a mistake', () => {
    const controller = (mac: string, grants: string) =>
      compileManifest(manifest([], { grants }).replace('lan0: { shared: lan }', `lan0: { model: e1000, shared: lan, options: { mac: ${mac} } }`), 'm.yaml', HOST).findings.filter(({ severity }) => severity === 'error');
    const granted = 'a: { mac: 02:00:00:00:00:0a }, b: {}';
    expect(controller('02:00:00:00:00:0a', granted)).toEqual([]);
    expect(controller('02:00:00:00:00:0b', granted)).toMatchObject([
      {
        code: 'BH292',
        message: 'lan0 of a is to be 02:00:00:00:00:0b, and `lan` grants 02:00:00:00:00:0a',
        at: { line: 15 },
        related: [{ at: { line: 7 } }],
        hint: 'leave `mac:` out of the options, and write `a: { mac: 02:00:00:00:00:0b }` under the grants of `lan`',
      },
    ]);
    expect(controller('02:00:00:00:00:0b', 'a: {}, b: {}')).toMatchObject([{ code: 'BH292', message: 'lan0 of a is to be 02:00:00:00:00:0b, and `lan` grants an address made from the names' }]);
  });

  it.each([
    ['BH288', 'one address twice', [], { grants: 'a: { mac: 02:00:00:00:00:01 }, b: { mac: "02:00:00:00:00:01" }' }],
    ['BH288', 'a partition that is there twice', [], { extra: '\n      lan1: { shared: lan }' }],
    ['BH289', 'an address of a group', [], { grants: 'a: { mac: 03:00:00:00:00:01 }, b: {}' }],
    ['BH289', 'what is no network', ['uplink: nat', 'network: 10.0.2.0'], {}],
    ['BH289', 'bits behind the prefix', ['uplink: nat', 'network: 10.0.2.1/24'], {}],
    ['BH289', 'a network of others', ['uplink: nat', 'network: 8.8.8.0/24'], {}],
    ['BH289', 'a network without room', ['uplink: nat', 'network: 10.0.2.0/28'], {}],
    ['BH290', 'a port of the host twice', ['uplink: nat', 'forwards: [ { host: 80, partition: a, port: 80 }, { host: 80, partition: b, port: 80 } ]'], {}],
    ['BH290', 'a forward to nobody', ['uplink: nat', 'forwards: [ { host: 80, partition: c, port: 80 } ]'], {}],
    ['BH290', 'a forward without a gateway', ['forwards: [ { host: 80, partition: a, port: 80 } ]'], {}],
    ['BH290', 'an open loopback without a gateway', ['uplink: { tap: tap0 }', 'loopback: all'], {}],
    ['BH291', 'a name that no interface can have', ['uplink: { tap: "a/b" }'], {}],
    ['BH110', 'a VLAN that does not exist', [], { grants: 'a: { vlan: 4095 }, b: {}' }],
    ['BH286', 'what belongs to a disk', ['image: x.raw'], {}],
    ['BH241', 'a partition that was not granted it', [], { grants: 'a: {}' }],
  ] as const)('%s: %s', (code, _, lines, options) => {
    expect(codes(manifest(lines, options))).toContain(code);
  });
});
