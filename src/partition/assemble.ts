/**
 * From the description of a partition to its hardware: memory and vCPUs of its engine, the platform they are wired to, and what its image
 * becomes in RAM. The only place where engine, board and boot loader meet.
 */
import { BulkheadError } from '../base/index.ts';
import { createPlatform, type DeviceCalls, type DeviceCatalogue, type FirmwareRom, pcRamRegions, type Platform, Stdvga, Telemetry, Vga } from '../board/index.ts';
import { describeFirmware, loadBoot } from '../boot/index.ts';
import type { AttachedLine, AttachedWire, BlockBackend, BootDisplay, BootPlan, Clock, CpuidModel, DeviceFile, DisplayBuffers, Engine, Logger, Partition, PartitionName, PowerControl, SharedEnd } from '../contracts/index.ts';
import { NetworkEnd, SHARED_MODELS, TimerEnd } from '../shared/index.ts';
import type { VirtualClock } from './clock.ts';
import { type ConsoleBuffers, ConsolePort } from './console-port.ts';
import { type InputBuffers, InputPort } from './input-port.ts';
import type { Hardware } from './partition.ts';
import type { CrashReport } from './report.ts';

export interface Images {
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  /** Expansion ROMs, by device. */
  readonly roms?: Readonly<Record<string, Uint8Array>>;
}

export interface AssemblyOptions {
  readonly spec: Partition;
  readonly engine: Engine;
  readonly cpuid: (vcpu: number) => CpuidModel;
  /** The files of `spec.boot`, read. */
  readonly images: Images;
  /** By the name of the device; a character device without one is connected to nothing. */
  readonly consoles: Readonly<Record<string, ConsoleBuffers>>;
  /** Keyboards and mice, by the name of the device. */
  readonly inputs?: Readonly<Record<string, InputBuffers>>;
  /** By network controller: what its cable leads to. Disposed with the hardware. */
  readonly wires?: ReadonlyMap<string, AttachedWire>;
  /** By character device: a serial line of the partition's own, beside its console. Disposed with the hardware. */
  readonly lines?: ReadonlyMap<string, AttachedLine>;
  /** By device: its end of a shared resource. Disposed with the hardware. */
  readonly shared?: ReadonlyMap<string, SharedEnd>;
  /** Opens a file behind a disk or CD-ROM. Absent: there are none. */
  readonly block?: (file: DeviceFile) => BlockBackend;
  readonly clock: VirtualClock;
  readonly power: PowerControl;
  readonly log: Logger;
  /** Device models of the user's own, by the name the manifest gives them. */
  readonly models?: DeviceCatalogue;
  /** Where their calls are noted. */
  readonly deviceCalls?: DeviceCalls;
  /** Seconds since 1970 at virtual time 0: what the real-time clock says. */
  readonly wallTime: number;
}

/**
 * Builds it all; nothing runs yet. Throws BH3xx when the image is not what it should be or does not fit, BH401 when the host cannot give
 * the memory, BH504 when the engine is not available, BH2xx when devices collide.
 */
export function assemble(options: AssemblyOptions): Hardware {
  const { spec, engine, clock, power, log } = options;
  const { available, reason, maxVcpus } = engine.probe();
  const vcpuCount = spec.cores.length;
  if (!available || vcpuCount > maxVcpus) {
    const why = available ? `it has at most ${maxVcpus} vCPUs, not ${vcpuCount}` : (reason ?? 'no reason given');
    throw new BulkheadError('BH504', `the engine \`${engine.name}\` cannot run ${spec.name}: ${why}`);
  }
  const isFirmware = spec.boot.protocol === 'firmware';
  const memory = engine.createMemory(pcRamRegions(spec.memory.size), vcpuCount);
  const ports = new Map(Object.entries(options.consoles).map(([name, buffers]) => [name, characterPort(new ConsolePort(buffers), options.lines?.get(name))] as const));
  const inputs = new Map(Object.entries(options.inputs ?? {}).map(([name, buffers]) => [name, new InputPort(buffers)] as const));
  const admitting = [...ports.values(), ...inputs.values()];
  const platform = createPlatform({
    partition: spec.name,
    vcpus: vcpuCount,
    devices: spec.devices,
    memory,
    clock,
    log,
    power,
    character: (device) => ports.get(device) ?? NOWHERE,
    wire: (device) => options.wires?.get(device) ?? networkEnd(options.shared?.get(device)),
    input: (device) => inputs.get(device) ?? NOBODY,
    shared: (device) => options.shared?.get(device),
    clockOf: (device) => timerClock(options.shared?.get(device)),
    ...(options.block === undefined ? {} : { block: options.block }),
    ...(options.images.roms === undefined ? {} : { roms: new Map(Object.entries(options.images.roms)) }),
    cpuid: options.cpuid,
    wallTime: options.wallTime,
    models: { ...SHARED_MODELS, ...options.models },
    ...(options.deviceCalls === undefined ? {} : { deviceCalls: options.deviceCalls }),
    ...(spec.dmaViolations === undefined ? {} : { dmaViolations: spec.dmaViolations }),
    ...(isFirmware ? { rom: romOf(spec, options.images.kernel) } : {}),
  });
  const wires = [...(options.wires?.values() ?? [])];
  const shared = [...(options.shared?.values() ?? [])];
  const telemetry = platform.chips(Telemetry)[0]?.chip;
  const plan = load(spec, options.images, platform);
  const vm = engine.createVm(memory, vcpuCount, log);
  const vcpus = spec.cores.map((_, id) => vm.createVcpu(id, platform.wiring(id)));
  return {
    memory,
    vm,
    vcpus,
    image: plan.description,
    hasNeighbours: shared.length > 0 || spec.devices.some(({ wire }) => wire?.peer !== undefined || wire?.tap !== undefined),
    displays: displaysOf(platform),
    segments: [...platform.firmware, ...plan.segments],
    entry: plan.entry,
    connect: (vcpu, pins) => platform.connect(vcpu, pins),
    reset(kind) {
      platform.reset(kind);
      if (!isFirmware) platform.enterVirtualWire();
    },
    admitInput() {
      let waiting = false;
      for (const port of admitting) waiting = port.admit() || waiting;
      if (waiting) platform.pollInput();
      for (const wire of wires) wire.admit();
      for (const end of shared) end.admit();
    },
    awaiting: () => shared.some(({ awaiting }) => awaiting === true),
    // A port that nobody has written to tells nothing: most guests do not know it.
    telemetry: () => (telemetry !== undefined && telemetry.report.periods + telemetry.report.heartbeats > 0 ? telemetry.report : undefined),
    deviceFaults: () => ({ dmaViolations: platform.dma.violations, stoppedDevices: platform.stoppedDevices().length }),
    exchangeDevices: (models) => exchangeDevices(platform, spec, models),
    [Symbol.dispose]() {
      for (const vcpu of vcpus) vcpu[Symbol.dispose]();
      vm[Symbol.dispose]();
      platform[Symbol.dispose]();
      for (const wire of wires) wire[Symbol.dispose]();
      for (const end of shared) end[Symbol.dispose]();
      for (const line of options.lines?.values() ?? []) line[Symbol.dispose]();
    },
  };
}

