/** A guest on the real engine, board and boot loader, in the test's own thread: as fast as it goes, and the same in every run. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ByteRing, MiB } from '../../src/base/index.ts';
import { DEVICE_CATALOGUE, type DeviceModel, drawPicture, keystrokes, type Picture } from '../../src/board/index.ts';
import type { AttachedWire, BlockBackend, BootMedium, Clock, DeviceFile, DeviceSpec, Engine, Nanos, Partition, PointerEvent, SharedEnd } from '../../src/contracts/index.ts';
import { assemble, DEFAULT_QUANTUM, PartitionLink, RunningPartition } from '../../src/partition/index.ts';
import { createCpuidModel, createSoftEngine } from '../../src/soft/index.ts';

export interface GuestOptions {
  readonly cpus?: number;
  readonly memory?: number;
  readonly cmdline?: string;
  readonly initrd?: string;
  readonly instructionsPerMicrosecond?: number;
  /** Models from the catalogue, each at its usual place, beside a serial port. */
  readonly models?: readonly string[];
  /** Models that are no part of the catalogue, by the name of their device; each at its usual place. */
  readonly own?: Readonly<Record<string, DeviceModel>>;
  /** Further devices, as a manifest would describe them. */
  readonly devices?: readonly DeviceSpec[];
  /** Opens the files behind their disks. */
  readonly block?: (file: DeviceFile) => BlockBackend;
  /** What network cables lead to, by device. */
  readonly wires?: (clock: Clock) => ReadonlyMap<string, AttachedWire>;
  /** What is shared, by device. */
  readonly shared?: (clock: Clock) => ReadonlyMap<string, SharedEnd>;
  /** The image is firmware, which looks for a system in this order. */
  readonly order?: readonly BootMedium[];
  /** Expansion ROMs, by device. */
  readonly roms?: Readonly<Record<string, Uint8Array>>;
  /** In place of the software engine's own: for a test that wants to see what passes through it. */
  readonly engine?: Engine;
  /** Of the processor, by the names of src/x86/features.ts; absent: all there are. */
  readonly features?: ReadonlySet<string>;
}

const ROOT = new URL('../../', import.meta.url);

export class Guest {
  readonly partition: RunningPartition;
  readonly #link: PartitionLink;
  readonly #output: ByteRing;
  readonly #log: string[];
  #console = '';

  /** Boots `image`, a path from the root of the checkout or an absolute one. */
  constructor(image: string, options: GuestOptions = {}) {
    const vcpus = options.cpus ?? 1;
    const spec = describe(image, vcpus, options);
    const log: string[] = [];
    this.#log = log;
    const keyboards = spec.devices.filter(({ model }) => DEVICE_CATALOGUE[model]?.input === true).map(({ name }) => name);
    this.#link = PartitionLink.create(['com1'], vcpus, keyboards);
    const { consoles } = this.#link.buffers;
    this.#output = ByteRing.over(consoles['com1']!.output);
    this.partition = new RunningPartition({
      spec,
      pace: 'free',
      // Tests look at a guest between its turns: often.
      quantum: DEFAULT_QUANTUM,
      hostNow: () => 0,
      build: (clock, power) =>
        assemble({
          spec,
          engine: options.engine ?? createSoftEngine(),
          cpuid: (vcpuId) => createCpuidModel({ vcpuId, vcpus, ...(options.features === undefined ? {} : { features: options.features }) }),
          images: {
            kernel: read(image),
            ...(options.initrd === undefined ? {} : { initrd: read(options.initrd) }),
            ...(options.roms === undefined ? {} : { roms: options.roms }),
          },
          consoles,
          inputs: this.#link.buffers.inputs,
          models: options.own ?? {},
          ...(options.block === undefined ? {} : { block: options.block }),
          ...(options.wires === undefined ? {} : { wires: options.wires(clock) }),
          ...(options.shared === undefined ? {} : { shared: options.shared(clock) }),
          clock,
          power,
          log: { log: (severity, message) => void log.push(`${severity}: ${message}`) },
          wallTime: 1_800_000_000,
        }),
    });
  }

  /** Everything it has written to its serial port, carriage returns left out. */
  get console(): string {
    const piece = new Uint8Array(4096);
    for (let count = this.#output.read(piece); count > 0; count = this.#output.read(piece)) {
      this.#console += Buffer.from(piece.subarray(0, count)).toString('latin1').replaceAll('\r', '');
    }
    return this.#console;
  }

  get lines(): string[] {
    return this.console.split('\n').filter((line) => line !== '');
  }

  /** What engine and devices had to say. */
  get log(): readonly string[] {
    return this.#log;
  }

  type(text: string): void {
    this.#link.sendInput('com1', Buffer.from(text));
    this.partition.admitInput();
  }

  /** Types on the keyboard: `ls<enter>`. */
  keys(device: string, text: string): void {
    this.#link.sendKeys(device, keystrokes(text));
    this.partition.admitInput();
  }

  pointer(device: string, events: readonly PointerEvent[]): void {
    this.#link.sendPointer(device, events);
    this.partition.admitInput();
  }

  /** What is on the screen. */
  picture(device: string): Picture {
    return drawPicture(this.partition.displays[device]!);
  }

  /** Runs until `until` holds (looked at now and then), the guest ends, or it has retired so many instructions. True: `until` held. */
  run(limits: { readonly instructions: number; readonly until?: (guest: Guest) => boolean; readonly time?: Nanos }): boolean {
    const { partition } = this;
    const last = partition.retired + limits.instructions;
    const deadline = limits.time === undefined ? Number.POSITIVE_INFINITY : partition.clock.now() + limits.time;
    for (let round = 0; partition.end === undefined && partition.retired < last && partition.clock.now() < deadline; round++) {
      if (partition.advance() === Number.POSITIVE_INFINITY) break;
      if (round % 64 === 0 && limits.until?.(this)) return true;
    }
    return limits.until?.(this) ?? false;
  }
}

function describe(image: string, vcpus: number, options: GuestOptions): Partition {
  const cores = Array.from({ length: vcpus }, (_, core) => core);
  return {
    name: 'guest',
    role: 'gpos',
    engine: 'soft',
    cores,
    memory: { base: 0, size: options.memory ?? 64 * MiB },
    boot: {
      kernel: image,
      cmdline: options.cmdline ?? '',
      protocol: options.order === undefined ? 'auto' : 'firmware',
      decompress: true,
      ...(options.order === undefined ? {} : { order: options.order }),
    },
    devices: [deviceOf('uart16550', 'com1'), deviceOf('debug-exit', 'exit'), ...(options.models ?? []).map((model) => deviceOf(model, model)), ...ownDevices(options.own ?? {}), ...(options.devices ?? [])],
    console: 'com1',
    onCrash: { action: 'halt', limit: 0 },
    instructionsPerMicrosecond: options.instructionsPerMicrosecond ?? 1000,
    allowance: { cores, memory: [], ports: [], mmio: [], irqs: [] },
  };
}

/** A model at its usual place. */
export function deviceOf(model: string, name: string): DeviceSpec {
  const [place] = DEVICE_CATALOGUE[model]!.places;
  return { name, model, ranges: place.ranges, irqs: place.irqs, options: {} };
}

function ownDevices(models: Readonly<Record<string, DeviceModel>>): DeviceSpec[] {
  return Object.entries(models).map(([name, { places: [place] }]) => ({ name, model: name, module: name, ranges: place.ranges, irqs: place.irqs, options: {} }));
}

function read(path: string): Uint8Array {
  return readFileSync(fileURLToPath(new URL(path, ROOT)));
}
