/**
 * From the description of a partition to its hardware: memory and vCPUs of its engine, the platform they are wired to, and what its image
 * becomes in RAM. The only place where engine, board and boot loader meet.
 */
import { BulkheadError } from '../base/index.ts';
import { createPlatform, type FirmwareRom, pcRamRegions, type Platform, Telemetry } from '../board/index.ts';
import { describeFirmware, loadBoot } from '../boot/index.ts';
import type { BootPlan, CpuidModel, Engine, Logger, Partition, PartitionName, PowerControl } from '../contracts/index.ts';
import type { VirtualClock } from './clock.ts';
import { type ConsoleBuffers, ConsolePort } from './console-port.ts';
import type { Hardware } from './partition.ts';
import type { CrashReport } from './report.ts';

export interface Images {
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
}

export interface AssemblyOptions {
  readonly spec: Partition;
  readonly engine: Engine;
  readonly cpuid: (vcpu: number) => CpuidModel;
  /** The files of `spec.boot`, read. */
  readonly images: Images;
  /** By the name of the device; a character device without one is connected to nothing. */
  readonly consoles: Readonly<Record<string, ConsoleBuffers>>;
  readonly clock: VirtualClock;
  readonly power: PowerControl;
  readonly log: Logger;
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
  const ports = new Map(Object.entries(options.consoles).map(([name, buffers]) => [name, new ConsolePort(buffers)] as const));
  const platform = createPlatform({
    partition: spec.name,
    vcpus: vcpuCount,
    devices: spec.devices,
    memory,
    clock,
    log,
    power,
    character: (device) => ports.get(device) ?? NOWHERE,
    cpuid: options.cpuid,
    wallTime: options.wallTime,
    ...(isFirmware ? { rom: romOf(spec, options.images.kernel) } : {}),
  });
  const telemetry = platform.chips(Telemetry)[0]?.chip;
  const plan = load(spec, options.images, platform);
  const vm = engine.createVm(memory, vcpuCount, log);
  const vcpus = spec.cores.map((_, id) => vm.createVcpu(id, platform.wiring(id)));
  return {
    memory,
    vm,
    vcpus,
    image: plan.description,
    segments: [...platform.firmware, ...plan.segments],
    entry: plan.entry,
    connect: (vcpu, pins) => platform.connect(vcpu, pins),
    reset(kind) {
      platform.reset(kind);
      if (!isFirmware) platform.enterVirtualWire();
    },
    admitInput() {
      let waiting = false;
      for (const port of ports.values()) waiting = port.admit() || waiting;
      if (waiting) platform.pollInput();
    },
    // A port that nobody has written to tells nothing: most guests do not know it.
    telemetry: () => (telemetry !== undefined && telemetry.report.periods + telemetry.report.heartbeats > 0 ? telemetry.report : undefined),
    [Symbol.dispose]() {
      for (const vcpu of vcpus) vcpu[Symbol.dispose]();
      vm[Symbol.dispose]();
      platform[Symbol.dispose]();
    },
  };
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
  const hasScreen = devices.some(({ model }) => DISPLAYS_WITH_ROM.includes(model));
  return { image, order: boot.order ?? [], ...(serial === undefined || hasScreen ? {} : { serialConsole: serial }) };
}

function load(spec: Partition, images: Images, platform: Platform): BootPlan {
  const { kernel, initrd, cmdline, protocol, decompress, load: loadAddress, entry } = spec.boot;
  return loadBoot(
    { kernel: images.kernel, kernelName: kernel, initrd: images.initrd, initrdName: initrd, cmdline, protocol, decompress, load: loadAddress, entry },
    { memoryMap: platform.memoryMap, ...(platform.rsdp === undefined ? {} : { rsdp: platform.rsdp }) },
  );
}

function hintOf({ hint }: BulkheadError): string {
  return hint === undefined ? '' : ` (${hint})`;
}

/** Models that bring a video BIOS. */
const DISPLAYS_WITH_ROM: readonly string[] = ['stdvga'];
const NOWHERE = { output: (): void => {}, input: (): undefined => undefined };
