/** The test kit for chips and device models: a clock moved by hand, and a slot whose far side can be looked at. */
import type {
  Bus,
  CharacterBackend,
  Clock,
  Device,
  DeviceSlot,
  DeviceSpec,
  DmaPort,
  IrqLine,
  Logger,
  Nanos,
  PhysicalMemory,
  PowerControl,
  WirePort,
} from '../contracts/index.ts';
import { SystemBus } from './bus.ts';
import type { DeviceEnvironment, DeviceModel } from './catalogue.ts';
import { DmaGate } from './dma.ts';
import { createPhysicalMemory, type GuestMemory } from './memory.ts';
import { ConfigurationMechanism1 } from './pci/configuration-mechanism-1.ts';
import { PciBus } from './pci/pci-bus.ts';
import { COMMAND, COMMAND_MASTER } from './pci/pci-function.ts';
import type { Type0Function } from './pci/type-0-function.ts';

interface Deadline {
  readonly at: Nanos;
  readonly fire: () => void;
}

/** Stands still until `advance`, which fires deadlines in order, each at its own time. */
export class ManualClock implements Clock {
  #now: Nanos;
  readonly #deadlines: Deadline[] = [];

  constructor(now: Nanos = 0) {
    this.#now = now;
  }

  now(): Nanos {
    return this.#now;
  }

  at(at: Nanos, fire: () => void): Disposable {
    const deadline = { at, fire };
    this.#deadlines.push(deadline);
    this.#deadlines.sort((a, b) => a.at - b.at);
    return {
      [Symbol.dispose]: () => {
        const index = this.#deadlines.indexOf(deadline);
        if (index >= 0) this.#deadlines.splice(index, 1);
      },
    };
  }

  advance(nanos: Nanos): void {
    const end = this.#now + nanos;
    for (let next = this.#deadlines[0]; next !== undefined && next.at <= end; next = this.#deadlines[0]) {
      this.#deadlines.shift();
      this.#now = Math.max(this.#now, next.at);
      next.fire();
    }
    this.#now = end;
  }

  /** The nearest deadline, if any. */
  get next(): Nanos | undefined {
    return this.#deadlines[0]?.at;
  }
}

/** An interrupt line that remembers. */
export class RecordingLine implements IrqLine {
  level = false;
  /** Low-to-high transitions. */
  edges = 0;

  set(level: boolean): void {
    if (level && !this.level) this.edges++;
    this.level = level;
  }

  pulse(): void {
    this.set(false);
    this.set(true);
    this.set(false);
  }
}

export interface FakeSlot extends DeviceSlot {
  readonly bus: Bus;
  readonly memory: PhysicalMemory;
  readonly clock: ManualClock;
  /** What the device drives, by pin. */
  readonly lines: ReadonlyMap<number, RecordingLine>;
  readonly messages: readonly string[];
  /** Message-signalled interrupts sent: `address, data`. */
  readonly msis: readonly (readonly [number, number])[];
  /** What the device plugged into PCI, in order: with addresses, decoding and bus mastering on, as a driver would leave it. */
  readonly functions: readonly Type0Function[];
}

const FAKE_RAM_BYTES = 1 << 20;
const FAKE_BESIDE_RAM_BYTES = 32 << 20;

/**
 * Everything a device may touch: a bus, a clock, 1 MiB of RAM and a PCI bus of its own. `deviceName` is what its DMA is reported under.
 * INTA# of a function shows in `functions[n].interruptAsserted`.
 */
