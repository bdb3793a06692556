/**
 * A PCI function made from its description: configuration space, address ranges, capabilities and interrupts.
 *
 * Its device drives it as a {@link PciFunctionPort}, the guest through configuration space and the ranges it placed.
 *
 * Spec: PCI Local Bus Specification 3.0 §6.2 (header), §6.7 (capabilities), §6.8 (messages), §2.2.6 (INTx#).
 * Not modelled: power management unless the description has its capability, VPD, extended configuration space, pins INTB# to INTD#.
 */
import { BulkheadError } from '../../base/index.ts';
import type {
  AccessSize,
  DmaPort,
  Gpa,
  MsiSink,
  PciBar,
  PciFunctionDescription,
  PciFunctionPort,
  PciPlace,
  PhysicalMemory,
} from '../../contracts/index.ts';
import type { DmaGate } from '../dma.ts';
import { type AddressRequest, BaseAddresses, type PlacedRanges } from './base-addresses.ts';
import { MSI_BYTES, MSI_CAPABILITY, Msi } from './msi.ts';
import { MSI_X_BYTES, MSI_X_CAPABILITY, MsiX, type MsiXState, msiXRangeBytes } from './msi-x.ts';
import {
  CAPABILITIES_POINTER,
  COMMAND,
  COMMAND_INTX_DISABLE,
  COMMAND_IO,
  COMMAND_MASTER,
  COMMAND_MEMORY,
  COMMAND_PARITY,
  COMMAND_SERR,
  CONFIG_BYTES,
  FIRST_FREE_REGISTER,
  INTERRUPT_LINE,
  INTERRUPT_PIN,
  PciConfigSpace,
  type PciFunction,
  STATUS,
} from './pci-function.ts';

const COMMAND_BITS = COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_PARITY | COMMAND_SERR | COMMAND_INTX_DISABLE;
// Status (§6.2.3)
const STATUS_INTERRUPT = 1 << 3;
const STATUS_CAPABILITIES = 1 << 4;
const STATUS_MASTER_ABORT = 1 << 13;
/** Parity, target and master aborts, system errors: cleared by writing ones. */
const STATUS_EVENTS = 0xf900;
const INTA = 1;
const MESSAGES_BASE = 0xfee0_0000;
const MESSAGES_END = 0xfef0_0000;

/** What the bus gives a function. */
export interface PciConnections {
  readonly memory: PhysicalMemory;
  readonly ranges: PlacedRanges;
  readonly dma: DmaGate;
  readonly msi: MsiSink;
  /** The wire from INTA# of this device. */
  interrupt(level: boolean): void;
}

export interface PciFunctionState {
  readonly config: string;
  readonly interrupt: boolean;
  readonly msix?: MsiXState;
}

export class Type0Function implements PciFunction, PciFunctionPort {
  readonly name: string;
  readonly place: PciPlace;
  readonly dma: DmaPort;
  readonly #description: PciFunctionDescription;
  readonly #config: PciConfigSpace;
  readonly #addresses: BaseAddresses;
  readonly #connections: PciConnections;
  readonly #msi: Msi | undefined;
  readonly #msix: MsiX | undefined;
  /** What the device wants of INTx#. */
  #interrupt = false;
  /** What the wire has. */
  #asserted = false;

