/**
 * Allowances, and the proof that they are disjoint. It looks at the finished machine alone, and shares nothing with the rules but
 * the data types: what the rules overlook, the proof still finds. (The rules are there to say it well, the proof to be sure.)
 */
import type { Allowance, BoardDevice, IoRange, Machine, Partition } from '../contracts/index.ts';

/** One claim about a machine, and what speaks against it. */
export interface Claim {
  readonly claim: string;
  /** How many things were looked at. */
  readonly checked: number;
  readonly violations: readonly string[];
}

export interface Proof {
  readonly holds: boolean;
  readonly claims: readonly Claim[];
}

/** What a partition may touch of the board: its cores, its RAM, and everything of the board devices it owns. */
export function allowanceOf(partition: Pick<Partition, 'cores' | 'memory' | 'devices'>, boardDevices: readonly BoardDevice[]): Allowance {
  const owned = boardDevices.filter((device) => partition.devices.some((candidate) => candidate.board === device.name));
  const ranges = owned.flatMap((device) => device.ranges);
  return {
    cores: partition.cores,
    memory: [partition.memory],
    ports: ranges.filter((range) => range.space === 'pio'),
    mmio: ranges.filter((range) => range.space === 'mmio'),
    irqs: owned.flatMap((device) => device.irqs),
  };
}

interface Piece {
  readonly start: number;
  readonly end: number;
  readonly owner: string;
}

/** Proves, or says what speaks against it: every claim the manifest makes about ownership. */
export function prove(machine: Machine): Proof {
  const { board, partitions } = machine;
  const pieces = (of: (allowance: Allowance) => readonly Piece[]): Piece[] =>
    partitions.flatMap(({ name, allowance }) => of(allowance).map((piece) => ({ ...piece, owner: name })));
  const cores = pieces((allowance) => allowance.cores.map(single));
  const memory = pieces((allowance) => allowance.memory.map(({ base, size }) => ({ start: base, end: base + size, owner: '' })));

  const claims: Claim[] = [
    claim('no two partitions have one name', partitions.map((partition, index) => ({ ...single(index), owner: partition.name })), duplicateOwners),
    claim('no core has two owners', cores, twoOwners),
    claim('every core is on the board', cores, outside(board.cores)),
    claim('no byte of RAM has two owners', memory, twoOwners),
    claim('all RAM is on the board', memory, outside(board.memory)),
    claim('no board port has two owners', pieces((allowance) => allowance.ports.map(ofRange)), twoOwners),
    claim('no board MMIO address has two owners', pieces((allowance) => allowance.mmio.map(ofRange)), twoOwners),
    claim('no interrupt line of the board has two owners', pieces((allowance) => allowance.irqs.map(single)), twoOwners),
    boardDevices(machine),
    sharing(machine),
    exclusivity(machine),
    diskWindows(machine),
    networks(machine),
    hostFiles(machine),
    wires(machine),
    insidePartitions(machine),
  ];
  return { holds: claims.every(({ violations }) => violations.length === 0), claims };
}

const single = (at: number): Piece => ({ start: at, end: at + 1, owner: '' });
const ofRange = ({ base, size }: IoRange): Piece => ({ start: base, end: base + size, owner: '' });

function claim(words: string, pieces: readonly Piece[], violations: (pieces: readonly Piece[]) => string[]): Claim {
  return { claim: words, checked: pieces.length, violations: violations(pieces) };
}

/** Sweeps over all starts and ends in order and keeps who is there; an end comes before a start at the same place. */
function twoOwners(pieces: readonly Piece[]): string[] {
  const events = pieces
    .filter((piece) => piece.end > piece.start)
    .flatMap((piece) => [
      { at: piece.start, opens: true, owner: piece.owner },
      { at: piece.end, opens: false, owner: piece.owner },
    ])
    .sort((a, b) => a.at - b.at || Number(a.opens) - Number(b.opens));
  const here = new Map<string, number>();
  const violations: string[] = [];
  for (const { at, opens, owner } of events) {
    const count = (here.get(owner) ?? 0) + (opens ? 1 : -1);
    if (count === 0) here.delete(owner);
    else here.set(owner, count);
    if (opens && here.size > 1) violations.push(`at 0x${at.toString(16)}: ${[...here.keys()].join(', ')}`);
  }
  return violations;
}

