/**
 * An ATAPI CD-ROM (or, with a larger disc, DVD-ROM) drive on a block backend: packet commands, whatever the cable.
 *
 * Spec: ATA/ATAPI-6 §8.24 and §9.8 ("ATA6") for how packets travel, MMC-6 (INCITS 468-2010, "MMC") for what they say. A disc is one
 * session with one data track, as ISO 9660 images are; its sectors have 2,048 bytes.
 *
 * Not modelled: audio, sub-channels, raw sectors (READ CD gives user data only), changers, writing, READ DVD STRUCTURE, MODE SELECT.
 */
import { type BlockBackend, SECTOR_BYTES } from '../../contracts/index.ts';
import {
  type AtaDevice,
  type AtaDeviceState,
  type AtaTransport,
  DEVICE_SELECT,
  DIAGNOSTIC_PASSED,
  ERROR_ABORTED,
  PACKET_BYTES,
  REASON_COMMAND,
  REASON_TO_HOST,
  STATUS_ERROR,
  STATUS_READY,
  STATUS_SEEK_COMPLETE,
  TaskFile,
  type TaskFileState,
  type Transfer,
} from '../storage/ata-device.ts';
import { identifyPacketDevice, type Names } from '../storage/ata-identity.ts';
import {
  ADDRESS_OUT_OF_RANGE,
  CD_SECTOR_BYTES,
  type DriveStatus,
  getConfiguration,
  getEventStatus,
  inquiry,
  INVALID_COMMAND,
  INVALID_FIELD,
  mechanismStatus,
  type MediaEvent,
  MEDIUM_MAY_HAVE_CHANGED,
  MEDIUM_NOT_PRESENT,
  modeSense,
  NO_SENSE,
  POWER_ON_OR_RESET,
  readCapacity,
  readDiscInformation,
  readToc,
  REMOVAL_PREVENTED,
  requestSense,
  SAVING_NOT_SUPPORTED,
  type Sense,
  TRANSFER_FAILED,
  TRAY_OPEN,
  UNRECOVERED_READ,
} from '../storage/atapi-responses.ts';
import { isTransferMode } from './ata-disk.ts';

// ATA commands (ATA6 table 10, the column for packet devices)
const DEVICE_RESET = 0x08;
const EXECUTE_DEVICE_DIAGNOSTIC = 0x90;
const PACKET = 0xa0;
const IDENTIFY_PACKET_DEVICE = 0xa1;
const STANDBY_IMMEDIATE = 0xe0;
const IDLE_IMMEDIATE = 0xe1;
const CHECK_POWER_MODE = 0xe5;
const SLEEP = 0xe6;
const SET_FEATURES = 0xef;
const SET_TRANSFER_MODE = 0x03;
const FEATURE_DMA = 1 << 0;
const POWER_ACTIVE_OR_IDLE = 0xff;

// Operation codes (MMC §6, SPC §6)
const TEST_UNIT_READY = 0x00;
const REQUEST_SENSE = 0x03;
const INQUIRY = 0x12;
const MODE_SENSE_6 = 0x1a;
const START_STOP_UNIT = 0x1b;
const PREVENT_ALLOW_REMOVAL = 0x1e;
const READ_CAPACITY = 0x25;
const READ_10 = 0x28;
const SEEK_10 = 0x2b;
const READ_TOC = 0x43;
const GET_CONFIGURATION = 0x46;
const GET_EVENT_STATUS = 0x4a;
const READ_DISC_INFORMATION = 0x51;
const MODE_SENSE_10 = 0x5a;
const READ_12 = 0xa8;
const SET_CD_SPEED = 0xbb;
const MECHANISM_STATUS = 0xbd;
const READ_CD = 0xbe;

/** These answer whatever has happened to the drive (SPC §5.6.5, MMC §4.1.6.1). */
const ANSWERED_ALWAYS: readonly number[] = [REQUEST_SENSE, INQUIRY, GET_CONFIGURATION, GET_EVENT_STATUS];

