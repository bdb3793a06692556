/**
 * The manifest language: which keys there are, what may stand behind them and what they mean. The editor's JSON Schema is
 * generated from this file, so every key carries its sentence here.
 *
 * Shorthands are unions of a scalar first and a mapping second; schema-findings.ts relies on that order.
 */
import { z } from 'zod';
import { CPU_LEVELS, DEFAULT_CPU_LEVEL } from '../x86/features.ts';
import { ADDRESS_LIMIT, clip, parseRate, parseSize, type Quantity } from './quantities.ts';

/** What a finding of a scalar carries through zod, in the issue's `params`. */
export interface ScalarProblem {
  readonly finding: `BH${number}`;
  readonly hint: string;
}

/**
 * A mapping that refuses keys it does not know. zod tells the reader of an issue which key was wrong, but not which would have
 * been right: so the *message* of that one issue is the list of known keys, parted by blanks.
 */
function keyed<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? Object.keys(shape).join(' ') : undefined) });
}

/** A value read by one of our own parsers. `editor` is what the JSON Schema says of it. */
function scalar(read: (written: unknown) => Quantity, code: ScalarProblem['finding'], editor: Readonly<Record<string, unknown>>) {
  return z
    .unknown()
    .meta(editor)
    .transform((written, context): number => {
      const quantity = read(written);
      if ('value' in quantity) return quantity.value;
      const params: ScalarProblem = { finding: code, hint: quantity.hint };
      context.addIssue({ code: 'custom', message: quantity.problem, params });
      return z.NEVER;
    });
}

const SIZE_PATTERN = '^(0x[0-9a-fA-F]+ ?|[0-9]+(\\.[0-9]+)? ?)(B|KiB|MiB|GiB)$';
const size = (doc: string) => scalar(parseSize, 'BH108', { type: 'string', pattern: SIZE_PATTERN, description: doc, examples: ['16MiB', '2GiB'] });
const rate = (doc: string) =>
  scalar(parseRate, 'BH109', { type: 'string', pattern: '^[0-9]+(\\.[0-9]+)? ?(MIPS|GIPS)$', description: doc, examples: ['100MIPS'] });
const address = (doc: string) =>
  scalar(parseAddress, 'BH110', { type: ['integer', 'string'], pattern: `^0x[0-9a-fA-F]+$|${SIZE_PATTERN}`, minimum: 0, description: doc });

/** A number (`0x300`), the same in quotes (JSON has no hexadecimal numbers), or a size (`1GiB`). */
function parseAddress(written: unknown): Quantity {
  const hint = 'write a number, as in 0x300, or a size, as in 1GiB';
  const value = typeof written === 'string' && /^(0x[0-9a-f]{1,12}|[0-9]{1,15})$/i.test(written) ? Number(written) : written;
  if (typeof value === 'string') return parseSize(value);
  if (typeof value !== 'number') return { problem: 'an address is wanted here', hint };
  if (!Number.isInteger(value) || value < 0 || value >= ADDRESS_LIMIT) return { problem: `\`${clip(String(written))}\` is not an address`, hint };
  return { value };
}

const word = <const Words extends readonly [string, ...string[]]>(words: Words, doc: string) => z.enum(words).meta({ description: doc });
const text = (doc: string) => z.string().meta({ description: doc });
const whole = (min: number, max: number, doc: string) => z.int().min(min).max(max).meta({ description: doc });
const oneOrMore = <Item extends z.ZodType>(item: Item, doc: string) => z.union([item, z.array(item).max(16)]).meta({ description: doc });
const named = <Item extends z.ZodType>(item: Item, doc: string) => z.record(z.string(), item).meta({ description: doc });

const option = z.union([z.string(), z.number(), z.boolean()]);
const place = {
  ports: oneOrMore(address('A port'), 'First port of each of its register windows; the model knows their sizes. Left out: the usual place.').optional(),
  mmio: oneOrMore(address('An address'), 'First address of each of its memory-mapped windows. Left out: the usual place.').optional(),
  irq: oneOrMore(whole(0, 255, 'A line'), 'Interrupt line or lines. Left out: the usual ones.').optional(),
  wire: text('The wire its network cable leads to, from `wires`.').optional(),
  options: named(option, "Settings of the model; `bulkhead inspect devices` lists each model's.").optional(),
};

const boardDevice = keyed({ model: text('What it is: from the device catalogue, or a module of yours by its path.'), ...place });

const device = keyed({
  model: text("A model of this partition's own: from the device catalogue, or a module of yours by its path, as in `./encoder.ts`.").optional(),
  board: text('The device of the board that this partition owns, from `board.devices`.').optional(),
  shared: text('The shared resource behind it, from `shared`. Its kind chooses the model.').optional(),
  exclusive: text('In place of `shared`: the resource is this device’s alone and served in its partition’s own thread, without a broker.').optional(),
  transport: word(['pci', 'mmio'], 'Of a virtio device: on PCI, or with memory-mapped registers.').optional(),
  ...place,
});

