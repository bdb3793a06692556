/**
 * The host bridge at 00:00.0: the 82441FX of the i440FX chipset. Every PC system knows it and asks nothing of it; firmware switches
 * shadow RAM with it.
 *
 * Spec: Intel 82441FX (PMC) datasheet §3.2; §3.2.18 (PAM0–PAM6).
 * Not modelled: DRAM control (DRB…: memory is always there), system management RAM, error reporting.
 */
import type { AccessSize } from '../../contracts/index.ts';
import { PAM_REGISTERS, type ShadowRam } from '../chipset/shadow-ram.ts';
import { PciConfigSpace, type PciFunction } from './pci-function.ts';

const PAM0 = 0x59;
/** By these, firmware knows a board that has a configuration device (QEMU docs/specs/pci-ids.rst). */
const SUBSYSTEM_VENDOR = 0x1af4;
const SUBSYSTEM = 0x1100;

export class HostBridge implements PciFunction {
  readonly name = 'host-bridge';
  readonly #config: PciConfigSpace;
  readonly #shadow: ShadowRam | undefined;

  /** `shadow` is behind the PAM registers. Without it they read as 0: on a board that starts without firmware that RAM is always RAM. */
  constructor({ shadow }: { readonly shadow?: ShadowRam | undefined } = {}) {
    const identity = { vendor: 0x8086, device: 0x1237, classCode: 0x06_0000, revision: 2, command: 0x0107 };
    this.#config = new PciConfigSpace(
      shadow === undefined ? identity : { ...identity, subsystemVendor: SUBSYSTEM_VENDOR, subsystem: SUBSYSTEM },
    );
    this.#shadow = shadow;
  }

  readConfig(register: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#readByte(register + i);
    return value;
  }

  writeConfig(register: number, size: AccessSize, value: number): void {
    this.#config.write(register, size, value);
    for (let i = 0; i < size; i++) if (isPam(register + i)) this.#shadow?.writeRegister(register + i - PAM0, (value >>> (8 * i)) & 0xff);
  }

  /** Shadow RAM is reset with the ROM it belongs to. */
  reset(): void {
    this.#config.reset();
  }

  #readByte(register: number): number {
    return isPam(register) && this.#shadow !== undefined ? this.#shadow.readRegister(register - PAM0) : this.#config.read(register, 1);
  }
}

function isPam(register: number): boolean {
  return register >= PAM0 && register < PAM0 + PAM_REGISTERS;
}