const PASSED = STATUS_READY | STATUS_SEEK_COMPLETE;
const PACKET_SIGNATURE = 0xeb_1401;
/** The largest even number that the byte count register holds. */
const MOST_BLOCK_BYTES = 0xfffe;
/** Of the longest response. */
const PAGE_BYTES = 512;
const SECTORS_PER_CD_SECTOR = CD_SECTOR_BYTES / SECTOR_BYTES;

export interface AtapiCdromOptions {
  /** Absent: the drive is empty. */
  readonly backend?: BlockBackend | undefined;
  readonly transport: AtaTransport;
  readonly names: Names;
}

type MutableTransfer = { -readonly [Field in keyof Transfer]: Transfer[Field] };

type Source = 'none' | 'page' | 'disc';

export interface AtapiCdromState extends AtaDeviceState {
  readonly taskFile: TaskFileState;
  readonly transfer: Transfer;
  readonly source: Source;
  readonly position: number;
  readonly page: readonly number[];
  readonly transferMode: number;
  readonly trayOpen: boolean;
  readonly locked: boolean;
  readonly sense: Sense;
  readonly attention: Sense;
  readonly event: MediaEvent;
}

export class AtapiCdrom implements AtaDevice {
  readonly taskFile = new TaskFile();
  readonly signature = PACKET_SIGNATURE;
  readonly granularity = 2;
  readonly #transfer: MutableTransfer = { direction: 'none', dma: false, remaining: 0, blockBytes: 0 };
  readonly #backend: BlockBackend | undefined;
  readonly #transport: AtaTransport;
  readonly #names: Names;
  readonly #page = new Uint8Array(PAGE_BYTES);
  /** The 512 bytes around a piece that is not whole sectors. */
  readonly #sectorCache = new Uint8Array(SECTOR_BYTES);
  #source: Source = 'none';
  /** Where the next byte comes from, in the page or on the disc. */
  #position = 0;
  #transferMode = 0;
  #trayOpen = false;
  #locked = false;
  #sense: Sense = NO_SENSE;
  /** Told once, by the next command that can fail; then it is the sense. */
  #attention: Sense = NO_SENSE;
  #event: MediaEvent = 'none';

  constructor({ backend, transport, names }: AtapiCdromOptions) {
    this.#backend = backend;
    this.#transport = transport;
    this.#names = names;
    this.reset('hardware');
  }

  get transfer(): Transfer {
    return this.#transfer;
  }

  reset(kind: 'hardware' | 'software'): void {
    this.#endTransfer();
    this.#signIn();
    if (kind === 'software') return;
    this.#transferMode = 0;
    this.#trayOpen = false;
    this.#locked = false;
    this.#sense = NO_SENSE;
    this.#attention = POWER_ON_OR_RESET;
    this.#event = this.#backend === undefined ? 'none' : 'new-media';
  }

