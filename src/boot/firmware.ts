/**
 * Firmware: a ROM image that the board puts at the end of the first 4 GiB and that finds a system to start by itself. The processor
 * begins as after power-on, at the reset vector in the image's last 16 bytes. Nothing is loaded into RAM.
 *
 * Spec: SDM 3A §10.1.4 (first instruction), table 10-1 (state after power-on); Intel 82371SB §4.1 (where a PC decodes its ROM).
 */
import { BulkheadError, KiB, MiB } from '../base/index.ts';
import type { BootPlan, Bytes } from '../contracts/index.ts';
import { powerOn } from './entry-state.ts';
import type { BootInput } from './input.ts';

const UNIT: Bytes = 64 * KiB;
export const LARGEST_FIRMWARE: Bytes = 16 * MiB;
const RESET_VECTOR = 16;

/** For people. Throws BH307 when `image` cannot be a PC's firmware. */
export function describeFirmware(image: Uint8Array, name: string): string {
  const wrong =
    image.length === 0 || image.length % UNIT !== 0 || image.length > LARGEST_FIRMWARE
      ? `${image.length} bytes are no whole number of 64 KiB up to 16 MiB`
      : isErased(image.subarray(-RESET_VECTOR))
        ? 'there is no code at its reset vector, 16 bytes before the end'
        : undefined;
  if (wrong !== undefined) {
    throw new BulkheadError('BH307', `${name}: ${wrong}`, {
      hint: "Give `seabios`, `ovmf`, or a PC's firmware image as one file.",
    });
  }
  return `firmware ROM of ${image.length / KiB} KiB`;
}

export function loadFirmware({ kernel, kernelName, initrd, cmdline }: BootInput): BootPlan {
  const description = describeFirmware(kernel, kernelName);
  const ignored = initrd !== undefined ? 'an initrd' : cmdline !== '' ? 'a command line' : undefined;
  if (ignored !== undefined) {
    throw new BulkheadError('BH306', `${kernelName}: firmware cannot be given ${ignored}`, {
      hint: 'The system that it finds brings its own.',
    });
  }
  return { description, segments: [], entry: powerOn() };
}

/** Flash without a program reads as ones; a file cut or filled up has zeros. */
function isErased(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0xff) || bytes.every((byte) => byte === 0);
}
