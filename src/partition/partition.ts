/**
 * One virtual machine at run time: vCPUs on one virtual clock, the platform they are wired to, and their life.
 *
 *     starting ─▶ running ─▶ halted    powered off, debug-exit, stopped, or asleep for good with interrupts off
 *                    │  ▲──┘ reset     (in place: same thread, same memory, clock goes on)
 *                    └────▶ crashed    triple fault, engine or host error; with a report
 *
 * `advance` runs one slice and says how long the caller may sleep. With pace `host`, virtual time never runs ahead of the time since the
 * start: an idle guest sleeps until its next timer is due on the wall clock. A busy guest may fall behind; it then catches up by
 * skipping idle time without waiting. With pace `free` idle time is always skipped at once. What the guest computes is the same.
 *
 * Not modelled: a vCPU per thread, pausing, snapshots.
 */
import { BulkheadError, s } from '../base/index.ts';
import type { DeviceCatalogue } from '../board/index.ts';
import {
  type DisplayBuffers,
  ExitReason,
  type LoadSegment,
  type Nanos,
  type Partition,
  type PhysicalMemory,
  type PowerControl,
  type Vcpu,
  type VcpuState,
  type Vm,
} from '../contracts/index.ts';
import { VirtualClock } from './clock.ts';
import type { CrashKind, CrashReport, VcpuReport } from './report.ts';
import { IDLE, Scheduler, type VcpuPins } from './scheduler.ts';

export type Pace = 'host' | 'free';

/** What the RTOS in a partition reports through its telemetry port. */
export interface TelemetryReading {
  readonly periods: number;
  readonly deadlineMisses: number;
  readonly worstLatency: Nanos;
}

/** What a partition is built of. Everything in it is bound to this partition's clock and power control. */
export interface Hardware extends Disposable {
  readonly memory: PhysicalMemory;
  readonly vm: Vm;
  readonly vcpus: readonly Vcpu[];
  /** What the image was detected as, for people. */
  readonly image: string;
  /** Its screens, by device. */
  readonly displays?: Readonly<Record<string, DisplayBuffers>>;
  /** A cable leads to another partition, or to the host. */
  readonly hasNeighbours?: boolean;
  /** Everything that lies in RAM before the first instruction: firmware tables, kernel, initrd. */
  readonly segments: readonly LoadSegment[];
  readonly entry: VcpuState;
  /** Interrupt controllers drive `pins` from now on. */
  connect(vcpu: number, pins: VcpuPins): void;
  /** All devices to their reset state, then as firmware leaves them for an operating system. */
  reset(kind: 'cold' | 'warm'): void;
  /** Between slices: devices may take console input that has arrived. */
  admitInput(): void;
  /** A device waits for an answer of the host, which will come soon. Absent: none ever does. */
  awaiting?(): boolean;
  /** Undefined where the partition has no telemetry port. */
  telemetry(): TelemetryReading | undefined;
  /** What devices did wrong so far. Absent: none can. */
  deviceFaults?(): DeviceFaults;
  /** Puts other models in the place of devices of the user's own, by model, each reset cold. Says in words what became of each. */
  exchangeDevices?(models: DeviceCatalogue): string[];
}

/** What devices did wrong without ending their partition. */
export interface DeviceFaults {
  /** DMA accesses refused. */
  readonly dmaViolations: number;
  /** Models of the user's own that were stopped. */
  readonly stoppedDevices: number;
}

const NO_FAULTS: DeviceFaults = { dmaViolations: 0, stoppedDevices: 0 };

export interface PartitionOptions {
  readonly spec: Pick<Partition, 'name' | 'instructionsPerMicrosecond'>;
  /** Builds the hardware around the partition's clock. Errors it throws pass through the constructor. */
  readonly build: (clock: VirtualClock, power: PowerControl) => Hardware;
  /** Monotonic host time. */
  readonly hostNow: () => Nanos;
  readonly pace: Pace;
  /** Instructions per turn of a vCPU. Left out: {@link DEFAULT_QUANTUM}, or {@link FREE_QUANTUM} for one that takes turns with nobody, nor with the host's clock. */
  readonly quantum?: number;
}

