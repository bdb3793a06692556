/**
 * What a CD-ROM drive answers to packet commands that ask about it or its disc: one function each, filling the front of a page and
 * returning how many bytes it is.
 *
 * Spec: MMC-6 (INCITS 468-2010, "MMC"), SPC-3 (INCITS 408-2005, "SPC"). All numbers are big-endian.
 */
import type { Bytes } from '../../contracts/index.ts';

/** Bytes of a sector of user data (MMC §4.2.3). */
export const CD_SECTOR_BYTES = 2048;
/** More than fit a CD of 99 minutes: the disc is taken for a DVD. */
const MOST_CD_SECTORS = 99 * 60 * 75;
/** Two seconds of pregap before sector 0 (MMC §4.2.4). */
const PREGAP_FRAMES = 150;
const FRAMES_PER_SECOND = 75;

/** Sense key, additional sense code and its qualifier (SPC §4.5.6). */
export interface Sense {
  readonly key: number;
  readonly code: number;
  readonly qualifier: number;
}

export const NO_SENSE: Sense = { key: 0, code: 0, qualifier: 0 };
export const MEDIUM_NOT_PRESENT: Sense = { key: 2, code: 0x3a, qualifier: 0 };
export const TRAY_OPEN: Sense = { key: 2, code: 0x3a, qualifier: 2 };
export const UNRECOVERED_READ: Sense = { key: 3, code: 0x11, qualifier: 0 };
export const INVALID_COMMAND: Sense = { key: 5, code: 0x20, qualifier: 0 };
export const ADDRESS_OUT_OF_RANGE: Sense = { key: 5, code: 0x21, qualifier: 0 };
export const INVALID_FIELD: Sense = { key: 5, code: 0x24, qualifier: 0 };
export const SAVING_NOT_SUPPORTED: Sense = { key: 5, code: 0x39, qualifier: 0 };
export const REMOVAL_PREVENTED: Sense = { key: 5, code: 0x53, qualifier: 2 };
export const MEDIUM_MAY_HAVE_CHANGED: Sense = { key: 6, code: 0x28, qualifier: 0 };
export const POWER_ON_OR_RESET: Sense = { key: 6, code: 0x29, qualifier: 0 };
export const TRANSFER_FAILED: Sense = { key: 0xb, code: 0x4b, qualifier: 0 };

// Profiles and features (MMC tables 89 and 90)
const PROFILE_NONE = 0x0000;
const PROFILE_CD_ROM = 0x0008;
const PROFILE_DVD_ROM = 0x0010;

/** What the drive is and what lies in it. */
export interface DriveStatus {
  readonly product: string;
  readonly revision: string;
  readonly trayOpen: boolean;
  readonly locked: boolean;
  /** 0: no disc. */
  readonly sectors: number;
}

/** SPC §6.4. */
export function inquiry(page: Uint8Array, { product, revision }: DriveStatus): Bytes {
  clear(page, 36);
  page[0] = 0x05; // CD/DVD device
  page[1] = 0x80; // removable
  page[2] = 0x05; // SPC-3
  page[3] = 0x02;
  page[4] = 36 - 5;
  text(page, 8, 8, 'BULKHEAD');
  text(page, 16, 16, product);
  text(page, 32, 4, revision);
  return 36;
}

/** Fixed format (SPC §4.5.3). */
export function requestSense(page: Uint8Array, { key, code, qualifier }: Sense): Bytes {
  clear(page, 18);
  page[0] = 0x70;
  page[2] = key;
  page[7] = 18 - 8;
  page[12] = code;
  page[13] = qualifier;
  return 18;
}

/** MMC §6.24. */
export function readCapacity(page: Uint8Array, { sectors }: DriveStatus): Bytes {
  put32(page, 0, sectors - 1);
  put32(page, 4, CD_SECTOR_BYTES);
  return 8;
}

/**
 * READ TOC/PMA/ATIP (MMC §6.25): one session with one data track. Formats 0 (tracks), 1 (sessions) and 2 (full TOC); 0 where `track`
 * or `format` do not exist.
 */
