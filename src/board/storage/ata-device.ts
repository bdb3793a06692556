/**
 * What passes between an ATA device and the adapter that drives it (an IDE channel, an AHCI port): the registers of a command, and the
 * data it wants moved. The adapter decides how bytes travel (PIO, bus master DMA, FISes); the device decides what they are.
 *
 * Spec: ATA/ATAPI-6 (INCITS 361-2002, "ATA6"), ATA/ATAPI-8 ACS (INCITS 452-2009, "ACS").
 */
import type { Bytes } from '../../contracts/index.ts';

// Status register (ATA6 §7.15). BSY and DRQ belong to the adapter: they say where a transfer stands, not how it ended.
export const STATUS_BUSY = 1 << 7;
export const STATUS_READY = 1 << 6;
export const STATUS_FAULT = 1 << 5;
/** Seek complete, in older words; every driver has seen it set. */
export const STATUS_SEEK_COMPLETE = 1 << 4;
export const STATUS_DATA_REQUEST = 1 << 3;
/** For packet commands this bit is CHK. */
export const STATUS_ERROR = 1 << 0;

// Error register (ATA6 §7.9)
export const ERROR_INTERFACE_CRC = 1 << 7;
export const ERROR_UNCORRECTABLE = 1 << 6;
export const ERROR_ID_NOT_FOUND = 1 << 4;
export const ERROR_ABORTED = 1 << 2;

// Device register (ATA6 §7.7)
export const DEVICE_LBA = 1 << 6;
export const DEVICE_SELECT = 1 << 4;

/** What EXECUTE DEVICE DIAGNOSTIC and a reset leave in the error register of a device that passed (ATA6 §9.12). */
export const DIAGNOSTIC_PASSED = 0x01;

/** Interrupt reason, in the count register of packet commands (ATA6 §8.23). */
export const REASON_COMMAND = 1 << 0;
export const REASON_TO_HOST = 1 << 1;

/**
 * The registers of one device, with what was in them before the last write: 48-bit commands use both (ATA6 §6.20). `lba` is LBA low,
 * mid and high in bits 7:0, 15:8 and 23:16.
 */
export class TaskFile {
  feature = 0;
  featureBefore = 0;
  count = 0;
  countBefore = 0;
  lba = 0;
  lbaBefore = 0;
  device = 0;
  status = 0;
  error = 0;

  /** The address of a 48-bit command. */
  get lba48(): number {
    return this.lbaBefore * 0x100_0000 + this.lba;
  }

  set lba48(value: number) {
    this.lba = value % 0x100_0000;
    this.lbaBefore = Math.floor(value / 0x100_0000) % 0x100_0000;
  }

  get count16(): number {
    return (this.countBefore << 8) | this.count;
  }

  set count16(value: number) {
    this.count = value & 0xff;
    this.countBefore = (value >> 8) & 0xff;
  }

  get feature16(): number {
    return (this.featureBefore << 8) | this.feature;
  }

  save(): TaskFileState {
    const { feature, featureBefore, count, countBefore, lba, lbaBefore, device, status, error } = this;
    return { feature, featureBefore, count, countBefore, lba, lbaBefore, device, status, error };
  }

  restore(state: TaskFileState): void {
    Object.assign(this, state);
  }
}

export interface TaskFileState {
  readonly feature: number;
  readonly featureBefore: number;
  readonly count: number;
  readonly countBefore: number;
  readonly lba: number;
  readonly lbaBefore: number;
  readonly device: number;
  readonly status: number;
  readonly error: number;
}

/** What a command still wants to have moved. */
export interface Transfer {
  /** `packet`: the device waits for the 12 bytes of a command packet. `in` is towards the host. */
  readonly direction: 'none' | 'packet' | 'in' | 'out';
  readonly dma: boolean;
  /** What is left of it. */
  readonly remaining: Bytes;
  /** PIO: how many bytes each DRQ data block has, but for the last. */
  readonly blockBytes: Bytes;
}

/** Bytes of a command packet (ATA6 §9.8; identify word 0 bits 1:0). */
export const PACKET_BYTES = 12;

/** A disk or a CD-ROM drive, as its adapter sees it. All values are the guest's choice: nothing here throws or loops without bound. */
export interface AtaDevice {
  readonly taskFile: TaskFile;
  /** LBA mid and high after a reset tell ATA and packet devices apart (ATA6 §9.12, table 26); in bits 23:8, with LBA low below. */
  readonly signature: number;
  readonly transfer: Transfer;
  /** Pieces of a transfer are multiples of this, but for the last. */
  readonly granularity: Bytes;
  /** To the state after power-on, or after a software reset, which keeps what SET FEATURES has chosen (ATA6 §9.3). */
  reset(kind: 'hardware' | 'software'): void;
  /** Begins `command` with the values in the task file. Where it needs no data it has ended when this returns. */
  execute(command: number): void;
  /** The command packet that `transfer` waits for. */
  packet(bytes: Uint8Array): void;
  /** Fills `target` with the next bytes of an `in` transfer, no more than remain. False: the command has ended with an error. */
  read(target: Uint8Array): boolean;
  /** Takes the next bytes of an `out` transfer. False: the command has ended with an error. */
  write(source: Uint8Array): boolean;
  /** The adapter could not move the data: ends the command with an interface error. */
  abort(): void;
  save(): AtaDeviceState;
  restore(state: AtaDeviceState): void;
}

export type AtaDeviceState = Readonly<Record<string, unknown>>;

/** How the device is connected; its identity and some commands depend on it. */
export type AtaTransport = 'parallel' | 'serial';

/** A sector of a disk, a page of identity or of a log. */
export const ATA_SECTOR_BYTES = 512;
