/**
 * The DSDT: soft off, the PCI root bridge and its windows, processors, and the devices that have no other way to be found.
 *
 * Spec: ACPI 6.5 §5.3 (namespace), §7.4.2 (\_Sx), §6.2 (resources); PnP identifiers of ISA devices.
 * PCI interrupts are routed for whichever controllers the system says it uses (§6.2.13 _PRT, §5.8.1 _PIC).
 * Not modelled: link devices; the lines are where the board wired them.
 */
import { SLEEP_TYPE_S5 } from '../chips/acpi-pm.ts';
import { PCI_MEMORY_END, pciMemoryBase } from '../pci/address-assignment.ts';
import {
  type Aml,
  busNumbers,
  device,
  eisaId,
  fixedMemory,
  integer,
  ioPorts,
  ioWindow,
  isaInterrupt,
  levelInterrupt,
  memoryWindow,
  method,
  name,
  packageOf,
  resources,
  returnEither,
  scope,
  storeArgument,
  string,
} from './aml.ts';
import { type FirmwareDevice, type FirmwareShape, IO_APIC_BASE, LOCAL_APIC_BASE, type PciInterrupt, PM_BASE, PM_BYTES, SMI_COMMAND_PORT } from './shape.ts';

/** Set by the system to 1 when it uses the I/O APIC. */
const USES_APIC = '\\PICF';
const ROUTES_APIC = 'PRTA';
const ROUTES_PIC = 'PRTP';
const ANY_FUNCTION = 0xffff;
const PRESENT = name('_STA', integer(0x0f));

export function dsdtAml(shape: FirmwareShape): Aml {
  const serialPorts = shape.devices.filter(({ model }) => model === 'uart16550');
  const keyboard = shape.devices.find(({ model }) => model === 'i8042');
  return [
    ...name(USES_APIC, integer(0)),
    ...method('\\_PIC', 1, storeArgument(USES_APIC)),
    ...name('\\_S5', packageOf(integer(SLEEP_TYPE_S5), integer(SLEEP_TYPE_S5), integer(0), integer(0))),
    ...scope(
      '\\_SB',
      ...Array.from({ length: shape.vcpus }, (_, id) => processor(id)),
      rootBridge(shape),
      motherboard(),
      realTimeClock(),
      ...serialPorts.map((port, index) => serialPort(index, port.ports[0]?.base ?? 0, port.irqs[0])),
      ...(keyboard === undefined ? [] : keyboardController(keyboard.mouse)),
      ...shape.devices.flatMap((found) => (found.acpiId === undefined ? [] : [found])).map(registerDevice),
    ),
  ];
}

/** §8.4: matched to the MADT by _UID. */
function processor(id: number): Aml {
  return device(`C${id.toString(16).toUpperCase().padStart(3, '0')}`, name('_HID', string('ACPI0007')), name('_UID', integer(id)));
}

function rootBridge(shape: FirmwareShape): Aml {
  const memoryBase = shape.pciMemoryBase ?? pciMemoryBase(shape.topOfRam);
  return device(
    'PCI0',
    name('_HID', eisaId('PNP0A03')),
    name('_UID', integer(0)),
    name('_BBN', integer(0)),
    name(
      '_CRS',
      resources(
        busNumbers(0, 0xff),
        ioPorts(0xcf8, 8),
        ioWindow(0, 0xcf7),
        ioWindow(0xd00, 0xffff),
        memoryWindow(0xa_0000, 0xb_ffff, true),
        ...(memoryBase < PCI_MEMORY_END ? [memoryWindow(memoryBase, PCI_MEMORY_END - 1, false)] : []),
      ),
    ),
    ...interruptRouting(shape.pciInterrupts),
  );
}

/** §6.2.13: where INTA# of each device goes. Two packages, because a PC has two sets of interrupt controllers. */
function interruptRouting(interrupts: readonly PciInterrupt[]): Aml[] {
  if (interrupts.length === 0) return [];
  const bySlot = [...new Map(interrupts.map((interrupt) => [interrupt.slot, interrupt])).values()];
  const routes = (lineOf: (interrupt: PciInterrupt) => number) =>
    packageOf(
      ...bySlot.map((interrupt) =>
        packageOf(integer(interrupt.slot * 0x1_0000 + ANY_FUNCTION), integer(0), integer(0), integer(lineOf(interrupt))),
      ),
    );
  return [
    name(ROUTES_APIC, routes(({ globalLine }) => globalLine)),
    name(ROUTES_PIC, routes(({ isaLine }) => isaLine)),
    method('_PRT', 0, returnEither(USES_APIC, ROUTES_APIC, ROUTES_PIC)),
  ];
}

/** What is decoded by the board itself, so that nothing is placed on top of it. */
function motherboard(): Aml {
  return device(
    'BRD',
    name('_HID', eisaId('PNP0C02')),
    name('_UID', integer(0)),
    name(
      '_CRS',
      resources(
        ioPorts(PM_BASE, PM_BYTES),
        ioPorts(SMI_COMMAND_PORT, 1),
        ioPorts(0x4d0, 2),
        fixedMemory(IO_APIC_BASE, 0x1000),
        fixedMemory(LOCAL_APIC_BASE, 0x1000),
      ),
    ),
  );
}

function realTimeClock(): Aml {
  return device('RTC', name('_HID', eisaId('PNP0B00')), name('_CRS', resources(ioPorts(0x70, 2), isaInterrupt(8))));
}

function serialPort(index: number, base: number, irq: number | undefined): Aml {
  return device(
    `COM${index + 1}`,
    name('_HID', eisaId('PNP0501')),
    name('_UID', integer(index + 1)),
    PRESENT,
    name('_CRS', resources(ioPorts(base, 8), ...(irq === undefined ? [] : [isaInterrupt(irq)]))),
  );
}

/** Memory-mapped registers and a level-triggered line, under the name that drivers look for. */
function registerDevice({ acpiId = '', memory = [], irqs }: FirmwareDevice, index: number): Aml {
  return device(
    `M${index.toString(16).toUpperCase().padStart(3, '0')}`,
    name('_HID', string(acpiId)),
    name('_UID', integer(index)),
    PRESENT,
    name('_CCA', integer(1)),
    name('_CRS', resources(...memory.map(({ base, size }) => fixedMemory(base, size)), ...irqs.map(levelInterrupt))),
  );
}

function keyboardController(mouse: boolean): Aml[] {
  const keyboard = device(
    'KBD',
    name('_HID', eisaId('PNP0303')),
    PRESENT,
    name('_CRS', resources(ioPorts(0x60, 1), ioPorts(0x64, 1), isaInterrupt(1))),
  );
  return mouse
    ? [keyboard, device('MOU', name('_HID', eisaId('PNP0F13')), PRESENT, name('_CRS', resources(isaInterrupt(12))))]
    : [keyboard];
}
