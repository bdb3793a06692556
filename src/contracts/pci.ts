import type { IoHandler } from './bus.ts';
import type { Bytes, Gpa } from './scalars.ts';

/** The header of a type 0 function (PCI 3.0 §6.2.1). */
export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  /** Base class, sub-class and interface: 0x010601 is AHCI. */
  readonly classCode: number;
  readonly revision?: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
}

/** One base address register (PCI 3.0 §6.2.5). Sizes are powers of two: at least 4 ports, or 16 bytes of memory. */
export type PciBar =
  | { readonly kind: 'pio'; readonly size: Bytes; readonly handler: IoHandler }
  | {
      readonly kind: 'mmio';
      readonly size: Bytes;
      readonly handler: IoHandler;
      /** 64 bits wide: the next BAR slot must be undefined. */
      readonly wide?: boolean;
      readonly prefetchable?: boolean;
    }
  /** Bytes of the board's own (display memory): the guest's loads and stores reach them without a call. */
  | { readonly kind: 'memory'; readonly size: Bytes; readonly prefetchable?: boolean; readonly name: string };

/** A place on bus 0: device 0–31, function 0–7. */
export interface PciPlace {
  readonly device: number;
  readonly function: number;
}

/** What a function is made of; the board decides where it sits, which line its INTx# reaches and where its BARs lie until firmware moves them. */
export interface PciFunctionDescription {
  readonly identity: PciIdentity;
  /** Where drivers expect it (functions of the chipset). Absent: the next free slot from 2 on, in the order of the manifest. */
  readonly place?: PciPlace;
  /** By BAR number, 0–5. */
  readonly bars: readonly (PciBar | undefined)[];
  /** It has INTA#. */
  readonly interruptPin?: boolean;
  /** Messages of an MSI capability (1, 2, 4 … 32), with 64-bit address and per-vector masks (PCI 3.0 §6.8.1). */
  readonly msi?: number;
  /** Vectors of an MSI-X capability; table and pending bits live in a BAR of their own that the board adds under this number (PCI 3.0 §6.8.2). */
  readonly msix?: { readonly vectors: number; readonly bar: number };
  /** Further capabilities, in order: ID and the bytes behind the next pointer, with the mask of those that can be written. */
  readonly capabilities?: readonly { readonly id: number; readonly body: Uint8Array; readonly writable?: Uint8Array }[];
  /** Extra registers of the header or of device-specific space: initial bytes and which bits are writable. */
  readonly registers?: readonly { readonly at: number; readonly bytes: Uint8Array; readonly writable?: Uint8Array }[];
  /** An expansion ROM image (PCI 3.0 §6.2.5.2). */
  readonly rom?: Uint8Array;
  /** After the guest wrote configuration space, and after a reset: for functions that watch a register of their own. */
  configured?(register: number): void;
  /** Before the guest reads configuration space from `register` on: for registers that show something at the moment they are read. */
  reading?(register: number): void;
}

/** A function in its slot, as its device drives it. */
export interface PciFunctionPort {
  readonly place: PciPlace;
  /** INTx#, level-triggered. Reaches the line unless the guest disabled it or turned on MSI or MSI-X. */
  setInterrupt(level: boolean): void;
  /** The guest turned on MSI or MSI-X: interrupts are to be sent by {@link signal}. */
  readonly usesMessages: boolean;
  /** How many messages or vectors the guest enabled; 0 without {@link usesMessages}. */
  readonly messages: number;
  /** Sends message `vector`; held as pending while masked. Vectors beyond those enabled: MSI folds them, MSI-X drops them. */
  signal(vector: number): void;
  /** The function's own way to RAM: open while the guest allows bus mastering, bounded by the owner's allowance. */
  readonly dma: DmaPort;
  /** Current value of a byte of configuration space. */
  config(register: number): number;
  /** Changes a byte of configuration space, whatever the guest may write there: status bits, locks. */
  setConfig(register: number, value: number): void;
  /** Where a BAR answers now; undefined while its space is disabled or unassigned. */
  barAddress(bar: number): Gpa | undefined;
  /** Bytes of a `memory` BAR, for the device's own use. */
  memoryOf(bar: number): Uint8Array<SharedArrayBuffer> | undefined;
}

/**
 * A device's accesses to RAM. The one place where they are checked: outside the owner's RAM, or with bus mastering off, nothing is
 * read or written, the attempt is counted and reported with device and address, and the call says false. Never throws: guests choose addresses.
 */
export interface DmaPort {
  /** Fills `target`, or `size` bytes of it from `at` on. */
  read(gpa: Gpa, target: Uint8Array, at?: number, size?: Bytes): boolean;
  /** Stores `source`, or `size` bytes of it from `at` on. */
  write(gpa: Gpa, source: Uint8Array, at?: number, size?: Bytes): boolean;
  /** Little-endian; undefined when refused. */
  read16(gpa: Gpa): number | undefined;
  read32(gpa: Gpa): number | undefined;
  read64(gpa: Gpa): bigint | undefined;
  write16(gpa: Gpa, value: number): boolean;
  write32(gpa: Gpa, value: number): boolean;
  write64(gpa: Gpa, value: bigint): boolean;
  /**
   * The bytes themselves, for devices that move much: valid until the call returns to the guest. undefined when any of it is outside.
   * After writing into it, call {@link written} so that translated code over it is forgotten.
   */
  window(gpa: Gpa, size: Bytes): Uint8Array | undefined;
  written(gpa: Gpa, size: Bytes): void;
  /** Whether such an access would be made now. One that would not is counted and reported like any other that is refused. */
  reaches(gpa: Gpa, size: Bytes, access: 'read' | 'write'): boolean;
  /** Accesses refused so far. */
  readonly violations: number;
}
