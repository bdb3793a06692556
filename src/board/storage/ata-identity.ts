/**
 * The 512 bytes with which a drive says what it is: IDENTIFY DEVICE and IDENTIFY PACKET DEVICE.
 *
 * Spec: ATA/ATAPI-6 §8.15 and §8.16 ("ATA6"); words 69, 75–79, 84, 105, 169, 217 and 222 as in ATA8-ACS §7.16 ("ACS"). Integrity
 * word: ATA6 §8.15.61.
 */
import { ATA_SECTOR_BYTES, type AtaTransport } from './ata-device.ts';

export const IDENTIFY_WORDS = 256;
/** Words that hold texts: serial number, firmware revision, model number (ATA6 §8.15.12–14). */
const SERIAL = { word: 10, characters: 20 } as const;
const FIRMWARE = { word: 23, characters: 8 } as const;
const MODEL = { word: 27, characters: 40 } as const;
const INTEGRITY_SIGNATURE = 0xa5;
/** Deepest queue of READ and WRITE FPDMA QUEUED (ACS §7.16.7.33). */
export const QUEUE_DEPTH = 32;
/** 512-byte blocks of ranges that one DATA SET MANAGEMENT command may carry (word 105). */
export const TRIM_BLOCKS = 8;

export interface Names {
  readonly model: string;
  readonly serial: string;
  readonly firmware: string;
}

export interface DiskIdentity {
  readonly names: Names;
  readonly transport: AtaTransport;
  readonly sectors: number;
  readonly cylinders: number;
  /** As INITIALIZE DEVICE PARAMETERS left them. */
  readonly currentHeads: number;
  readonly currentSectorsPerTrack: number;
  /** Sectors per DRQ data block of READ MULTIPLE; 0 while it is not set. */
  readonly multiple: number;
  /** As SET FEATURES 03h has chosen: its subcommand's count. */
  readonly transferMode: number;
  readonly writeCache: boolean;
  readonly readLookAhead: boolean;
  readonly trim: boolean;
}

export const HEADS = 16;
export const SECTORS_PER_TRACK = 63;
/** Sectors per DRQ data block that READ MULTIPLE can be set to (word 47). */
export const MOST_MULTIPLE = 16;
/** Beyond this only 48-bit commands reach (ATA6 §8.15.25). */
export const MOST_SECTORS_28 = 0x0fff_ffff;
const MOST_CYLINDERS = 16_383;

export function cylindersOf(sectors: number): number {
  return Math.min(MOST_CYLINDERS, Math.floor(sectors / (HEADS * SECTORS_PER_TRACK)));
}

/** Fills `page` for a disk. */
export function identifyDisk(page: Uint8Array, identity: DiskIdentity): void {
  const { sectors, transport, cylinders, currentHeads, currentSectorsPerTrack } = identity;
  const words = new IdentityPage(page);
  const currentCylinders = Math.min(0xffff, Math.floor(Math.min(sectors, 0xff_ffff) / Math.max(1, currentHeads * currentSectorsPerTrack)));
  const currentCapacity = currentCylinders * currentHeads * currentSectorsPerTrack;
  words.set(0, 0x0040); // a fixed disk
  words.set(1, cylinders);
  words.set(3, HEADS);
  // Bytes of a track and of a sector: retired long ago, and still read by BIOSes that are older (ATA-1, X3.221-1994 §9.9.4, §9.9.5).
  words.set(4, SECTORS_PER_TRACK * ATA_SECTOR_BYTES);
  words.set(5, ATA_SECTOR_BYTES);
  words.set(6, SECTORS_PER_TRACK);
  words.names(identity.names);
  words.set(47, 0x8000 | MOST_MULTIPLE);
  words.set(49, 0x2f00); // standby timer values, IORDY, LBA, DMA
  words.set(50, 0x4000);
  words.set(51, 0x0200);
  words.set(53, 0x0007); // words 54–58, 64–70 and 88 are valid
  words.set(54, currentCylinders);
  words.set(55, currentHeads);
  words.set(56, currentSectorsPerTrack);
  words.set32(57, currentCapacity);
  words.set(59, identity.multiple === 0 ? 0 : 0x0100 | identity.multiple);
  words.set32(60, Math.min(sectors, MOST_SECTORS_28));
  transferModes(words, identity.transferMode);
  if (transport === 'serial') serialAta(words, true);
  words.set(80, 0x01f0); // ATA/ATAPI-4 to ATA8-ACS
  // Supported: power management, write cache, look-ahead (82); 48-bit addresses, FLUSH CACHE (EXT) (83); FUA, general purpose logs (84).
  words.set(82, 0x0068);
  words.set(83, 0x7400);
  words.set(84, 0x4060);
  words.set(85, 0x0008 | (identity.writeCache ? 1 << 5 : 0) | (identity.readLookAhead ? 1 << 6 : 0));
  words.set(86, 0x3400);
  words.set(87, 0x4060);
  if (transport === 'parallel') words.set(93, 0x6009); // passed its diagnostics, on a cable with 80 conductors
  words.set48(100, sectors);
  if (identity.trim) {
    words.set(105, TRIM_BLOCKS);
    words.set(169, 1 << 0);
  }
  words.set(106, 0x4000); // one logical sector per physical sector, of 512 bytes
  words.set(217, 0x0001); // no rotating medium
  words.seal();
}

