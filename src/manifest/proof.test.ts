// The proof against an oracle that asks the same questions one core, byte, port and line at a time.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BoardDevice, DeviceSpec, Machine, Partition, WireSpec } from '../contracts/index.ts';
import { allowanceOf, compileManifest, prove } from './index.ts';
import { testHost } from './testing.ts';

const CORES = 4;
const RAM = 12;
const PORTS = 10;
const LINES = 5;

const device: fc.Arbitrary<Omit<BoardDevice, 'name' | 'owner'>> = fc.record({
  model: fc.constant('card'),
  ranges: fc.array(
    fc.record({ space: fc.constantFrom('pio' as const, 'mmio' as const), base: fc.nat(PORTS - 1), size: fc.integer({ min: 1, max: 3 }) }),
    { maxLength: 2 },
  ),
  irqs: fc.array(fc.nat(LINES - 1), { maxLength: 1 }),
});

const share = fc.record({
  cores: fc.uniqueArray(fc.nat(CORES), { maxLength: 2 }),
  memory: fc.record({ base: fc.nat(RAM), size: fc.integer({ min: 1, max: 5 }) }),
  cards: fc.uniqueArray(fc.nat(2), { maxLength: 2 }),
  shared: fc.boolean(),
  granted: fc.boolean(),
});

const machine: fc.Arbitrary<Machine> = fc
  .tuple(fc.array(device, { minLength: 3, maxLength: 3 }), fc.array(share, { minLength: 1, maxLength: 3 }))
  .map(([cards, shares]) => {
    const devices = cards.map((card, index): BoardDevice => {
      const owner = shares.findIndex((candidate) => candidate.cards.includes(index));
      return { ...card, name: `card${index}`, ...(owner < 0 ? {} : { owner: `p${owner}` }) };
    });
    const partitions = shares.map((own, index): Partition => {
      const specs = own.cards.map((card): DeviceSpec => ({ ...devices[card]!, name: `d${card}`, board: `card${card}`, options: {} }));
      if (own.shared) specs.push({ name: 'tty', model: 'uart', ranges: [], irqs: [], options: {}, shared: 'terminal' });
      return {
        name: `p${index}`,
        role: 'rtos',
        engine: 'soft',
        cores: own.cores,
        memory: own.memory,
        boot: { kernel: '', cmdline: '', protocol: 'auto', decompress: true },
        devices: specs,
        onCrash: { action: 'halt', limit: 0 },
        instructionsPerMicrosecond: 100,
        allowance: allowanceOf({ cores: own.cores, memory: own.memory, devices: specs }, devices),
      };
    });
    const grants = shares.flatMap((own, index) => (own.granted ? [{ partition: `p${index}`, access: 'rw' as const }] : []));
    return { name: 'm', board: { cores: CORES, memory: RAM, devices }, partitions, shared: [{ name: 'terminal', kind: 'console', grants }] };
  });

function oracle({ board, partitions, shared }: Machine): boolean {
  const alone = (holders: readonly string[]): boolean => new Set(holders).size <= 1;
  const holders = (has: (partition: Partition) => boolean): string[] => partitions.filter(has).map((partition) => partition.name);
  const inside = (at: number, range: { readonly base: number; readonly size: number }): boolean => at >= range.base && at < range.base + range.size;
  for (let core = 0; core <= CORES; core++) {
    const owners = holders((partition) => partition.cores.includes(core));
    if (!alone(owners) || (owners.length > 0 && core >= board.cores)) return false;
  }
  for (let byte = 0; byte < RAM + 8; byte++) {
    const owners = holders((partition) => inside(byte, partition.memory));
    if (!alone(owners) || (owners.length > 0 && byte >= board.memory)) return false;
  }
  const owned = (partition: Partition): BoardDevice[] => partition.devices.flatMap(({ board: name }) => board.devices?.filter((card) => card.name === name) ?? []);
  for (const space of ['pio', 'mmio']) {
    for (let at = 0; at < PORTS + 3; at++) {
      const answers = (card: BoardDevice): boolean => card.ranges.some((range) => range.space === space && inside(at, range));
      if (!alone(holders((partition) => owned(partition).some(answers)))) return false;
      if (partitions.some((partition) => owned(partition).filter(answers).length > 1)) return false;
    }
  }
  for (let line = 0; line < LINES; line++) {
    const drives = (card: BoardDevice): boolean => card.irqs.includes(line);
    if (!alone(holders((partition) => owned(partition).some(drives)))) return false;
    if (partitions.some((partition) => owned(partition).filter(drives).length > 1)) return false;
  }
  const users = holders((partition) => partition.devices.some((spec) => spec.shared === 'terminal'));
  if (!users.every((user) => shared?.[0]?.grants.some((grant) => grant.partition === user))) return false;
  return (board.devices ?? []).every((card) => alone(holders((partition) => owned(partition).includes(card))));
}

