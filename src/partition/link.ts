/**
 * What a partition's thread and the machine's thread share: one small block of words, and two rings per console. No messages on the hot
 * path: the partition publishes its status by plain stores, the machine asks for attention by a bit and a wake-up.
 *
 * The partition looks at the command word between slices, so a guest that loops with interrupts off is as controllable as any other.
 */
import { ByteRing, ring } from '../base/index.ts';
import { type DeviceCalls, unplugWire, type WireBuffers } from '../board/index.ts';
import type { KeyEvent, LinkedPort, Nanos, PartitionLifeState, PartitionStatus, PointerEvent, TerminalSize } from '../contracts/index.ts';
import { PortControl } from '../shared/index.ts';
import { type ConsoleBuffers, createConsoleBuffers, setConsoleSize } from './console-port.ts';
import { createInputBuffers, type InputBuffers, sendKeys, sendPointer } from './input-port.ts';
import type { VcpuReport } from './report.ts';
import { STATE_WORDS, packState, unpackState } from './state-words.ts';
import type { DeviceFaults, TelemetryReading } from './partition.ts';

/** Structured-clonable: this is what is posted to the thread. */
export interface LinkBuffers {
  readonly block: SharedArrayBuffer;
  /** The registers of each vCPU as last published, for the case that the thread dies without a word. */
  readonly registers: SharedArrayBuffer;
  readonly consoles: Readonly<Record<string, ConsoleBuffers>>;
  /** Keyboards and mice, by device. */
  readonly inputs: Readonly<Record<string, InputBuffers>>;
  /** By network controller: its end of a wire to another partition, and what wakes that one. */
  readonly wires: Readonly<Record<string, LinkedWire>>;
  /** By device: its port to a shared resource. */
  readonly shared: Readonly<Record<string, LinkedPort>>;
}

// Words of the block (Int32).
/** Counts whatever the partition should look at; it sleeps on this word. */
const SIGNAL = 0;
const COMMAND = 1;
/** Counts rounds of the partition's loop: a sign of life. */
const HEARTBEAT = 2;
const STATE = 3;
const RESETS = 4;
const HAS_TELEMETRY = 5;
/** {@link DeviceCalls}: which device of the user's own is in a call now (0: none), and how many calls there were. Two words in a row. */
const DEVICE_IN_CALL = 6;
const DEVICE_CALLS = 7;
const WORDS = 8;
// Numbers of the block (Float64, after the words). Each is written by one thread; a 64-bit store is not torn on any host we run on.
const RETIRED = 0;
const GUEST_TIME = 1;
const PERIODS = 2;
const DEADLINE_MISSES = 3;
const WORST_LATENCY = 4;
const DMA_VIOLATIONS = 5;
const STOPPED_DEVICES = 6;
const NUMBERS = 8;

const COMMAND_STOP = 1 << 0;
const COMMAND_KILL = 1 << 1;
const COMMAND_RELOAD = 1 << 2;
/** Per vCPU, before its state: published at all, retired, parked. */
const REGISTER_HEADER = 3;
const REGISTER_WORDS: number = REGISTER_HEADER + STATE_WORDS;

const STATES: readonly PartitionLifeState[] = ['stopped', 'starting', 'running', 'halted', 'crashed'];

/** Enough for a burst of boot messages while the host is busy for a moment. */
const OUTPUT_CAPACITY = 256 * 1024;
/** Somebody pastes a page. */
const INPUT_CAPACITY = 16 * 1024;

/** A cable that was plugged into a partition from outside. */
export interface LinkedWire {
  readonly end: WireBuffers;
  /** The other partition's {@link PartitionLink.alarm}. */
  readonly peer: Int32Array;
}

export class PartitionLink {
  readonly buffers: LinkBuffers;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #registers: BigUint64Array;
  readonly #wires: Record<string, LinkedWire>;
  readonly #shared: Record<string, LinkedPort>;

  private constructor(
    buffers: Omit<LinkBuffers, 'wires' | 'shared'> & { readonly wires: Record<string, LinkedWire>; readonly shared: Record<string, LinkedPort> },
  ) {
    this.buffers = buffers;
    this.#wires = buffers.wires;
    this.#shared = buffers.shared;
    this.#words = new Int32Array(buffers.block, 0, WORDS);
    this.#numbers = new Float64Array(buffers.block, WORDS * 4, NUMBERS);
    this.#registers = new BigUint64Array(buffers.registers);
  }

