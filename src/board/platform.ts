/**
 * One partition's board: the core every PC has, the devices its manifest attaches, and the wires between them.
 *
 *     devices, timer, clock ──▶ 8259 pair ──INTR──▶ LINT0 of the bootstrap processor's local APIC ──▶ core
 *                          └──▶ I/O APIC ──messages──▶ all local APICs ──▶ cores
 *
 * Not modelled: the I/O APIC's pin 0 as an 8259 output; sources of NMI other than {@link Platform.raiseNmi}.
 */
import { BulkheadError, GiB } from '../base/index.ts';
import type {
  AccessSize,
  BlockBackend,
  BootMedium,
  CharacterBackend,
  Clock,
  CpuidModel,
  Device,
  DeviceFile,
  DeviceSlot,
  DeviceSpec,
  DeviceState,
  Gpa,
  InputBackend,
  LoadSegment,
  Logger,
  MemoryMapEntry,
  PhysicalMemory,
  PowerControl,
  SharedEnd,
  VcpuId,
  VcpuWiring,
  WirePort,
} from '../contracts/index.ts';
import type { Chip } from './attached-chip.ts';
import { SystemBus } from './bus.ts';
import { byteWide } from './byte-wide.ts';
import { DEVICE_CATALOGUE, type DeviceCatalogue, type DeviceEnvironment, type DeviceModel } from './catalogue.ts';
import { AcpiPm } from './chips/acpi-pm.ts';
import { I8042 } from './chips/i8042.ts';
import { I8254 } from './chips/i8254.ts';
import { I8259Pair } from './chips/i8259.ts';
import { FIRST_PCI_PIN, I82093aa, IO_APIC_WINDOW_BYTES } from './chips/i82093aa.ts';
import { InterruptMessages } from './chips/interrupt-messages.ts';
import { APIC_WINDOW_BYTES, type LocalApicState } from './chips/local-apic.ts';
import { Mc146818 } from './chips/mc146818.ts';
import { Port61 } from './chips/port-61.ts';
import { Port92 } from './chips/port-92.ts';
import { PortCf9 } from './chips/port-cf9.ts';
import { PostCode } from './chips/post-code.ts';
import { Uart16550 } from './chips/uart16550.ts';
import { DeviceBay } from './devices/device-bay.ts';
import type { DeviceCalls } from './devices/guarded-device.ts';
import { type ConnectedVcpu, CoreSocket } from './core-socket.ts';
import { DmaGate } from './dma.ts';
import { bootOrderCmos, FIRMWARE_PIRQ_ROUTES, firmwareFiles } from './chipset/firmware-files.ts';
import { RomSocket } from './chipset/rom-socket.ts';
import { UNPLUGGED } from './ethernet.ts';
import { createFirmware, type Firmware } from './firmware/firmware.ts';
import { type FirmwareShape, IO_APIC_BASE, LOCAL_APIC_BASE, PM_BASE, PM_BYTES, SCI_LINE, SMI_COMMAND_PORT } from './firmware/shape.ts';
import { LegacyTimerLines } from './legacy-timer-lines.ts';
import { InterruptLines } from './interrupt-lines.ts';
import { ConfigurationMechanism1 } from './pci/configuration-mechanism-1.ts';
import { HostBridge } from './pci/host-bridge.ts';
import { PciBus } from './pci/pci-bus.ts';
import { chooseRoutes, Piix3, pirqOfSlot } from './pci/piix3.ts';
import { Piix4Pm } from './pci/piix4-pm.ts';

/** What a ROM finds when it starts. */
const NOTHING_IN_RAM: Omit<Firmware, 'acpi'> = { segments: [], memoryMap: [], rsdp: undefined };
const NO_INPUT: InputBackend = { key: () => undefined, pointer: () => undefined };
const TIMER_LINE = 0;
const RTC_LINE = 8;
/** Physical APIC IDs are 8 bits, 0xFF is the broadcast, and MADT entries of this kind end at 254 (ACPI 6.5 §5.2.12.2). */
const MOST_VCPUS = 254;