/** How a partition's run came to its end. */
export type PartitionEnd =
  | { readonly state: 'halted'; readonly reason: 'power-off' | 'interrupts-off' | 'stopped' }
  /** `code` is the status the guest gave. */
  | { readonly state: 'halted'; readonly reason: 'debug-exit'; readonly code: number }
  | { readonly state: 'crashed'; readonly report: CrashReport };

export const DEFAULT_QUANTUM = 20_000;
/** Translated code leaves the end of each turn to the interpreter. Still short: between turns commands and input are looked for. */
const FREE_QUANTUM = 100_000;
/** Asleep this long with nothing to wake it: worth asking whether anything ever can. */
const SLEEP_BEFORE_INQUIRY: Nanos = s;
/** A partition with neighbours makes up for lost time this many times as fast as it passes. */
const CATCH_UP_RATE = 2;

export class RunningPartition implements Disposable {
  readonly clock: VirtualClock;
  readonly #name: string;
  readonly #hardware: Hardware;
  readonly #scheduler: Scheduler;
  readonly #hostNow: () => Nanos;
  readonly #pace: Pace;
  /** Host time at which virtual time was 0. */
  readonly #hostEpoch: Nanos;
  #request: { readonly kind: 'reset' | 'power-off' | 'debug-exit'; readonly code: number } | undefined;
  /** Why the hardware wants an end: the first reason given. */
  #failure: string | undefined;
  #running = false;
  #end: PartitionEnd | undefined;
  #resets = 0;
  /** Virtual time at which the last vCPU fell asleep; undefined while one is awake or after the inquiry. */
  #asleepSince: Nanos | undefined;
  #inquired = false;
  /** Virtual time at which it fell asleep, and the wall clock's. */
  #idle: { readonly from: Nanos; readonly since: Nanos } | undefined;

