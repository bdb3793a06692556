/**
 * A wall around a device model that we did not write. Whatever it does wrong is the end of that device, and of nothing else:
 *
 *     it throws                  it is stopped: its ranges float, its deadlines are cut, its lines are let go
 *     it gives what is no value  the same: what a guest would read would be anybody's guess
 *     it does not return         nothing in this thread can help; `calls` shows the machine's watchdog where it is
 *
 * A model can be exchanged while the guest runs, as one card for another of the same kind: functions on PCI keep their slot, their
 * addresses and what the guest configured as long as the new model asks for the same.
 *
 * Not modelled: memory that a model fills without end. The heap of its thread is limited; reaching that ends the partition.
 */
import { BulkheadError } from '../../base/index.ts';
import type {
  AccessSize,
  Clock,
  Device,
  DeviceSlot,
  DeviceState,
  IoHandler,
  IrqLine,
  Nanos,
  PciBar,
  PciFunctionDescription,
  PciFunctionPort,
} from '../../contracts/index.ts';
import type { DeviceModel } from '../catalogue.ts';

/**
 * Where calls into models are noted, for a watchdog in another thread: two words, because they are written at every register access.
 * {@link CALL_DEVICE} is the number of the device that is in a call now, from 1 (0: none; negative: its module is being loaded),
 * {@link CALL_COUNT} counts calls.
 */
export type DeviceCalls = Int32Array;
export const CALL_DEVICE = 0;
export const CALL_COUNT = 1;

export interface GuardOptions {
  readonly name: string;
  /** Its number in {@link DeviceCalls}. */
  readonly number: number;
  readonly calls: DeviceCalls;
  /** Called once for each model that was stopped; `cause` says what it did, in words. */
  stopped(cause: string, error: unknown): void;
}

/** A function on PCI, and the model's side of it, which can be exchanged. */
interface GuardedFunction {
  readonly port: PciFunctionPort;
  readonly shape: string;
  description: PciFunctionDescription;
}

export class GuardedDevice implements Device {
  readonly name: string;
  readonly #options: GuardOptions;
  readonly #create: (model?: DeviceModel) => Device;
  #model: Device | undefined;
  #slot: DeviceSlot | undefined;
  #cause: string | undefined;
  /** Counts exchanges: what an earlier model left behind is dead. */
  #generation = 0;
  readonly #claims = new Set<Disposable>();
  readonly #deadlines = new Set<Disposable>();
  readonly #lines = new Map<number, IrqLine>();
  readonly #functions: GuardedFunction[] = [];
  /** How many functions the present model has asked for. */
  #asked = 0;

  /** `create` makes a device of a model, or of the one it was given in the manifest. */
  constructor(create: (model?: DeviceModel) => Device, options: GuardOptions) {
    this.name = options.name;
    this.#create = create;
    this.#options = options;
    this.#model = this.#call('create', () => create());
  }

  /** Why it was stopped; undefined while it works. */
  get cause(): string | undefined {
    return this.#cause;
  }

  /** For inspection and tests. */
  get model(): Device | undefined {
    return this.#model;
  }

