/**
 * An ATA hard disk on a block backend: its command set, whatever the cable. Adapters (piix3-ide.ts, ahci-port.ts) move its data.
 *
 * Spec: ATA/ATAPI-6 (INCITS 361-2002, "ATA6"): 28- and 48-bit addresses, CHS, PIO, READ/WRITE MULTIPLE, DMA, power modes; ATA8-ACS
 * (INCITS 452-2009, "ACS"): DATA SET MANAGEMENT, general purpose logs, FPDMA QUEUED. An address range that does not lie wholly on the
 * disk is refused before any of it is moved (ID not found).
 *
 * Writes: with the write cache off, with FUA, and at FLUSH CACHE the command ends when the host says the data is on its medium.
 *
 * Not modelled: SMART, security, host protected area, power-up in standby, overlapped commands, streaming (absent from the identity,
 * their commands are aborted); the standby timer; READ VERIFY looks at addresses only; a sleeping disk wakes with its next command.
 */
import { type BlockBackend, SECTOR_BYTES } from '../../contracts/index.ts';
import {
  ATA_SECTOR_BYTES,
  type AtaDevice,
  type AtaDeviceState,
  type AtaTransport,
  DEVICE_LBA,
  DIAGNOSTIC_PASSED,
  ERROR_ABORTED,
  ERROR_ID_NOT_FOUND,
  ERROR_INTERFACE_CRC,
  ERROR_UNCORRECTABLE,
  STATUS_ERROR,
  STATUS_FAULT,
  STATUS_READY,
  STATUS_SEEK_COMPLETE,
  TaskFile,
  type TaskFileState,
  type Transfer,
} from '../storage/ata-device.ts';
import { DISK_COMMANDS, type DiskCommand } from '../storage/ata-commands.ts';
import { cylindersOf, HEADS, identifyDisk, MOST_MULTIPLE, type Names, SECTORS_PER_TRACK, TRIM_BLOCKS } from '../storage/ata-identity.ts';

// Sector counts of 0 (ATA6 §6.20): all that the register can say, and one more.
const MOST_SECTORS_PER_COMMAND = 256;
const MOST_SECTORS_PER_WIDE_COMMAND = 65_536;
const QUEUED_FUA = 1 << 7;
const FEATURE_TRIM = 1 << 0;
// SET FEATURES (ATA6 §8.46)
const ENABLE_WRITE_CACHE = 0x02;
const SET_TRANSFER_MODE = 0x03;
const DISABLE_LOOK_AHEAD = 0x55;
const DISABLE_WRITE_CACHE = 0x82;
const ENABLE_LOOK_AHEAD = 0xaa;
// CHECK POWER MODE (ATA6 §8.4)
const POWER_STANDBY = 0x00;
const POWER_ACTIVE_OR_IDLE = 0xff;
// General purpose logs (ACS annex A)
const LOG_DIRECTORY = 0x00;
const LOG_QUEUED_ERROR = 0x10;

const PASSED = STATUS_READY | STATUS_SEEK_COMPLETE;
const ATA_SIGNATURE = 0x00_0001;

export interface AtaDiskOptions {
  readonly backend: BlockBackend;
  readonly transport: AtaTransport;
  readonly names: Names;
}

type MutableTransfer = { -readonly [Field in keyof Transfer]: Transfer[Field] };

/** What is behind the current transfer. */
type Source = 'none' | 'sectors' | 'page' | 'ranges';

/** The last queued command that failed, for log page 10h (ACS §A.8). */
interface QueuedError {
  readonly tag: number;
  readonly status: number;
  readonly error: number;
  readonly lba: number;
  readonly device: number;
}

export interface AtaDiskState extends AtaDeviceState {
  readonly taskFile: TaskFileState;
  readonly transfer: Transfer;
  readonly source: Source;
  readonly sector: number;
  readonly wide: boolean;
  readonly flushAfter: boolean;
  readonly page: readonly number[];
  readonly multiple: number;
  readonly transferMode: number;
  readonly writeCache: boolean;
  readonly readLookAhead: boolean;
  readonly heads: number;
  readonly sectorsPerTrack: number;
  readonly standby: boolean;
  readonly queuedError: QueuedError | null;
}

