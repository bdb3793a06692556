/** What firmware tables are made from, and the addresses they and the platform must agree on: each number stands here once. */

export const LOCAL_APIC_BASE = 0xfee0_0000;
export const IO_APIC_BASE = 0xfec0_0000;
/** Fixed power-management registers. */
export const PM_BASE = 0x600;
export const PM_BYTES = 16;
export const SMI_COMMAND_PORT = 0xb2;
export const RESET_PORT = 0xcf9;
export const RESET_VALUE = 0x06;
export const SCI_LINE = 9;
/** Where every PC has its HPET, if it has one (IA-PC HPET 1.0a §3.2.4). */
export const HPET_BASE = 0xfed0_0000;

/** A serial port, keyboard controller… that the tables announce. */
export interface FirmwareDevice {
  readonly model: string;
  /** I/O ports by range: base and size. */
  readonly ports: readonly { readonly base: number; readonly size: number }[];
  /** Memory-mapped registers by range. */
  readonly memory?: readonly { readonly base: number; readonly size: number }[];
  readonly irqs: readonly number[];
  readonly mouse: boolean;
  /** What ACPI calls it, where nothing but ACPI tells of it. */
  readonly acpiId?: string | undefined;
}

/** INTA# of a PCI device, as tables announce it. */
export interface PciInterrupt {
  readonly slot: number;
  /** Where it goes while the I/O APIC is used. */
  readonly globalLine: number;
  /** Where it goes while the 8259s are. */
  readonly isaLine: number;
}

/** A partition as its firmware describes it. */
export interface FirmwareShape {
  readonly vcpus: number;
  readonly ioApicId: number;
  readonly devices: readonly FirmwareDevice[];
  readonly pciInterrupts: readonly PciInterrupt[];
  /** First address above RAM. */
  readonly topOfRam: number;
  /** Where memory for PCI begins, when firmware places it. */
  readonly pciMemoryBase?: number;
  /** CPUID leaf 1 EAX and EDX, for the MP table. */
  readonly processorSignature: number;
  readonly processorFeatures: number;
}

/** MPS INTI flags (ACPI 6.5 table 5.26, MP 1.4 table 4-10). */
export const LEVEL_ACTIVE_HIGH = 0x000d;
export const CONFORMS = 0x0000;