const outside = (limit: number) => (pieces: readonly Piece[]): string[] =>
  pieces.filter(({ start, end }) => !(start >= 0 && end <= limit)).map(({ owner, start, end }) => `${owner}: 0x${start.toString(16)} to 0x${(end - 1).toString(16)}`);

function duplicateOwners(pieces: readonly Piece[]): string[] {
  const names = pieces.map((piece) => piece.owner);
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
}

/** Owned once, by name; and an allowance holds what its board devices have, no more and no less. */
function boardDevices({ board, partitions }: Machine): Claim {
  const violations: string[] = [];
  const devices = board.devices ?? [];
  for (const device of devices) {
    const owners = partitions.flatMap((partition) => partition.devices.filter((candidate) => candidate.board === device.name).map(() => partition.name));
    if (owners.length > 1) violations.push(`${device.name}: ${owners.join(', ')}`);
    if (owners[0] !== device.owner) violations.push(`${device.name} is said to be owned by ${device.owner ?? 'nobody'}`);
  }
  for (const { name, allowance, devices: own } of partitions) {
    const missing = own.filter(({ board: owned }) => owned !== undefined && !devices.some((device) => device.name === owned));
    violations.push(...missing.map((device) => `${name}: ${device.board} is not on the board`));
    const owned = devices.filter((device) => device.owner === name);
    const allowed = [...allowance.ports, ...allowance.mmio].map(rangeWord).sort();
    const held = owned.flatMap((device) => device.ranges.map(rangeWord)).sort();
    if (allowed.join() !== held.join()) violations.push(`${name}: its allowance and its board devices differ in addresses`);
    const lines = owned.flatMap((device) => device.irqs);
    if ([...allowance.irqs].sort().join() !== lines.sort().join()) violations.push(`${name}: its allowance and its board devices differ in lines`);
  }
  return { claim: 'no board device has two owners', checked: devices.length, violations };
}

const rangeWord = ({ space, base, size }: IoRange): string => `${space}:${base}+${size}`;

/** What is served in its owner's own thread has no broker that could keep two users apart. */
function exclusivity({ partitions, shared = [] }: Machine): Claim {
  const uses = partitions.flatMap(({ name: partition, devices }) =>
    devices.flatMap((device) => {
      const name = device.exclusive?.name ?? device.shared;
      return name === undefined ? [] : [{ partition, name, device: device.name, exclusive: device.exclusive !== undefined }];
    }));
  const owned = uses.filter(({ exclusive }) => exclusive);
  const violations = owned.flatMap((owner) => {
    const others = uses.filter((other) => other !== owner && other.name === owner.name).map((other) => `${owner.name}: ${owner.partition} has it to itself, and ${other.device} of ${other.partition} is there`);
    const grants = shared.find(({ name }) => name === owner.name)?.grants.map(({ partition }) => partition) ?? [];
    return grants.length === 1 && grants[0] === owner.partition ? others : [...others, `${owner.name}: ${owner.partition} has it to itself, and it is granted to ${grants.join(' and ') || 'nobody'}`];
  });
  return { claim: 'whoever has a resource to itself is its only user', checked: owned.length, violations };
}

function sharing({ partitions, shared = [] }: Machine): Claim {
  const uses = partitions.flatMap((partition) => partition.devices.flatMap(({ shared: name }) => (name === undefined ? [] : [{ partition: partition.name, name }])));
  const violations = uses
    .filter(({ partition, name }) => !shared.some((resource) => resource.name === name && resource.grants.some((grant) => grant.partition === partition)))
    .map(({ partition, name }) => `${partition}: ${name}`);
  return { claim: 'whatever is shared is declared and granted', checked: uses.length, violations };
}

/** Whoever is granted a part of a disk to write has it alone; a grant without a window is the whole disk. */
function diskWindows({ shared = [] }: Machine): Claim {
  const violations: string[] = [];
  let checked = 0;
  for (const { name, disk, grants } of shared) {
    if (disk === undefined) continue;
    const parts = grants.map(({ partition, access, window }) => ({
      partition,
      access,
      start: window?.offset ?? 0,
      end: window === undefined ? Number.POSITIVE_INFINITY : window.offset + window.size,
    }));
    checked += parts.length;
    for (const { partition, access, start, end } of parts) {
      if (!(start >= 0 && end > start)) violations.push(`${name}: ${partition} has nothing`);
      if (access === 'ro') continue;
      const others = parts.filter((other) => other.partition !== partition && other.start < end && start < other.end);
      violations.push(...others.map((other) => `${name}: ${partition} writes what ${other.partition} has`));
    }
  }
  return { claim: 'whoever writes a part of a shared disk is alone at it', checked, violations };
}