export interface PlatformOptions {
  readonly partition: string;
  readonly vcpus: number;
  readonly devices: readonly DeviceSpec[];
  readonly memory: PhysicalMemory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly power: PowerControl;
  /** The host's side of a serial device. */
  character(deviceName: string): CharacterBackend;
  /** What a network cable leads to; a socket without one has none. */
  wire?(deviceName: string): WirePort | undefined;
  /** The host's side of a keyboard and mouse; nobody touches them without it. */
  input?(deviceName: string): InputBackend;
  /** Opens a file behind a disk or CD-ROM. Absent: there are none. */
  block?(file: DeviceFile): BlockBackend;
  /** A device's end of a shared resource. Absent: nothing is shared. */
  shared?(deviceName: string): SharedEnd | undefined;
  /** The clock by which a device sets its alarms. Absent, or undefined: {@link clock}. */
  clockOf?(deviceName: string): Clock | undefined;
  /** Expansion ROMs, by device. */
  readonly roms?: ReadonlyMap<string, Uint8Array>;
  /** One model for all vCPUs, or one for each (their APIC IDs differ). */
  readonly cpuid: CpuidModel | ((id: VcpuId) => CpuidModel);
  /** Seconds since 1970-01-01 UTC at the start. */
  readonly wallTime: number;
  /** An access of a device outside RAM: only reported (the default), or the end of the partition. */
  readonly dmaViolations?: 'report' | 'stop';
  /** Firmware runs first, in place of what {@link Platform.firmware} leaves in RAM, and places what is on PCI. */
  readonly rom?: FirmwareRom;
  /** Calls into models of the user's own are noted here, for a watchdog in another thread. */
  readonly deviceCalls?: DeviceCalls;
  /** Device models beside or in place of the built-in ones. */
  readonly models?: DeviceCatalogue;
}

export interface FirmwareRom {
  /** Whole pages; its last byte is the last below 4 GiB. */
  readonly image: Uint8Array;
  /** Where it looks for a system. */
  readonly order: readonly BootMedium[];
  /** Port of the serial line that is keyboard and screen to it, beside those it has. */
  readonly serialConsole?: number;
}

/** What `save` gives: one state per chip, by name. Without RAM and what devices have beside it: those bytes are the engine's memory. */
export type PlatformState = Readonly<Record<string, DeviceState>>;

/** Throws BH210–BH215 when the devices cannot be attached as described. */
export function createPlatform(options: PlatformOptions): Platform {
  return new Platform(options);
}

export class Platform implements Disposable {
  readonly bus = new SystemBus();
  /** To be loaded before the boot plan's own segments. */
  readonly firmware: readonly LoadSegment[];
  readonly memoryMap: readonly MemoryMapEntry[];
  readonly rsdp: Gpa | undefined;
  readonly lines: InterruptLines;
  readonly pic: I8259Pair;
  readonly pit: I8254;
  readonly rtc: Mc146818;
  readonly ioapic: I82093aa;
  readonly pm: AcpiPm;
  readonly pci: PciBus;
  readonly piix3: Piix3;
  readonly dma: DmaGate;
  readonly postCode = new PostCode();
  readonly #messages = new InterruptMessages();
  readonly #legacyTimers: LegacyTimerLines;
  readonly #port61: Port61;
  readonly #port92: Port92;
  readonly #portCf9: PortCf9;
  readonly #configuration: ConfigurationMechanism1;
  /** Of PIRQ A to D, where no firmware chooses. */
  readonly #pirqRoutes: readonly number[];
  readonly #romSocket: RomSocket | undefined;
  readonly #sockets: readonly CoreSocket[];
  readonly #devices: DeviceBay;

