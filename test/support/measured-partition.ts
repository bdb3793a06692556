/**
 * The program of a partition's Worker in tests that compare runs: the same assembly, thread loop and shared memory as in
 * src/cli/partition-worker.ts, but the partition stops after a given number of its own instructions, and then tells what it left.
 *
 * Its real-time clock starts at a fixed time: it is the one thing that a partition sees of the host.
 */
import { readFileSync } from 'node:fs';
import { ms } from '../../src/base/index.ts';
import { loadDeviceModels } from '../../src/cli/device-modules.ts';
import type { Nanos } from '../../src/contracts/index.ts';
import { servePartitionThread, type ThreadVoice } from '../../src/host/node/worker.ts';
import { assemble, type PartitionEnd, PartitionLink, type PartitionOptions, RunningPartition, servePartition } from '../../src/partition/index.ts';
import { createCpuidModel, createSoftEngine } from '../../src/soft/index.ts';
import { MEASUREMENT, type Measurement, type MeasuredStart } from './measurement.ts';
import { ramDigest } from './ram-digest.ts';

const hostNow = (): Nanos => performance.now() * ms;

/** Ends itself between the same two slices in every run: which slices there are depends on the guest alone. */
class CountedPartition extends RunningPartition {
  readonly #instructions: number;

  constructor(options: PartitionOptions, instructions: number) {
    super(options);
    this.#instructions = instructions;
  }

  override advance(): Nanos {
    if (this.retired >= this.#instructions) this.stop();
    return super.advance();
  }
}

async function run({ partition: spec, link: buffers, pace, instructions }: MeasuredStart, voice: ThreadVoice): Promise<PartitionEnd> {
  const models = await loadDeviceModels(spec.devices);
  const vcpus = spec.cores.length;
  using partition = new CountedPartition(
    {
      spec,
      pace,
      hostNow,
      build: (clock, power) =>
        assemble({
          spec,
          engine: createSoftEngine(),
          cpuid: (vcpuId) => createCpuidModel({ vcpuId, vcpus }),
          images: { kernel: readFileSync(spec.boot.kernel) },
          consoles: buffers.consoles,
          models,
          clock,
          power,
          log: { log: (severity, message) => voice.log(severity, message) },
          wallTime: 1_800_000_000,
        }),
    },
    instructions,
  );
  voice.started(partition.image, {});
  const end = servePartition(partition, PartitionLink.over(buffers), hostNow);
  voice.log('info', MEASUREMENT + JSON.stringify(measure(partition)));
  return end;
}

function measure(partition: RunningPartition): Measurement {
  const { memory, retired, clock, telemetry, resets } = partition;
  const words = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value);
  return {
    retired,
    guestTime: clock.now(),
    resets,
    registers: JSON.parse(JSON.stringify(partition.registers(), words)),
    telemetry,
    ram: ramDigest(memory),
  };
}

await servePartitionThread<MeasuredStart, PartitionEnd>(run);
