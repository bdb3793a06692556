/**
 * ICH9's Serial ATA controller in AHCI mode: global registers, interrupts, and a port for each drive.
 *
 * Spec: Serial ATA AHCI 1.3.1 ("AHCI") §2 (PCI header), §3.1 (global registers), §10.7 (interrupts); Intel ICH9 datasheet, order
 * 316972-004, §14 (identity). PI has only the ports that are wired: nobody waits for drives where there is no socket.
 *
 * Not modelled: command completion coalescing, enclosure management, BIOS/OS handoff (nobody else uses it), the legacy IDE register
 * BARs and the index/data pair.
 */
import type { AccessSize, DeviceSlot, DeviceState, IoHandler, Nanos, PciFunctionPort } from '../../contracts/index.ts';
import type { AtaDevice } from '../storage/ata-device.ts';
import { AhciPort, type AhciPortState, PORT_BYTES, SLOTS } from './ahci-port.ts';

/** Of an ICH9 in a desktop board. */
export const AHCI_PORTS = 6;

// Global registers (AHCI §3.1)
const CAP = 0x00;
const GHC = 0x04;
const IS = 0x08;
const PI = 0x0c;
const VS = 0x10;
const PORTS = 0x100;
const ABAR_BYTES = 0x800;
const VERSION_1_3_1 = 0x0001_0301;

/** 64-bit addresses, queues, CLO, AHCI only, 3 Gb/s, multiple DRQ blocks, 32 slots. */
const CAPABILITIES = ((1 << 31) | (1 << 30) | (1 << 24) | (2 << 20) | (1 << 18) | (1 << 15) | ((SLOTS - 1) << 8)) >>> 0;
const GHC_RESET = 1 << 0;
const GHC_INTERRUPT_ENABLE = 1 << 1;
/** Always: the controller has no other mode (CAP.SAM). */
const GHC_AHCI_ENABLE = 0x8000_0000;
/** ICH9 §14.1.28: the port map register says AHCI. */
const MAP = 0x90;
const MAP_AHCI = 1 << 6;

export interface AhciOptions {
  readonly slot: Pick<DeviceSlot, 'pci' | 'clock'>;
  /** One for each port that is wired, from 1 to {@link AHCI_PORTS}; undefined for nothing plugged in. */
  readonly drives: readonly (AtaDevice | undefined)[];
  readonly latency: Nanos;
}

export class Ahci implements IoHandler {
  readonly #pci: PciFunctionPort;
  readonly #ports: readonly AhciPort[];
  #interruptEnable = false;
  /** IS: a bit for each port whose interrupt has not been acknowledged. */
  #pending = 0;

  constructor({ slot, drives, latency }: AhciOptions) {
    this.#pci = slot.pci({
      identity: { vendor: 0x8086, device: 0x2922, classCode: 0x01_0601, revision: 0x02 },
      bars: [undefined, undefined, undefined, undefined, undefined, { kind: 'mmio', size: ABAR_BYTES, handler: this }],
      interruptPin: true,
      msi: 1,
      registers: [{ at: MAP, bytes: Uint8Array.of(MAP_AHCI) }],
    });
    const { dma } = this.#pci;
    this.#ports = drives
      .slice(0, AHCI_PORTS)
      .map((drive) => new AhciPort({ drive, dma, clock: slot.clock, latency, changed: () => this.#update(0) }));
  }

  reset(): void {
    this.#interruptEnable = false;
    for (const port of this.#ports) port.reset();
    this.#pending = 0;
    this.#drive();
  }

  pause(): void {
    for (const port of this.#ports) port.pause();
  }

  resume(): void {
    for (const port of this.#ports) port.resume();
  }

  /** Registers are 32 bits wide; narrower reads see their part (AHCI §3). */
  read(offset: number, size: AccessSize): number {
    const shift = 8 * (offset & 3);
    const value = this.#readRegister(offset & ~3) >>> shift;
    return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
  }

  /** Narrower writes than 32 bits are not for this hardware (AHCI §3); what they do not cover is written as 0. */
  write(offset: number, size: AccessSize, value: number): void {
    const register = offset & ~3;
    if (size === 4 || (offset & 3) === 0) this.#writeRegister(register, value >>> 0);
  }

  save(): DeviceState {
    return {
      version: 1,
      interruptEnable: this.#interruptEnable,
      pending: this.#pending,
      ports: this.#ports.map((port) => port.save()),
    };
  }

  restore(state: DeviceState): void {
    const saved = state as unknown as { interruptEnable: boolean; pending: number; ports: readonly AhciPortState[] };
    this.#interruptEnable = saved.interruptEnable;
    this.#pending = saved.pending;
    for (const [index, port] of this.#ports.entries()) port.restore(saved.ports[index] as AhciPortState);
    this.#drive();
  }

  #readRegister(register: number): number {
    if (register >= PORTS) return this.#portAt(register)?.read(register % PORT_BYTES) ?? 0;
    switch (register) {
      case CAP:
        return (CAPABILITIES | Math.max(0, this.#ports.length - 1)) >>> 0;
      case GHC:
        return (GHC_AHCI_ENABLE | (this.#interruptEnable ? GHC_INTERRUPT_ENABLE : 0)) >>> 0;
      case IS:
        return this.#pending >>> 0;
      case PI:
        return (1 << this.#ports.length) - 1;
      case VS:
        return VERSION_1_3_1;
      default:
        return 0;
    }
  }

  #writeRegister(register: number, value: number): void {
    if (register >= PORTS) this.#portAt(register)?.write(register % PORT_BYTES, value);
    else if (register === GHC) {
      if (value & GHC_RESET) {
        this.reset();
        return;
      }
      const before = this.#interruptEnable;
      this.#interruptEnable = (value & GHC_INTERRUPT_ENABLE) !== 0;
      if (this.#interruptEnable && !before) this.#signal(this.#pending);
      this.#drive();
    } else if (register === IS) this.#update(value);
  }

  #portAt(register: number): AhciPort | undefined {
    return this.#ports[Math.floor((register - PORTS) / PORT_BYTES)];
  }

  /** A port's interrupt changed, or the driver acknowledged some in IS. A port that still asks is pending at once again (§10.7.2.1). */
  #update(acknowledged: number): void {
    const before = this.#pending & ~acknowledged;
    let now = before;
    for (let index = 0; index < this.#ports.length; index++) if (this.#ports[index]?.interrupting) now |= 1 << index;
    const isNew = now & ~before;
    this.#pending = now;
    // §10.7.2.3: a message for each new bit, and when some but not all bits are cleared.
    if (isNew !== 0 || (acknowledged !== 0 && now !== 0)) this.#signal(now);
    this.#drive();
  }

  #signal(pending: number): void {
    if (pending !== 0 && this.#interruptEnable && this.#pci.usesMessages) this.#pci.signal(0);
  }

  #drive(): void {
    this.#pci.setInterrupt(this.#interruptEnable && this.#pending !== 0);
  }
}
