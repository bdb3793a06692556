/**
 * A whole partition for the test of a device: the software engine, the board every PC has, the device under test, and a guest that is a
 * {@link GuestProgram} or any image that boots. No threads, no files: it runs in the test, at its own pace, and the same way every time.
 *
 *     const machine = new TestMachine({ devices: { encoder: { model: device, options: { rpm: 60 } } } });
 *     expect(machine.run(new GuestProgram().in(0x300)).values).toEqual([0]);
 *
 * Not modelled: several partitions, input on the serial line, wires and files behind devices.
 */
import { BulkheadError, ByteRing, KiB, MiB, ms } from '../base/index.ts';
import { DEVICE_CATALOGUE, type DeviceModel } from '../board/index.ts';
import type { Bytes, DeviceSpec, Gpa, IoRange, Nanos, Partition } from '../contracts/index.ts';
import { assemble, type PartitionEnd, RunningPartition } from '../partition/index.ts';
import { createCpuidModel, createSoftEngine } from '../soft/index.ts';
import { EXIT_PORT, GuestProgram, MIPS, PROGRAM_BASE, RESULT_POINTER, RESULTS } from './guest-program.ts';

/** A device under test, or one of the catalogue beside it. */
export interface TestDevice {
  /** What `defineDevice` made, or the name of a model of the catalogue. */
  readonly model: DeviceModel | string;
  readonly options?: Readonly<Record<string, string | number | boolean>>;
  /** First address of each of its ranges; left out: its first usual place. */
  readonly at?: readonly number[];
  readonly irqs?: readonly number[];
}

export interface TestMachineOptions {
  readonly devices: Readonly<Record<string, TestDevice>>;
  /** RAM; a {@link GuestProgram} needs 4 MiB. */
  readonly memory?: Bytes;
  /** What a guest that is an image gets as its command line. */
  readonly cmdline?: string;
  readonly dmaViolations?: 'report' | 'stop';
}

export interface RunOptions {
  /** Guest time after which it is over, finished or not. */
  readonly limit?: Nanos;
  /** Devices may go wrong: they are found in `stopped`. Otherwise `run` throws BH219 when one does. */
  readonly mayStop?: boolean;
}

/** What a guest left behind. */
export interface TestRun {
  /** What the program read, in order. */
  readonly values: readonly number[];
  /** What it wrote to the serial port `com1`. */
  readonly output: string;
  /** Undefined when it had not finished by the limit. */
  readonly end: PartitionEnd | undefined;
  readonly guestTime: Nanos;
  /** `warn: …`, as a partition's log has it. */
  readonly log: readonly string[];
  /** Devices that went wrong, and how. */
  readonly stopped: readonly string[];
  readonly dmaViolations: number;
  /** RAM as it is now; undefined where there is none. */
  read(address: Gpa, size: Bytes): Uint8Array | undefined;
}

const DEFAULT_LIMIT: Nanos = 100 * ms;
const CONSOLE = 'com1';

export class TestMachine {
  readonly #options: TestMachineOptions;

  constructor(options: TestMachineOptions) {
    this.#options = options;
  }

  /** From power-on: each run is a machine of its own. `guest` is a program, or the bytes of an image. */
  run(guest: GuestProgram | Uint8Array, { limit = DEFAULT_LIMIT, mayStop = false }: RunOptions = {}): TestRun {
    const { devices: described, ...options } = this.#options;
    const devices = Object.entries(described).map(([name, device]) => specOf(name, device));
    const models = Object.fromEntries(Object.entries(described).flatMap(([name, { model }]) => (typeof model === 'string' ? [] : [[name, model]])));
    const kernel = guest instanceof GuestProgram ? guest.assemble() : guest;
    const spec = partitionOf([...devices, ...ALWAYS_THERE], options, guest instanceof GuestProgram);
    const console = { output: ByteRing.create(CONSOLE_BYTES), input: ByteRing.create(CONSOLE_BYTES) };
    const log: string[] = [];
    using partition = new RunningPartition({
      spec,
      pace: 'free',
      hostNow: () => 0,
      build: (clock, power) =>
        assemble({
          spec,
          engine: createSoftEngine({ translation: 'none' }),
          cpuid: (vcpuId) => createCpuidModel({ vcpuId, vcpus: 1 }),
          images: { kernel },
          consoles: { [CONSOLE]: { output: console.output.buffer, input: console.input.buffer, size: new SharedArrayBuffer(4) } },
          models,
          clock,
          power,
          log: { log: (severity, message) => log.push(`${severity}: ${message}`) },
          wallTime: 0,
        }),
    });
    let output = '';
    let sleep = 0;
    while (partition.end === undefined && partition.clock.now() < limit && sleep !== Number.POSITIVE_INFINITY) {
      sleep = partition.advance();
      for (let byte = console.output.shift(); byte !== undefined; byte = console.output.shift()) output += String.fromCharCode(byte);
    }
    const stopped = log.filter((line) => line.startsWith(STOPPED)).map((line) => line.slice(STOPPED.length));
    if (stopped.length > 0 && !mayStop) {
      throw new BulkheadError('BH219', `device ${stopped[0]}`, { hint: 'pass `mayStop: true` to look at a device that goes wrong' });
    }
    const { memory, end, deviceFaults } = partition;
    const read = (address: Gpa, size: Bytes) => memory.read(address, size);
    return {
      values: guest instanceof GuestProgram ? resultsIn(read) : [],
      output,
      end,
      guestTime: partition.clock.now(),
      log,
      stopped,
      dmaViolations: deviceFaults.dmaViolations,
      read,
    };
  }
}

