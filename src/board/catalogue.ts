/**
 * The device models a manifest may attach: where they sit by default, what can be set, and how they are made. Written once: the
 * manifest's rules, `inspect devices` and the platform all read this table.
 *
 * What every board has (interrupt controllers, timer, clock, power management, PCI bridge, reset) is not here: see platform.ts.
 */
import { BulkheadError, GiB, KiB, MiB, us } from '../base/index.ts';
import type { BlockBackend, CharacterBackend, Device, DeviceFile, DeviceSlot, DeviceSpec, InputBackend, IoRange, PowerControl, SharedEnd, SharedResource, WirePort } from '../contracts/index.ts';
import { SECTOR_BYTES } from '../contracts/index.ts';
import { AttachedChip, type Wired } from './attached-chip.ts';
import { byteWide, type ByteRegisters } from './byte-wide.ts';
import { CfiFlash } from './chips/cfi-flash.ts';
import { DebugConsole } from './chips/debug-console.ts';
import { DebugExit } from './chips/debug-exit.ts';
import { Hpet, HPET_BYTES } from './chips/hpet.ts';
import { I8042 } from './chips/i8042.ts';
import { Ahci } from './chips/ahci.ts';
import { I6300esb } from './chips/i6300esb.ts';
import { I82540em } from './chips/i82540em.ts';
import { Piix3Ide } from './chips/piix3-ide.ts';
import { INTERNAL_HERTZ } from './chips/pci1710-counters.ts';
import { DIGITAL_PATTERN, parseDigitalInputs, parseSignals, SIGNALS_PATTERN } from './chips/pci1710-world.ts';
import { Pci1710 } from './chips/pci1710.ts';
import { Telemetry } from './chips/telemetry.ts';
import { Uart16550 } from './chips/uart16550.ts';
import { Stdvga } from './chips/stdvga.ts';
import { MONOCHROME_PORTS, Vga, VGA_COLOUR_PORTS, VGA_PORT_BASE, VGA_PORTS } from './chips/vga.ts';
import { VGA_MEMORY_BYTES, VGA_WINDOW_BASE, VGA_WINDOW_BYTES } from './chips/vga-planes.ts';
import { DISPLAY_MODE_FORM, DISPLAY_MODE_PATTERN, parseDisplayMode } from './display/mode-option.ts';
import { AHCI_DISKS, CDROMS, driveOptions, drivesOf, IDE_DISKS, LATENCY } from './storage/drives.ts';
import { HPET_BASE } from './firmware/shape.ts';
import type { LegacyTimerLines } from './legacy-timer-lines.ts';
import { derivedMacAddress, MAC_PATTERN, parseMacAddress } from './ethernet.ts';

export type DeviceOption = { readonly description: string } & (
  | { readonly type: 'number'; readonly default: number; readonly minimum?: number; readonly maximum?: number }
  | { readonly type: 'boolean'; readonly default: boolean }
  /** `pattern`: a regular expression that any value but the default must match; `form` is what it asks for, in words. */
  | { readonly type: 'string'; readonly default: string; readonly pattern?: string; readonly form?: string }
  /** A file of the host; the default, an empty text, is none. `readOnlyBy` names a boolean option that makes it `ro`. */
  | { readonly type: 'file'; readonly default: string; readonly access: 'ro' | 'rw'; readonly readOnlyBy?: string }
);

/** One set of addresses and lines that fits a model. */
export interface DevicePlace {
  readonly ranges: readonly IoRange[];
  /** Interrupt lines (GSIs; ISA numbers below 16). */
  readonly irqs: readonly number[];
}

/** What the partition offers a device beside its slot. */
export interface DeviceEnvironment {
  character(deviceName: string): CharacterBackend;
  /** What its network cable leads to. */
  wire(deviceName: string): WirePort;
  /** What is typed at its keyboard and done with its mouse. */
  input(deviceName: string): InputBackend;
  /** Its expansion ROM, where it has one. */
  rom?(deviceName: string): Uint8Array | undefined;
  /** A file of {@link DeviceSpec.files}, opened. Throws BH506 when it cannot be. Absent: the partition has no files. */
  block?(file: DeviceFile): BlockBackend;
  /** The firmware's image, whose last byte is the last below 4 GiB. */
  readonly firmware?: Uint8Array;
  /** Its end of the shared resource behind it. */
  shared?(deviceName: string): SharedEnd | undefined;
  /** The lines of the 8254 and the real-time clock, for a timer that replaces them. */
  readonly legacyTimers: LegacyTimerLines;
  /** Name of the partition. */
  readonly partition: string;
  /** Its processors. */
  readonly vcpus: number;
  readonly power: PowerControl;
}