export class AtaDisk implements AtaDevice {
  readonly taskFile = new TaskFile();
  readonly signature = ATA_SIGNATURE;
  readonly granularity = ATA_SECTOR_BYTES;
  readonly #transfer: MutableTransfer = { direction: 'none', dma: false, remaining: 0, blockBytes: 0 };
  readonly #backend: BlockBackend;
  readonly #transport: AtaTransport;
  readonly #names: Names;
  readonly #page = new Uint8Array(ATA_SECTOR_BYTES);
  #source: Source = 'none';
  /** The next one to move. */
  #sector = 0;
  #wide = false;
  #flushAfter = false;
  #multiple = 0;
  #transferMode = 0;
  #writeCache = true;
  #readLookAhead = true;
  #heads = HEADS;
  #sectorsPerTrack = SECTORS_PER_TRACK;
  #standby = false;
  #queuedError: QueuedError | undefined;

  constructor({ backend, transport, names }: AtaDiskOptions) {
    this.#backend = backend;
    this.#transport = transport;
    this.#names = names;
    this.reset('hardware');
  }

  get transfer(): Transfer {
    return this.#transfer;
  }

  reset(kind: 'hardware' | 'software'): void {
    this.#end();
    this.#standby = false;
    this.#signIn();
    if (kind === 'software') return;
    this.#multiple = 0;
    this.#transferMode = 0;
    this.#writeCache = true;
    this.#readLookAhead = true;
    this.#heads = HEADS;
    this.#sectorsPerTrack = SECTORS_PER_TRACK;
    this.#queuedError = undefined;
  }

