/** The board: everything a partition can own. */
export { AttachedChip, type Chip, type Wired } from './attached-chip.ts';
export { SystemBus } from './bus.ts';
export { byteWide, type ByteRegisters } from './byte-wide.ts';
export {
  DEVICE_CATALOGUE,
  describeOption,
  type DeviceCatalogue,
  type DeviceEnvironment,
  type DeviceModel,
  type DeviceOption,
  type DevicePlace,
  optionValue,
} from './catalogue.ts';
export { DebugExit } from './chips/debug-exit.ts';
export { Hctl2016, type ShaftOptions, shaftPosition } from './chips/hctl2016.ts';
export { I8042 } from './chips/i8042.ts';
export { Telemetry, TELEMETRY_SIGNATURE, type TelemetryReport } from './chips/telemetry.ts';
export { Uart16550 } from './chips/uart16550.ts';
export { VgaText } from './chips/vga-text.ts';
export { createPhysicalMemory, GuestMemory, pcRamRegions } from './memory.ts';
export type { PciFunction } from './pci/pci-function.ts';
export { PciConfigSpace } from './pci/pci-function.ts';
export { createPlatform, Platform, type PlatformOptions, type PlatformState } from './platform.ts';