  execute(command: number): void {
    const { taskFile } = this;
    this.#endTransfer();
    taskFile.error = 0;
    switch (command) {
      case PACKET:
        this.#transfer.direction = 'packet';
        this.#transfer.dma = (taskFile.feature & FEATURE_DMA) !== 0;
        this.#transfer.remaining = PACKET_BYTES;
        this.#transfer.blockBytes = Math.min((taskFile.lba >> 8) & 0xffff || MOST_BLOCK_BYTES, MOST_BLOCK_BYTES) & ~1 || 2;
        taskFile.status = PASSED;
        taskFile.count = REASON_COMMAND;
        break;
      case IDENTIFY_PACKET_DEVICE:
        identifyPacketDevice(this.#page, this.#names, this.#transport, this.#transferMode);
        taskFile.status = PASSED;
        this.#transfer.dma = false;
        this.#transfer.blockBytes = PAGE_BYTES;
        this.#begin('page', 0, PAGE_BYTES);
        break;
      case DEVICE_RESET:
      case EXECUTE_DEVICE_DIAGNOSTIC:
        this.#signIn();
        break;
      case SET_FEATURES:
        if (taskFile.feature === SET_TRANSFER_MODE && isTransferMode(taskFile.count)) {
          this.#transferMode = taskFile.count;
          taskFile.status = PASSED;
        } else this.#refuse();
        break;
      case CHECK_POWER_MODE:
        taskFile.count = POWER_ACTIVE_OR_IDLE;
        taskFile.status = PASSED;
        break;
      case STANDBY_IMMEDIATE:
      case IDLE_IMMEDIATE:
      case SLEEP:
        taskFile.status = PASSED;
        break;
      default: {
        // What a disk would do is refused with the signature, so that the host sees what this is (ATA6 §9.12).
        const { device } = taskFile;
        this.#signIn();
        taskFile.device = device & DEVICE_SELECT;
        this.#refuse();
      }
    }
  }

  packet(bytes: Uint8Array): void {
    const operation = bytes[0] ?? 0;
    this.#endTransfer();
    if (!ANSWERED_ALWAYS.includes(operation)) {
      if (this.#attention !== NO_SENSE) {
        const attention = this.#attention;
        this.#attention = NO_SENSE;
        this.#check(attention);
        return;
      }
    }
    if (operation !== REQUEST_SENSE) this.#sense = NO_SENSE;
    this.#good();
    const sense = this.#perform(operation, bytes);
    if (sense !== NO_SENSE) this.#check(sense);
  }

  read(target: Uint8Array): boolean {
    if (this.#source === 'page') target.set(this.#page.subarray(this.#position, this.#position + target.length));
    else if (!this.#readDisc(target)) {
      this.#check(UNRECOVERED_READ);
      return false;
    }
    this.#position += target.length;
    this.#transfer.remaining -= target.length;
    if (this.#transfer.remaining <= 0) {
      this.#endTransfer();
      this.#good();
    }
    return true;
  }

  /** No command takes data. */
  write(): boolean {
    this.#check(INVALID_COMMAND);
    return false;
  }

  abort(): void {
    this.#check(TRANSFER_FAILED);
  }

  save(): AtapiCdromState {
    return {
      taskFile: this.taskFile.save(),
      transfer: { ...this.#transfer },
      source: this.#source,
      position: this.#position,
      page: this.#source === 'page' ? [...this.#page] : [],
      transferMode: this.#transferMode,
      trayOpen: this.#trayOpen,
      locked: this.#locked,
      sense: this.#sense,
      attention: this.#attention,
      event: this.#event,
    };
  }

  restore(state: AtapiCdromState): void {
    this.taskFile.restore(state.taskFile);
    Object.assign(this.#transfer, state.transfer);
    this.#source = state.source;
    this.#position = state.position;
    this.#page.set(state.page);
    this.#transferMode = state.transferMode;
    this.#trayOpen = state.trayOpen;
    this.#locked = state.locked;
    this.#sense = state.sense;
    this.#attention = state.attention.key === 0 ? NO_SENSE : state.attention;
    this.#event = state.event;
  }

  // Packet commands

  /** NO_SENSE: done, or data is on its way. */
  #perform(operation: number, packet: Uint8Array): Sense {
    const page = this.#page;
    const drive = this.#status();
    switch (operation) {
      case TEST_UNIT_READY:
      case SEEK_10:
        return this.#missing();
      case REQUEST_SENSE: {
        const sense = this.#sense === NO_SENSE ? this.#attention : this.#sense;
        this.#attention = NO_SENSE;
        this.#sense = NO_SENSE;
        return this.#respond(requestSense(page, sense), packet[4] ?? 0);
      }
      case INQUIRY:
        return (packet[1] ?? 0) & 1 ? INVALID_FIELD : this.#respond(inquiry(page, drive), packet[4] ?? 0);
      case MODE_SENSE_6:
      case MODE_SENSE_10:
        return this.#modeSense(packet, operation === MODE_SENSE_6);
      case START_STOP_UNIT:
        return this.#startStop(packet[4] ?? 0);
      case PREVENT_ALLOW_REMOVAL:
        this.#locked = ((packet[4] ?? 0) & 1) !== 0;
        return NO_SENSE;
      case READ_CAPACITY:
        return this.#ifPresent(() => this.#respond(readCapacity(page, drive), PAGE_BYTES));
      case READ_10:
        return this.#readSectors(get32(packet, 2), get16(packet, 7));
      case READ_12:
        return this.#readSectors(get32(packet, 2), get32(packet, 6));
      case READ_CD:
        return this.#readCd(packet);
      case READ_TOC:
        return this.#ifPresent(() => {
          // Older drivers put the format into the top bits of byte 9 (SFF-8020i).
          const format = (packet[2] ?? 0) & 0x0f || (packet[9] ?? 0) >> 6;
          return this.#respondIfAny(readToc(page, drive, format, packet[6] ?? 0, ((packet[1] ?? 0) & 2) !== 0), get16(packet, 7));
        });
      case GET_CONFIGURATION:
        return this.#respond(getConfiguration(page, drive, (packet[1] ?? 0) & 3, get16(packet, 2)), get16(packet, 7));
      case GET_EVENT_STATUS: {
        // Only polling: there is no queue in which to wait for an event.
        if (!((packet[1] ?? 0) & 1)) return INVALID_FIELD;
        const event = this.#event;
        if ((packet[4] ?? 0) & (1 << 4)) this.#event = 'none';
        return this.#respond(getEventStatus(page, drive, packet[4] ?? 0, event), get16(packet, 7));
      }
      case READ_DISC_INFORMATION:
        return this.#ifPresent(() => this.#respond(readDiscInformation(page), get16(packet, 7)));
      case MECHANISM_STATUS:
        return this.#respond(mechanismStatus(page, drive), get16(packet, 8));
      case SET_CD_SPEED:
        return NO_SENSE;
      default:
        return INVALID_COMMAND;
    }
  }

  #modeSense(packet: Uint8Array, short: boolean): Sense {
    const control = (packet[2] ?? 0) >> 6;
    if (control === 3) return SAVING_NOT_SUPPORTED;
    const bytes = modeSense(this.#page, this.#status(), (packet[2] ?? 0) & 0x3f, short ? 4 : 8);
    return this.#respondIfAny(bytes, short ? (packet[4] ?? 0) : get16(packet, 7));
  }

  /** MMC §6.42: LoEj in bit 1, Start in bit 0; power conditions are accepted and change nothing. */
  #startStop(request: number): Sense {
    if ((request & 0xf0) !== 0 || !(request & 2)) return NO_SENSE;
    const open = !(request & 1);
    if (open && this.#locked) return REMOVAL_PREVENTED;
    if (open === this.#trayOpen) return NO_SENSE;
    this.#trayOpen = open;
    if (this.#backend !== undefined) {
      this.#event = open ? 'media-removal' : 'new-media';
      if (!open) this.#attention = MEDIUM_MAY_HAVE_CHANGED;
    }
    return NO_SENSE;
  }

  #readSectors(first: number, count: number): Sense {
    const missing = this.#missing();
    if (missing !== NO_SENSE) return missing;
    if (first + count > this.#sectors) return ADDRESS_OUT_OF_RANGE;
    if (count > 0) this.#begin('disc', first * CD_SECTOR_BYTES, count * CD_SECTOR_BYTES);
    return NO_SENSE;
  }

  /** MMC §6.20: which parts of each sector are wanted stands in byte 9. */
  #readCd(packet: Uint8Array): Sense {
    const type = ((packet[1] ?? 0) >> 2) & 7;
    const parts = (packet[9] ?? 0) & 0xf8;
    const subChannel = (packet[10] ?? 0) & 7;
    const mode1 = 2;
    if ((type !== 0 && type !== mode1) || subChannel !== 0 || (parts !== 0x10 && parts !== 0)) return INVALID_FIELD;
    const count = parts === 0 ? 0 : get32(packet, 5) & 0xff_ffff;
    return this.#readSectors(get32(packet, 2), count);
  }

  // Data

  /** A response is cut to what the host has room for (SPC §4.3.4.6). */
  #respond(bytes: number, allocated: number): Sense {
    const length = Math.min(bytes, allocated);
    if (length > 0) this.#begin('page', 0, length);
    return NO_SENSE;
  }