  execute(code: number): void {
    this.#end();
    const command = DISK_COMMANDS.get(code);
    if (command === undefined || (command.queued && this.#transport !== 'serial')) {
      this.#fail(ERROR_ABORTED);
      return;
    }
    this.#standby = this.#standby && command.does === 'power-mode';
    this.taskFile.status = PASSED;
    this.taskFile.error = 0;
    this.#wide = command.wide === true;
    switch (command.does) {
      case 'read':
      case 'write':
      case 'verify':
        this.#access(command);
        break;
      case 'flush':
        if (!this.#backend.flush()) this.#fault();
        break;
      case 'identify':
        this.#identify();
        break;
      case 'log':
        this.#readLog(command);
        break;
      case 'trim':
        this.#dataSetManagement();
        break;
      case 'features':
        if (!this.#setFeatures()) this.#fail(ERROR_ABORTED);
        break;
      case 'set-multiple':
        this.#setMultiple();
        break;
      case 'geometry':
        this.#initializeParameters();
        break;
      case 'diagnostic':
        this.#signIn();
        break;
      case 'standby':
        this.#standby = true;
        if (!this.#backend.flush()) this.#fault();
        break;
      case 'power-mode':
        this.taskFile.count = this.#standby ? POWER_STANDBY : POWER_ACTIVE_OR_IDLE;
        break;
      case 'idle':
      case 'seek':
        break;
    }
  }

  /** Disks take no packets; none is ever awaited. */
  packet(): void {
    this.#fail(ERROR_ABORTED);
  }

  read(target: Uint8Array): boolean {
    if (this.#source === 'page') target.set(this.#page.subarray(0, target.length));
    else if (!this.#readSectors(target)) return false;
    this.#moved(target.length);
    return true;
  }

  write(source: Uint8Array): boolean {
    if (this.#source === 'ranges' ? !this.#discard(source) : !this.#writeSectors(source)) return false;
    this.#moved(source.length);
    if (this.#transfer.remaining > 0 || !this.#flushAfter || this.#backend.flush()) return true;
    this.#fault();
    return false;
  }

  abort(): void {
    this.#fail(ERROR_INTERFACE_CRC | ERROR_ABORTED);
  }

  /** The command with queue tag `tag` has failed as the task file says: log page 10h is to tell it. */
  noteQueuedError(tag: number): void {
    const { status, error, lba48, device } = this.taskFile;
    this.#queuedError = { tag, status, error, lba: lba48, device };
  }

  save(): AtaDiskState {
    return {
      taskFile: this.taskFile.save(),
      transfer: { ...this.#transfer },
      source: this.#source,
      sector: this.#sector,
      wide: this.#wide,
      flushAfter: this.#flushAfter,
      page: this.#source === 'page' ? [...this.#page] : [],
      multiple: this.#multiple,
      transferMode: this.#transferMode,
      writeCache: this.#writeCache,
      readLookAhead: this.#readLookAhead,
      heads: this.#heads,
      sectorsPerTrack: this.#sectorsPerTrack,
      standby: this.#standby,
      queuedError: this.#queuedError ?? null,
    };
  }

  restore(state: AtaDiskState): void {
    this.taskFile.restore(state.taskFile);
    Object.assign(this.#transfer, state.transfer);
    this.#source = state.source;
    this.#sector = state.sector;
    this.#wide = state.wide;
    this.#flushAfter = state.flushAfter;
    this.#page.set(state.page);
    this.#multiple = state.multiple;
    this.#transferMode = state.transferMode;
    this.#writeCache = state.writeCache;
    this.#readLookAhead = state.readLookAhead;
    this.#heads = state.heads;
    this.#sectorsPerTrack = state.sectorsPerTrack;
    this.#standby = state.standby;
    this.#queuedError = state.queuedError ?? undefined;
  }

  // Commands

  #access(command: DiskCommand): void {
    const { taskFile } = this;
    const { does, wide, queued } = command;
    const count = queued ? taskFile.feature16 : wide ? taskFile.count16 : taskFile.count;
    const sectors = count === 0 ? (wide ? MOST_SECTORS_PER_WIDE_COMMAND : MOST_SECTORS_PER_COMMAND) : count;
    const first = this.#address(wide === true);
    if (first < 0 || first + sectors > this.#backend.sectors) {
      this.#fail(ERROR_ID_NOT_FOUND);
      return;
    }
    if (does === 'verify') return;
    if (command.multiple && this.#multiple === 0) {
      this.#fail(ERROR_ABORTED);
      return;
    }
    if (does === 'write' && this.#backend.readOnly) {
      this.#fail(ERROR_ABORTED);
      return;
    }
    this.#sector = first;
    this.#flushAfter = !this.#writeCache || command.fua === true || (queued === true && (taskFile.device & QUEUED_FUA) !== 0);
    const blockSectors = command.multiple ? this.#multiple : 1;
    this.#begin('sectors', does === 'write' ? 'out' : 'in', sectors * SECTOR_BYTES, command.dma === true, blockSectors * SECTOR_BYTES);
  }

  /** The first sector; −1 when cylinder, head or sector do not exist (ATA6 §6.2). */
  #address(wide: boolean): number {
    const { taskFile } = this;
    if (wide) return taskFile.lba48;
    if (taskFile.device & DEVICE_LBA) return (taskFile.device & 0x0f) * 0x100_0000 + taskFile.lba;
    const sector = taskFile.lba & 0xff;
    const cylinder = taskFile.lba >> 8;
    const head = taskFile.device & 0x0f;
    if (sector === 0 || sector > this.#sectorsPerTrack || head >= this.#heads) return -1;
    return (cylinder * this.#heads + head) * this.#sectorsPerTrack + sector - 1;
  }

  #identify(): void {
    const { sectors } = this.#backend;
    identifyDisk(this.#page, {
      names: this.#names,
      transport: this.#transport,
      sectors,
      cylinders: cylindersOf(sectors),
      currentHeads: this.#heads,
      currentSectorsPerTrack: this.#sectorsPerTrack,
      multiple: this.#multiple,
      transferMode: this.#transferMode,
      writeCache: this.#writeCache,
      readLookAhead: this.#readLookAhead,
      trim: this.#backend.discard !== undefined,
    });
    this.#begin('page', 'in', ATA_SECTOR_BYTES, false, ATA_SECTOR_BYTES);
  }

  /** READ LOG EXT (ACS §7.34): the directory, and why a queued command failed; one page each. */
  #readLog(command: DiskCommand): void {
    const { lba, lbaBefore, count16 } = this.taskFile;
    const page = ((lba >> 8) & 0xff) | (lbaBefore & 0xff00);
    const log = lba & 0xff;
    if (count16 !== 1 || page !== 0 || (log !== LOG_DIRECTORY && log !== LOG_QUEUED_ERROR)) {
      this.#fail(ERROR_ABORTED);
      return;
    }
    this.#page.fill(0);
    if (log === LOG_DIRECTORY) {
      this.#page[0] = 1; // version 1
      this.#page[2 * LOG_QUEUED_ERROR] = 1; // pages of this log
    } else this.#queuedErrorPage();
    this.#begin('page', 'in', ATA_SECTOR_BYTES, command.dma === true, ATA_SECTOR_BYTES);
  }

  /** ACS §A.8. Reading it ends the state of error: the next one says that there was none. */
  #queuedErrorPage(): void {
    const page = this.#page;
    const failed = this.#queuedError;
    this.#queuedError = undefined;
    if (failed === undefined)
      page[0] = 0x80; // not a queued command
    else {
      page[0] = failed.tag & 0x1f;
      page[2] = failed.status;
      page[3] = failed.error;
      for (let i = 0; i < 3; i++) page[4 + i] = Math.floor(failed.lba / 256 ** i) & 0xff;
      page[7] = failed.device;
      for (let i = 0; i < 3; i++) page[8 + i] = Math.floor(failed.lba / 256 ** (i + 3)) & 0xff;
    }
    let sum = 0;
    for (const byte of page) sum += byte;
    page[511] = -sum & 0xff;
  }

  /** DATA SET MANAGEMENT (ACS §7.10): TRIM is all it can ask for. */
  #dataSetManagement(): void {
    const { feature, count16 } = this.taskFile;
    const blocks = count16;
    if (
      !(feature & FEATURE_TRIM) ||
      this.#backend.discard === undefined ||
      this.#backend.readOnly ||
      blocks === 0 ||
      blocks > TRIM_BLOCKS
    ) {
      this.#fail(ERROR_ABORTED);
      return;
    }
    this.#flushAfter = false;
    this.#begin('ranges', 'out', blocks * ATA_SECTOR_BYTES, true, ATA_SECTOR_BYTES);
  }

  #setFeatures(): boolean {
    const { feature, count } = this.taskFile;
    switch (feature) {
      case ENABLE_WRITE_CACHE:
        this.#writeCache = true;
        return true;
      case DISABLE_WRITE_CACHE:
        this.#writeCache = false;
        return this.#backend.flush();
      case ENABLE_LOOK_AHEAD:
      case DISABLE_LOOK_AHEAD:
        this.#readLookAhead = feature === ENABLE_LOOK_AHEAD;
        return true;
      case SET_TRANSFER_MODE:
        if (!isTransferMode(count)) return false;
        this.#transferMode = count;
        return true;
      default:
        return false;
    }
  }

  #setMultiple(): void {
    const { count } = this.taskFile;
    if (count > MOST_MULTIPLE || (count & (count - 1)) !== 0) this.#fail(ERROR_ABORTED);
    else this.#multiple = count;
  }

  /** ATA6 §8.20 keeps it for old software: the geometry that CHS addresses count in. */
  #initializeParameters(): void {
    const { count, device } = this.taskFile;
    if (count === 0 || count > SECTORS_PER_TRACK) {
      this.#fail(ERROR_ABORTED);
      return;
    }
    this.#heads = (device & 0x0f) + 1;
    this.#sectorsPerTrack = count;
  }

  // Data

  #readSectors(target: Uint8Array): boolean {
    if (this.#backend.read(this.#sector, target)) return true;
    // Which one it is: drivers keep what came before it.
    for (let at = 0; at < target.length; at += SECTOR_BYTES, this.#sector++) {
      if (!this.#backend.read(this.#sector, target.subarray(at, at + SECTOR_BYTES))) break;
    }
    this.#failAt(this.#sector, ERROR_UNCORRECTABLE);
    return false;
  }

  #writeSectors(source: Uint8Array): boolean {
    if (this.#backend.write(this.#sector, source)) return true;
    this.#failAt(this.#sector, ERROR_ABORTED);
    this.taskFile.status |= STATUS_FAULT;
    return false;
  }

  /** Entries of 48-bit first sector and 16-bit count (ACS §7.10.3.1); neighbours are told to the host as one. */
  #discard(entries: Uint8Array): boolean {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
    let first = 0;
    let count = 0;
    for (let at = 0; at + 8 <= entries.length; at += 8) {
      const start = view.getUint32(at, true) + view.getUint16(at + 4, true) * 0x1_0000_0000;
      const sectors = view.getUint16(at + 6, true);
      if (sectors === 0) continue;
      if (start + sectors > this.#backend.sectors) {
        this.#fail(ERROR_ID_NOT_FOUND);
        return false;
      }
      if (start === first + count) count += sectors;
      else {
        if (!this.#forget(first, count)) return false;
        first = start;
        count = sectors;
      }
    }
    return this.#forget(first, count);
  }

  #forget(first: number, count: number): boolean {
    if (count === 0 || this.#backend.discard?.(first, count) === true) return true;
    this.#fault();
    return false;
  }

  #begin(source: Source, direction: 'in' | 'out', bytes: number, dma: boolean, blockBytes: number): void {
    this.#source = source;
    this.#transfer.direction = direction;
    this.#transfer.remaining = bytes;
    this.#transfer.dma = dma;
    this.#transfer.blockBytes = blockBytes;
  }

  #moved(bytes: number): void {
    this.#sector += Math.floor(bytes / SECTOR_BYTES);
    this.#transfer.remaining -= bytes;
    if (this.#transfer.remaining <= 0) this.#end();
  }

  #end(): void {
    this.#source = 'none';
    this.#transfer.direction = 'none';
    this.#transfer.remaining = 0;
  }

  #signIn(): void {
    this.taskFile.count = 1;
    this.taskFile.lba = ATA_SIGNATURE;
    this.taskFile.device = 0;
    this.taskFile.error = DIAGNOSTIC_PASSED;
    this.taskFile.status = PASSED;
  }

  #fail(error: number): void {
    this.#end();
    this.taskFile.status = PASSED | STATUS_ERROR;
    this.taskFile.error = error;
  }

  /** The address registers say where (ATA6 §8.27.6). */
  #failAt(sector: number, error: number): void {
    this.#fail(error);
    if (this.#wide) this.taskFile.lba48 = sector;
    else {
      this.taskFile.lba = sector % 0x100_0000;
      this.taskFile.device = (this.taskFile.device & 0xf0) | (Math.floor(sector / 0x100_0000) & 0x0f);
    }
  }

  /** The host could not bring data to its medium. */
  #fault(): void {
    this.#fail(ERROR_ABORTED);
    this.taskFile.status |= STATUS_FAULT;
  }
}

/** SET FEATURES 03h (ATA6 §8.46.11): PIO default, PIO with flow control to 4, multiword DMA to 2, Ultra DMA to 5. */
export function isTransferMode(count: number): boolean {
  return count <= 0x01 || (count >= 0x08 && count <= 0x0c) || (count >= 0x20 && count <= 0x22) || (count >= 0x40 && count <= 0x45);
}