  /** `consoles` are the names of the partition's character devices, `inputs` those with a keyboard. */
  static create(consoles: readonly string[], vcpus: number, inputs: readonly string[] = []): PartitionLink {
    return new PartitionLink({
      block: new SharedArrayBuffer(WORDS * 4 + NUMBERS * 8),
      registers: new SharedArrayBuffer(vcpus * REGISTER_WORDS * 8),
      consoles: Object.fromEntries(
        consoles.map((name) => [name, createConsoleBuffers(OUTPUT_CAPACITY, INPUT_CAPACITY)]),
      ),
      inputs: Object.fromEntries(inputs.map((name) => [name, createInputBuffers()])),
      wires: {},
      shared: {},
    });
  }

  /** The same link, seen from the other thread. */
  static over(buffers: LinkBuffers): PartitionLink {
    return new PartitionLink({ ...buffers, wires: { ...buffers.wires }, shared: { ...buffers.shared } });
  }

  // ── the machine's side ──

  /** A new life begins: forgets commands and figures of the one before. Only while no thread of the partition runs. */
  rearm(): void {
    Atomics.store(this.#words, COMMAND, 0);
    Atomics.store(this.#words, RESETS, 0);
    Atomics.store(this.#words, HAS_TELEMETRY, 0);
    Atomics.store(this.#words, DEVICE_IN_CALL, 0);
    this.#numbers.fill(0);
    this.#registers.fill(0n);
  }

  /** Plugs a cable into a network controller. Before the first life: it is posted with the rest. */
  plug(device: string, wire: LinkedWire): void {
    this.#wires[device] = wire;
  }

  /** Gives a device its port to a shared resource. Before the first life: it is posted with the rest. */
  share(device: string, port: LinkedPort): void {
    this.#shared[device] = port;
  }

  /** The partition's thread is gone: what its cables lead to sees the link go down, and brokers forget what it asked for. */
  unplugged(): void {
    for (const { port, alarm } of Object.values(this.#shared)) {
      new PortControl(port).begin();
      ring(alarm);
    }
    for (const { end, peer } of Object.values(this.#wires)) {
      unplugWire(end);
      ring(peer);
    }
  }

  /** What the partition sleeps on, for others to wake it: see {@link ring}. */
  get alarm(): Int32Array {
    return new Int32Array(this.buffers.block, SIGNAL * 4, 1);
  }

  /** Asks the partition to end at the next slice; `heartbeat` shows whether it lives. */
  requestStop(): void {
    Atomics.or(this.#words, COMMAND, COMMAND_STOP);
    this.signal();
  }

  /** Asks the partition to crash at the next slice, so that its on-crash policy can be seen at work. */
  requestKill(): void {
    Atomics.or(this.#words, COMMAND, COMMAND_KILL);
    this.signal();
  }

  /** Asks the partition to load its devices of the user's own anew, between two slices. */
  requestReload(): void {
    Atomics.or(this.#words, COMMAND, COMMAND_RELOAD);
    this.signal();
  }

  /** The device of the user's own that is in a call now, by its number from 1 (0: none; negative: it is being loaded), and the number of the call. */
  get deviceInCall(): { readonly device: number; readonly call: number } {
    return { device: Atomics.load(this.#words, DEVICE_IN_CALL), call: Atomics.load(this.#words, DEVICE_CALLS) };
  }

  /** Registers as last published, at most a fraction of a second old; empty when the thread died before it ran. */
  lastRegisters(): VcpuReport[] {
    const reports: VcpuReport[] = [];
    for (let base = 0, id = 0; base < this.#registers.length; base += REGISTER_WORDS, id++) {
      if (this.#registers[base] === 0n) continue;
      reports.push({
        id,
        retired: Number(this.#registers[base + 1]),
        parked: this.#registers[base + 2] === 1n,
        state: unpackState(this.#registers, base + REGISTER_HEADER),
      });
    }
    return reports;
  }

  /** Wakes the partition if it sleeps: there is input, or a command. */
  signal(): void {
    ring(this.#words.subarray(SIGNAL, SIGNAL + 1));
  }

  /** Sends console input; returns how many bytes were taken, the rest is the caller's to send later. */
  sendInput(console: string, bytes: Uint8Array): number {
    const buffers = this.buffers.consoles[console];
    if (buffers === undefined) return bytes.length;
    const taken = ByteRing.over(buffers.input).push(bytes);
    if (taken > 0) this.signal();
    return taken;
  }

  /** The terminal of a console has this size now. */
  resizeConsole(console: string, size: TerminalSize): void {
    const buffers = this.buffers.consoles[console];
    if (buffers === undefined) return;
    setConsoleSize(buffers, size);
    this.signal();
  }

  /** Presses keys and moves the mouse; return how many events were taken, the rest is the caller's to send later. */
  sendKeys(device: string, events: readonly KeyEvent[]): number {
    return this.#sent(this.buffers.inputs[device], events, sendKeys);
  }

  sendPointer(device: string, events: readonly PointerEvent[]): number {
    return this.#sent(this.buffers.inputs[device], events, sendPointer);
  }

  get heartbeat(): number {
    return Atomics.load(this.#words, HEARTBEAT);
  }

  get resets(): number {
    return Atomics.load(this.#words, RESETS);
  }

  get worstLatency(): Nanos | undefined {
    return this.#telemetry(WORST_LATENCY);
  }

  get state(): PartitionLifeState {
    return STATES[Atomics.load(this.#words, STATE)] as PartitionLifeState;
  }

  set state(state: PartitionLifeState) {
    Atomics.store(this.#words, STATE, STATES.indexOf(state));
  }

  /** `restarts` is what the machine counts; the rest is what the partition published last. */
  status(name: string, restarts: number): PartitionStatus {
    const periods = this.#telemetry(PERIODS);
    const deadlineMisses = this.#telemetry(DEADLINE_MISSES);
    return {
      name,
      state: this.state,
      restarts: restarts + this.resets,
      retired: this.#numbers[RETIRED] as number,
      guestTime: this.#numbers[GUEST_TIME] as number,
      ...(periods === undefined ? {} : { periods }),
      ...(deadlineMisses === undefined ? {} : { deadlineMisses }),
      ...(this.#numbers[STOPPED_DEVICES] === 0 ? {} : { stoppedDevices: this.#numbers[STOPPED_DEVICES] as number }),
      ...(this.#numbers[DMA_VIOLATIONS] === 0 ? {} : { dmaViolations: this.#numbers[DMA_VIOLATIONS] as number }),
    };
  }

  // ── the partition's side ──

  get stopRequested(): boolean {
    return (Atomics.load(this.#words, COMMAND) & COMMAND_STOP) !== 0;
  }

  get killRequested(): boolean {
    return (Atomics.load(this.#words, COMMAND) & COMMAND_KILL) !== 0;
  }

  /** Whether devices are to be loaded anew; asking takes the request. */
  takeReload(): boolean {
    if ((Atomics.load(this.#words, COMMAND) & COMMAND_RELOAD) === 0) return false;
    Atomics.and(this.#words, COMMAND, ~COMMAND_RELOAD);
    return true;
  }

  /** Where a guarded device notes its calls. */
  deviceCalls(): DeviceCalls {
    return new Int32Array(this.buffers.block, DEVICE_IN_CALL * 4, 2);
  }

  /** What {@link alarm} shows. To be read before looking for input and commands and handed to a `Sleeper`: whatever comes in between ends the wait at once. */
  get signals(): number {
    return Atomics.load(this.#words, SIGNAL);
  }

  beat(): void {
    Atomics.add(this.#words, HEARTBEAT, 1);
  }

  publish(retired: number, guestTime: Nanos, resets: number, telemetry: TelemetryReading | undefined): void {
    this.#numbers[RETIRED] = retired;
    this.#numbers[GUEST_TIME] = guestTime;
    Atomics.store(this.#words, RESETS, resets);
    if (telemetry === undefined) return;
    this.#numbers[PERIODS] = telemetry.periods;
    this.#numbers[DEADLINE_MISSES] = telemetry.deadlineMisses;
    this.#numbers[WORST_LATENCY] = telemetry.worstLatency;
    Atomics.store(this.#words, HAS_TELEMETRY, 1);
  }

  publishFaults({ dmaViolations, stoppedDevices }: DeviceFaults): void {
    this.#numbers[DMA_VIOLATIONS] = dmaViolations;
    this.#numbers[STOPPED_DEVICES] = stoppedDevices;
  }

  publishRegisters(vcpus: readonly VcpuReport[]): void {
    for (const vcpu of vcpus) {
      const base = vcpu.id * REGISTER_WORDS;
      this.#registers[base + 1] = BigInt(vcpu.retired);
      this.#registers[base + 2] = vcpu.parked ? 1n : 0n;
      packState(vcpu.state, this.#registers, base + REGISTER_HEADER);
      this.#registers[base] = 1n;
    }
  }

  #sent<Event>(
    buffers: InputBuffers | undefined,
    events: readonly Event[],
    send: (buffers: InputBuffers, events: readonly Event[]) => number,
  ): number {
    if (buffers === undefined) return events.length;
    const taken = send(buffers, events);
    if (taken > 0) this.signal();
    return taken;
  }

  #telemetry(number: number): number | undefined {
    return Atomics.load(this.#words, HAS_TELEMETRY) === 0 ? undefined : this.#numbers[number];
  }
}
