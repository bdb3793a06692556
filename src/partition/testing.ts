/** A test kit for what runs above engines: a vCPU whose guest is a function, called once per instruction, and a partition made of such. */
import {
  ExitReason,
  type LoadSegment,
  type Nanos,
  type PhysicalMemory,
  type PowerControl,
  type SegmentState,
  type Vcpu,
  type VcpuEvent,
  type VcpuState,
} from '../contracts/index.ts';
import { createPhysicalMemory } from '../board/index.ts';
import type { VirtualClock } from './clock.ts';
import { type DeviceFaults, type Hardware, type PartitionOptions, RunningPartition, type TelemetryReading } from './partition.ts';
import type { VcpuPins } from './scheduler.ts';

/** One instruction of a guest. A reason ends the run after it, as HLT or PAUSE would. */
export type Program = (vcpu: ScriptedVcpu) => ExitReason | undefined;

const FLAT: SegmentState = { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b };

export class ScriptedVcpu implements Vcpu {
  readonly id: number;
  retired = 0;
  detail = '';
  interruptsEnabled = true;
  pin = false;
  /** Interrupts taken. */
  interrupts = 0;
  /** Retired in all runs. */
  total = 0;
  readonly events: VcpuEvent[] = [];
  readonly #program: Program;
  readonly #onInterrupt: (vcpu: ScriptedVcpu) => void;
  #asleep = false;
  #waitingForSipi = false;
  #end = 0;

  constructor(id: number, program: Program, onInterrupt: (vcpu: ScriptedVcpu) => void = (vcpu) => vcpu.setInterruptPin(false)) {
    this.id = id;
    this.#program = program;
    this.#onInterrupt = onInterrupt;
  }

  get awake(): boolean {
    return !this.#asleep && !this.#waitingForSipi;
  }

  get canWake(): boolean {
    return this.interruptsEnabled;
  }

  /** What a store does to MWAIT. */
  wake(): void {
    this.#asleep = false;
  }

  run(budget: number): ExitReason {
    this.retired = 0;
    this.#end = budget;
    if (this.#waitingForSipi) return ExitReason.WaitForSipi;
    while (this.retired < this.#end) {
      if (this.pin && this.interruptsEnabled) {
        this.#asleep = false;
        this.interrupts++;
        this.#onInterrupt(this);
      }
      if (this.#asleep) return ExitReason.Halt;
      const reason = this.#program(this);
      this.retired++;
      this.total++;
      if (reason === ExitReason.Halt) {
        this.#asleep = true;
        if (this.pin && this.interruptsEnabled) continue;
      }
      if (reason !== undefined) return reason;
    }
    return ExitReason.Budget;
  }

  /** The instruction under way counts as one of them. */
  limit(instructions: number): void {
    this.#end = Math.min(this.#end, this.retired + instructions);
  }

  setInterruptPin(level: boolean): void {
    this.pin = level;
  }

  inject(event: VcpuEvent): void {
    this.events.push(event);
    if (event.kind === 'sipi') this.#waitingForSipi = false;
    if (event.kind === 'nmi') this.#asleep = false;
  }

  reset(bootstrap: boolean): void {
    this.#asleep = false;
    this.#waitingForSipi = !bootstrap;
    this.pin = false;
  }

  readState(): VcpuState {
    const segments = { es: FLAT, cs: FLAT, ss: FLAT, ds: FLAT, fs: FLAT, gs: FLAT, ldtr: FLAT, tr: FLAT };
    const table = { base: 0n, limit: 0 };
    return {
      gpr: Array.from({ length: 16 }, (_, i) => BigInt(i)),
      rip: BigInt(this.total),
      rflags: this.interruptsEnabled ? 0x202n : 2n,
      segments,
      gdtr: table,
      idtr: table,
      cr0: 0x11n,
      cr2: 0n,
      cr3: 0n,
      cr4: 0n,
      efer: 0n,
    };
  }

  writeState(): void {}

  [Symbol.dispose](): void {}
}

export interface ScriptedParts {
  readonly clock: VirtualClock;
  readonly power: PowerControl;
  readonly memory: PhysicalMemory;
  /** Wires of each vCPU, as an interrupt controller would drive them. */
  readonly pins: readonly VcpuPins[];
}

export interface ScriptedOptions {
  /** One program per vCPU, or what builds them around the partition's clock and power control. */
  readonly programs: (parts: ScriptedParts) => readonly Program[];
  readonly onInterrupt?: (vcpu: ScriptedVcpu) => void;
  readonly segments?: readonly LoadSegment[];
  /** SIPI vCPUs other than the first at once, so that tests of turns need no start-up code. Default true. */
  readonly startAll?: boolean;
  readonly admitInput?: () => void;
  readonly telemetry?: () => TelemetryReading | undefined;
  readonly deviceFaults?: () => DeviceFaults;
  readonly hasNeighbours?: boolean;
  readonly hostNow?: () => Nanos;
  readonly pace?: PartitionOptions['pace'];
  readonly quantum?: number;
  readonly instructionsPerMicrosecond?: number;
}

export interface ScriptedPartition extends ScriptedParts {
  readonly partition: RunningPartition;
  readonly vcpus: readonly ScriptedVcpu[];
}

/** A partition with 64 KiB of RAM whose vCPUs run the given programs. */
export function scriptedPartition(options: ScriptedOptions): ScriptedPartition {
  const memory = createPhysicalMemory([{ base: 0, size: 0x1_0000, access: 'rw' }], 0);
  const pins: VcpuPins[] = [];
  let parts: ScriptedParts | undefined;
  let vcpus: ScriptedVcpu[] = [];
  const build = (clock: VirtualClock, power: PowerControl): Hardware => {
    parts = { clock, power, memory, pins };
    vcpus = options.programs(parts).map((program, id) => new ScriptedVcpu(id, program, options.onInterrupt));
    const state = (vcpus[0] as ScriptedVcpu).readState();
    return {
      memory,
      vm: { createVcpu: () => vcpus[0] as ScriptedVcpu, memoryChanged: () => {}, memoryMapChanged: () => {}, [Symbol.dispose]: () => {} },
      vcpus,
      image: 'a script',
      hasNeighbours: options.hasNeighbours === true,
      segments: options.segments ?? [],
      entry: state,
      connect: (vcpu, wires) => {
        pins[vcpu] = wires;
      },
      reset: () => {},
      admitInput: () => options.admitInput?.(),
      telemetry: () => options.telemetry?.(),
      ...(options.deviceFaults === undefined ? {} : { deviceFaults: options.deviceFaults }),
      [Symbol.dispose]: () => {},
    };
  };
  const partition = new RunningPartition({
    spec: { name: 'scripted', instructionsPerMicrosecond: options.instructionsPerMicrosecond ?? 1000 },
    build,
    hostNow: options.hostNow ?? (() => 0),
    pace: options.pace ?? 'free',
    ...(options.quantum === undefined ? {} : { quantum: options.quantum }),
  });
  if (options.startAll !== false) for (let id = 1; id < vcpus.length; id++) pins[id]?.inject({ kind: 'sipi', vector: 0 });
  return { partition, vcpus, ...(parts as ScriptedParts) };
}
