/** The test kit for chips and device models: a clock moved by hand, and a slot whose far side can be looked at. */
import type { Bus, CharacterBackend, Clock, DeviceSlot, IrqLine, Logger, Nanos, PhysicalMemory, PowerControl } from '../contracts/index.ts';
import { SystemBus } from './bus.ts';
import { createPhysicalMemory, type GuestMemory } from './memory.ts';

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
}

/** Everything a device may touch, on a bus, a clock and 1 MiB of RAM of its own. */
export function fakeSlot(): FakeSlot {
  const lines = new Map<number, RecordingLine>();
  const messages: string[] = [];
  const msis: [number, number][] = [];
  let memory: GuestMemory | undefined;
  return {
    bus: new SystemBus(),
    get memory() {
      memory ??= createPhysicalMemory([{ base: 0, size: 1 << 20, access: 'rw' }], 0);
      return memory;
    },
    clock: new ManualClock(),
    log: { log: (severity, message) => messages.push(`${severity}: ${message}`) },
    irq(pin) {
      const line = lines.get(pin) ?? new RecordingLine();
      lines.set(pin, line);
      return line;
    },
    msi: { send: (address, data) => msis.push([address, data]) },
    lines,
    messages,
    msis,
  };
}

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

/** Remembers what the guest asked of the platform: `reset 0`, `debug-exit 85`. */
export class FakePower implements PowerControl {
  readonly requests: string[] = [];

  request(kind: 'reset' | 'power-off' | 'debug-exit', code: number): void {
    this.requests.push(`${kind} ${code}`);
  }
}

export const silent: Logger = { log: () => undefined };