  /** Errors of the configuration (BH2xx) pass: the machine cannot be built as described. */
  attach(slot: DeviceSlot): void {
    this.#slot = slot;
    let refusal: BulkheadError | undefined;
    this.#call('attach', () => {
      try {
        this.#model?.attach(this.#guarded(slot));
      } catch (error) {
        if (!(error instanceof BulkheadError)) throw error;
        refusal = error;
      }
    });
    if (refusal !== undefined) throw refusal;
  }

  reset(kind: 'cold' | 'warm'): void {
    this.#call(`reset(${kind})`, () => this.#model?.reset(kind));
  }

  pause(): void {
    this.#call('pause', () => this.#model?.pause?.());
  }

  resume(): void {
    this.#call('resume', () => this.#model?.resume?.());
  }

  save(): DeviceState {
    return this.#call('save', () => this.#model?.save?.()) ?? { version: 1 };
  }

  restore(state: DeviceState): void {
    this.#call('restore', () => this.#model?.restore?.(state));
  }

  /**
   * Takes the model out and puts `model` in its place, reset cold. Throws BH217, with the device stopped, when its functions on PCI are not
   * those of the model before: guests do not expect that, and the partition must be restarted.
   */
  exchange(model: DeviceModel): void {
    this.#call('dispose', () => this.#model?.[Symbol.dispose]());
    this.#release();
    this.#cause = undefined;
    this.#asked = 0;
    this.#model = this.#call('create', () => this.#create(model));
    const slot = this.#slot;
    if (slot === undefined) return;
    try {
      this.attach(slot);
      if (this.#asked < this.#functions.length && this.#cause === undefined) {
        throw new BulkheadError('BH217', `${this.name} has fewer functions on PCI than before`, { hint: 'restart its partition' });
      }
    } catch (error) {
      this.#stop(error instanceof Error ? error.message : String(error), error);
      throw error;
    }
    this.reset('cold');
  }

  [Symbol.dispose](): void {
    this.#call('dispose', () => this.#model?.[Symbol.dispose]());
    this.#release();
  }

  /** Runs a part of the model. Calls nest: wiring a function calls back into the model that wires it. */
  #call<Result>(what: string, run: () => Result): Result | undefined {
    if (this.#cause !== undefined) return undefined;
    const { calls, number } = this.#options;
    const outer = calls[CALL_DEVICE] as number;
    calls[CALL_DEVICE] = number;
    calls[CALL_COUNT] = (calls[CALL_COUNT] as number) + 1;
    try {
      return run();
    } catch (error) {
      this.#stop(`${describeError(error)}, in ${what}`, error);
      return undefined;
    } finally {
      returnTo(calls, outer);
    }
  }

  #stop(cause: string, error: unknown): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#release();
    this.#options.stopped(cause, error);
  }

  /** Nothing of the model is called any more, nothing it drove is driven. */
  #release(): void {
    this.#generation++;
    for (const claim of this.#claims) claim[Symbol.dispose]();
    for (const deadline of this.#deadlines) deadline[Symbol.dispose]();
    for (const line of this.#lines.values()) line.set(false);
    for (const { port } of this.#functions) port.setInterrupt(false);
    this.#claims.clear();
    this.#deadlines.clear();
  }

  #guarded(slot: DeviceSlot): DeviceSlot {
    const generation = this.#generation;
    const isLive = () => this.#generation === generation;
    return {
      bus: {
        claim: (range, owner, handler) => {
          const claim = slot.bus.claim(range, owner, this.#handler(() => handler, isLive));
          this.#claims.add(claim);
          return claim;
        },
      },
      memory: slot.memory,
      clock: this.#clock(slot.clock, isLive),
      log: { log: (severity, message, fields) => slot.log.log(severity, `${this.name}: ${message}`, fields) },
      irq: (pin) => {
        const line = this.#lines.get(pin) ?? slot.irq(pin);
        this.#lines.set(pin, line);
        return {
          set: (level) => {
            if (isLive()) line.set(level);
          },
          pulse: () => {
            if (isLive()) line.pulse();
          },
        };
      },
      msi: {
        send: (address, data) => {
          if (isLive()) slot.msi.send(address, data);
        },
      },
      pci: (description) => this.#plug(slot, description),
      dma: slot.dma,
    };
  }

  #clock(clock: Clock, isLive: () => boolean): Clock {
    return {
      now: () => clock.now(),
      at: (deadline: Nanos, fire: () => void): Disposable => {
        if (!isLive()) return INERT;
        const pending = clock.at(deadline, () => {
          this.#deadlines.delete(pending);
          if (isLive()) this.#call('a deadline', fire);
        });
        this.#deadlines.add(pending);
        return {
          [Symbol.dispose]: () => {
            this.#deadlines.delete(pending);
            pending[Symbol.dispose]();
          },
        };
      },
    };
  }

  /** A new function, or the one the model before had in this order. Throws BH217 when that was another. */
  #plug(slot: DeviceSlot, description: PciFunctionDescription): PciFunctionPort {
    const known = this.#functions[this.#asked++];
    if (known === undefined && this.#generation > 0) {
      throw new BulkheadError('BH217', `${this.name} has more functions on PCI than before`, { hint: 'restart its partition' });
    }
    const shape = shapeOf(description);
    if (known !== undefined) {
      if (known.shape !== shape) {
        throw new BulkheadError('BH217', `${this.name} is another function on PCI than before`, { hint: 'restart its partition' });
      }
      known.description = description;
      return known.port;
    }
    const guarded: { port?: PciFunctionPort; shape: string; description: PciFunctionDescription } = { shape, description };
    const port = slot.pci({
      ...description,
      bars: description.bars.map((bar, index) => this.#bar(bar, () => guarded.description.bars[index])),
      configured: (register) => void this.#call(`configured(0x${register.toString(16)})`, () => guarded.description.configured?.(register)),
    });
    guarded.port = port;
    this.#functions.push(guarded as GuardedFunction);
    return port;
  }

  #bar(bar: PciBar | undefined, now: () => PciBar | undefined): PciBar | undefined {
    if (bar === undefined || bar.kind === 'memory') return bar;
    const handler = () => {
      const present = now();
      return present === undefined || present.kind === 'memory' ? FLOATING : present.handler;
    };
    return { ...bar, handler: this.#handler(handler, () => true) };
  }

  #handler(handler: () => IoHandler, isLive: () => boolean): IoHandler {
    return {
      read: (offset, size) => {
        if (!isLive() || this.#cause !== undefined) return ones(size);
        const value = this.#read(handler(), offset, size);
        return value === undefined ? ones(size) : (value & ones(size)) >>> 0;
      },
      write: (offset, size, value) => {
        if (isLive() && this.#cause === undefined) this.#write(handler(), offset, size, value);
      },
    };
  }

  // Register accesses are what a device does all day: no closures here.

  #read(handler: IoHandler, offset: number, size: AccessSize): number | undefined {
    const { calls, number } = this.#options;
    const outer = calls[CALL_DEVICE] as number;
    calls[CALL_DEVICE] = number;
    calls[CALL_COUNT] = (calls[CALL_COUNT] as number) + 1;
    try {
      const value: unknown = handler.read(offset, size);
      if (typeof value === 'number') return value;
      this.#stop(`read(${offset}, ${size}) gave ${describeValue(value)}, which is no number`, undefined);
    } catch (error) {
      this.#stop(`${describeError(error)}, in read(${offset}, ${size})`, error);
    } finally {
      returnTo(calls, outer);
    }
    return undefined;
  }

  #write(handler: IoHandler, offset: number, size: AccessSize, value: number): void {
    const { calls, number } = this.#options;
    const outer = calls[CALL_DEVICE] as number;
    calls[CALL_DEVICE] = number;
    calls[CALL_COUNT] = (calls[CALL_COUNT] as number) + 1;
    try {
      handler.write(offset, size, value);
    } catch (error) {
      this.#stop(`${describeError(error)}, in write(${offset}, ${size}, 0x${value.toString(16)})`, error);
    } finally {
      returnTo(calls, outer);
    }
  }
}