  /** Throws BH216 when there can be no such function, BH401 when its memory does not fit. `device` is what its DMA is reported under. */
  constructor(device: string, name: string, place: PciPlace, description: PciFunctionDescription, connections: PciConnections) {
    this.name = name;
    this.place = place;
    this.#description = description;
    this.#connections = connections;
    const config = new PciConfigSpace({ ...description.identity, command: COMMAND_BITS });
    this.#config = config;
    config.allowClearing(STATUS, 2, STATUS_EVENTS);
    if (description.interruptPin === true) config.preset(INTERRUPT_PIN, 1, INTA);
    for (const { at, bytes, writable } of description.registers ?? []) this.#putRegisters(at, bytes, writable);
    const capabilities = new CapabilityList(config, name, description.registers ?? []);
    const send = (address: Gpa, data: number) => this.#send(address, data);
    const bars: (PciBar | undefined)[] = [...description.bars];
    if (description.msi !== undefined) this.#msi = new Msi(config, capabilities.add(MSI_CAPABILITY, MSI_BYTES), description.msi, send);
    if (description.msix !== undefined) {
      const { vectors, bar } = description.msix;
      if (!Number.isInteger(bar) || bar < 0 || bar > 5 || bars[bar] !== undefined) {
        throw new BulkheadError('BH216', `${name} cannot have its MSI-X table in BAR ${bar}: there is none, or it has something else in it`);
      }
      this.#msix = new MsiX(config, capabilities.add(MSI_X_CAPABILITY, MSI_X_BYTES), vectors, bar, send);
      while (bars.length < bar) bars.push(undefined);
      bars[bar] = { kind: 'mmio', size: msiXRangeBytes(vectors), handler: this.#msix };
    }
    for (const { id, body, writable } of description.capabilities ?? []) {
      this.#putRegisters(capabilities.add(id, 2 + body.length) + 2, body, writable);
    }
    if (capabilities.used) config.preset(STATUS, 2, STATUS_CAPABILITIES);
    const { memory, ranges } = connections;
    this.#addresses = new BaseAddresses({ name, config, bars, rom: description.rom, memory, ranges });
    this.dma = connections.dma.port({
      name: device,
      enabled: () => (config.read(COMMAND, 1) & COMMAND_MASTER) !== 0,
      refused: () => config.set(STATUS, 2, config.read(STATUS, 2) | STATUS_MASTER_ABORT),
    });
  }

  // ── the guest's side ──

  readConfig(register: number, size: AccessSize): number {
    this.#description.reading?.(register);
    return this.#config.read(register, size);
  }

  writeConfig(register: number, size: AccessSize, value: number): void {
    this.#config.write(register, size, value);
    this.#update();
    this.#description.configured?.(register);
  }

  // ── the device's side ──

  setInterrupt(level: boolean): void {
    this.#interrupt = level;
    this.#driveInterrupt();
  }

  get usesMessages(): boolean {
    return this.#msix?.enabled === true || this.#msi?.enabled === true;
  }

  get messages(): number {
    if (this.#msix?.enabled === true) return this.#msix.vectors;
    return this.#msi?.enabled === true ? this.#msi.messages : 0;
  }

  signal(vector: number): void {
    if (this.#msix?.enabled === true) this.#msix.signal(vector);
    else if (this.#msi?.enabled === true) this.#msi.signal(vector);
  }

  config(register: number): number {
    return this.#config.read(register, 1);
  }

  setConfig(register: number, value: number): void {
    this.#config.set(register, 1, value);
  }

  barAddress(bar: number): Gpa | undefined {
    return this.#addresses.addressOf(bar);
  }

  memoryOf(bar: number): Uint8Array<SharedArrayBuffer> | undefined {
    return this.#addresses.bytesOf(bar);
  }

  // ── the board's side ──

  get identity(): PciFunctionDescription['identity'] {
    return this.#description.identity;
  }

  get hasInterruptPin(): boolean {
    return this.#description.interruptPin === true;
  }

  /** Level of INTx# on the wire. */
  get interruptAsserted(): boolean {
    return this.#asserted;
  }

  addressRequests(): readonly AddressRequest[] {
    return this.#addresses.requests();
  }

  /** What firmware does for a function: an address for every range that got one, decoding on, a note of the interrupt line. */
  configure(addresses: ReadonlyMap<AddressRequest, number>, interruptLine: number): void {
    let command = this.#config.read(COMMAND, 2);
    for (const request of this.#addresses.requests()) {
      const address = addresses.get(request);
      if (address === undefined) continue;
      this.#addresses.assign(request, address);
      command |= request.space === 'pio' ? COMMAND_IO : COMMAND_MEMORY;
    }
    this.#config.write(COMMAND, 2, command);
    if (this.hasInterruptPin) this.#config.write(INTERRUPT_LINE, 1, interruptLine);
    this.#update();
    this.#description.configured?.(COMMAND);
  }

  announceSiblings(): void {
    this.#config.announceSiblings();
  }

  reset(): void {
    this.#config.reset();
    this.#msix?.reset();
    this.#interrupt = false;
    this.#update();
    this.#addresses.clearMemory();
    this.#description.configured?.(COMMAND);
  }

  save(): PciFunctionState {
    const msix = this.#msix?.save();
    return { config: this.#config.save(), interrupt: this.#interrupt, ...(msix === undefined ? {} : { msix }) };
  }

  restore(state: PciFunctionState): void {
    this.#config.restore(state.config);
    if (state.msix !== undefined) this.#msix?.restore(state.msix);
    this.#interrupt = state.interrupt;
    this.#addresses.update();
    this.#driveInterrupt();
    this.#description.configured?.(COMMAND);
  }

  [Symbol.dispose](): void {
    this.#addresses[Symbol.dispose]();
  }

  #update(): void {
    this.#addresses.update();
    this.#driveInterrupt();
    this.#msi?.update();
    this.#msix?.update();
  }

  /** §6.2.3: the status bit shows the device's wish whatever the command register says about the wire. */
  #driveInterrupt(): void {
    const status = this.#config.read(STATUS, 2);
    this.#config.set(STATUS, 2, this.#interrupt ? status | STATUS_INTERRUPT : status & ~STATUS_INTERRUPT);
    const isDisabled = (this.#config.read(COMMAND, 2) & COMMAND_INTX_DISABLE) !== 0;
    const level = this.#interrupt && this.hasInterruptPin && !isDisabled && !this.usesMessages;
    if (level === this.#asserted) return;
    this.#asserted = level;
    this.#connections.interrupt(level);
  }

  /** A message is a write on the bus like any other: only a bus master can make it, and outside the APICs' range it is DMA. */
  #send(address: Gpa, data: number): void {
    if (address < MESSAGES_BASE || address >= MESSAGES_END) this.dma.write32(address, data);
    else if ((this.#config.read(COMMAND, 1) & COMMAND_MASTER) !== 0) this.#connections.msi.send(address, data);
  }

  #putRegisters(at: number, bytes: Uint8Array, writable: Uint8Array | undefined): void {
    if (at < 0 || at + bytes.length > CONFIG_BYTES) {
      throw new BulkheadError('BH216', `${this.name} has registers at 0x${at.toString(16)} beyond its 256 bytes of configuration space`);
    }
    for (const [index, byte] of bytes.entries()) this.#config.preset(at + index, 1, byte);
    for (const [index, mask] of (writable ?? []).entries()) this.#config.allowWrites(at + index, 1, mask);
  }
}

/** Finds room for capabilities between device-specific registers and links them up (§6.7). */
class CapabilityList {
  readonly #config: PciConfigSpace;
  readonly #name: string;
  readonly #taken = new Uint8Array(CONFIG_BYTES);
  /** Register that points to the next capability. */
  #link = CAPABILITIES_POINTER;

  constructor(config: PciConfigSpace, name: string, registers: readonly { readonly at: number; readonly bytes: Uint8Array }[]) {
    this.#config = config;
    this.#name = name;
    this.#taken.fill(1, 0, FIRST_FREE_REGISTER);
    for (const { at, bytes } of registers) this.#taken.fill(1, at, at + bytes.length);
  }

  get used(): boolean {
    return this.#link !== CAPABILITIES_POINTER;
  }

  /** Returns the register it starts at. Throws BH216 when configuration space is full. */
  add(id: number, bytes: number): number {
    for (let at = FIRST_FREE_REGISTER; at + bytes <= CONFIG_BYTES; at += 4) {
      if (this.#taken.subarray(at, at + bytes).includes(1)) continue;
      this.#taken.fill(1, at, at + bytes);
      this.#config.preset(this.#link, 1, at);
      this.#config.preset(at, 1, id);
      this.#link = at + 1;
      return at;
    }
    throw new BulkheadError('BH216', `${this.#name}: no room for capability 0x${id.toString(16)} in its configuration space`);
  }
}