export function readToc(page: Uint8Array, { sectors }: DriveStatus, format: number, track: number, msf: boolean): Bytes {
  const address = (at: number, lba: number): void => (msf ? putMsf(page, at, lba) : put32(page, at, lba));
  if (format === 0 && track > 1 && track !== 0xaa) return 0;
  if (format > 2) return 0;
  clear(page, 64);
  page[2] = 1; // first and last track, or session
  page[3] = 1;
  let length = 4;
  const trackDescriptor = (number: number, lba: number): void => {
    page[length + 1] = 0x14; // data track, recorded uninterrupted
    page[length + 2] = number;
    address(length + 4, lba);
    length += 8;
  };
  if (format === 0) {
    if (track <= 1) trackDescriptor(1, 0);
    trackDescriptor(0xaa, sectors); // lead-out
  } else if (format === 1) trackDescriptor(1, 0);
  else {
    // Points A0, A1 and A2 (first and last track, lead-out), then the track itself; always as minutes, seconds and frames.
    for (const [point, minute, lba] of [
      [0xa0, 1, undefined],
      [0xa1, 1, undefined],
      [0xa2, 0, sectors],
      [0x01, 0, 0],
    ] as const) {
      page[length] = 1;
      page[length + 1] = 0x14;
      page[length + 3] = point;
      if (lba === undefined) page[length + 8] = minute;
      else {
        putMsf(page, length + 7, lba);
        page[length + 7] = 0;
      }
      length += 11;
    }
  }
  put16(page, 0, length - 2);
  return length;
}

/** MMC §6.6. `requested` is the RT field, `from` the first feature wanted. */
export function getConfiguration(page: Uint8Array, drive: DriveStatus, requested: number, from: number): Bytes {
  clear(page, 128);
  const profile = drive.sectors === 0 ? PROFILE_NONE : drive.sectors > MOST_CD_SECTORS ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
  const cd = profile === PROFILE_CD_ROM;
  const dvd = profile === PROFILE_DVD_ROM;
  const profiles = [0, PROFILE_DVD_ROM, dvd ? 1 : 0, 0, 0, PROFILE_CD_ROM, cd ? 1 : 0, 0];
  // Feature, version, whether it is persistent, whether it is current, and its data (MMC §5.3).
  const features: readonly (readonly [number, number, boolean, boolean, readonly number[]])[] = [
    [0x0000, 0, true, true, profiles],
    [0x0001, 2, true, true, [0, 0, 0, 7, 1, 0, 0, 0]], // core: on ATAPI
    [0x0002, 1, true, true, [2, 0, 0, 0]], // morphing: operational events
    [0x0003, 0, true, true, [0x29, 0, 0, 0]], // removable medium: tray, eject, lock
    [0x0010, 0, false, cd || dvd, [0, 0, CD_SECTOR_BYTES >> 8, 0, 0, 1, 0, 0]], // random readable
    [0x001e, 2, false, cd, [0, 0, 0, 0]], // CD read
    [0x001f, 0, false, dvd, [0, 0, 0, 0]], // DVD read
  ];
  let length = 8;
  for (const [feature, version, persistent, current, data] of features) {
    if (requested === 2 ? feature !== from : feature < from) continue;
    if (requested === 1 && !current) continue;
    put16(page, length, feature);
    page[length + 2] = (version << 2) | (persistent ? 2 : 0) | (current ? 1 : 0);
    page[length + 3] = data.length;
    page.set(data, length + 4);
    length += 4 + data.length;
  }
  put32(page, 0, length - 4);
  put16(page, 6, profile);
  return length;
}

/** What happened to the medium since the last question (MMC table 361). */
export type MediaEvent = 'none' | 'eject-request' | 'new-media' | 'media-removal';
const MEDIA_EVENTS: readonly MediaEvent[] = ['none', 'eject-request', 'new-media', 'media-removal'];
const CLASS_MEDIA = 4;

