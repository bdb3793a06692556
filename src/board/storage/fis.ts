/**
 * Frame information structures: how the registers of an ATA device travel over a Serial ATA cable.
 *
 * Spec: Serial ATA 2.6 §10.3; where a received one lies in memory: AHCI 1.3.1 §4.2.1.
 */
import type { Bytes } from '../../contracts/index.ts';
import { DEVICE_SELECT, type TaskFile } from './ata-device.ts';

const TYPE_REGISTER_TO_DEVICE = 0x27;
const TYPE_REGISTER_TO_HOST = 0x34;
const TYPE_PIO_SETUP = 0x5f;
const TYPE_SET_DEVICE_BITS = 0xa1;

/** Length of a register FIS. */
export const REGISTER_FIS_BYTES = 20;
/** Offsets in the received FIS structure. */
export const RECEIVED_PIO_SETUP = 0x20;
export const RECEIVED_REGISTER = 0x40;
export const RECEIVED_DEVICE_BITS = 0x58;
/** The device asks for an interrupt. */
const FLAG_INTERRUPT = 1 << 6;
/** PIO Setup: data goes to the host. */
const FLAG_TO_HOST = 1 << 5;
/** Register to device: the command register was written, not the control register. */
const FLAG_COMMAND = 1 << 7;
const CONTROL_RESET = 1 << 2;

/** Bits of the status register that Set Device Bits carries (§10.3.6): neither BSY nor DRQ. */
export const DEVICE_BITS_STATUS = 0x77;

/** What a Register Host to Device FIS says. */
export type HostFis = 'command' | 'reset-on' | 'reset-off' | 'invalid';

export function kindOf(fis: Uint8Array): HostFis {
  if (fis[0] !== TYPE_REGISTER_TO_DEVICE) return 'invalid';
  if ((fis[1] ?? 0) & FLAG_COMMAND) return 'command';
  return (fis[15] ?? 0) & CONTROL_RESET ? 'reset-on' : 'reset-off';
}

export function commandOf(fis: Uint8Array): number {
  return fis[2] ?? 0;
}

/** Queued commands carry their tag in count bits 7:3. */
export function tagOf(fis: Uint8Array): number {
  return (fis[12] ?? 0) >> 3;
}

/** §10.3.4: the registers of a command, both halves at once. */
export function loadTaskFile(taskFile: TaskFile, fis: Uint8Array): void {
  const byte = (at: number): number => fis[at] ?? 0;
  taskFile.feature = byte(3);
  taskFile.lba = byte(4) | (byte(5) << 8) | (byte(6) << 16);
  taskFile.device = byte(7) & ~DEVICE_SELECT;
  taskFile.lbaBefore = byte(8) | (byte(9) << 8) | (byte(10) << 16);
  taskFile.featureBefore = byte(11);
  taskFile.count = byte(12);
  taskFile.countBefore = byte(13);
}

/** §10.3.5. */
export function registerFis(fis: Uint8Array, taskFile: TaskFile, status: number): Bytes {
  fis.fill(0, 0, REGISTER_FIS_BYTES);
  fis[0] = TYPE_REGISTER_TO_HOST;
  fis[1] = FLAG_INTERRUPT;
  fis[2] = status;
  putRegisters(fis, taskFile);
  return REGISTER_FIS_BYTES;
}

/** §10.3.11. `statusAfter` is what the status is once the block of `bytes` has been moved. */
export function pioSetupFis(
  fis: Uint8Array,
  taskFile: TaskFile,
  toHost: boolean,
  status: number,
  statusAfter: number,
  bytes: Bytes,
): Bytes {
  fis.fill(0, 0, REGISTER_FIS_BYTES);
  fis[0] = TYPE_PIO_SETUP;
  fis[1] = FLAG_INTERRUPT | (toHost ? FLAG_TO_HOST : 0);
  fis[2] = status;
  putRegisters(fis, taskFile);
  fis[15] = statusAfter;
  fis[16] = bytes;
  fis[17] = bytes >> 8;
  return REGISTER_FIS_BYTES;
}

/** §10.3.6. `completed` has a bit for each queued command that has ended well. */
export function deviceBitsFis(fis: Uint8Array, status: number, error: number, completed: number): Bytes {
  fis.fill(0, 0, 8);
  fis[0] = TYPE_SET_DEVICE_BITS;
  fis[1] = FLAG_INTERRUPT;
  fis[2] = status & DEVICE_BITS_STATUS;
  fis[3] = error;
  for (let i = 0; i < 4; i++) fis[4 + i] = completed >>> (8 * i);
  return 8;
}

function putRegisters(fis: Uint8Array, taskFile: TaskFile): void {
  const { lba, lbaBefore } = taskFile;
  fis[3] = taskFile.error;
  for (let i = 0; i < 3; i++) {
    fis[4 + i] = lba >> (8 * i);
    fis[8 + i] = lbaBefore >> (8 * i);
  }
  fis[7] = taskFile.device;
  fis[12] = taskFile.count;
  fis[13] = taskFile.countBefore;
}
