/** Loaders: from image files to a {@link BootPlan}. */
import type { BootEnvironment, BootPlan, ImageKind } from '../contracts/index.ts';
import { loadElf } from './elf.ts';
import { loadFirmware } from './firmware.ts';
import { loadFlat } from './flat.ts';
import { detectImage } from './image.ts';
import type { BootInput } from './input.ts';
import { loadLinux } from './linux.ts';
import { loadMultiboot } from './multiboot.ts';

export { type CpioEntry, readCpio, writeCpio } from './cpio.ts';
export { decompress } from './decompress/index.ts';
export { describeFirmware, LARGEST_FIRMWARE } from './firmware.ts';
export { type DetectedImage, describeInitrd, detectImage } from './image.ts';
export type { BootInput } from './input.ts';
export { LINUX_CMDLINE, linuxCmdline } from './linux-cmdline.ts';

const LOADERS: Readonly<Record<ImageKind, (input: BootInput, env: BootEnvironment) => BootPlan>> = {
  linux: loadLinux,
  memtest: loadLinux,
  multiboot: loadMultiboot,
  elf: loadElf,
  flat: loadFlat,
  firmware: loadFirmware,
};

/**
 * Decides what the kernel is and how it is entered. Pure: the caller applies the plan to RAM and to vCPU 0.
 * Throws BulkheadError BH3xx for everything that is wrong with the files or does not fit the partition.
 */
export function loadBoot(source: BootInput, env: BootEnvironment): BootPlan {
  const image = detectImage(source.kernel, source.kernelName, source.protocol);
  return LOADERS[image.kind]({ ...source, kernel: image.data }, env);
}
