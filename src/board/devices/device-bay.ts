/** The devices of one partition: made from their models, each on a slot of its own, and taken through their life together. */
import { BulkheadError } from '../../base/index.ts';
import type { Device, DeviceSlot, DeviceSpec, DeviceState } from '../../contracts/index.ts';
import { AttachedChip, type Chip } from '../attached-chip.ts';
import { DEVICE_CATALOGUE, type DeviceCatalogue, type DeviceEnvironment, type DeviceModel } from '../catalogue.ts';
import { type DeviceCalls, GuardedDevice } from './guarded-device.ts';

export interface DeviceBayOptions {
  readonly devices: readonly DeviceSpec[];
  /** Models beside or in place of those of the catalogue. */
  readonly models: DeviceCatalogue | undefined;
  readonly environment: DeviceEnvironment;
  readonly calls: DeviceCalls | undefined;
  slotFor(spec: DeviceSpec): DeviceSlot;
}

export class DeviceBay implements Disposable {
  readonly #options: DeviceBayOptions;
  readonly #devices = new Map<string, Device>();

  /** Attaches every device. Throws BH210–BH216 when one cannot be as described. */
  constructor(options: DeviceBayOptions) {
    this.#options = options;
    const { devices, models, environment } = options;
    for (const spec of devices) {
      const model = models?.[spec.model] ?? DEVICE_CATALOGUE[spec.model];
      if (model === undefined) {
        throw new BulkheadError('BH214', `${environment.partition}: ${spec.name} is a ${spec.model}, which no catalogue lists`, {
          hint: `known models: ${Object.keys({ ...DEVICE_CATALOGUE, ...models }).join(', ')}`,
        });
      }
      if (this.#devices.has(spec.name)) throw new BulkheadError('BH215', `${environment.partition} has two devices named ${spec.name}`);
      const slot = options.slotFor(spec);
      const device = spec.module === undefined ? model.create(spec, environment) : this.#guarded(spec, model, slot);
      device.attach(slot);
      this.#devices.set(spec.name, device);
    }
  }

  reset(kind: 'cold' | 'warm'): void {
    for (const device of this.#devices.values()) device.reset(kind);
  }

  /** Input from the host may be waiting. */
  pollInput(): void {
    for (const device of this.#devices.values()) if (device instanceof AttachedChip) device.chip?.pollInput?.();
  }

  pause(): void {
    for (const device of this.#devices.values()) device.pause?.();
  }

  resume(): void {
    for (const device of this.#devices.values()) device.resume?.();
  }

  /** By the name of the device. */
  save(): Readonly<Record<string, DeviceState>> {
    const states: Record<string, DeviceState> = {};
    for (const [name, device] of this.#devices) if (device.save !== undefined) states[name] = device.save();
    return states;
  }

  restore(states: Readonly<Record<string, DeviceState>>): void {
    for (const [name, device] of this.#devices) {
      const saved = states[name];
      if (saved !== undefined) device.restore?.(saved);
    }
  }

  device(name: string): Device | undefined {
    return this.#devices.get(name);
  }

  /** Chips of a type, by the name of their device. */
  chips<T extends Chip>(type: abstract new (...args: never[]) => T): { readonly name: string; readonly chip: T }[] {
    return [...this.#devices].flatMap(([name, known]) => {
      const device = known instanceof GuardedDevice ? known.model : known;
      return device instanceof AttachedChip && device.chip instanceof type ? [{ name, chip: device.chip }] : [];
    });
  }

  /** Devices of the user's own that went wrong, and how. */
  stopped(): { readonly name: string; readonly cause: string }[] {
    return [...this.#devices.values()].flatMap((device) =>
      device instanceof GuardedDevice && device.cause !== undefined ? [{ name: device.name, cause: device.cause }] : [],
    );
  }

  /** Puts another model in the place of a user's own, reset cold. Throws BH217 when it is another PCI device. */
  exchange(name: string, model: DeviceModel): void {
    const device = this.#devices.get(name);
    if (device instanceof GuardedDevice) device.exchange(model);
  }

  [Symbol.dispose](): void {
    for (const device of this.#devices.values()) device[Symbol.dispose]();
    this.#devices.clear();
  }

  /** A model that we did not write: what it does wrong must stay its own affair. */
  #guarded(spec: DeviceSpec, model: DeviceModel, { log }: DeviceSlot): Device {
    const { devices, environment, calls } = this.#options;
    return new GuardedDevice((present = model) => present.create(spec, environment), {
      name: spec.name,
      number: devices.indexOf(spec) + 1,
      calls: calls ?? new Int32Array(2),
      stopped: (cause) => log.log('error', `device ${spec.name} (${spec.model}) was stopped: ${cause}`),
    });
  }
}