/** Fills `page` for a CD-ROM drive. */
export function identifyPacketDevice(page: Uint8Array, names: Names, transport: AtaTransport, transferMode: number): void {
  const words = new IdentityPage(page);
  words.set(0, 0x85c0); // packet device, CD-ROM, removable, DRQ within 50 µs, packets of 12 bytes
  words.names(names);
  words.set(49, 0x0f00); // IORDY, LBA, DMA
  words.set(50, 0x4000);
  words.set(51, 0x0200);
  words.set(53, 0x0006);
  transferModes(words, transferMode);
  if (transport === 'serial') serialAta(words, false);
  words.set(80, 0x01f0);
  words.set(82, 0x0210); // DEVICE RESET, PACKET
  words.set(83, 0x4000);
  words.set(84, 0x4000);
  words.set(85, 0x0210);
  words.set(87, 0x4000);
  if (transport === 'parallel') words.set(93, 0x6009);
  words.seal();
}

/** PIO to mode 4, multiword DMA to mode 2, Ultra DMA to mode 5; what is selected stands in the high bytes (ATA6 §8.15.26, .41). */
function transferModes(words: IdentityPage, selected: number): void {
  const kind = selected >> 3;
  const bit = 0x100 << (selected & 7);
  words.set(63, 0x0007 | (kind === 4 ? bit : 0));
  words.set(64, 0x0003);
  for (const word of [65, 66, 67, 68]) words.set(word, 120); // nanoseconds
  words.set(88, 0x003f | (kind === 8 ? bit : 0));
}

/** ACS §7.16.7.34–37, .102. */
function serialAta(words: IdentityPage, queues: boolean): void {
  if (queues) words.set(75, QUEUE_DEPTH - 1);
  words.set(76, 0x0006 | (queues ? 1 << 8 : 0)); // Gen1 and Gen2 signalling, native command queuing
  words.set(222, 0x101f); // serial, up to SATA 2.6
}

class IdentityPage {
  readonly #page: Uint8Array;

  constructor(page: Uint8Array) {
    this.#page = page;
    page.fill(0, 0, ATA_SECTOR_BYTES);
  }

  set(word: number, value: number): void {
    this.#page[2 * word] = value & 0xff;
    this.#page[2 * word + 1] = (value >> 8) & 0xff;
  }

  /** Low word first. */
  set32(word: number, value: number): void {
    this.set(word, value % 0x1_0000);
    this.set(word + 1, Math.floor(value / 0x1_0000) % 0x1_0000);
  }

  set48(word: number, value: number): void {
    this.set32(word, value % 0x1_0000_0000);
    this.set(word + 2, Math.floor(value / 0x1_0000_0000));
  }

  names({ model, serial, firmware }: Names): void {
    for (const [field, value] of [
      [MODEL, model],
      [SERIAL, serial],
      [FIRMWARE, firmware],
    ] as const) {
      // The first character of each pair is the high byte of its word.
      for (let i = 0; i < field.characters; i++)
        this.#page[2 * field.word + (i ^ 1)] = i < value.length ? value.charCodeAt(i) & 0x7f : 0x20;
    }
  }

  /** The two's complement that makes all 512 bytes add up to 0. */
  seal(): void {
    this.#page[510] = INTEGRITY_SIGNATURE;
    this.#page[511] = 0;
    let sum = 0;
    for (const byte of this.#page.subarray(0, ATA_SECTOR_BYTES)) sum += byte;
    this.#page[511] = -sum & 0xff;
  }
}