/** How the platform reports a device that went wrong. */
const STOPPED = 'error: device ';
const CONSOLE_BYTES = 64 * KiB;
const SMALLEST_FOR_PROGRAM = 4 * MiB;

const ports = (base: number, size: number): IoRange => ({ space: 'pio', base, size });
const ALWAYS_THERE: readonly DeviceSpec[] = [
  { name: CONSOLE, model: 'uart16550', ranges: [ports(0x3f8, 8)], irqs: [4], options: {} },
  { name: 'exit', model: 'debug-exit', ranges: [ports(EXIT_PORT, 4)], irqs: [], options: {} },
];

/** Models under test are known by the name of their device, and stand behind the same wall as in a machine. */
function specOf(name: string, { model, options = {}, at, irqs }: TestDevice): DeviceSpec {
  const known = typeof model === 'string' ? DEVICE_CATALOGUE[model] : model;
  if (known === undefined) {
    throw new BulkheadError('BH214', `${name} is a ${String(model)}, which no catalogue lists`, { hint: `known models: ${Object.keys(DEVICE_CATALOGUE).join(', ')}` });
  }
  const [usual] = known.places;
  return {
    name,
    model: typeof model === 'string' ? model : name,
    ...(typeof model === 'string' ? {} : { module: name }),
    ranges: usual.ranges.map((range, index) => ({ ...range, base: at?.[index] ?? range.base })),
    irqs: irqs ?? usual.irqs,
    options,
  };
}

function partitionOf(devices: readonly DeviceSpec[], { memory, cmdline, dmaViolations }: Omit<TestMachineOptions, 'devices'>, isProgram: boolean): Partition {
  const own = { cores: [0], memory: { base: 0, size: memory ?? 16 * MiB }, devices };
  if (isProgram && own.memory.size < SMALLEST_FOR_PROGRAM) {
    throw new BulkheadError('BH219', `a guest program needs ${SMALLEST_FOR_PROGRAM / MiB} MiB of RAM, not ${own.memory.size} bytes`, { hint: 'leave `memory` out' });
  }
  return {
    name: 'test',
    role: 'rtos',
    engine: 'soft',
    ...own,
    boot: {
      kernel: 'the guest of the test',
      cmdline: cmdline ?? '',
      decompress: true,
      ...(isProgram ? { protocol: 'flat', load: PROGRAM_BASE } : { protocol: 'auto' }),
    },
    console: CONSOLE,
    onCrash: { action: 'halt', limit: 0 },
    instructionsPerMicrosecond: MIPS,
    ...(dmaViolations === undefined ? {} : { dmaViolations }),
    allowance: { cores: [0], memory: [own.memory], ports: [], mmio: [], irqs: [] },
  };
}

function resultsIn(read: (address: Gpa, size: Bytes) => Uint8Array | undefined): number[] {
  const dwords = (address: Gpa, count: number): number[] => {
    const bytes = read(address, 4 * count);
    if (bytes === undefined) return [];
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return Array.from({ length: count }, (_, index) => view.getUint32(4 * index, true));
  };
  const end = dwords(RESULT_POINTER, 1)[0] ?? 0;
  return end > RESULTS ? dwords(RESULTS, (end - RESULTS) >> 2) : [];
}