export interface DeviceModel {
  readonly title: string;
  /** The usual places: the first device of this model in a partition gets the first, and so on. */
  readonly places: readonly [DevicePlace, ...DevicePlace[]];
  /** Ports may be chosen freely; otherwise drivers expect the device where it is. */
  readonly relocatable: boolean;
  /** Has a character stream that can be a partition's console. */
  readonly console: boolean;
  /** Names of the streams it has beside that one, by its options. */
  streams?(options: DeviceSpec['options']): readonly string[];
  /** Has a screen. */
  readonly display?: boolean;
  /** Has a keyboard. */
  readonly input?: boolean;
  /** Has a socket for a network cable. */
  readonly network?: boolean;
  /** Interrupts its partition by a timer, which can be a shared one. */
  readonly timer?: boolean;
  /** It is one partition's way to a shared resource of this kind. */
  readonly shared?: SharedResource['kind'];
  /** It stands in front of the firmware's ROM, among the last addresses below 4 GiB. */
  readonly besideFirmware?: boolean;
  /** What ACPI calls it (_HID), where its registers and line are to be announced so. */
  readonly acpiId?: string;
  readonly options: Readonly<Record<string, DeviceOption>>;
  create(spec: DeviceSpec, environment: DeviceEnvironment): Device;
}

export type DeviceCatalogue = Readonly<Record<string, DeviceModel>>;

const ports = (base: number, size: number): IoRange => ({ space: 'pio', base, size });

/** PCI gives it addresses and a line. */
const ON_PCI: DevicePlace = { ranges: [], irqs: [] };