/** Who is who on a network, and what of the host leads to whom. Addresses that are not written are made from names, which differ. */
function networks({ partitions, shared = [] }: Machine): Claim {
  const violations: string[] = [];
  const owners = new Map<string, string>();
  let checked = 0;
  const claim = (thing: string, owner: string): void => {
    checked++;
    const other = owners.get(thing);
    if (other !== undefined) violations.push(`${thing}: ${other} and ${owner}`);
    else owners.set(thing, owner);
  };
  for (const { name, network, grants } of shared) {
    if (network === undefined) continue;
    for (const { partition, network: own } of grants) if (own?.mac !== undefined) claim(`${own.mac.toLowerCase()} on ${name}`, partition);
    for (const { name: partition, devices } of partitions) for (const device of devices) if (device.shared === name) claim(`the port of ${partition} on ${name}`, device.name);
    for (const { protocol, host, partition } of network.forwards) claim(`${protocol} port ${host} of the host`, partition);
    if (network.uplink.kind === 'tap') claim(`the interface ${network.uplink.interface}`, name);
    if (network.capture !== undefined) claim(`the file ${network.capture}`, name);
  }
  return { claim: 'stations, ports and interfaces of shared networks have one owner each', checked, violations };
}

/** Files behind disks: names may differ, so it is their identity that counts. */
function hostFiles({ partitions, shared = [] }: Machine): Claim {
  const uses = [
    ...partitions.flatMap(({ name, devices }) =>
      devices.flatMap((device) => (device.files ?? []).map(({ identity, path, access }) => ({ identity, path, access, user: `${device.name} of ${name}` }))),
    ),
    ...shared.flatMap(({ name, disk }) => (disk?.files ?? []).map(({ identity, path, access }) => ({ identity, path, access, user: name }))),
  ];
  const violations = uses
    .filter(({ access }) => access === 'rw')
    .flatMap((writer) =>
      uses.filter((other) => other !== writer && other.identity === writer.identity).map((other) => `${writer.path}: ${writer.user} writes it, ${other.user} uses it`),
    );
  return { claim: 'whoever writes a file of the host is alone at it', checked: uses.length, violations };
}

/** Ends name each other, there are two at most, and no two wires have a recording or an interface of the host in common. */
function wires({ partitions }: Machine): Claim {
  const ends = partitions.flatMap(({ name, devices }) => devices.flatMap(({ name: device, wire }) => (wire === undefined ? [] : [{ partition: name, device, wire }])));
  const violations: string[] = [];
  for (const { partition, device, wire } of ends) {
    const others = ends.filter((end) => end.wire.name === wire.name && (end.partition !== partition || end.device !== device));
    const { peer, tap, replay, capture } = wire;
    if (others.length + Number(tap !== undefined) + Number(replay !== undefined) > 1) violations.push(`${wire.name}: more than two ends`);
    const [other] = others;
    if (peer?.partition !== other?.partition || peer?.device !== other?.device) violations.push(`${wire.name}: ${device} of ${partition} leads elsewhere`);
    const elsewhere = ends.filter((end) => end.wire.name !== wire.name).map((end) => end.wire);
    if (tap !== undefined && elsewhere.some((end) => end.tap === tap)) violations.push(`${wire.name}: another wire leads to ${tap}`);
    if (capture !== undefined && elsewhere.some((end) => end.capture === capture)) violations.push(`${wire.name}: another wire writes ${capture}`);
  }
  return { claim: 'every wire leads from one end to one other', checked: ends.length, violations };
}

function insidePartitions({ partitions }: Machine): Claim {
  const violations: string[] = [];
  let checked = 0;
  for (const { name, devices } of partitions) {
    for (const space of ['pio', 'mmio'] as const) {
      const pieces = devices.flatMap((device) => device.ranges.filter((range) => range.space === space).map((range) => ({ ...ofRange(range), owner: device.name })));
      checked += pieces.length;
      violations.push(...twoOwners(pieces).map((violation) => `${name} ${space} ${violation}`));
    }
    const lines = devices.flatMap((device) => device.irqs.map((irq) => ({ ...single(irq), owner: device.name })));
    checked += lines.length;
    violations.push(...twoOwners(lines).map((violation) => `${name} line ${violation}`));
  }
  return { claim: 'inside each partition no address or line belongs to two devices', checked, violations };
}
