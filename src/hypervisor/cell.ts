/**
 * One partition as the machine sees it: its link, its thread while it has one, and how often it was started.
 *
 * Each life has a thread of its own; only the link (consoles, status) stays. So nothing a partition did can survive into its next life,
 * and a thread that is beyond reach can simply be ended.
 */
import { BulkheadError, s } from '../base/index.ts';
import type { Nanos, Partition, PartitionStatus, Severity } from '../contracts/index.ts';
import { type CrashReport, type Pace, type PartitionEnd, PartitionLink } from '../partition/index.ts';
import { consoleDevices } from './consoles.ts';
import type { MachineHost, PartitionThread } from './thread.ts';

/** Between two slices lie milliseconds: a thread that is silent for this long is stuck, not busy. */
export const ANSWER_TIMEOUT: Nanos = 2 * s;

/** What the machine hears of one life. */
export interface LifeEvents {
  started(image: string): void;
  ended(end: PartitionEnd): void;
  log(severity: Severity, message: string): void;
  /** The thread is gone: another life may begin. */
  gone(): void;
}

export class Cell {
  readonly spec: Partition;
  readonly link: PartitionLink;
  /** Lives after the first one: by policy and by operator. */
  restarts = 0;
  /** Restarts made by the on-crash policy, which limits them. */
  crashRestarts = 0;
  lastCrash: CrashReport | undefined;
  lastEnd: PartitionEnd | undefined;
  /** What the image was detected as, once it was loaded. */
  image: string | undefined;
  readonly #host: MachineHost;
  readonly #pace: Pace;
  #thread: PartitionThread | undefined;
  #patience: Disposable | undefined;
  /** Words for the report when the thread goes without having told an end. */
  #terminated: string | undefined;
  /** A stop that came while the image was still being loaded ends the thread; that is no crash. */
  #abandoned = false;
  readonly #waiting: (() => void)[] = [];
  #lives = 0;

  constructor(spec: Partition, host: MachineHost, pace: Pace) {
    this.spec = spec;
    this.#host = host;
    this.#pace = pace;
    this.link = PartitionLink.create(consoleDevices(spec), spec.cores.length);
  }

  get alive(): boolean {
    return this.#thread !== undefined;
  }

  get status(): PartitionStatus {
    return this.link.status(this.spec.name, this.restarts);
  }

  /** A new life. Throws BH502 while the one before lasts. */
  start(events: LifeEvents): void {
    if (this.alive) {
      throw new BulkheadError('BH502', `${this.spec.name} is running already`, { hint: 'stop it first, or restart it' });
    }
    if (this.#lives++ > 0) this.restarts++;
    this.link.rearm();
    this.link.state = 'starting';
    this.lastEnd = undefined;
    this.#terminated = undefined;
    this.#abandoned = false;
    this.#thread = this.#host.startThread(
      { partition: this.spec, link: this.link.buffers, pace: this.#pace },
      {
        started: (image) => {
          this.image = image;
          this.link.state = 'running';
          events.started(image);
        },
        ended: (end) => {
          this.lastEnd = end;
        },
        log: events.log,
        exited: (detail) => this.#exited(detail, events),
      },
    );
  }

  /** Asks it to end between two slices; one that does not answer is ended, and counts as crashed. Resolves when its thread is gone. */
  stop(): Promise<void> {
    if (this.#thread !== undefined && this.link.state === 'starting') {
      this.#abandoned = true;
      this.#thread.terminate();
    } else if (this.alive) {
      this.link.requestStop();
      this.#expectAnswer();
    }
    return this.#ended();
  }

  /** Makes it crash, wherever it is: between two slices, with registers, or without if it does not answer. Resolves when its thread is gone. */
  kill(): Promise<void> {
    if (this.#thread !== undefined && this.link.state === 'starting') {
      this.#terminated = 'killed by the operator';
      this.#thread.terminate();
    } else if (this.alive) {
      this.link.requestKill();
      this.#expectAnswer();
    }
    return this.#ended();
  }

  #expectAnswer(): void {
    if (this.#patience !== undefined) return;
    this.#patience = this.#host.after(ANSWER_TIMEOUT, () => {
      this.#terminated = `worker died: no answer within ${ANSWER_TIMEOUT / s} s`;
      this.#thread?.terminate();
    });
  }

  #ended(): Promise<void> {
    if (!this.alive) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #exited(detail: string | undefined, events: LifeEvents): void {
    this.#thread = undefined;
    this.#patience?.[Symbol.dispose]();
    this.#patience = undefined;
    const end: PartitionEnd = this.lastEnd ?? (this.#abandoned ? { state: 'halted', reason: 'stopped' } : this.#death(detail));
    this.lastEnd = end;
    this.link.state = end.state === 'halted' && end.reason === 'stopped' ? 'stopped' : end.state;
    if (end.state === 'crashed') this.lastCrash = end.report;
    events.ended(end);
    for (const resolve of this.#waiting.splice(0)) resolve();
    events.gone();
  }

  /** The thread went without telling how it ended: the link still knows how far it had come. */
  #death(detail: string | undefined): PartitionEnd {
    const { retired, guestTime } = this.status;
    const cause = this.#terminated ?? `worker died: ${detail ?? 'its thread ended'}`;
    const vcpus = this.link.lastRegisters();
    return { state: 'crashed', report: { partition: this.spec.name, kind: 'thread', cause, guestTime, retired, vcpus } };
  }
}