function exchangeDevices(platform: Platform, { devices }: Partition, models: DeviceCatalogue): string[] {
  return devices.flatMap(({ name, model, module }) => {
    const present = models[model];
    if (module === undefined || present === undefined) return [];
    try {
      platform.exchangeDevice(name, present);
      return [`device ${name} (${model}) was loaded anew and reset`];
    } catch (error) {
      return [`device ${name} (${model}) was stopped: ${error instanceof Error ? error.message : String(error)}`];
    }
  });
}

/** The report on a partition that could not be built. */
export function cannotStart(partition: PartitionName, error: unknown): CrashReport {
  const message = error instanceof Error ? error.message : String(error);
  const cause = error instanceof BulkheadError ? `cannot start: ${error.code}: ${message}${hintOf(error)}` : `cannot start: ${message}`;
  const stack = error instanceof Error && !(error instanceof BulkheadError) && error.stack !== undefined ? { stack: error.stack } : {};
  return { partition, kind: 'cannot-start', cause, guestTime: 0, retired: 0, vcpus: [], ...stack };
}

/** Throws BH307 when `image` is no firmware. */
function romOf({ boot, console, devices }: Partition, image: Uint8Array): FirmwareRom {
  describeFirmware(image, boot.kernel);
  const serial = devices.find(({ name, model }) => name === console && model === 'uart16550')?.ranges[0]?.base;
  return { image, order: boot.order ?? [], ...(serial === undefined ? {} : { serialConsole: serial }) };
}

/** What is on each screen, by device. */
function displaysOf(platform: Platform): Record<string, DisplayBuffers> {
  return Object.fromEntries([...platform.chips(Vga), ...platform.chips(Stdvga)].map(({ name, chip }) => [name, chip.buffers]));
}

/** What a loader tells its system of the screen. */
function bootDisplay(platform: Platform): BootDisplay | undefined {
  const framebuffer = platform.chips(Stdvga).map(({ chip }) => chip.framebuffer).find((found) => found !== undefined);
  if (framebuffer !== undefined) return { kind: 'framebuffer', ...framebuffer };
  return platform.chips(Vga).length + platform.chips(Stdvga).length > 0 ? { kind: 'text' } : undefined;
}

function load(spec: Partition, images: Images, platform: Platform): BootPlan {
  const { kernel, initrd, cmdline, protocol, decompress, load: loadAddress, entry } = spec.boot;
  const display = bootDisplay(platform);
  return loadBoot(
    { kernel: images.kernel, kernelName: kernel, initrd: images.initrd, initrdName: initrd, cmdline, protocol, decompress, load: loadAddress, entry },
    {
      memoryMap: platform.memoryMap,
      ...(platform.rsdp === undefined ? {} : { rsdp: platform.rsdp }),
      ...(display === undefined ? {} : { display }),
    },
  );
}

function hintOf({ hint }: BulkheadError): string {
  return hint === undefined ? '' : ` (${hint})`;
}

/** A shared network is a wire to a controller that knows of no sharing. */
function networkEnd(end: SharedEnd | undefined): NetworkEnd | undefined {
  return end instanceof NetworkEnd ? end : undefined;
}

/** A shared timer is a clock to a chip that knows of no sharing. */
function timerClock(end: SharedEnd | undefined): Clock | undefined {
  return end instanceof TimerEnd ? end.clock : undefined;
}

/** A line of the partition's own takes and gives what the console does, which is kept and shown all the same. */
function characterPort(console: ConsolePort, line: AttachedLine | undefined): Pick<ConsolePort, 'output' | 'input' | 'size' | 'admit'> {
  if (line === undefined) return console;
  return {
    output(byte) {
      line.output(byte);
      console.output(byte);
    },
    input: () => line.input() ?? console.input(),
    get size() {
      return console.size;
    },
    admit() {
      const waiting = line.admit();
      return console.admit() || waiting;
    },
  };
}

const NOBODY = { key: (): undefined => undefined, pointer: (): undefined => undefined };
const NOWHERE = { output: (): void => {}, input: (): undefined => undefined };