/** GET EVENT STATUS NOTIFICATION (MMC §6.7), of which only the media class has anything to tell. */
export function getEventStatus(page: Uint8Array, drive: DriveStatus, classes: number, event: MediaEvent): Bytes {
  clear(page, 8);
  page[3] = 1 << CLASS_MEDIA;
  if (!(classes & (1 << CLASS_MEDIA))) {
    page[2] = 0x80; // no event available
    put16(page, 0, 2);
    return 4;
  }
  put16(page, 0, 6);
  page[2] = CLASS_MEDIA;
  page[4] = MEDIA_EVENTS.indexOf(event);
  page[5] = (drive.trayOpen ? 1 : 0) | (drive.sectors > 0 ? 2 : 0);
  return 8;
}

/** MMC §6.14: no changer. */
export function mechanismStatus(page: Uint8Array, { trayOpen }: DriveStatus): Bytes {
  clear(page, 8);
  page[1] = trayOpen ? 1 << 4 : 0;
  return 8;
}

/** MMC §6.26: one finalized session of one track that nothing can be added to. */
export function readDiscInformation(page: Uint8Array): Bytes {
  clear(page, 34);
  put16(page, 0, 32);
  page[2] = 0x0e;
  page[3] = 1;
  page[4] = 1;
  page[5] = 1;
  page[6] = 1;
  return 34;
}

// Mode pages (MMC §7)
const PAGE_ERROR_RECOVERY = 0x01;
const PAGE_CAPABILITIES = 0x2a;
const ALL_PAGES = 0x3f;
/** kB/s of a 32-fold drive. */
const SPEED = 5632;

/** MODE SENSE (SPC §6.9, §6.10): the parameter header of `headerBytes` (4 or 8) and the pages asked for; 0 when there is no such page. */
export function modeSense(page: Uint8Array, drive: DriveStatus, code: number, headerBytes: 4 | 8): Bytes {
  clear(page, 64);
  let length: number = headerBytes;
  if (code === PAGE_ERROR_RECOVERY || code === ALL_PAGES) {
    page.set([PAGE_ERROR_RECOVERY, 6, 0, 5], length);
    length += 8;
  }
  if (code === PAGE_CAPABILITIES || code === ALL_PAGES) {
    const at = length;
    page.set([PAGE_CAPABILITIES, 18, 0x0b, 0, 0x70, 0, 0x29 | (drive.locked ? 2 : 0), 0], at); // reads CD-R, CD-RW, DVD; tray, eject, lock
    put16(page, at + 8, SPEED);
    put16(page, at + 12, 512); // KiB of buffer
    put16(page, at + 14, SPEED);
    length += 20;
  }
  if (length === headerBytes) return 0;
  const medium = drive.trayOpen ? 0x71 : drive.sectors === 0 ? 0x70 : 0x01;
  if (headerBytes === 4) {
    page[0] = length - 1;
    page[1] = medium;
  } else {
    put16(page, 0, length - 2);
    page[2] = medium;
  }
  return length;
}

function clear(page: Uint8Array, bytes: Bytes): void {
  page.fill(0, 0, bytes);
}

function put16(page: Uint8Array, at: number, value: number): void {
  page[at] = value >>> 8;
  page[at + 1] = value;
}

function put32(page: Uint8Array, at: number, value: number): void {
  put16(page, at, value >>> 16);
  put16(page, at + 2, value);
}

/** Reserved byte, minute, second, frame. */
function putMsf(page: Uint8Array, at: number, lba: number): void {
  const frames = lba + PREGAP_FRAMES;
  page[at] = 0;
  page[at + 1] = Math.floor(frames / (60 * FRAMES_PER_SECOND));
  page[at + 2] = Math.floor(frames / FRAMES_PER_SECOND) % 60;
  page[at + 3] = frames % FRAMES_PER_SECOND;
}

function text(page: Uint8Array, at: number, characters: number, value: string): void {
  for (let i = 0; i < characters; i++) page[at + i] = i < value.length ? value.charCodeAt(i) & 0x7f : 0x20;
}