export const DEVICE_CATALOGUE: DeviceCatalogue = {
  uart16550: {
    title: '16550A serial port',
    places: [
      { ranges: [ports(0x3f8, 8)], irqs: [4] },
      { ranges: [ports(0x2f8, 8)], irqs: [3] },
      { ranges: [ports(0x3e8, 8)], irqs: [5] },
      { ranges: [ports(0x2e8, 8)], irqs: [7] },
    ],
    relocatable: true,
    console: true,
    options: {},
    create: (spec, environment) =>
      attached(spec, (slot) => {
        const irq = line(slot, spec, 0);
        const chip = new Uart16550({
          clock: slot.clock,
          line: environment.character(spec.name),
          pins: { interrupt: (level) => irq.set(level) },
        });
        return { chip, handlers: [byteWide(chip)] };
      }),
  },

  i8042: {
    title: '8042 keyboard controller with keyboard, and a PS/2 mouse when asked for',
    input: true,
    places: [{ ranges: [ports(0x60, 1), ports(0x64, 1)], irqs: [1, 12] }],
    relocatable: false,
    console: false,
    options: { mouse: { type: 'boolean', default: false, description: 'a wheel mouse on the auxiliary port' } },
    create: (spec, environment) =>
      attached(spec, (slot) => {
        const mouse = option(spec, 'mouse') === true;
        const keyboardLine = line(slot, spec, 0);
        const mouseLine = mouse ? line(slot, spec, 1) : undefined;
        const chip = new I8042({
          clock: slot.clock,
          input: environment.input(spec.name),
          mouse,
          pins: {
            keyboardInterrupt: (level) => keyboardLine.set(level),
            auxiliaryInterrupt: (level) => mouseLine?.set(level),
            reset: () => environment.power.request('reset', 0),
          },
        });
        const data = { read: () => chip.readData(), write: (_: number, value: number) => chip.writeData(value) };
        const command = { read: () => chip.readStatus(), write: (_: number, value: number) => chip.writeCommand(value) };
        return { chip, handlers: [byteWide(data), byteWide(command)] };
      }),
  },

  'vga-text': {
    title: 'VGA with 256 KiB, without PCI: text and the planar graphics modes',
    places: [{ ranges: [{ space: 'mmio', base: VGA_WINDOW_BASE, size: VGA_WINDOW_BYTES }, ports(0x3c0, 0x20)], irqs: [] }],
    relocatable: false,
    console: false,
    display: true,
    options: {},
    create: (spec) =>
      attached(spec, (slot) => {
        const chip = new Vga({ clock: slot.clock, memory: new Uint8Array(new SharedArrayBuffer(VGA_MEMORY_BYTES)) });
        return { chip, handlers: [chip.window, byteWide(colourPorts(chip))] };
      }),
  },

  stdvga: {
    title: 'VGA with Bochs VBE modes and a linear framebuffer, on PCI (1234:1111)',
    places: [
      {
        ranges: [
          { space: 'mmio', base: VGA_WINDOW_BASE, size: VGA_WINDOW_BYTES },
          ports(VGA_PORT_BASE, MONOCHROME_PORTS),
          ports(VGA_PORT_BASE + VGA_COLOUR_PORTS, VGA_PORTS - VGA_COLOUR_PORTS),
          ports(0x1ce, 3),
        ],
        irqs: [],
      },
    ],
    relocatable: false,
    console: false,
    display: true,
    options: {
      mode: {
        type: 'string',
        default: '',
        pattern: DISPLAY_MODE_PATTERN,
        form: DISPLAY_MODE_FORM,
        description: 'mode the screen starts in, for systems that are started without firmware; text when empty',
      },
      prefer: {
        type: 'string',
        default: '1024x768',
        pattern: DISPLAY_MODE_PATTERN,
        form: DISPLAY_MODE_FORM,
        description: 'mode that the monitor asks for (EDID)',
      },
      rom: { type: 'file', default: '', access: 'ro', description: 'its video BIOS; when empty, `vgabios-stdvga.bin` beside the firmware that runs, if any' },
      'memory-mib': { type: 'number', default: 16, minimum: 1, maximum: 64, description: 'display memory in MiB, a power of two' },
    },
    create: (spec, environment) =>
      attached(spec, (slot) => {
        const start = parseDisplayMode(String(option(spec, 'mode')));
        const rom = romFile(spec, environment) ?? environment.rom?.(spec.name);
        const chip = new Stdvga({
          clock: slot.clock,
          memoryBytes: 2 ** Math.round(Math.log2(numeric(spec, 'memory-mib'))) * MiB,
          preferred: start ?? parseDisplayMode(String(option(spec, 'prefer'))) ?? { width: 1024, height: 768 },
          ...(start === undefined ? {} : { start }),
          ...(rom === undefined ? {} : { rom }),
        });
        chip.connect(slot.pci(chip.description));
        const monochrome = { read: (at: number) => chip.vga.read(at), write: (at: number, value: number) => chip.vga.write(at, value) };
        return { chip, handlers: [chip.vga.window, byteWide(monochrome), byteWide(colourPorts(chip.vga)), chip.dispi] };
      }),
  },

  'cfi-flash': {
    title: 'Flash memory in front of the firmware, on a file: what UEFI keeps from one start to the next',
    // Where OVMF's images of 2 MiB have their variables
    places: [{ ranges: [{ space: 'mmio', base: 4 * GiB - 2 * MiB, size: 128 * KiB }], irqs: [] }],
    relocatable: false,
    besideFirmware: true,
    console: false,
    options: { image: { type: 'file', default: '', access: 'rw', description: 'what it holds: as many bytes as it has' } },
    create: (spec, environment) =>
      attached(spec, (slot) => {
        const { base = 0, size = 0 } = spec.ranges[0] ?? {};
        const { firmware = new Uint8Array(0) } = environment;
        const file = spec.files?.find((candidate) => candidate.option === 'image');
        const backend = file === undefined ? undefined : environment.block?.(file);
        if (backend !== undefined && backend.sectors * SECTOR_BYTES !== size) {
          slot.log.log('warn', `${spec.name}: ${file?.path ?? 'its file'} has ${backend.sectors * SECTOR_BYTES} bytes where the chip has ${size}`);
        }
        const chip = new CfiFlash({
          memory: slot.memory,
          base,
          size,
          file: backend,
          // An image with room for variables has an empty store there.
          factory: firmware.length >= 4 * GiB - base ? firmware.subarray(firmware.length - (4 * GiB - base)).subarray(0, size) : undefined,
          failed: () => slot.log.log('error', `${spec.name}: ${file?.path ?? 'its file'} does not take what was written`),
        });
        return { chip, handlers: [chip] };
      }),
  },

  'debug-exit': {
    title: 'Port that ends the run with a status',
    places: [{ ranges: [ports(0xf4, 4)], irqs: [] }],
    relocatable: true,
    console: false,
    options: {},
    create: (spec, environment) =>
      attached(spec, () => {
        const chip = new DebugExit({ exit: (status) => environment.power.request('debug-exit', status) });
        return { chip: {}, handlers: [chip] };
      }),
  },

  'debug-console': {
    title: 'Port to which firmware and boot loaders write what they do',
    places: [
      { ranges: [ports(0x402, 1)], irqs: [] },
      { ranges: [ports(0xe9, 1)], irqs: [] },
    ],
    relocatable: true,
    console: true,
    options: {},
    create: (spec, environment) =>
      attached(spec, () => {
        const chip = new DebugConsole({ line: environment.character(spec.name) });
        return { chip: {}, handlers: [chip] };
      }),
  },

  e1000: {
    title: 'Gigabit Ethernet controller (Intel 82540EM)',
    places: [ON_PCI],
    relocatable: false,
    console: false,
    network: true,
    options: {
      mac: {
        type: 'string',
        default: '',
        pattern: MAC_PATTERN,
        form: "a station's address, as in 02:00:00:00:00:01",
        description: 'station address; left out: made from the names of partition and device',
      },
    },
    create: (spec, environment) =>
      attached(spec, (slot) => {
        const mac = String(option(spec, 'mac'));
        const wire = environment.wire(spec.name);
        const own = mac === '' ? derivedMacAddress(`${environment.partition}.${spec.name}`) : parseMacAddress(mac);
        const chip = new I82540em({
          clock: slot.clock,
          wire,
          address: wire.station ?? own,
          pci: (description) => slot.pci(description),
        });
        return { chip, handlers: [] };
      }),
  },

  ahci: {
    title: 'Serial ATA controller (ICH9, AHCI) with disks and CD-ROM drives on files',
    places: [ON_PCI],
    relocatable: false,
    console: false,
    options: { ...driveOptions(AHCI_DISKS), ...driveOptions(CDROMS), 'latency-us': LATENCY },
    create: (spec, environment) =>
      attached(spec, (slot) => {
        const connected = drivesOf(spec, environment, 'serial', [...AHCI_DISKS, ...CDROMS]).filter((drive) => drive !== undefined);
        const chip = new Ahci({ slot, drives: connected.length === 0 ? [undefined] : connected, latency: numeric(spec, 'latency-us') * us });
        return { chip, handlers: [] };
      }),
  },

  ide: {
    title: 'IDE controller (PIIX3) with disks and CD-ROM drives on files',
    places: [{ ranges: [ports(0x1f0, 8), ports(0x3f6, 1), ports(0x170, 8), ports(0x376, 1)], irqs: [14, 15] }],
    relocatable: false,
    console: false,
    options: { ...driveOptions(IDE_DISKS), ...driveOptions(CDROMS), 'latency-us': LATENCY },
    create: (spec, environment) =>
      attached(spec, (slot) => {
        const chip = new Piix3Ide({
          slot,
          lines: [line(slot, spec, 0), line(slot, spec, 1)],
          drives: drivesOf(spec, environment, 'parallel', [...IDE_DISKS, ...CDROMS]),
          latency: numeric(spec, 'latency-us') * us,
        });
        return { chip, handlers: chip.handlers };
      }),
  },

  hpet: {
    title: 'High precision event timers',
    places: [{ ranges: [{ space: 'mmio', base: HPET_BASE, size: HPET_BYTES }], irqs: [20, 21, 22] }],
    relocatable: false,
    console: false,
    timer: true,
    options: {},
    create: (spec, environment) =>
      attached(spec, (slot) => {
        const { legacyTimers } = environment;
        const chip = new Hpet({
          clock: slot.clock,
          pins: {
            lines: new Map(spec.irqs.map((irq) => [irq, slot.irq(irq)])),
            msi: slot.msi,
            legacy: legacyTimers.replacements,
            replaceLegacy: (on) => legacyTimers.replace(on),
          },
        });
        return { chip, handlers: [chip] };
      }),
  },

  i6300esb: {
    title: 'Watchdog timer (Intel 6300ESB)',
    places: [ON_PCI],
    relocatable: false,
    console: false,
    options: {},
    create: (spec, environment) =>
      attached(spec, (slot) => {
        const chip = new I6300esb({
          clock: slot.clock,
          pci: (description) => slot.pci(description),
          timedOut: () => {
            slot.log.log('warn', `${spec.name}: the watchdog was not reloaded in time and resets the partition`);
            environment.power.request('reset', 0);
          },
        });
        return { chip, handlers: [] };
      }),
  },

  pci1710: {
    title: 'Data acquisition card (Advantech PCI-1710): analog and digital inputs and outputs, counter',
    places: [ON_PCI],
    relocatable: false,
    console: false,
    options: {
      analog: {
        type: 'string',
        default: 'sine:4:10,triangle:5:1,square:2.5:100,dc:1.25,ao0,ao1',
        pattern: SIGNALS_PATTERN,
        form: 'signals parted by commas: `sine:VOLTS:HERTZ[:OFFSET]`, `triangle:…`, `square:…`, `dc:VOLTS`, `ao0`, `ao1`',
        description: 'what the analog inputs are connected to, from channel 0 on',
      },
      digital: {
        type: 'string',
        default: 'outputs',
        pattern: DIGITAL_PATTERN,
        form: '`outputs`, `clock:HERTZ` or a number, as in 0x00ff',
        description: 'what the digital inputs are connected to: its own outputs, a binary counter, or fixed levels',
      },
      'counter-hertz': {
        type: 'number',
        default: INTERNAL_HERTZ,
        minimum: 1,
        maximum: 10_000_000,
        description: "frequency at counter 0's clock input",
      },
    },
    create: (spec) =>
      attached(spec, (slot) => {
        const chip = new Pci1710({
          clock: slot.clock,
          signals: parseSignals(String(option(spec, 'analog'))),
          digitalInputs: parseDigitalInputs(String(option(spec, 'digital'))),
          externalHertz: numeric(spec, 'counter-hertz'),
          pci: (description) => slot.pci(description),
        });
        return { chip, handlers: [] };
      }),
  },

  telemetry: {
    title: 'Port at which a real-time system reports periods and deadline misses',
    places: [{ ranges: [ports(0x510, 16)], irqs: [] }],
    relocatable: true,
    console: false,
    options: {},
    create: (spec) =>
      attached(spec, (slot) => {
        const chip = new Telemetry({ clock: slot.clock });
        return { chip, handlers: [chip] };
      }),
  },
};

