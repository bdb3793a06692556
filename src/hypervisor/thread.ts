/** The seam to whatever runs a partition: a Worker, or, in tests, anything that keeps the same promises. */
import type { DisplayBuffers, Nanos, Partition, Severity } from '../contracts/index.ts';
import type { StartBroker } from './brokers.ts';
import type { LinkBuffers, Pace, PartitionEnd } from '../partition/index.ts';

/** Everything a thread needs to run a partition. Plain data and shared memory: it is posted. */
export interface ThreadStart {
  readonly partition: Partition;
  readonly link: LinkBuffers;
  readonly pace: Pace;
  /** Counts the lives of the partition from 1. */
  readonly life: number;
}

/** What a thread tells. All of it is called in the machine's thread. */
export interface ThreadEvents {
  /** RAM is loaded, the first instruction comes next. `image` is what the boot image was detected as; `displays` are its screens. */
  started(image: string, displays?: Readonly<Record<string, DisplayBuffers>>): void;
  /** The partition came to its end; `exited` follows. */
  ended(end: PartitionEnd): void;
  log(severity: Severity, message: string): void;
  /** The thread is gone. Once, and last. `detail` says why when it did not go of its own accord. */
  exited(detail?: string): void;
}

export interface PartitionThread {
  /** Ends it at once, wherever it is; `exited` follows. */
  terminate(): void;
}

/** What the machine needs from its host. */
export interface MachineHost {
  startThread(start: ThreadStart, events: ThreadEvents): PartitionThread;
  /** A thread for what is shared. Absent: nothing can be. */
  readonly startBroker?: StartBroker;
  /** Calls `action` once, `delay` from now; disposing cancels. */
  after(delay: Nanos, action: () => void): Disposable;
}
