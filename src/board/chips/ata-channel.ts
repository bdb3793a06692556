/**
 * One parallel ATA channel: the registers at 0x1F0 and 0x3F6 (or 0x170 and 0x376) and the two devices on its cable. It brings a
 * command's data through the data port (PIO) or hands it to the bus master.
 *
 * Spec: ATA/ATAPI-6 §7 (registers), §9 (protocols), §6.2 (devices 0 and 1); cited as "ATA6".
 *
 * Not modelled: a device 1 that answers in the name of an absent device 0; overlap and queuing; bus release.
 */
import type { AccessSize, Clock, IoHandler, Nanos } from '../../contracts/index.ts';
import {
  type AtaDevice,
  type AtaDeviceState,
  DEVICE_SELECT,
  REASON_COMMAND,
  REASON_TO_HOST,
  STATUS_BUSY,
  STATUS_DATA_REQUEST,
} from '../storage/ata-device.ts';
import { HeldAlarm } from '../storage/held-alarm.ts';
import type { BusMasterIde } from './bus-master-ide.ts';

// Command block registers (ATA6 §7, table 13)
const DATA = 0;
const ERROR_FEATURE = 1;
const COUNT = 2;
const LBA_LOW = 3;
const LBA_HIGH = 5;
const DEVICE = 6;
const STATUS_COMMAND = 7;

// Device control (ATA6 §7.8)
const CONTROL_NO_INTERRUPT = 1 << 1;
const CONTROL_RESET = 1 << 2;
const CONTROL_PREVIOUS = 1 << 7;

const COMMAND_DEVICE_RESET = 0x08;
const COMMAND_DIAGNOSTIC = 0x90;
const COMMAND_PACKET = 0xa0;

/** Bits 7 and 5 of the device register, obsolete and one on every disk. */
const DEVICE_OBSOLETE = 0xa0;
/** Nothing on the cable: DD7 is pulled down, the others float high (ATA6 §4.2). */
const FLOATING = 0x7f;
/** The longest block that a packet device may ask for. */
const BUFFER_BYTES = 0x1_0000;
/** Pieces of DMA data moved before the vCPU gets another turn, and how long a drive takes over that much. */
const STEP_MOVES = 4;
const STEP_PAUSE: Nanos = 100_000;

export type ChannelDevices = readonly [AtaDevice | undefined, AtaDevice | undefined];

export interface AtaChannelOptions {
  readonly devices: ChannelDevices;
  readonly clock: Clock;
  /** From a command to its first data or its end. */
  readonly latency: Nanos;
  readonly busMaster: BusMasterIde;
  /** INTRQ as it leaves the devices. */
  readonly interrupt: (level: boolean) => void;
}

/**
 * What the device with the current command waits for: `busy` its own mechanics, `packet`, `pio-in` and `pio-out` the host at the data
 * port, `dma` the bus master.
 */
type Phase = 'idle' | 'busy' | 'packet' | 'pio-in' | 'pio-out' | 'dma';

export interface AtaChannelState {
  readonly phase: Phase;
  readonly selected: 0 | 1;
  readonly active: 0 | 1;
  readonly control: number;
  readonly interrupt: boolean;
  readonly packetCommand: boolean;
  readonly buffer: readonly number[];
  readonly position: number;
  readonly due: Nanos | null;
  readonly devices: readonly (AtaDeviceState | null)[];
}

