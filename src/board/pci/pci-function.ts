/**
 * What a PCI device looks like to the configuration mechanism, and the plain configuration space all of them have.
 *
 * Spec: PCI Local Bus Specification 3.0 §6.1, §6.2 (type 0 header).
 */
import type { AccessSize, PciIdentity } from '../../contracts/index.ts';

export interface PciFunction {
  readonly name: string;
  /** `register` is 0–255; the access does not cross a dword. */
  readConfig(register: number, size: AccessSize): number;
  writeConfig(register: number, size: AccessSize, value: number): void;
  reset?(): void;
  /** There are other functions at its device number: function 0 says so in its header (§6.2.1). */
  announceSiblings?(): void;
}

export const CONFIG_BYTES = 256;

// Registers of the type 0 header (figure 6-1)
export const COMMAND = 0x04;
export const STATUS = 0x06;
export const HEADER_TYPE = 0x0e;
export const FIRST_BAR = 0x10;
export const EXPANSION_ROM = 0x30;
export const CAPABILITIES_POINTER = 0x34;
export const INTERRUPT_LINE = 0x3c;
export const INTERRUPT_PIN = 0x3d;
/** Device-specific registers and capabilities start here. */
export const FIRST_FREE_REGISTER = 0x40;

// Command (§6.2.2)
export const COMMAND_IO = 1 << 0;
export const COMMAND_MEMORY = 1 << 1;
export const COMMAND_MASTER = 1 << 2;
export const COMMAND_PARITY = 1 << 6;
export const COMMAND_SERR = 1 << 8;
export const COMMAND_INTX_DISABLE = 1 << 10;

const MULTIFUNCTION = 0x80;

/** 256 bytes, the bits of them that can be written, and those that a written 1 clears. */
export class PciConfigSpace {
  readonly #initial = new Uint8Array(CONFIG_BYTES);
  readonly #bytes = new Uint8Array(CONFIG_BYTES);
  readonly #writable = new Uint8Array(CONFIG_BYTES);
  readonly #clearable = new Uint8Array(CONFIG_BYTES);

  /** `command`: its bits that exist (§6.2.2). */
  constructor({ vendor, device, classCode, revision, subsystemVendor, subsystem, command }: PciIdentity & { readonly command: number }) {
    this.preset(0x00, 2, vendor);
    this.preset(0x02, 2, device);
    this.preset(0x08, 4, ((classCode << 8) | (revision ?? 0)) >>> 0);
    this.preset(0x2c, 2, subsystemVendor ?? 0);
    this.preset(0x2e, 2, subsystem ?? 0);
    this.allowWrites(COMMAND, 2, command);
    this.allowWrites(INTERRUPT_LINE, 1, 0xff); // a note from firmware to driver
    this.reset();
  }

  /** The value after a reset, and from now on. */
  preset(register: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#initial[register + i] = value >>> (8 * i);
    this.set(register, size, value);
  }

  allowWrites(register: number, size: AccessSize, mask: number): void {
    for (let i = 0; i < size; i++) this.#writable[register + i] = mask >>> (8 * i);
  }

  /** Bits that a written 1 clears. */
  allowClearing(register: number, size: AccessSize, mask: number): void {
    for (let i = 0; i < size; i++) this.#clearable[register + i] = mask >>> (8 * i);
  }

  announceSiblings(): void {
    this.preset(HEADER_TYPE, 1, this.read(HEADER_TYPE, 1) | MULTIFUNCTION);
  }

  reset(): void {
    this.#bytes.set(this.#initial);
  }

  read(register: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | (this.#bytes[register + i] ?? 0xff);
    return value >>> 0;
  }

  /** As the guest writes. */
  write(register: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) {
      const at = register + i;
      const byte = (value >>> (8 * i)) & 0xff;
      const mask = this.#writable[at] ?? 0;
      const before = this.#bytes[at] ?? 0;
      this.#bytes[at] = (((before & ~mask) | (byte & mask)) & ~(byte & (this.#clearable[at] ?? 0))) >>> 0;
    }
  }

  /** As the function itself writes: all bits. */
  set(register: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#bytes[register + i] = value >>> (8 * i);
  }

  /** Every byte, as hexadecimal text. */
  save(): string {
    return Array.from(this.#bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  restore(saved: string): void {
    for (let i = 0; i < CONFIG_BYTES; i++) this.#bytes[i] = Number.parseInt(saved.slice(2 * i, 2 * i + 2), 16);
  }
}
