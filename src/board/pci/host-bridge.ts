/**
 * The host bridge at 00:00.0, announced as the 82441FX of the i440FX chipset: every PC system knows it and asks nothing of it.
 *
 * Spec: Intel 82441FX (PMC) datasheet §3.2.
 * Not modelled: DRAM and shadow-RAM control (PAM, DRB…): memory is always there.
 */
import type { AccessSize } from '../../contracts/index.ts';
import { PciConfigSpace, type PciFunction } from './pci-function.ts';

export class HostBridge implements PciFunction {
  readonly name = 'host-bridge';
  readonly #config = new PciConfigSpace({ vendor: 0x8086, device: 0x1237, classCode: 0x06_0000, revision: 2, command: 0x0107 });

  readConfig(register: number, size: AccessSize): number {
    return this.#config.read(register, size);
  }

  writeConfig(register: number, size: AccessSize, value: number): void {
    this.#config.write(register, size, value);
  }

  reset(): void {
    this.#config.reset();
  }
}