export function fakeSlot(deviceName = 'device'): FakeSlot {
  const lines = new Map<number, RecordingLine>();
  const messages: string[] = [];
  const msis: [number, number][] = [];
  const bus = new SystemBus();
  const log: Logger = { log: (severity, message) => messages.push(`${severity}: ${message}`) };
  const msi = { send: (address: number, data: number) => msis.push([address, data]) };
  let board: { memory: GuestMemory; dma: DmaPort; gate: DmaGate; pci: PciBus } | undefined;
  const made = () => (board ??= fakeBoard());
  const fakeBoard = () => {
    const memory = createPhysicalMemory([{ base: 0, size: FAKE_RAM_BYTES, access: 'rw' }], 0, FAKE_BESIDE_RAM_BYTES);
    const gate = new DmaGate({ memory, log });
    const configuration = new ConfigurationMechanism1({ resetControl: { read: () => 0xff, write: () => undefined } });
    const pci = new PciBus({ bus, memory, configuration, dma: gate, msi: { send: msi.send }, log, interrupt: () => () => undefined });
    return { memory, gate, pci, dma: gate.port({ name: deviceName }) };
  };
  return {
    bus,
    get memory() {
      return made().memory;
    },
    clock: new ManualClock(),
    log,
    irq(pin) {
      const line = lines.get(pin) ?? new RecordingLine();
      lines.set(pin, line);
      return line;
    },
    msi,
    pci(description) {
      const { pci } = made();
      const plugged = pci.plug(deviceName, description);
      pci.post(() => 0);
      plugged.writeConfig(COMMAND, 2, plugged.readConfig(COMMAND, 2) | COMMAND_MASTER);
      return plugged;
    },
    get dma() {
      return made().dma;
    },
    lines,
    messages,
    msis,
    get functions() {
      return made().pci.functions;
    },
  };
}

/** How a device sits on its slot, where that is not the usual way. */
export interface AttachOptions {
  readonly name?: string;
  readonly options?: DeviceSpec['options'];
  readonly ranges?: DeviceSpec['ranges'];
  readonly irqs?: DeviceSpec['irqs'];
}

/** Makes a device of a model that needs nothing but its slot, attaches it at its first usual place, and resets it as power-on does. */
export function attachDevice(slot: DeviceSlot, model: DeviceModel, { name = 'device', options = {}, ranges, irqs }: AttachOptions = {}): Device {
  const [usual] = model.places;
  const spec: DeviceSpec = { name, model: name, ranges: ranges ?? usual.ranges, irqs: irqs ?? usual.irqs, options };
  const device = model.create(spec, NOTHING_BUT_ITS_SLOT);
  device.attach(slot);
  device.reset('cold');
  return device;
}

/** Models that need more are tested by whoever has it. */
const NOTHING_BUT_ITS_SLOT = {} as DeviceEnvironment;

/** A serial line's far end: `typed` waits to be read by the guest, `printed` is what the guest sent. */
export class FakeTerminal implements CharacterBackend {
  printed = '';
  #typed: number[] = [];

  type(text: string): void {
    for (const c of text) this.#typed.push(c.charCodeAt(0) & 0xff);
  }

  get waiting(): number {
    return this.#typed.length;
  }

  output(byte: number): void {
    this.printed += String.fromCharCode(byte);
  }

  input(): number | undefined {
    return this.#typed.shift();
  }
}

/** The far end of a wire: `sent` is what the device sent, `deliver` brings it a frame. */
export class FakeWire implements WirePort {
  readonly sent: Uint8Array[] = [];
  /** No room: what is sent is refused. */
  full = false;
  missed = 0;
  #connected = true;
  #changed: () => void = () => undefined;
  readonly #waiting: Uint8Array[] = [];

  get connected(): boolean {
    return this.#connected;
  }

  plug(connected: boolean): void {
    this.#connected = connected;
    this.#changed();
  }

  /** Several frames arrive together. */
  deliver(...frames: readonly Uint8Array[]): void {
    this.#waiting.push(...frames);
    this.#changed();
  }

  /** Frames the device has not taken. */
  get waiting(): number {
    return this.#waiting.length;
  }

  send(frame: Uint8Array): boolean {
    if (this.full || !this.#connected) return false;
    this.sent.push(frame.slice());
    return true;
  }

  /** Frames the device gave up because there was no room for them. */
  dropped = 0;

  drop(): void {
    this.dropped++;
  }

  receive(target: Uint8Array): number {
    const frame = this.#waiting.shift();
    if (frame === undefined) return 0;
    target.set(frame.subarray(0, target.length));
    return Math.min(frame.length, target.length);
  }

  listen(changed: () => void): void {
    this.#changed = changed;
  }
}

/** Remembers what the guest asked of the platform: `reset 0`, `debug-exit 85`. */
export class FakePower implements PowerControl {
  readonly requests: string[] = [];

  request(kind: 'reset' | 'power-off' | 'debug-exit', code: number): void {
    this.requests.push(`${kind} ${code}`);
  }

  fail(cause: string): void {
    this.requests.push(`fail: ${cause}`);
  }
}

export const silent: Logger = { log: () => undefined };