export class AtaChannel {
  /** Claims the command block: eight ports. */
  readonly commandBlock: IoHandler = {
    read: (offset, size) => (offset === DATA ? this.#readData(size) : this.#readRegister(offset)),
    write: (offset, size, value) => (offset === DATA ? this.#writeData(size, value) : this.#writeRegister(offset, value & 0xff)),
  };
  /** Claims the one port of alternate status and device control. */
  readonly controlBlock: IoHandler = {
    read: () => this.#status(),
    write: (_offset, _size, value) => this.#writeControl(value & 0xff),
  };
  readonly #devices: ChannelDevices;
  readonly #latency: Nanos;
  readonly #busMaster: BusMasterIde;
  readonly #interrupt: (level: boolean) => void;
  readonly #alarm: HeldAlarm;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #phase: Phase = 'idle';
  #selected: 0 | 1 = 0;
  /** The device whose command it is. */
  #active: 0 | 1 = 0;
  #control = 0;
  #pending = false;
  #line = false;
  #packetCommand = false;
  #blockBytes = 0;
  #position = 0;

  constructor(options: AtaChannelOptions) {
    this.#devices = options.devices;
    this.#latency = options.latency;
    this.#busMaster = options.busMaster;
    this.#interrupt = options.interrupt;
    this.#alarm = new HeldAlarm(options.clock, () => this.#proceed());
  }

  /** RESET− of the cable. */
  reset(): void {
    this.#control = 0;
    this.#resetDevices('hardware');
  }

  pause(): void {
    this.#alarm.hold();
  }

  resume(): void {
    this.#alarm.release();
  }

  /** The driver started or stopped the bus master. A transfer that loses it stands still until a reset (ATA6 §9.7). */
  busMasterChanged(): void {
    if (this.#phase === 'dma' && this.#alarm.due === undefined) this.#alarm.after(0);
  }

  save(): AtaChannelState {
    return {
      phase: this.#phase,
      selected: this.#selected,
      active: this.#active,
      control: this.#control,
      interrupt: this.#pending,
      packetCommand: this.#packetCommand,
      buffer: [...this.#buffer.subarray(0, this.#blockBytes)],
      position: this.#position,
      due: this.#alarm.due ?? null,
      devices: this.#devices.map((device) => device?.save() ?? null),
    };
  }

  restore(state: AtaChannelState): void {
    this.#phase = state.phase;
    this.#selected = state.selected;
    this.#active = state.active;
    this.#control = state.control;
    this.#pending = state.interrupt;
    this.#packetCommand = state.packetCommand;
    this.#blockBytes = Math.min(state.buffer.length, BUFFER_BYTES);
    this.#buffer.set(state.buffer.slice(0, BUFFER_BYTES));
    this.#position = state.position;
    this.#devices.forEach((device, index) => {
      const saved = state.devices[index];
      if (device !== undefined && saved) device.restore(saved);
    });
    this.#alarm.cancel();
    this.#drive();
    if (state.due !== null) this.#alarm.at(state.due);
  }

  // Registers

  get #device(): AtaDevice | undefined {
    return this.#devices[this.#selected];
  }

  get #present(): boolean {
    return this.#devices[0] !== undefined || this.#devices[1] !== undefined;
  }

