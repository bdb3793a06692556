/**
 * What a PCI device looks like to the configuration mechanism, and the plain configuration space most of them have.
 *
 * Spec: PCI Local Bus Specification 3.0 §6.1, §6.2 (type 0 header).
 */
import type { AccessSize } from '../../contracts/index.ts';

export interface PciFunction {
  readonly name: string;
  /** `register` is 0–255; the access does not cross a dword. */
  readConfig(register: number, size: AccessSize): number;
  writeConfig(register: number, size: AccessSize, value: number): void;
  reset?(): void;
}

const CONFIG_BYTES = 256;
const COMMAND = 0x04;

export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  /** Base class, sub-class and interface: 0x060000 is a host bridge. */
  readonly classCode: number;
  readonly revision: number;
  /** Command bits that exist (§6.2.2). */
  readonly command: number;
}

/** 256 bytes and the bits of them that can be written. */
export class PciConfigSpace {
  readonly #initial = new Uint8Array(CONFIG_BYTES);
  readonly #bytes = new Uint8Array(CONFIG_BYTES);
  readonly #writable = new Uint8Array(CONFIG_BYTES);

  constructor({ vendor, device, classCode, revision, command }: PciIdentity) {
    this.#put(0x00, 2, vendor);
    this.#put(0x02, 2, device);
    this.#put(0x08, 4, ((classCode << 8) | revision) >>> 0);
    this.allowWrites(COMMAND, 2, command);
    this.allowWrites(0x3c, 1, 0xff); // interrupt line: a note from firmware to driver
    this.reset();
  }

  allowWrites(register: number, size: AccessSize, mask: number): void {
    for (let i = 0; i < size; i++) this.#writable[register + i] = mask >>> (8 * i);
  }

  reset(): void {
    this.#bytes.set(this.#initial);
  }

  read(register: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | (this.#bytes[register + i] ?? 0xff);
    return value >>> 0;
  }

  write(register: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) {
      const mask = this.#writable[register + i] ?? 0;
      this.#bytes[register + i] = ((this.#bytes[register + i] ?? 0) & ~mask) | ((value >>> (8 * i)) & mask);
    }
  }

  #put(register: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#initial[register + i] = value >>> (8 * i);
  }
}
