/**
 * The MultiProcessor table, for systems without ACPI: the same processors, I/O APIC and lines as the MADT.
 *
 * Spec: Intel MultiProcessor Specification 1.4, chapter 4.
 */
import { ascii, u16, u32, withChecksum } from './bytes.ts';
import { CONFORMS, type FirmwareShape, IO_APIC_BASE, LEVEL_ACTIVE_HIGH, LOCAL_APIC_BASE, SCI_LINE } from './shape.ts';

const FLOATING_POINTER_BYTES = 16;
const HEADER_BYTES = 44;
const SPEC_REVISION = 4;
const APIC_VERSION = 0x14;
const IO_APIC_VERSION = 0x11;

const CPU_ENABLED = 1 << 0;
const CPU_BOOTSTRAP = 1 << 1;
// Interrupt types (table 4-11)
const INT = 0;
const NMI = 1;
const EXT_INT = 3;

const PCI_BUS = 0;
const ISA_BUS = 1;
const ALL_PROCESSORS = 0xff;

/** Floating pointer and configuration table, from `base` (16-byte aligned) on. */
export function mpTable(shape: FirmwareShape, base: number): Uint8Array {
  const entries = [
    ...Array.from({ length: shape.vcpus }, (_, id) => processor(shape, id)),
    bus(PCI_BUS, 'PCI'),
    bus(ISA_BUS, 'ISA'),
    [2, shape.ioApicId, IO_APIC_VERSION, 1, ...u32(IO_APIC_BASE)],
    ...isaInterrupts(shape.ioApicId),
    ...pciInterrupts(shape),
    [4, EXT_INT, ...u16(CONFORMS), ISA_BUS, 0, 0, 0], // the 8259 pair on LINT0 of the bootstrap processor
    [4, NMI, ...u16(CONFORMS), ISA_BUS, 0, ALL_PROCESSORS, 1],
  ];
  const body = entries.flat();
  const header = [
    ...ascii('PCMP'),
    ...u16(HEADER_BYTES + body.length),
    SPEC_REVISION,
    0,
    ...ascii('BULKHEAD'),
    ...ascii('PARTITION', 12),
    ...u32(0),
    ...u16(0), // no OEM table
    ...u16(entries.length),
    ...u32(LOCAL_APIC_BASE),
    ...u16(0),
    0,
    0,
  ];
  const table = withChecksum([...header, ...body], 7);
  // Feature byte 1 = 0: a table is there; byte 2 bit 7 = 0: no IMCR, virtual-wire mode (§4.1).
  const pointer = withChecksum([...ascii('_MP_'), ...u32(base + FLOATING_POINTER_BYTES), 1, SPEC_REVISION, 0, 0, 0, 0, 0, 0], 10);
  return new Uint8Array([...pointer, ...table]);
}

function processor(shape: FirmwareShape, id: number): number[] {
  const flags = CPU_ENABLED | (id === 0 ? CPU_BOOTSTRAP : 0);
  return [0, id, APIC_VERSION, flags, ...u32(shape.processorSignature), ...u32(shape.processorFeatures), ...u32(0), ...u32(0)];
}

function bus(id: number, type: string): number[] {
  return [1, id, ...ascii(type, 6)];
}

/** ISA lines to I/O APIC pins: identity, but for the timer, which is on pin 2 in place of the cascade. */
function isaInterrupts(ioApicId: number): number[][] {
  return Array.from({ length: 16 }, (_, irq) => irq)
    .filter((irq) => irq !== 2)
    .map((irq) => [3, INT, ...u16(irq === SCI_LINE ? LEVEL_ACTIVE_HIGH : CONFORMS), ISA_BUS, irq, ioApicId, irq === 0 ? 2 : irq]);
}

/** §4.3.4, table 4-11: the source line of a PCI interrupt is the device number and the pin, INTA# being 0. Several functions of a device share it. */
function pciInterrupts({ pciInterrupts: interrupts, ioApicId }: FirmwareShape): number[][] {
  const bySlot = new Map(interrupts.map(({ slot, globalLine }) => [slot, globalLine]));
  return [...bySlot].map(([slot, pin]) => [3, INT, ...u16(CONFORMS), PCI_BUS, slot << 2, ioApicId, pin]);
}
