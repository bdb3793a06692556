/** What measured-partition.ts is given, and what it tells about a partition that has come to its end. */
import { startPartitionThread } from '../../src/host/node/partition-thread.ts';
import { nodeHost } from '../../src/cli/node-host.ts';
import type { Nanos } from '../../src/contracts/index.ts';
import type { MachineEvent, MachineHost, ThreadStart } from '../../src/hypervisor/index.ts';
import type { PartitionEnd, TelemetryReading } from '../../src/partition/index.ts';

const ENTRY = new URL('./measured-partition.ts', import.meta.url);

/** Begins the one message of the partition's log that is a measurement. */
export const MEASUREMENT = 'measurement: ';

export interface MeasuredStart extends ThreadStart {
  /** It is stopped when it has retired this many. */
  readonly instructions: number;
}

export interface Measurement {
  readonly retired: number;
  readonly guestTime: Nanos;
  readonly resets: number;
  /** Of every vCPU, and what each has retired. */
  readonly registers: unknown;
  /** Periods, missed deadlines and the worst latency, all in guest time, which is a count of instructions. */
  readonly telemetry: TelemetryReading | undefined;
  /** SHA-256 of all its RAM. */
  readonly ram: string;
}

/** The host of the command line, but partitions with an entry in `instructions` are measured. */
export function measuringHost(instructions: Readonly<Record<string, number>>): MachineHost {
  const host = nodeHost();
  return {
    after: host.after,
    startThread(start, events) {
      const { name } = start.partition;
      const limit = instructions[name];
      if (limit === undefined) return host.startThread(start, events);
      return startPartitionThread<MeasuredStart, PartitionEnd>(ENTRY, name, { ...start, instructions: limit }, events);
    },
  };
}

/** The measurement among the events of a machine; undefined when the partition has not ended. */
export function measurementOf(events: readonly MachineEvent[], partition: string): Measurement | undefined {
  for (const event of events) {
    if (event.kind === 'log' && event.partition === partition && event.message.startsWith(MEASUREMENT)) {
      return JSON.parse(event.message.slice(MEASUREMENT.length));
    }
  }
  return undefined;
}