  /** Builds the hardware and loads RAM: after it, the first `advance` runs the first instruction. */
  constructor(options: PartitionOptions) {
    this.#name = options.spec.name;
    this.#hostNow = options.hostNow;
    this.#pace = options.pace;
    this.clock = new VirtualClock(options.spec.instructionsPerMicrosecond);
    this.#hardware = options.build(this.clock, {
      request: (kind, code) => this.#requestPower(kind, code),
      fail: (cause) => this.#fail(cause),
    });
    const { vcpus } = this.#hardware;
    const isFree = vcpus.length === 1 && this.#pace === 'free';
    this.#scheduler = new Scheduler(vcpus, this.clock, options.quantum ?? (isFree ? FREE_QUANTUM : DEFAULT_QUANTUM));
    for (const vcpu of this.#hardware.vcpus) this.#hardware.connect(vcpu.id, this.#scheduler.pins(vcpu.id));
    this.#load('cold');
    this.#hostEpoch = this.#hostNow();
  }

  get end(): PartitionEnd | undefined {
    return this.#end;
  }

  /** What the image was detected as. */
  get image(): string {
    return this.#hardware.image;
  }

  /** Its screens, by device. */
  get displays(): Readonly<Record<string, DisplayBuffers>> {
    return this.#hardware.displays ?? {};
  }

  /** Instructions retired by all vCPUs. */
  get retired(): number {
    return this.#scheduler.retired;
  }

  /** Times the guest reset itself. */
  get resets(): number {
    return this.#resets;
  }

  get telemetry(): TelemetryReading | undefined {
    return this.#hardware.telemetry();
  }

  get deviceFaults(): DeviceFaults {
    return this.#hardware.deviceFaults?.() ?? NO_FAULTS;
  }

  /** Between slices: other models for devices of the user's own. Says in words what became of each. */
  exchangeDevices(models: DeviceCatalogue): string[] {
    return this.#hardware.exchangeDevices?.(models) ?? [];
  }

  /** RAM, for inspection between slices. */
  get memory(): PhysicalMemory {
    return this.#hardware.memory;
  }

  /**
   * Fires due timers and runs one slice, or skips idle time. Returns how long, in host nanoseconds, the caller may sleep before the
   * next call (0: not at all; Infinity: until there is input). Input may cut that sleep short. Never throws.
   */
  advance(): Nanos {
    if (this.#end !== undefined) return Number.POSITIVE_INFINITY;
    try {
      this.clock.fireDue();
      const outcome = this.#request === undefined && this.#failure === undefined ? this.#runSlice() : ExitReason.Yield;
      if (this.#failure !== undefined) return this.#crash('device', this.#failure, this.#scheduler.current.id);
      if (this.#request !== undefined) return this.#obeyRequest();
      switch (outcome) {
        case IDLE:
          return this.#sleep();
        case ExitReason.Shutdown:
          return this.#crash('triple-fault', `triple fault${inBrackets(this.#scheduler.current.detail)}`, this.#scheduler.current.id);
        case ExitReason.Fatal:
          return this.#crash('engine', this.#scheduler.current.detail || 'the engine cannot continue', this.#scheduler.current.id);
      }
      this.#asleepSince = undefined;
      this.#idle = undefined;
      this.#inquired = false;
      return this.#lead();
    } catch (error) {
      return this.#crash('host-error', messageOf(error), this.#scheduler.current.id, error);
    }
  }

  /** Console input may have arrived: the devices see it at the next instruction. */
  admitInput(): void {
    if (this.#end !== undefined) return;
    // Whoever slept until now did so on the wall clock: input must not arrive in its past.
    if (this.#pace === 'host' && this.#scheduler.idle) this.clock.skipTo(Math.min(this.clock.nextDeadline, this.#reachable(this.#hostElapsed())));
    this.#hardware.admitInput();
  }

  /** Ends it between two slices, as an operator switches a machine off. */
  stop(): void {
    this.#end ??= { state: 'halted', reason: 'stopped' };
  }

  /** Ends it between two slices as a crash: an operator wants to see what becomes of it. */
  kill(cause: string): void {
    if (this.#end === undefined) this.#crash('thread', cause, this.#scheduler.current.id);
  }

  /** Registers of every vCPU, between slices. */
  registers(): VcpuReport[] {
    return this.#hardware.vcpus.flatMap((vcpu) => {
      const state = readStateOf(vcpu);
      if (state === undefined) return [];
      return [{ id: vcpu.id, retired: this.#scheduler.retiredBy(vcpu.id), parked: this.#scheduler.isParked(vcpu.id), state }];
    });
  }

  [Symbol.dispose](): void {
    this.stop();
    this.#hardware[Symbol.dispose]();
  }

  #runSlice(): ExitReason | typeof IDLE {
    this.#running = true;
    try {
      return this.#scheduler.run();
    } finally {
      this.#running = false;
    }
  }

  /** Called by reset and power chips in the middle of an instruction: the instruction completes, the next one does not begin. */
  #requestPower(kind: 'reset' | 'power-off' | 'debug-exit', code: number): void {
    this.#request ??= { kind, code };
    if (this.#running) this.#scheduler.interrupt();
  }

  #fail(cause: string): void {
    this.#failure ??= cause;
    if (this.#running) this.#scheduler.interrupt();
  }

  #obeyRequest(): Nanos {
    const request = this.#request;
    this.#request = undefined;
    if (request === undefined) return 0;
    if (request.kind === 'reset') {
      this.#resets++;
      this.#load('warm');
      return 0;
    }
    this.#end =
      request.kind === 'debug-exit'
        ? { state: 'halted', reason: 'debug-exit', code: request.code }
        : { state: 'halted', reason: 'power-off' };
    return Number.POSITIVE_INFINITY;
  }

  /** Power-on or reset: what a PC does through its firmware and boot loader, done by the host between two instructions. */
  #load(kind: 'cold' | 'warm'): void {
    const { memory, vm, vcpus, segments, entry } = this.#hardware;
    if (kind === 'warm') clearRam(memory);
    for (const segment of segments) {
      if (!memory.write(segment.gpa, segment.data)) {
        const range = `0x${segment.gpa.toString(16)}+0x${segment.data.length.toString(16)}`;
        throw new BulkheadError('BH501', `${this.#name}: ${segment.name} at ${range} does not lie in the partition's RAM`, {
          hint: 'give the partition more `memory:`, or load the image elsewhere',
        });
      }
    }
    for (const region of memory.regions) vm.memoryChanged(region.base, region.size);
    this.#hardware.reset(kind);
    for (const vcpu of vcpus) vcpu.reset(vcpu.id === 0);
    this.#scheduler.reset();
    this.#asleepSince = undefined;
    vcpus[0]?.writeState(entry);
  }

  /** Every vCPU sleeps: on to the next deadline, as far as the pace allows. */
  #sleep(): Nanos {
    const now = this.clock.now();
    this.#asleepSince ??= now;
    const next = this.clock.nextDeadline;
    if (!this.#inquired && (next === Number.POSITIVE_INFINITY || now - this.#asleepSince >= SLEEP_BEFORE_INQUIRY)) {
      this.#inquired = true;
      if (this.#sleepsForGood()) {
        this.#end = { state: 'halted', reason: 'interrupts-off' };
        return Number.POSITIVE_INFINITY;
      }
    }
    if (this.#pace === 'free') {
      // What the host is about to answer takes no time of the guest's: its time-outs are meant for slower things.
      if (next === Number.POSITIVE_INFINITY || this.#hardware.awaiting?.() === true) return Number.POSITIVE_INFINITY;
      this.clock.skipTo(next);
      return 0;
    }
    const elapsed = this.#hostElapsed();
    const reachable = this.#reachable(elapsed);
    this.clock.skipTo(Math.min(next, reachable));
    if (reachable >= Math.min(next, elapsed)) return Math.max(0, next - elapsed);
    return Math.ceil((Math.min(next, elapsed) - reachable) / CATCH_UP_RATE);
  }

  /**
   * How far idle time may be skipped by now: up to the wall clock. With neighbours not at once, when it is far behind: they answer in
   * their own time, and time-outs would be over before they can.
   */
  #reachable(elapsed: Nanos): Nanos {
    if (this.#hardware.hasNeighbours !== true) return elapsed;
    this.#idle ??= { from: this.clock.now(), since: elapsed };
    return Math.min(elapsed, this.#idle.from + CATCH_UP_RATE * (elapsed - this.#idle.since));
  }

  /** `cli; hlt` on every core: only an NMI could wake it, and nothing here sends one to a sleeping machine. */
  #sleepsForGood(): boolean {
    return this.#hardware.vcpus.every((vcpu) => !vcpu.canWake);
  }

  /** How far virtual time is ahead of the wall clock. */
  #lead(): Nanos {
    return this.#pace === 'free' ? 0 : Math.max(0, this.clock.now() - this.#hostElapsed());
  }

  #hostElapsed(): Nanos {
    return this.#hostNow() - this.#hostEpoch;
  }

  #crash(kind: CrashKind, cause: string, vcpu: number, error?: unknown): Nanos {
    const stack = error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
    const { retired } = this;
    const report = { partition: this.#name, kind, cause, vcpu, guestTime: this.clock.now(), retired, vcpus: this.registers(), ...stack };
    this.#end = { state: 'crashed', report };
    return Number.POSITIVE_INFINITY;
  }
}

/** RAM as after power-on: what a previous life left must not decide how the next one runs. */
function clearRam(memory: PhysicalMemory): void {
  // Uint8Array.fill on shared memory goes byte by byte; `set` from a block of zeros is an order of magnitude faster.
  const zeros = new Uint8Array(1 << 20);
  for (const { base, size, access } of memory.regions) {
    if (access !== 'rw') continue;
    for (let done = 0; done < size; done += zeros.length) memory.write(base + done, zeros.subarray(0, Math.min(zeros.length, size - done)));
  }
}

/** An engine that has just failed may fail again when asked for registers; the report then goes without. */
function readStateOf(vcpu: Vcpu): VcpuState | undefined {
  try {
    return vcpu.readState();
  } catch {
    return undefined;
  }
}

function messageOf(error: unknown): string {
  if (error instanceof BulkheadError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function inBrackets(detail: string): string {
  return detail === '' || detail === 'triple fault' ? '' : ` (${detail})`;
}