  #respondIfAny(bytes: number, allocated: number): Sense {
    return bytes === 0 ? INVALID_FIELD : this.#respond(bytes, allocated);
  }

  #ifPresent(answer: () => Sense): Sense {
    const missing = this.#missing();
    return missing === NO_SENSE ? answer() : missing;
  }

  #missing(): Sense {
    if (this.#trayOpen) return TRAY_OPEN;
    return this.#sectors === 0 ? MEDIUM_NOT_PRESENT : NO_SENSE;
  }

  get #sectors(): number {
    return this.#backend === undefined || this.#trayOpen ? 0 : Math.floor(this.#backend.sectors / SECTORS_PER_CD_SECTOR);
  }

  #status(): DriveStatus {
    const { model, firmware } = this.#names;
    return { product: model, revision: firmware, trayOpen: this.#trayOpen, locked: this.#locked, sectors: this.#sectors };
  }

  #readDisc(target: Uint8Array): boolean {
    const backend = this.#backend;
    if (backend === undefined) return false;
    let at = 0;
    while (at < target.length) {
      const position = this.#position + at;
      const sector = Math.floor(position / SECTOR_BYTES);
      const inside = position % SECTOR_BYTES;
      const left = target.length - at;
      if (inside === 0 && left >= SECTOR_BYTES) {
        const whole = left - (left % SECTOR_BYTES);
        if (!backend.read(sector, target.subarray(at, at + whole))) return false;
        at += whole;
      } else {
        const piece = Math.min(left, SECTOR_BYTES - inside);
        if (!backend.read(sector, this.#sectorCache)) return false;
        target.set(this.#sectorCache.subarray(inside, inside + piece), at);
        at += piece;
      }
    }
    return true;
  }

  #begin(source: Source, position: number, bytes: number): void {
    this.#source = source;
    this.#position = position;
    this.#transfer.direction = 'in';
    this.#transfer.remaining = bytes;
    this.taskFile.count = REASON_TO_HOST;
  }

  #endTransfer(): void {
    this.#source = 'none';
    this.#transfer.direction = 'none';
    this.#transfer.remaining = 0;
  }

  #good(): void {
    this.taskFile.status = PASSED;
    this.taskFile.error = 0;
    this.taskFile.count = REASON_COMMAND | REASON_TO_HOST;
  }

  /** CHECK CONDITION: the sense key stands in the error register, the rest is to be asked for. */
  #check(sense: Sense): void {
    this.#endTransfer();
    this.#sense = sense;
    this.taskFile.status = PASSED | STATUS_ERROR;
    this.taskFile.error = sense.key << 4;
    this.taskFile.count = REASON_COMMAND | REASON_TO_HOST;
  }

  #refuse(): void {
    this.taskFile.status = PASSED | STATUS_ERROR;
    this.taskFile.error = ERROR_ABORTED;
  }

  /** A packet device is not ready until its first command (ATA6 §9.12): the status is 0. */
  #signIn(): void {
    this.taskFile.count = 1;
    this.taskFile.lba = PACKET_SIGNATURE;
    this.taskFile.error = DIAGNOSTIC_PASSED;
    this.taskFile.status = 0;
  }
}

function get16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function get32(bytes: Uint8Array, at: number): number {
  return get16(bytes, at) * 0x1_0000 + get16(bytes, at + 2);
}