const boot = keyed({
  kernel: text('The image to start: a path relative to this file, or `package:NAME`. Its kind is found out from its bytes.').optional(),
  firmware: text("In place of a kernel: `seabios` (a BIOS), `ovmf` (UEFI), or the path of a PC's firmware image. It finds a system on the partition's disks.").optional(),
  vars: text('Where UEFI firmware keeps what it stores: a file for its flash memory, of 128 KiB for `ovmf`. Left out: it lasts until the partition stops.').optional(),
  order: z
    .array(z.enum(['disk', 'cdrom', 'floppy', 'network']))
    .min(1)
    .max(4)
    .meta({ description: 'Where firmware looks for a system, in this order.' })
    .default(['disk', 'cdrom', 'floppy', 'network']),
  initrd: text('Initial RAM disk: a path relative to this file, or `package:NAME`.').optional(),
  cmdline: text('Kernel command line.').default(''),
  protocol: word(['auto', 'flat'], '`flat`: no header, load the bytes at `load` and jump to `entry`.').default('auto'),
  load: address('Where a flat image is loaded.').optional(),
  entry: address('Where a flat image is entered; left out: at `load`.').optional(),
  decompress: z.boolean().default(true).meta({ description: 'false: enter the image through its own decompressor, as a boot loader would.' }),
});

const crashAction = word(['halt', 'restart', 'stop-machine'], 'What happens when the partition crashes.');

const partition = keyed({
  role: word(['gpos', 'rtos'], 'A general-purpose or a real-time operating system.'),
  engine: word(['soft', 'kvm'], 'What runs its code: x86 in software, or the hardware through Linux.').default('soft'),
  cores: z.array(whole(0, 4095, 'A core')).max(256).meta({ description: 'The cores of the board it owns, in the order of its vCPUs.' }),
  memory: z
    .union([size('How much RAM it owns.'), keyed({ size: size('How much RAM.'), base: address('Where on the board.').optional() })])
    .meta({ description: 'Its RAM: a size, placed by the compiler, or a size and a base on the board.' }),
  cpu: word(CPU_LEVELS, 'What its processor offers: a level of the x86-64 psABI.').default(DEFAULT_CPU_LEVEL),
  cpuid: named(z.boolean(), 'Single features of the processor put in (`true`) or left out (`false`), by the names of /proc/cpuinfo.').default({}),
  speed: rate('How fast a core appears to its guest, in instructions per microsecond of virtual time.').default(100),
  boot,
  devices: named(device, 'Its devices, by the name it gives them.').default({}),
  console: text('Which of its devices is its console.').optional(),
  'dma-violations': word(['report', 'stop'], "What happens when a device's DMA leaves the partition's RAM, beside being refused: a report, or a crash.").default('report'),
  'on-crash': z
    .union([crashAction, keyed({ action: crashAction, limit: whole(0, 1000, 'Restarts, then it stays halted.').optional() })])
    .default('halt')
    .meta({ description: 'What happens when it crashes.' }),
});

const vlanId = (doc: string) => whole(1, 4094, doc);
const vlan = (doc: string) =>
  z
    .union([
      z.literal('trunk'),
      vlanId('The VLAN it is in; what it sends and gets is untagged.'),
      keyed({
        trunk: z.array(vlanId('A VLAN')).max(4094).meta({ description: 'VLANs that come and go with a tag.' }),
        native: vlanId('The VLAN of what has no tag.').default(1),
      }),
    ])
    .meta({ description: doc });
const perSecond = (doc: string) => whole(0, 10_000_000, doc);
const storm = z
  .union([
    perSecond('Frames a second of each kind.'),
    keyed({
      broadcast: perSecond('To everybody.').optional(),
      multicast: perSecond('To groups.').optional(),
      unknown: perSecond('To stations that nobody has heard of.').optional(),
    }),
  ])
  .meta({ description: 'On a network: how many frames a second it may send that go to everybody. Left out: 1000 of each kind.' });

/** What a partition may do with something shared. Which keys fit which kind: rules/shared-keys.ts. */
const grant = keyed({
  access: word(['ro', 'rw'], 'Read only, or read and write.').default('rw'),
  weight: whole(1, 1000, 'Its share while others want the resource too, relative to their weights. Left out: 1.').optional(),
  depth: whole(1, 1024, 'Requests it may have in flight.').optional(),
  rate: keyed({
    'bytes-per-second': size('At most so much a second.').optional(),
    'operations-per-second': whole(1, 10_000_000, 'At most so many requests a second.').optional(),
    burst: size('How much of `bytes-per-second` can be saved up. Left out: a quarter of a second.').optional(),
  }).optional(),
  window: keyed({
    offset: address('Where in the disk its part begins.').optional(),
    size: size('How large its part is.').optional(),
    partition: whole(1, 128, 'In place of offset and size: the partition of the disk with this number (MBR or GPT).').optional(),
  })
    .meta({ description: 'The part of the disk that it sees as its disk. Left out: all of it.' })
    .optional(),
  mac: text('Its address on the network, as 02:00:00:00:00:01; it sends with no other. Left out: made from the names of partition and network.').optional(),
  vlan: vlan('On a network: the VLAN it is in, or `trunk` for all of them, tagged. Left out: 1.').optional(),
  storm: storm.optional(),
  doorbells: whole(1, 1_000_000, 'Of memory: how often a second it may interrupt each of the others. Left out: 10000.').optional(),
});

