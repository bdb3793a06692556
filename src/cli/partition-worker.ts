/** The program of a partition's Worker: reads the image files, builds the partition on its engine, runs it to its end. */
import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { BulkheadError, ms } from '../base/index.ts';
import { CALL_COUNT, CALL_DEVICE } from '../board/index.ts';
import type { AttachedLine, Clock, Engine, LinkedPort, Logger, Nanos, Partition, Severity, SharedEnd } from '../contracts/index.ts';
import { holePuncher, openSerialLine } from '../host/linux/index.ts';
import { openBlockFile } from '../host/node/block-file.ts';
import { keepCompiled } from '../host/node/compile-cache.ts';
import { startModuleCompiler } from '../host/node/module-compiler.ts';
import { tuneV8 } from '../host/node/v8-flags.ts';
import { servePartitionThread, type ThreadVoice } from '../host/node/worker.ts';
import type { ThreadStart } from '../hypervisor/index.ts';
import { assemble, boundedLog, cannotStart, type PartitionEnd, PartitionLink, RunningPartition, serveUntilReload } from '../partition/index.ts';
import { diskFiles } from './disk-files.ts';
import { romsBesideFirmware } from './expansion-roms.ts';
import { loadDeviceModels } from './device-modules.ts';
import { openWires } from './partition-wires.ts';
import { type EndSurroundings, openExclusiveDisk, openSharedEnd } from '../shared/index.ts';
import { createCpuidModel, createSoftEngine, type RegionPlan, type Translation } from '../soft/index.ts';
import { featuresOf } from '../x86/features.ts';

keepCompiled();
tuneV8();

const hostNow = (): Nanos => performance.now() * ms;

async function run({ partition: spec, link: buffers, pace, life }: ThreadStart, voice: ThreadVoice): Promise<PartitionEnd> {
  const link = PartitionLink.over(buffers);
  const log = boundedLog(hostNow, (severity: Severity, message: string) => voice.log(severity, message));
  const translation = translationThread(log);
  let partition: RunningPartition;
  using disks = new DisposableStack();
  try {
    const models = await watched(link, spec, () => loadDeviceModels(spec.devices));
    const images = { kernel: read(spec.boot.kernel), roms: romsBesideFirmware(spec), ...(spec.boot.initrd === undefined ? {} : { initrd: read(spec.boot.initrd) }) };
    const vcpus = spec.cores.length;
    const wallTime = Math.floor(Date.now() / 1000);
    const features = featuresOf(spec.cpu?.level, spec.cpu?.features);
    partition = new RunningPartition({
      spec,
      build: (clock, power) =>
        assemble({
          spec,
          engine: engineFor(spec, translation),
          cpuid: (vcpuId) => createCpuidModel({ vcpuId, vcpus, features }),
          images,
          consoles: buffers.consoles,
          inputs: buffers.inputs,
          block: ({ path, access }) => disks.use(openBlockFile(path, { readOnly: access === 'ro', punchHole: holePuncher(), refused: (what) => log.log('warn', what) })),
          wires: openWires(spec, { linked: buffers.wires, alarm: link.alarm, clock, epoch: wallTime, life, log }),
          shared: new Map([...sharedEnds(buffers.shared, { clock, random: (target) => void randomFillSync(target) }), ...exclusiveDisks(spec, clock, log)]),
          lines: serialLines(spec, link.alarm),
          models,
          deviceCalls: link.deviceCalls(),
          clock,
          power,
          log,
          wallTime,
        }),
      hostNow,
      pace,
    });
  } catch (error) {
    return { state: 'crashed', report: cannotStart(spec.name, error) };
  }
  voice.started(partition.image, partition.displays);
  let end = serveUntilReload(partition, link, hostNow);
  for (let generation = 1; end === undefined; generation++) {
    await reloadDevices(partition, spec, link, generation, log);
    end = serveUntilReload(partition, link, hostNow);
  }
  partition[Symbol.dispose]();
  return end;
}

/** One translating thread for all vCPUs of the partition, whatever lives it has. */
function translationThread(log: Logger): Translation {
  let connect: ReturnType<typeof startModuleCompiler<readonly RegionPlan[]>> | undefined;
  return () => {
    connect ??= startModuleCompiler(new URL('./translation-worker.ts', import.meta.url), ({ message }) =>
      log.log('warn', `hot code is no longer translated: ${message}`));
    return connect();
  };
}

/** What modules do while they are loaded is for the watchdog to see as well: the first one is blamed for all. */
async function watched<Result>(link: PartitionLink, { devices }: Partition, load: () => Promise<Result>): Promise<Result> {
  const calls = link.deviceCalls();
  calls[CALL_DEVICE] = -(devices.findIndex(({ module }) => module !== undefined) + 1);
  calls[CALL_COUNT] = (calls[CALL_COUNT] as number) + 1;
  try {
    return await load();
  } finally {
    calls[CALL_DEVICE] = 0;
  }
}

/** A module that cannot be loaded changes nothing: the device goes on as it was. */
async function reloadDevices(partition: RunningPartition, spec: Partition, link: PartitionLink, generation: number, log: Logger): Promise<void> {
  try {
    const models = await watched(link, spec, () => loadDeviceModels(spec.devices, generation));
    for (const outcome of partition.exchangeDevices(models)) log.log('info', outcome);
  } catch (error) {
    log.log('error', `${error instanceof Error ? error.message : String(error)}; it stays as it was`);
  }
}

/** By device: its end of what is shared. Waits for brokers that have not opened it yet. */
function sharedEnds(ports: Readonly<Record<string, LinkedPort>>, surroundings: EndSurroundings): ReadonlyMap<string, SharedEnd> {
  const ends = new Map<string, SharedEnd>();
  for (const [device, port] of Object.entries(ports)) {
    const end = openSharedEnd(port, surroundings);
    if (end !== undefined) ends.set(device, end);
  }
  return ends;
}

/** By device: the disks that this partition has to itself. */
function exclusiveDisks({ devices }: Partition, clock: Clock, log: Logger): [string, SharedEnd][] {
  return devices.flatMap(({ name: device, exclusive }): [string, SharedEnd][] =>
    exclusive?.kind === 'disk' ? [[device, openExclusiveDisk({ ...exclusive, source: exclusive.disk, files: diskFiles((what) => log.log('warn', what)), clock })]] : []);
}

/** By device: the serial lines that lead out of this thread. */
function serialLines({ devices }: Partition, alarm: Int32Array): ReadonlyMap<string, AttachedLine> {
  return new Map(devices.flatMap(({ name, exclusive }): [string, AttachedLine][] => (exclusive?.kind === 'console' ? [[name, openSerialLine(exclusive.pty, alarm)]] : [])));
}

function engineFor({ engine }: Partition, translation: Translation): Engine {
  if (engine === 'soft') return createSoftEngine({ translation });
  throw new BulkheadError('BH504', `the engine \`${engine}\` is not available`, { hint: 'use `engine: soft`' });
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new BulkheadError('BH505', `cannot read the image ${path}: ${(cause as Error).message}`, { cause });
  }
}

await servePartitionThread<ThreadStart, PartitionEnd>(run);
