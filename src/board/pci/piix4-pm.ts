/**
 * PIIX4, function 3: where firmware looks for the power-management registers. They are at a fixed place on this board, which the
 * function says; what is written to its base register changes nothing.
 *
 * Spec: Intel 82371AB (PIIX4) datasheet, order 290562-001, §7.1 (function 3's configuration space), §7.1.17 (PMBA), §7.1.10 (DEVACTB).
 * Not modelled: moving the registers, device monitors, SMBus, SMI#. DEVACTB says that SMI# on the APM port is on already, by which
 * firmware knows that system management mode is not its business.
 */
import type { AccessSize } from '../../contracts/index.ts';
import { PM_BASE } from '../firmware/shape.ts';
import { PciConfigSpace, type PciFunction } from './pci-function.ts';

const PMBA = 0x40;
const DEVACTB = 0x58;
const PMREGMISC = 0x80;
const IO_SPACE = 1 << 0;
const APMC_EN = 1 << 25;
const PMIOSE = 1 << 0;

export class Piix4Pm implements PciFunction {
  readonly name = 'piix4-pm';
  readonly #config = new PciConfigSpace({ vendor: 0x8086, device: 0x7113, classCode: 0x06_8000, revision: 3, command: 0x0001 });

  constructor() {
    this.#config.preset(PMBA, 4, PM_BASE | IO_SPACE);
    this.#config.preset(DEVACTB, 4, APMC_EN);
    this.#config.preset(PMREGMISC, 1, PMIOSE);
  }

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
