/**
 * PCI configuration mechanism #1: CONFIG_ADDRESS at offset 0 and CONFIG_DATA at offset 4 of ports 0xCF8–0xCFF.
 *
 * CONFIG_ADDRESS answers to 32-bit accesses only; others pass it by (§3.2.2.3.2), which is why the reset control register can live
 * at 0xCF9 among its bytes.
 *
 * Spec: PCI Local Bus Specification 3.0 §3.2.2.3.2.
 * Not modelled: buses other than 0, special cycles; room for BARs and MSI is in the functions.
 */
import type { AccessSize, IoHandler } from '../../contracts/index.ts';
import type { PciFunction } from './pci-function.ts';

const ENABLE = 0x8000_0000;
const ADDRESS_DEFINED = 0x80ff_fffc;
const CONFIG_DATA = 4;
const RESET_CONTROL = 1;

export class ConfigurationMechanism1 implements IoHandler {
  readonly #functions = new Map<number, PciFunction>();
  readonly #resetControl: { read(offset: number): number; write(offset: number, value: number): void };
  #address = 0;

  /** `resetControl` answers byte accesses to 0xCF9. */
  constructor(options: { resetControl: { read(offset: number): number; write(offset: number, value: number): void } }) {
    this.#resetControl = options.resetControl;
  }

  /** Puts a function on bus 0. Device 0–31, function 0–7. */
  plug(device: number, fn: number, pci: PciFunction): void {
    this.#functions.set((device << 3) | fn, pci);
  }

  reset(): void {
    this.#address = 0;
    for (const pci of this.#functions.values()) pci.reset?.();
  }

  read(offset: number, size: AccessSize): number {
    const ones = size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    if (offset < CONFIG_DATA) {
      if (offset === 0 && size === 4) return this.#address;
      return offset === RESET_CONTROL && size === 1 ? this.#resetControl.read(0) : ones;
    }
    const register = (this.#address & 0xfc) + offset - CONFIG_DATA;
    return this.#selected()?.readConfig(register, size) ?? ones;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= CONFIG_DATA) this.#selected()?.writeConfig((this.#address & 0xfc) + offset - CONFIG_DATA, size, value);
    else if (offset === 0 && size === 4) this.#address = (value & ADDRESS_DEFINED) >>> 0;
    else if (offset === RESET_CONTROL && size === 1) this.#resetControl.write(0, value);
  }

  #selected(): PciFunction | undefined {
    if (this.#address < ENABLE || (this.#address >>> 16) & 0xff) return undefined;
    return this.#functions.get((this.#address >>> 8) & 0xff);
  }
}
