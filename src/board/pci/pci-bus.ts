/**
 * Bus 0 of a partition: who sits in which slot, where ranges that the guest places take effect, and what firmware does to it all
 * where there is none.
 *
 *     slot 0   host bridge        slot 1   PIIX3        slots 2–31   functions in the order of the manifest
 *
 * Spec: PCI Local Bus Specification 3.0; PCI BIOS Specification 2.1 (what firmware leaves behind).
 * Not modelled: bridges to further buses, hot plug, memory-mapped configuration space.
 */
import { BulkheadError } from '../../base/index.ts';
import type {
  Bytes,
  DeviceState,
  Gpa,
  IoHandler,
  IoSpaceName,
  Logger,
  MsiSink,
  PciFunctionDescription,
  PciPlace,
  PhysicalMemory,
} from '../../contracts/index.ts';
import type { SystemBus } from '../bus.ts';
import type { DmaGate } from '../dma.ts';
import { assignAddresses, PCI_MEMORY_END } from './address-assignment.ts';
import type { PlacedRanges } from './base-addresses.ts';
import type { ConfigurationMechanism1 } from './configuration-mechanism-1.ts';
import type { PciFunction } from './pci-function.ts';
import { type PciFunctionState, Type0Function } from './type-0-function.ts';

const FIRST_FREE_SLOT = 2;
const SLOTS = 32;
const FOUR_GIB = 0x1_0000_0000;

export interface PciBusOptions {
  readonly bus: SystemBus;
  readonly memory: PhysicalMemory;
  readonly configuration: ConfigurationMechanism1;
  readonly dma: DmaGate;
  readonly msi: MsiSink;
  readonly log: Logger;
  /** The wire from INTA# of the device in `slot`; called once for each function that has the pin. */
  interrupt(slot: number): (level: boolean) => void;
}

export class PciBus {
  readonly #options: PciBusOptions;
  readonly #ranges: PlacedRanges;
  readonly #topOfRam: Gpa;
  readonly #plugged = new Map<string, PciFunction>();
  readonly #functions: Type0Function[] = [];
  /** Ranges of `memory` BARs that are shown now. */
  readonly #shown = new Set<{ readonly base: Gpa; readonly size: Bytes }>();

  constructor(options: PciBusOptions) {
    this.#options = options;
    this.#topOfRam = options.memory.regions.reduce((top, { base, size }) => Math.max(top, base + size), 0);
    this.#ranges = {
      decode: (space, base, size, owner, handler) => this.#decode(space, base, size, owner, handler),
      show: (base, size, offset) => this.#show(base, size, offset),
    };
  }

  /** Functions of devices, in the order they were plugged. */
  get functions(): readonly Type0Function[] {
    return this.#functions;
  }

  /** A function of the chipset, which minds its own configuration space. */
  plugChipset(place: PciPlace, pci: PciFunction): void {
    this.#take(place, pci);
  }

  /** Throws BH216 when the description makes no sense, the place is taken or every slot is; BH401 when its memory does not fit. */
  plug(device: string, description: PciFunctionDescription): Type0Function {
    const place = description.place ?? this.#freePlace(device);
    const siblings = this.#functions.filter(({ name }) => name === device || name.startsWith(`${device}.`)).length;
    const name = siblings === 0 ? device : `${device}.${siblings}`;
    const { memory, dma, msi } = this.#options;
    const interrupt = description.interruptPin === true ? this.#options.interrupt(place.device) : () => undefined;
    const pci = new Type0Function(device, name, place, description, { memory, dma, msi, interrupt, ranges: this.#ranges });
    this.#take(place, pci);
    this.#functions.push(pci);
    return pci;
  }

  reset(): void {
    this.#options.configuration.reset();
  }

  /**
   * What firmware does before it starts a system: addresses for every BAR and ROM, decoding on, interrupt lines noted. Bus mastering stays
   * off: drivers turn it on. `interruptLine` is that of INTA# of a slot.
   */
  post(interruptLine: (slot: number) => number): void {
    const { bus, log } = this.#options;
    const requests = this.#functions.flatMap((pci) => pci.addressRequests());
    const addresses = assignAddresses(requests, this.#topOfRam, bus.ranges());
    for (const pci of this.#functions) {
      pci.configure(addresses, interruptLine(pci.place.device));
      const missing = pci.addressRequests().find((request) => !addresses.has(request));
      if (missing === undefined) continue;
      log.log('warn', `${pci.name}: no address is left for its ${missing.size} bytes of ${missing.space === 'pio' ? 'ports' : 'memory'}`);
    }
  }

  save(): DeviceState {
    return { version: 1, functions: Object.fromEntries(this.#functions.map((pci) => [pci.name, pci.save()])) };
  }

  restore(state: DeviceState): void {
    const functions = state['functions'] as Readonly<Record<string, PciFunctionState>>;
    for (const pci of this.#functions) {
      const saved = functions[pci.name];
      if (saved !== undefined) pci.restore(saved);
    }
  }

  [Symbol.dispose](): void {
    for (const pci of this.#functions) pci[Symbol.dispose]();
  }

  #freePlace(device: string): PciPlace {
    for (let slot = FIRST_FREE_SLOT; slot < SLOTS; slot++) {
      if (![...this.#plugged.keys()].some((taken) => taken.startsWith(`${slot}.`))) return { device: slot, function: 0 };
    }
    throw new BulkheadError('BH216', `no PCI slot is left for ${device}`, { hint: `a partition has ${SLOTS - FIRST_FREE_SLOT}` });
  }

  #take(place: PciPlace, pci: PciFunction): void {
    const { device, function: number } = place;
    const key = `${device}.${number}`;
    const other = this.#plugged.get(key);
    if (other !== undefined) throw new BulkheadError('BH216', `${pci.name} and ${other.name} are both meant to be PCI function ${key}`);
    this.#plugged.set(key, pci);
    this.#options.configuration.plug(device, number, pci);
    const hasSiblings = [...this.#plugged.keys()].some((taken) => taken !== `${device}.0` && taken.startsWith(`${device}.`));
    if (hasSiblings) this.#plugged.get(`${device}.0`)?.announceSiblings?.();
  }

  #decode(space: IoSpaceName, base: number, size: Bytes, owner: string, handler: IoHandler): Disposable | undefined {
    return this.#options.bus.decode({ space, base, size }, owner, handler);
  }

  /** Only in the holes meant for it, where nothing of the board answers: otherwise it would hide RAM or registers. */
  #show(base: Gpa, size: Bytes, offset: number): Disposable | undefined {
    const end = base + size;
    const inHole = (base >= this.#topOfRam && end <= PCI_MEMORY_END) || (base >= Math.max(FOUR_GIB, this.#topOfRam) && end <= 2 ** 40);
    if (!inHole || this.#options.bus.claims({ space: 'mmio', base, size })) return undefined;
    for (const other of this.#shown) if (base < other.base + other.size && other.base < end) return undefined;
    const shown = { base, size };
    this.#shown.add(shown);
    const overlay = this.#options.memory.overlay(base, size, offset, 'rw');
    return {
      [Symbol.dispose]: () => {
        this.#shown.delete(shown);
        overlay[Symbol.dispose]();
      },
    };
  }
}