describe('the proof', () => {
  it('says what an oracle says that looks at every core, byte, port and line', () => {
    let held = 0;
    fc.assert(
      fc.property(machine, (candidate) => {
        const expected = oracle(candidate);
        if (expected) held++;
        expect(prove(candidate).holds).toBe(expected);
      }),
      { numRuns: 3000, seed: 7 },
    );
    expect(held, 'machines that are right').toBeGreaterThan(100);
    expect(held, 'machines that are wrong').toBeLessThan(2900);
  });

  it('names the place and the owners of what has two', () => {
    const [a] = fc.sample(machine, { seed: 1, numRuns: 1 });
    const one: Partition = { ...a!.partitions[0]!, name: 'a', cores: [1], memory: { base: 0, size: 8 }, devices: [] };
    const two: Partition = { ...one, name: 'b', cores: [1], memory: { base: 4, size: 8 } };
    const withAllowance = (partition: Partition): Partition => ({ ...partition, allowance: allowanceOf(partition, []) });
    const { claims } = prove({ name: 'm', board: { cores: 4, memory: 12 }, partitions: [withAllowance(one), withAllowance(two)] });
    const found = claims.filter(({ violations }) => violations.length > 0).map(({ claim, violations }) => `${claim}: ${violations}`);
    expect(found).toEqual(['no core has two owners: at 0x1: a, b', 'no byte of RAM has two owners: at 0x4: a, b']);
  });

  it('refuses an allowance that is wider than what its partition owns', () => {
    const board = { cores: 1, memory: 8, devices: [{ name: 'card', model: 'card', ranges: [{ space: 'pio' as const, base: 1, size: 1 }], irqs: [3] }] };
    const [a] = fc.sample(machine, { seed: 1, numRuns: 1 });
    const own = { ...a!.partitions[0]!, name: 'a', cores: [0], memory: { base: 0, size: 8 }, devices: [] };
    const wide = { cores: [0], memory: [own.memory], ports: board.devices[0]!.ranges, mmio: [], irqs: [3] };
    expect(prove({ name: 'm', board, partitions: [{ ...own, allowance: wide }] }).holds).toBe(false);
    expect(prove({ name: 'm', board, partitions: [{ ...own, allowance: allowanceOf(own, board.devices) }] }).holds).toBe(true);
  });
});

describe('wires', () => {
  const [sample] = fc.sample(machine, { seed: 1, numRuns: 1 });
  const station = (name: string, core: number, wire: WireSpec): Partition => {
    const own = { cores: [core], memory: { base: core, size: 1 }, devices: [{ name: 'eth0', model: 'e1000', ranges: [], irqs: [], options: {}, wire }] };
    return { ...sample!.partitions[0]!, ...own, name, allowance: allowanceOf(own, []) };
  };
  const violations = (...partitions: readonly Partition[]): readonly string[] =>
    prove({ name: 'm', board: { cores: 4, memory: 8 }, partitions }).claims.find(({ claim }) => claim.startsWith('every wire'))!.violations;
  const peer = (partition: string) => ({ name: 'field', peer: { partition, device: 'eth0' } });

  it('have two ends that name each other', () => {
    expect(violations(station('a', 0, peer('b')), station('b', 1, peer('a')))).toEqual([]);
    expect(violations(station('a', 0, peer('b')), station('b', 1, { name: 'field' }))).toEqual(['field: eth0 of b leads elsewhere']);
    expect(violations(station('a', 0, peer('b')))).toEqual(['field: eth0 of a leads elsewhere']);
  });

  it('have no third one', () => {
    const [first] = violations(station('a', 0, peer('b')), station('b', 1, peer('a')), station('c', 2, peer('a')));
    expect(first).toBe('field: more than two ends');
    expect(violations(station('a', 0, { ...peer('b'), tap: 'tap0' }), station('b', 1, peer('a')))).toEqual(['field: more than two ends']);
  });

  it('share no recording and no interface of the host', () => {
    expect(violations(station('a', 0, { name: 'x', tap: 't' }), station('b', 1, { name: 'y', tap: 't' }))).toHaveLength(2);
    expect(violations(station('a', 0, { name: 'x', capture: '/f' }), station('b', 1, { name: 'y', capture: '/f' }))).toHaveLength(2);
  });
});

describe('rules and proof', () => {
  it('agree: whatever passes the rules is proved', () => {
    const host = testHost({ 'rtos.elf': 'ELF' });
    const part = fc.record({
      cores: fc.uniqueArray(fc.nat(4), { minLength: 1, maxLength: 2 }),
      base: fc.option(fc.nat(7), { nil: undefined }),
      size: fc.integer({ min: 1, max: 4 }),
      card: fc.option(fc.constantFrom('c0', 'c1'), { nil: undefined }),
    });
    let passed = 0;
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), fc.tuple(fc.nat(6), fc.nat(6), fc.nat(3), fc.nat(3)), (parts, [port0, port1, irq0, irq1]) => {
        const manifest = {
          version: 1,
          machine: 'm',
          board: {
            cores: 4,
            memory: '8MiB',
            devices: { c0: { model: 'hctl2016', ports: 0x300 + port0, irq: 5 + irq0 }, c1: { model: 'hctl2016', ports: 0x300 + port1, irq: 5 + irq1 } },
          },
          partitions: Object.fromEntries(
            parts.map(({ cores, base, size, card }, index) => [
              `p${index}`,
              {
                role: 'rtos',
                cores,
                memory: { size: `${size}MiB`, ...(base === undefined ? {} : { base: `${base}MiB` }) },
                boot: { kernel: 'rtos.elf' },
                devices: card === undefined ? {} : { card: { board: card } },
              },
            ]),
          ),
        };
        const { machine, findings } = compileManifest(JSON.stringify(manifest), 'm.json', host);
        expect(findings.filter((finding) => finding.code === 'BH270')).toEqual([]);
        if (machine === undefined) return;
        passed++;
        expect(prove(machine).holds).toBe(true);
      }),
      { numRuns: 500, seed: 11 },
    );
    expect(passed).toBeGreaterThan(20);
  });
});