const port = (doc: string) => whole(1, 65_535, doc);
const forward = keyed({
  host: port("Port of this host's loopback."),
  partition: text('Where it leads to.'),
  port: port('Port of the partition.'),
  protocol: word(['tcp', 'udp'], 'TCP or UDP.').default('tcp'),
});

const socketAddress = (doc: string) => z.union([port(doc), z.string()]).meta({ description: `${doc} A port of this host's loopback, or an address and a port, as in 0.0.0.0:2323.` });

/** A way to a console: exactly one of its keys but `access` (rules/console-ways.ts). */
const way = keyed({
  unix: text('A Unix socket of this path: the bytes of the console, both ways.').optional(),
  pty: text('A link of this path to a pseudo-terminal.').optional(),
  file: text('Its lines, with the time, go to this file.').optional(),
  telnet: socketAddress('For telnet.').optional(),
  websocket: socketAddress('For browsers.').optional(),
  access: word(['ro', 'rw'], 'Whether those who come this way may write, one at a time.').default('rw'),
});

const shared = keyed({
  kind: word(['console', 'disk', 'ethernet', 'memory', 'entropy', 'timer'], 'What it is.'),
  size: size('Of memory: how much, a power of two.').optional(),
  ways: z.array(way).max(16).meta({ description: 'Of a console: ways to it from outside, beside the terminal that the machine runs in.' }).optional(),
  image: text('Of a disk: the file it lies in, raw or qcow2. A path relative to this file.').optional(),
  overlay: text('Of a disk: the file that takes what is written, so that the image stays as it is. Made when it does not exist.').optional(),
  uplink: z
    .union([word(['nat', 'none'], '`nat`: a gateway that uses the host as any program does. `none`: it leads nowhere.'), keyed({ tap: text('A network interface of the host, a Linux TAP.') })])
    .meta({ description: 'Of a network: how it leads out of the machine. Left out: not at all.' })
    .optional(),
  'uplink-vlan': vlan('Of a network: the VLAN its uplink is in, or `trunk`. Left out: 1.').optional(),
  network: text('Of a network with `uplink: nat`: the addresses its gateway gives out, as 10.0.2.0/24, which it is when left out.').optional(),
  mtu: whole(576, 9000, 'Of a network: the longest IP packet. Left out: 1500.').optional(),
  forwards: z.array(forward).max(256).meta({ description: 'Of a network with `uplink: nat`: ports of this host that lead to partitions.' }).optional(),
  loopback: z
    .union([z.literal('all'), z.array(port('A port')).max(256)])
    .meta({ description: "Of a network with `uplink: nat`: ports of this host's loopback that partitions reach at the gateway's address. Left out: none." })
    .optional(),
  capture: text('Of a network: every frame at every port is written to this pcapng file. A path relative to this file.').optional(),
  grants: named(grant, 'Who may use it: partition names.'),
});

const wire = keyed({
  tap: text('Leads to this network interface of the host, a Linux TAP.').optional(),
  replay: text('Leads to a recording: the frames of this pcap file arrive at the times it says. A path relative to this file.').optional(),
  capture: text('Everything on the wire is written to this pcap file. A path relative to this file.').optional(),
});

export const manifestSchema = keyed({
  version: z.literal(1).meta({ description: 'Version of the manifest language: 1.' }),
  machine: text('Name of the machine.'),
  board: keyed({
    cores: whole(1, 4096, 'Cores it has, numbered from 0.'),
    memory: size('RAM it has.'),
    devices: named(boardDevice, 'Its own devices. Each can be owned by one partition.').default({}),
  }),
  wires: named(wire, 'Ethernet wires. Each leads from one network controller to another, to the host or to a recording.').default({}),
  shared: named(shared, 'What several partitions use, through brokers, and who was granted it.').default({}),
  partitions: named(partition, 'The partitions, by name.'),
});

/** A manifest of the right shape: every value typed, nothing about its sense checked yet. */
export type Manifest = z.output<typeof manifestSchema>;
export type ManifestPartition = Manifest['partitions'][string];
export type ManifestWay = NonNullable<ManifestShared['ways']>[number];
export type ManifestDevice = ManifestPartition['devices'][string];
export type ManifestShared = Manifest['shared'][string];
export type ManifestGrant = ManifestShared['grants'][string];
export type ManifestWire = Manifest['wires'][string];
export type ManifestBoardDevice = Manifest['board']['devices'][string];