  constructor(options: PlatformOptions) {
    const { clock, power, vcpus, memory } = options;
    if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MOST_VCPUS) {
      throw new BulkheadError('BH215', `${options.partition}: ${vcpus} vCPUs; a board has 1 to ${MOST_VCPUS}`);
    }
    const reset = () => power.request('reset', 0);
    // Four bits, unlike any local APIC's while that is possible; firmware announces 0.
    const ioApicId = options.rom === undefined && vcpus < 16 ? vcpus : 0;
    this.pic = new I8259Pair((level) => this.#bootstrap.apic.setLint(0, level));
    this.ioapic = new I82093aa({ id: ioApicId, pins: this.#messages });
    this.lines = new InterruptLines({ pic: this.pic, ioapic: this.ioapic });
    const timerLine = this.lines.own(TIMER_LINE, 'pit');
    const rtcLine = this.lines.own(RTC_LINE, 'rtc');
    const sciLine = this.lines.own(SCI_LINE, 'acpi-pm');
    const topOfRam = memory.regions.reduce((top, region) => Math.max(top, region.base + region.size), 0);
    this.#sockets = Array.from({ length: vcpus }, (_, id) => this.#socket(id, options));
    this.#legacyTimers = new LegacyTimerLines(timerLine, rtcLine);
    this.pit = new I8254({ clock, output0: (level) => this.#legacyTimers.setTimer(level) });
    this.rtc = new Mc146818({ clock, wallTime: options.wallTime, memoryBytes: topOfRam, vcpus, settings: cmosSettings(options), interrupt: (level) => this.#legacyTimers.setClock(level) });
    this.pm = new AcpiPm({ clock, sci: (level) => sciLine.set(level), powerOff: () => power.request('power-off', 0) });
    this.#port61 = new Port61({ timer: this.pit, clock });
    this.#port92 = new Port92({ reset });
    this.#portCf9 = new PortCf9({ reset });
    const { rom } = options;
    this.#romSocket = rom === undefined ? undefined : new RomSocket(memory, behindFlash(rom.image, options.devices));
    this.dma = new DmaGate({
      memory,
      log: options.log,
      stop: options.dmaViolations === 'stop' ? (cause) => power.fail(cause) : undefined,
    });
    this.#configuration = new ConfigurationMechanism1({ resetControl: this.#portCf9 });
    this.piix3 = new Piix3({
      pin: (pirq) => this.lines.own(FIRST_PCI_PIN + pirq, 'pci'),
      isa: (line) => this.lines.share(line),
    });
    this.pci = new PciBus({
      bus: this.bus,
      memory,
      configuration: this.#configuration,
      dma: this.dma,
      msi: this.#messages,
      log: options.log,
      interrupt: (slot) => this.piix3.wire(slot),
    });
    this.pci.plugChipset({ device: 0, function: 0 }, new HostBridge({ shadow: this.#romSocket?.shadow }));
    this.#claimCore();
    this.#devices = new DeviceBay({
      devices: options.devices,
      models: options.models,
      environment: this.#environment(options),
      calls: options.deviceCalls,
      slotFor: (spec) => this.#slotFor(spec, options),
    });
    if (rom !== undefined || this.pci.functions.length > 0) this.pci.plugChipset({ device: 1, function: 0 }, this.piix3);
    if (rom !== undefined) this.pci.plugChipset({ device: 1, function: 3 }, new Piix4Pm());
    this.#pirqRoutes = rom !== undefined ? FIRMWARE_PIRQ_ROUTES : chooseRoutes([...this.lines.owners().map(({ pin }) => pin), ...options.devices.flatMap(({ irqs }) => irqs)]);
    this.#refuseRamOverDevices(memory);

    const signature = new Uint32Array(4);
    cpuidOf(options, 0).lookup(1, 0, signature);
    const shape: FirmwareShape = {
      vcpus,
      ioApicId,
      topOfRam,
      devices: options.devices.map(({ model, ranges, irqs, options: chosen }) => ({
        model,
        irqs,
        ports: ranges.filter(({ space }) => space === 'pio'),
        memory: ranges.filter(({ space }) => space === 'mmio'),
        mouse: chosen['mouse'] === true,
        acpiId: (options.models?.[model] ?? DEVICE_CATALOGUE[model])?.acpiId,
      })),
      pciInterrupts: this.pci.functions
        .filter(({ hasInterruptPin }) => hasInterruptPin)
        .map(({ place }) => ({
          slot: place.device,
          globalLine: FIRST_PCI_PIN + pirqOfSlot(place.device),
          isaLine: this.#pirqRoutes[pirqOfSlot(place.device)] as number,
        })),
      processorSignature: signature[0] as number,
      processorFeatures: signature[3] as number,
    };
    const firmware = rom === undefined ? createFirmware(shape, memory) : NOTHING_IN_RAM;
    this.#romSocket?.attach(this.bus, { dma: this.dma.port({ name: 'firmware' }), ...firmwareFiles({ shape, memory, serialConsole: rom?.serialConsole }) });
    this.firmware = firmware.segments;
    this.memoryMap = firmware.memoryMap;
    this.rsdp = firmware.rsdp;
    this.reset('cold');
  }

  /** What the engine builds vCPU `id` with. */
  wiring(id: VcpuId): VcpuWiring {
    return this.#at(id).wiring;
  }

  /** Connects the pins of vCPU `id` once it exists; events before that are lost, the interrupt pin is not. */
  connect(id: VcpuId, vcpu: ConnectedVcpu): void {
    this.#at(id).connect(vcpu);
  }

  /** What firmware does last: the bootstrap processor's APIC in virtual-wire mode. Loaders that skip firmware need it. */
  enterVirtualWire(): void {
    this.#bootstrap.apic.enterVirtualWire();
  }

  /** The reset line of everything but the cores. */
  reset(kind: 'cold' | 'warm'): void {
    for (const { apic } of this.#sockets) apic.reset();
    this.pci.reset(); // before the devices, which may begin to use their functions
    this.#devices.reset(kind);
    this.pit.reset();
    this.#port61.reset();
    this.#port92.reset();
    this.#portCf9.reset();
    this.rtc.reset();
    this.pm.reset();
    this.postCode.reset();
    // Last, so that no edge of the resets above is kept.
    this.ioapic.reset();
    this.pic.reset();
    if (this.#romSocket === undefined) this.#configurePci();
    else {
      this.#romSocket.reset();
      // The 8259 pair reaches the bootstrap processor before any firmware has heard of APICs (MP 1.4 §3.6.2).
      this.enterVirtualWire();
    }
  }

  /** Host input may be waiting: look at once, instead of at the line's own pace. */
  pollInput(): void {
    for (const { chip } of this.#devices.chips(Uart16550)) chip.poll();
    for (const { chip } of this.#devices.chips(I8042)) chip.pump();
    this.#devices.pollInput();
  }

  /** With every vCPU stopped: devices take work and hold it until {@link resume}. */
  pause(): void {
    this.#devices.pause();
  }

  resume(): void {
    this.#devices.resume();
  }

  /** Asks the guest for an orderly stop. False when it does not listen to the button. */
  pressPowerButton(): boolean {
    return this.pm.pressPowerButton();
  }

  /** The dump switch: NMI on LINT1 of every processor. False while the guest masks NMIs at port 0x70. */
  raiseNmi(): boolean {
    if (this.rtc.nmiMasked) return false;
    for (const { apic } of this.#sockets) {
      apic.setLint(1, true);
      apic.setLint(1, false);
    }
    return true;
  }

  /** By the name the manifest gave it. */
  device(name: string): Device | undefined {
    return this.#devices.device(name);
  }

  /** Devices of the user's own that went wrong, and how. */
  stoppedDevices(): { readonly name: string; readonly cause: string }[] {
    return this.#devices.stopped();
  }

  /** Puts another model in the place of a user's own, reset cold, while the guest runs. Throws BH217 when it is another PCI device. */
  exchangeDevice(name: string, model: DeviceModel): void {
    this.#devices.exchange(name, model);
  }

  /** The chip behind a device, when it is one of `type`: `platform.chip('com1', Uart16550)`. */
  chip<T extends Chip>(name: string, type: abstract new (...args: never[]) => T): T | undefined {
    return this.chips(type).find((candidate) => candidate.name === name)?.chip;
  }

  /** All chips of a type, by device name. */
  chips<T extends Chip>(type: abstract new (...args: never[]) => T): { readonly name: string; readonly chip: T }[] {
    return this.#devices.chips(type);
  }

  /** Plain JSON-able state of every chip. The vCPUs must be stopped. */
  save(): PlatformState {
    return {
      'core/pic': this.pic.save(),
      'core/pit': this.pit.save(),
      'core/rtc': this.rtc.save(),
      'core/ioapic': this.ioapic.save(),
      'core/acpi-pm': this.pm.save(),
      'core/piix3': this.piix3.save(),
      'core/pci': this.pci.save(),
      ...(this.#romSocket === undefined ? {} : { 'core/firmware': this.#romSocket.save() }),
      'core/apics': { version: 1, apics: this.#sockets.map(({ apic }) => apic.save()) },
      ...this.#devices.save(),
    };
  }

  /** Into a platform of the same shape, on a clock that stands where it stood at `save`. */
  restore(state: PlatformState): void {
    const core = (name: string): DeviceState => {
      const saved = state[`core/${name}`];
      if (saved === undefined) throw new BulkheadError('BH215', `the saved state lacks core/${name}`);
      return saved;
    };
    this.piix3.restore(core('piix3'));
    this.pci.restore(core('pci'));
    this.#romSocket?.restore(core('firmware'));
    this.#devices.restore(state);
    this.pit.restore(core('pit'));
    this.rtc.restore(core('rtc'));
    this.pm.restore(core('acpi-pm'));
    this.ioapic.restore(core('ioapic'));
    this.pic.restore(core('pic'));
    const { apics } = core('apics') as unknown as { apics: readonly LocalApicState[] };
    this.#sockets.forEach(({ apic }, id) => {
      const saved = apics[id];
      if (saved !== undefined) apic.restore(saved);
    });
  }

  [Symbol.dispose](): void {
    this.#devices[Symbol.dispose]();
    this.pci[Symbol.dispose]();
  }

  /** What firmware leaves to the system it starts: PCI addresses, interrupt lines routed, level-triggered and noted. */
  #configurePci(): void {
    this.pci.post((slot) => this.#pirqRoutes[pirqOfSlot(slot)] as number);
    for (const pirq of this.piix3.wired) {
      const line = this.#pirqRoutes[pirq] as number;
      this.piix3.setRoute(pirq, line);
      this.pic.writeElcr(line >> 3, this.pic.readElcr(line >> 3) | (1 << (line & 7)));
    }
  }

  get #bootstrap(): CoreSocket {
    return this.#sockets[0] as CoreSocket;
  }

  #at(id: VcpuId): CoreSocket {
    const socket = this.#sockets[id];
    if (socket === undefined) throw new BulkheadError('BH215', `there is no vCPU ${id}: the board has ${this.#sockets.length}`);
    return socket;
  }

  #socket(id: VcpuId, options: PlatformOptions): CoreSocket {
    return new CoreSocket({
      id,
      cpuid: cpuidOf(options, id),
      clock: options.clock,
      bus: this.bus,
      messages: this.#messages,
      endOfInterrupt: (vector) => this.ioapic.endOfInterrupt(vector),
      acknowledgeExternal: () => this.pic.acknowledge(),
    });
  }

  #claimCore(): void {
    const claim = (owner: string, base: number, size: number, handler: Parameters<SystemBus['claim']>[2]) =>
      this.bus.claim({ space: 'pio', base, size }, owner, handler);
    claim('pic', 0x20, 2, byteWide(this.pic.master));
    claim('pic', 0xa0, 2, byteWide(this.pic.slave));
    claim('pic', 0x4d0, 2, byteWide({ read: (at) => this.pic.readElcr(at), write: (at, value) => this.pic.writeElcr(at, value) }));
    claim('pit', 0x40, 4, byteWide(this.pit));
    claim('port-61', 0x61, 1, byteWide(this.#port61));
    claim('rtc', 0x70, 2, byteWide(this.rtc));
    claim('post-code', 0x80, 1, byteWide(this.postCode));
    claim('port-92', 0x92, 1, byteWide(this.#port92));
    claim('acpi-pm', SMI_COMMAND_PORT, 1, this.pm.smiCommand);
    claim('acpi-pm', PM_BASE, PM_BYTES, this.pm.registers);
    claim('pci', 0xcf8, 8, this.#configuration);
    this.bus.claim({ space: 'mmio', base: IO_APIC_BASE, size: IO_APIC_WINDOW_BYTES }, 'ioapic', this.ioapic);
    // Each core answers this window itself (see CoreIoSpace); the claim keeps others away and swallows what a disabled APIC lets by.
    const floating = {
      read: (_: number, size: AccessSize) => (size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff),
      write: () => undefined,
    };
    this.bus.claim({ space: 'mmio', base: LOCAL_APIC_BASE, size: APIC_WINDOW_BYTES }, 'local-apic', floating);
  }

  /** What devices find beside their slot. */
  #environment(options: PlatformOptions): DeviceEnvironment {
    return {
      input: (name) => options.input?.(name) ?? NO_INPUT,
      rom: (name) => options.roms?.get(name),
      character: (name) => options.character(name),
      wire: (name) => options.wire?.(name) ?? UNPLUGGED,
      legacyTimers: this.#legacyTimers,
      ...(options.block === undefined ? {} : { block: options.block }),
      ...(options.rom === undefined ? {} : { firmware: options.rom.image }),
      shared: (name) => options.shared?.(name),
      partition: options.partition,
      vcpus: options.vcpus,
      power: options.power,
    };
  }

  #slotFor(spec: DeviceSpec, { clock, clockOf, log, memory }: PlatformOptions): DeviceSlot {
    return {
      bus: this.bus,
      memory,
      clock: clockOf?.(spec.name) ?? clock,
      log,
      msi: this.#messages,
      dma: this.dma.port({ name: spec.name }),
      pci: (description) => this.pci.plug(spec.name, description),
      irq: (pin) => {
        if (!spec.irqs.includes(pin)) {
          throw new BulkheadError('BH211', `${spec.name} drives interrupt line ${pin}; it was given ${spec.irqs.join(', ') || 'none'}`);
        }
        return this.lines.own(pin, spec.name);
      },
    };
  }

  /** RAM answers before the bus does: a device under it would never be reached. */
  #refuseRamOverDevices(memory: PhysicalMemory): void {
    for (const { space, base, size, owner } of this.bus.ranges()) {
      if (space !== 'mmio') continue;
      const region = memory.regions.find((ram) => base < ram.base + ram.size && ram.base < base + size);
      if (region === undefined) continue;
      throw new BulkheadError(
        'BH213',
        `RAM 0x${region.base.toString(16)}+0x${region.size.toString(16)} covers ${owner} at 0x${base.toString(16)}`,
        {
          hint: 'leave a hole there (pcRamRegions does for the display), or give the partition less memory',
        },
      );
    }
  }
}

function cmosSettings({ rom }: PlatformOptions): ReadonlyMap<number, number> {
  return rom === undefined ? new Map() : bootOrderCmos(rom.order);
}

/** The part of the image that is ROM: what lies behind flash memory in its place, where there is some. */
function behindFlash(image: Uint8Array, devices: readonly DeviceSpec[]): Uint8Array {
  const base = 4 * GiB - image.length;
  const flash = devices.filter(({ model }) => DEVICE_CATALOGUE[model]?.besideFirmware).flatMap(({ ranges }) => ranges);
  const ends = flash.filter((range) => range.base <= base).map((range) => range.base + range.size);
  return image.subarray(Math.max(base, ...ends) - base);
}

function cpuidOf({ cpuid }: PlatformOptions, id: VcpuId): CpuidModel {
  return typeof cpuid === 'function' ? cpuid(id) : cpuid;
}
