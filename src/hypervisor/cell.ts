/**
 * One partition as the machine sees it: its link, its thread while it has one, and how often it was started.
 *
 * Each life has a thread of its own; only the link (consoles, status) stays. So nothing a partition did can survive into its next life,
 * and a thread that is beyond reach can simply be ended.
 */
import { BulkheadError, s } from '../base/index.ts';
import type { DeviceSpec, DisplayBuffers, Nanos, Partition, PartitionStatus, Severity } from '../contracts/index.ts';
import { type CrashReport, type Pace, type PartitionEnd, PartitionLink } from '../partition/index.ts';
import { consoleDevices } from './consoles.ts';
import { inputDevices } from './screens.ts';
import type { MachineHost, PartitionThread } from './thread.ts';

/** Between two slices lie milliseconds: a thread that is silent for this long is stuck, not busy. */
export const ANSWER_TIMEOUT: Nanos = 2 * s;
/** A register access takes microseconds: a device of the user's own that has not come back from one call for this long never will. */
export const DEVICE_TIMEOUT: Nanos = 5 * s;
/** Loading its module, with everything that imports, may take a busy host longer. */
export const LOAD_TIMEOUT: Nanos = 30 * s;

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
  /** Screens of the last life, by device: they can still be looked at when it is over. */
  displays: Readonly<Record<string, DisplayBuffers>> = {};
  readonly #host: MachineHost;
  readonly #pace: Pace;
  #thread: PartitionThread | undefined;
  #patience: Disposable | undefined;
  #deviceWatch: Disposable | undefined;
  /** What the watchdog found, in words. */
  #hung: string | undefined;
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
    this.link = PartitionLink.create(consoleDevices(spec), spec.cores.length, inputDevices(spec));
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
    this.displays = {}; // they keep the memory of the life before
    this.lastEnd = undefined;
    this.#terminated = undefined;
    this.#hung = undefined;
    this.#abandoned = false;
    this.#thread = this.#host.startThread(
      { partition: this.spec, link: this.link.buffers, pace: this.#pace, life: this.#lives },
      {
        started: (image, displays = {}) => {
          this.image = image;
          this.displays = displays;
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
    if (this.#ownDevices.length > 0) this.#watchDevices();
  }

  /** Asks it to load its devices of the user's own anew while its guest runs. False: it has none, or does not run. */
  reloadDevices(): boolean {
    if (!this.alive || this.#ownDevices.length === 0) return false;
    this.link.requestReload();
    return true;
  }

  get #ownDevices(): readonly DeviceSpec[] {
    return this.spec.devices.filter(({ module }) => module !== undefined);
  }

  /** Looks again and again whether a call into a device of the user's own comes back. `waited`: how long this one has not. */
  #watchDevices(waited: Nanos = 0): void {
    const seen = this.link.deviceInCall;
    this.#deviceWatch = this.#host.after(DEVICE_TIMEOUT, () => {
      const now = this.link.deviceInCall;
      if (now.device === 0 || now.device !== seen.device || now.call !== seen.call) this.#watchDevices();
      else if (waited + DEVICE_TIMEOUT < (now.device < 0 ? LOAD_TIMEOUT : DEVICE_TIMEOUT)) this.#watchDevices(waited + DEVICE_TIMEOUT);
      else {
        const device = this.spec.devices[Math.abs(now.device) - 1];
        const blame = `device ${device?.name} (${device?.model})`;
        this.#hung =
          now.device < 0
            ? `${blame} has not finished loading for ${LOAD_TIMEOUT / s} s: ended by the watchdog`
            : `${blame} has not come back from a call for ${DEVICE_TIMEOUT / s} s: ended by the watchdog`;
        this.#thread?.terminate();
      }
    });
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

  /** A device that did not come back, or was in a call when its thread died. */
  #deviceToBlame(detail: string | undefined): string | undefined {
    if (this.#hung !== undefined) return this.#hung;
    if (this.#terminated !== undefined || this.#ownDevices.length === 0) return undefined;
    const inCall = this.spec.devices[Math.abs(this.link.deviceInCall.device) - 1];
    return inCall === undefined ? undefined : `worker died: ${detail ?? 'its thread ended'}, in a call of device ${inCall.name} (${inCall.model})`;
  }

  #ended(): Promise<void> {
    if (!this.alive) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #exited(detail: string | undefined, events: LifeEvents): void {
    this.#thread = undefined;
    this.link.unplugged();
    this.#patience?.[Symbol.dispose]();
    this.#patience = undefined;
    this.#deviceWatch?.[Symbol.dispose]();
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
    const blamed = this.#deviceToBlame(detail);
    const cause = blamed ?? this.#terminated ?? `worker died: ${detail ?? 'its thread ended'}`;
    const vcpus = this.link.lastRegisters();
    return { state: 'crashed', report: { partition: this.spec.name, kind: blamed === undefined ? 'thread' : 'device', cause, guestTime, retired, vcpus } };
  }
}
