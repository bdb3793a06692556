/** The program of a partition's Worker: reads the image files, builds the partition on its engine, runs it to its end. */
import { readFileSync } from 'node:fs';
import { BulkheadError, ms } from '../base/index.ts';
import type { Engine, Nanos, Partition, Severity } from '../contracts/index.ts';
import { enableBranchHints } from '../host/node/v8-flags.ts';
import { servePartitionThread, type ThreadVoice } from '../host/node/worker.ts';
import type { ThreadStart } from '../hypervisor/index.ts';
import { assemble, boundedLog, cannotStart, type PartitionEnd, PartitionLink, RunningPartition, servePartition } from '../partition/index.ts';
import { createCpuidModel, createSoftEngine } from '../soft/index.ts';
import { featuresOf } from '../x86/features.ts';

enableBranchHints();

const hostNow = (): Nanos => performance.now() * ms;

function run({ partition: spec, link: buffers, pace }: ThreadStart, voice: ThreadVoice): PartitionEnd {
  const link = PartitionLink.over(buffers);
  const log = boundedLog(hostNow, (severity: Severity, message: string) => voice.log(severity, message));
  let partition: RunningPartition;
  try {
    const images = { kernel: read(spec.boot.kernel), ...(spec.boot.initrd === undefined ? {} : { initrd: read(spec.boot.initrd) }) };
    const vcpus = spec.cores.length;
    const features = featuresOf(spec.cpu?.level, spec.cpu?.features);
    partition = new RunningPartition({
      spec,
      build: (clock, power) =>
        assemble({
          spec,
          engine: engineFor(spec),
          cpuid: (vcpuId) => createCpuidModel({ vcpuId, vcpus, features }),
          images,
          consoles: buffers.consoles,
          clock,
          power,
          log,
          wallTime: Math.floor(Date.now() / 1000),
        }),
      hostNow,
      pace,
    });
  } catch (error) {
    return { state: 'crashed', report: cannotStart(spec.name, error) };
  }
  voice.started(partition.image);
  const end = servePartition(partition, link, hostNow);
  partition[Symbol.dispose]();
  return end;
}

function engineFor({ engine }: Partition): Engine {
  if (engine === 'soft') return createSoftEngine();
  throw new BulkheadError('BH504', `the engine \`${engine}\` is not available`, { hint: 'use `engine: soft`' });
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new BulkheadError('BH505', `cannot read the image ${path}: ${(cause as Error).message}`, { cause });
  }
}

servePartitionThread<ThreadStart, PartitionEnd>(run);