/** The value of an option, or its default. Throws BH215 when it has the wrong type or lies outside its range. */
export function optionValue(name: string, option: DeviceOption, value: string | number | boolean | undefined): string | number | boolean {
  if (value === undefined) return option.default;
  const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = option.type === 'number' ? option : {};
  if (typeof value !== valueType(option) || (typeof value === 'number' && !(value >= minimum && value <= maximum))) {
    throw new BulkheadError('BH215', `option ${name} cannot be ${JSON.stringify(value)}`, {
      hint: `${option.description}: ${describeOption(option)}`,
    });
  }
  return value;
}

function valueType({ type }: DeviceOption): 'number' | 'boolean' | 'string' {
  return type === 'file' ? 'string' : type;
}

/** `number from 1 to 60000, 90 by default`. */
export function describeOption(option: DeviceOption): string {
  const range = option.type === 'number' && option.minimum !== undefined ? ` from ${option.minimum} to ${option.maximum ?? 'any'}` : '';
  if (option.type === 'file') return option.access === 'ro' ? 'file to read, none by default' : 'file, none by default';
  return `${option.type}${range}, ${JSON.stringify(option.default)} by default`;
}

/** The file behind the option `rom`, as a whole: at most what an expansion ROM can have (PCI 3.0 §6.2.5.2). */
function romFile(spec: DeviceSpec, environment: DeviceEnvironment): Uint8Array | undefined {
  const file = spec.files?.find((candidate) => candidate.option === 'rom');
  if (file === undefined) return undefined;
  const backend = environment.block?.(file);
  const bytes = new Uint8Array(Math.min(16 * MiB, (backend?.sectors ?? 0) * SECTOR_BYTES));
  if (backend === undefined || !backend.read(0, bytes)) throw new BulkheadError('BH506', `${spec.name}: ${file.path} cannot be read`);
  return bytes;
}

/** Ports from 0x3C0 on of a chip that counts from 0x3B0. */
function colourPorts(vga: Vga): ByteRegisters {
  return {
    read: (at) => vga.read(at + VGA_COLOUR_PORTS),
    write: (at, value) => vga.write(at + VGA_COLOUR_PORTS, value),
  };
}

function attached(spec: DeviceSpec, wire: (slot: DeviceSlot) => Wired): Device {
  return new AttachedChip(spec, wire);
}

function line(slot: DeviceSlot, spec: DeviceSpec, index: number) {
  const pin = spec.irqs[index];
  if (pin === undefined)
    throw new BulkheadError('BH215', `${spec.name} (${spec.model}) needs ${index + 1} interrupt line(s), not ${spec.irqs.length}`);
  return slot.irq(pin);
}

function option(spec: DeviceSpec, name: string): string | number | boolean {
  const description = DEVICE_CATALOGUE[spec.model]?.options[name];
  if (description === undefined) throw new BulkheadError('BH215', `${spec.model} has no option ${name}`);
  return optionValue(`${spec.name}.${name}`, description, spec.options[name]);
}

function numeric(spec: DeviceSpec, name: string): number {
  return Number(option(spec, name));
}