  #status(): number {
    if (!this.#present) return FLOATING;
    const device = this.#device;
    if (device === undefined) return 0; // device 0 answers for an absent device 1 (ATA6 §9.16.1)
    if (this.#control & CONTROL_RESET) return STATUS_BUSY;
    const { status } = device.taskFile;
    if (this.#selected !== this.#active) return status;
    switch (this.#phase) {
      case 'idle':
        return status;
      case 'busy':
      case 'dma':
        return status | STATUS_BUSY;
      default:
        return status | STATUS_DATA_REQUEST;
    }
  }

  #readRegister(offset: number): number {
    if (!this.#present) return FLOATING;
    if (offset === STATUS_COMMAND) {
      this.#withdraw();
      return this.#status();
    }
    const device = this.#device;
    if (device === undefined) return 0;
    const { taskFile } = device;
    const before = (this.#control & CONTROL_PREVIOUS) !== 0;
    switch (offset) {
      case ERROR_FEATURE:
        return taskFile.error;
      case COUNT:
        return before ? taskFile.countBefore : taskFile.count;
      case DEVICE:
        return (taskFile.device & ~DEVICE_SELECT) | DEVICE_OBSOLETE | (this.#selected === 0 ? 0 : DEVICE_SELECT);
      default:
        return ((before ? taskFile.lbaBefore : taskFile.lba) >> (8 * (offset - LBA_LOW))) & 0xff;
    }
  }

  /** Both devices see every write (ATA6 §6.2); one that is at work keeps its registers. */
  #writeRegister(offset: number, value: number): void {
    if (offset !== STATUS_COMMAND) this.#control &= ~CONTROL_PREVIOUS; // ATA6 §7.8
    if (this.#control & CONTROL_RESET) return;
    if (offset === STATUS_COMMAND) {
      this.#writeCommand(value);
      return;
    }
    if (offset === DEVICE) this.#selected = value & DEVICE_SELECT ? 1 : 0;
    for (let index = 0; index < 2; index++) {
      const device = this.#devices[index];
      if (device === undefined || (index === this.#active && this.#phase !== 'idle')) continue;
      const { taskFile } = device;
      switch (offset) {
        case ERROR_FEATURE:
          taskFile.featureBefore = taskFile.feature;
          taskFile.feature = value;
          break;
        case COUNT:
          taskFile.countBefore = taskFile.count;
          taskFile.count = value;
          break;
        case DEVICE:
          taskFile.device = value;
          break;
        default:
          if (offset >= LBA_LOW && offset <= LBA_HIGH) {
            const shift = 8 * (offset - LBA_LOW);
            const mask = 0xff << shift;
            taskFile.lbaBefore = (taskFile.lbaBefore & ~mask) | (taskFile.lba & mask);
            taskFile.lba = (taskFile.lba & ~mask) | (value << shift);
          }
      }
    }
  }

  #writeControl(value: number): void {
    const wasResetting = (this.#control & CONTROL_RESET) !== 0;
    this.#control = value & (CONTROL_NO_INTERRUPT | CONTROL_RESET | CONTROL_PREVIOUS);
    const resetting = (this.#control & CONTROL_RESET) !== 0;
    if (resetting && !wasResetting) this.#resetDevices('software');
    this.#drive();
  }

  #writeCommand(code: number): void {
    this.#withdraw();
    const device = this.#device;
    if (device === undefined) return;
    if (this.#phase !== 'idle') {
      // ATA6 §9.12: only DEVICE RESET is heard while BSY or DRQ is set, and only by packet devices, whose signature is not a disk's.
      if (code !== COMMAND_DEVICE_RESET || this.#selected !== this.#active || device.signature === 1) return;
    }
    this.#alarm.cancel();
    this.#active = this.#selected;
    this.#packetCommand = code === COMMAND_PACKET;
    if (code === COMMAND_DIAGNOSTIC) {
      for (const other of this.#devices) other?.execute(code);
      this.#select(0);
    } else device.execute(code);
    this.#phase = 'idle';
    if (code === COMMAND_DEVICE_RESET && device.transfer.direction === 'none') return; // ends without an interrupt
    if (device.transfer.direction === 'packet') this.#proceed();
    else this.#begin();
  }

  // Protocols (ATA6 §9.4–§9.8)

  #begin(): void {
    this.#phase = 'busy';
    this.#alarm.after(this.#latency);
  }

  /** The drive is ready for the next part of its command. */
  #proceed(): void {
    const device = this.#devices[this.#active];
    if (device === undefined) return;
    if (this.#phase === 'dma') {
      this.#moveByDma(device);
      return;
    }
    const { direction, dma } = device.transfer;
    if (direction === 'none') this.#complete();
    else if (direction === 'packet') this.#expect('packet', device.transfer.remaining);
    else if (dma) {
      this.#phase = 'dma';
      this.#moveByDma(device);
    } else if (direction === 'in') this.#offerBlock(device);
    else this.#expect('pio-out', blockOf(device));
  }

  #complete(): void {
    this.#phase = 'idle';
    this.#blockBytes = 0;
    this.#raise();
  }

  #expect(phase: 'packet' | 'pio-out', bytes: number): void {
    this.#phase = phase;
    this.#blockBytes = bytes;
    this.#position = 0;
  }

  #offerBlock(device: AtaDevice): void {
    const bytes = blockOf(device);
    if (!device.read(this.#buffer.subarray(0, bytes))) {
      this.#complete();
      return;
    }
    // Whole words pass the port.
    this.#blockBytes = bytes + (bytes & 1);
    this.#buffer.fill(0, bytes, this.#blockBytes);
    this.#position = 0;
    this.#phase = 'pio-in';
    if (this.#packetCommand) {
      device.taskFile.lba = (device.taskFile.lba & 0xff) | (bytes << 8);
      device.taskFile.count = REASON_TO_HOST;
    }
    this.#raise();
  }

  #blockTaken(device: AtaDevice): void {
    if (device.transfer.direction === 'in') {
      this.#offerBlock(device);
      return;
    }
    this.#phase = 'idle';
    this.#blockBytes = 0;
    if (!this.#packetCommand) return; // the last block's interrupt was the command's last
    device.taskFile.count = REASON_COMMAND | REASON_TO_HOST;
    this.#raise();
  }

  #blockGiven(device: AtaDevice): void {
    const block = this.#buffer.subarray(0, this.#blockBytes);
    if (this.#phase === 'packet') {
      device.packet(block);
      this.#begin();
    } else if (device.write(block) && device.transfer.direction === 'out') {
      this.#expect('pio-out', blockOf(device));
      this.#raise();
    } else this.#complete();
  }

  #moveByDma(device: AtaDevice): void {
    for (let moves = 0; moves < STEP_MOVES && this.#busMaster.started; moves++) {
      const result = this.#busMaster.move(device);
      if (result === 'short') return; // the drive has more and nobody takes it: it waits for a reset
      if (result === 'moved' && device.transfer.direction !== 'none') continue;
      this.#complete();
      return;
    }
    if (this.#busMaster.started) this.#alarm.after(STEP_PAUSE);
  }

  #readData(size: AccessSize): number {
    const device = this.#devices[this.#active];
    if (this.#phase !== 'pio-in' || this.#selected !== this.#active || device === undefined) return this.#present ? 0 : FLOATING;
    let value = 0;
    for (let i = 0; i < size; i++) value |= (this.#buffer[this.#position + i] as number) << (8 * i);
    this.#position += size;
    if (this.#position >= this.#blockBytes) this.#blockTaken(device);
    return value >>> 0;
  }

  #writeData(size: AccessSize, value: number): void {
    const device = this.#devices[this.#active];
    if ((this.#phase !== 'pio-out' && this.#phase !== 'packet') || this.#selected !== this.#active || device === undefined) return;
    for (let i = 0; i < size && this.#position < this.#blockBytes; i++) this.#buffer[this.#position++] = value >>> (8 * i);
    if (this.#position >= this.#blockBytes) this.#blockGiven(device);
  }

  // Reset and interrupt

  #resetDevices(kind: 'hardware' | 'software'): void {
    this.#alarm.cancel();
    this.#phase = 'idle';
    this.#blockBytes = 0;
    this.#packetCommand = false;
    for (const device of this.#devices) device?.reset(kind);
    this.#select(0);
    this.#pending = false;
    this.#drive();
  }

  #select(index: 0 | 1): void {
    this.#selected = index;
    this.#active = index;
  }

  #raise(): void {
    this.#pending = true;
    this.#drive();
  }

  #withdraw(): void {
    this.#pending = false;
    this.#drive();
  }

  #drive(): void {
    const level = this.#pending && !(this.#control & CONTROL_NO_INTERRUPT);
    if (level === this.#line) return;
    this.#line = level;
    if (level) this.#busMaster.interrupt();
    this.#interrupt(level);
  }
}

function blockOf({ transfer }: AtaDevice): number {
  return Math.min(transfer.blockBytes, transfer.remaining);
}
