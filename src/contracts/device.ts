import type { Bus, IrqLine, MsiSink } from './bus.ts';
import type { Clock, Logger } from './clock.ts';
import type { PhysicalMemory } from './memory.ts';
import type { DmaPort, PciFunctionDescription, PciFunctionPort } from './pci.ts';

/**
 * The life of a device. Order is fixed: attach → (reset →) start → [pause → (save|restore|reset) → resume]* → dispose.
 * `pause` is called with every vCPU of the partition stopped; a paused device accepts work and holds it.
 */
export interface Device extends Disposable {
  /** Stable, unique in the partition, used in logs, metrics and snapshots: `uart0`, `encoder`. */
  readonly name: string;
  attach(slot: DeviceSlot): void;
  reset(kind: 'cold' | 'warm'): void;
  pause?(): void;
  resume?(): void;
  /** Plain JSON-able state with a version; keys are names, never positions. */
  save?(): DeviceState;
  restore?(state: DeviceState): void;
}

/** Everything a device may touch, and nothing more. Tests build one with `fakeSlot()`. */
export interface DeviceSlot {
  readonly bus: Pick<Bus, 'claim'>;
  readonly memory: PhysicalMemory;
  readonly clock: Clock;
  readonly log: Logger;
  /** Global system interrupt `pin` (ISA IRQ numbers below 16). Throws BH211 when the partition does not own it. */
  irq(pin: number): IrqLine;
  readonly msi: MsiSink;
  /** Puts a function into a slot of the partition's PCI bus. A device may be several. */
  pci(description: PciFunctionDescription): PciFunctionPort;
  /** RAM as a bus master that is not on PCI reaches it. */
  readonly dma: DmaPort;
}

export interface DeviceState {
  readonly version: number;
  readonly [field: string]: unknown;
}

/** A byte stream behind a serial port: the host's side. */
export interface CharacterBackend {
  /** A byte leaves the guest. Never blocks; the backend keeps a bounded log. */
  output(byte: number): void;
  /** The device calls this for input; undefined when there is none. */
  input(): number | undefined;
  /** Of the terminal at the other end, for devices that can tell their guest. Absent: unknown. */
  readonly size?: TerminalSize | undefined;
}

/** A byte stream that leads straight out of the partition's thread, with nobody between. */
export interface AttachedLine extends CharacterBackend, Disposable {
  /** Between slices: lets the device see what has arrived by now. True when there is something it has not taken yet. */
  admit(): boolean;
}

/** In characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** What the guest can ask of the platform (reset and power chips call it). */
export interface PowerControl {
  /** `code` is the guest's own exit status where it gave one (debug-exit). */
  request(kind: 'reset' | 'power-off' | 'debug-exit', code: number): void;
  /** The partition is not to go on: it crashes after the current instruction, with `cause` in its report. */
  fail(cause: string): void;
}