/**
 * A function of its own because V8 ends a thread that is out of memory where it looks for such wishes next: while code is interpreted that is
 * not in a loop of the device, but where a function is entered. Here the device is still the one that is in a call.
 */
function returnTo(calls: DeviceCalls, outer: number): void {
  calls[CALL_DEVICE] = outer;
}

const INERT: Disposable = { [Symbol.dispose]: () => undefined };
const FLOATING: IoHandler = { read: (_, size) => ones(size), write: () => undefined };

function ones(size: AccessSize): number {
  return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
}

/** Everything the guest could have seen of a function; what the model keeps to itself may change. */
function shapeOf({ bars, configured, ...rest }: PciFunctionDescription): string {
  const visible = bars.map((bar) => (bar === undefined || bar.kind === 'memory' ? bar : { ...bar, handler: undefined }));
  return JSON.stringify({ ...rest, bars: visible }, (_, value: unknown) => (value instanceof Uint8Array ? [...value] : value));
}

/** `TypeError: x is not a function (encoder.ts:42:11)`: with the place, where the stack names one. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${describeValue(error)}`;
  const place = /([^/\\()\s]+\.[cm]?[jt]s)(?:\?[^:\s]*)?(:\d+:\d+)/.exec(error.stack ?? '');
  return `${error.name}: ${error.message}${place === null ? '' : ` (${place[1]}${place[2]})`}`;
}

function describeValue(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number') return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
