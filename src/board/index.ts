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
export { type DeviceModelFacts, deviceOfModule, factsOf, type ModuleProblem } from './devices/device-module.ts';
export { defineDevice } from './devices/define-device.ts';
export { CALL_COUNT, CALL_DEVICE, type DeviceCalls, GuardedDevice } from './devices/guarded-device.ts';
export { DebugExit } from './chips/debug-exit.ts';
export { I82540em } from './chips/i82540em.ts';
export { I8042 } from './chips/i8042.ts';
export { Telemetry, TELEMETRY_SIGNATURE, type TelemetryReport } from './chips/telemetry.ts';
export { Uart16550 } from './chips/uart16550.ts';
export { Stdvga } from './chips/stdvga.ts';
export { Vga } from './chips/vga.ts';
export { type CellPlace, drawPicture, type Picture, screenText, textCursor } from './display/index.ts';
export { KEYS, keyNumber } from './input/keys.ts';
export { keystrokes } from './input/keystrokes.ts';
export { ADDRESS_BYTES, derivedMacAddress, formatMacAddress, MAC_PATTERN, MAXIMUM_FRAME_BYTES, MINIMUM_FRAME_BYTES, parseMacAddress, UNPLUGGED } from './ethernet.ts';
export { checkReceived, fold, onesComplementSum } from './internet-checksum.ts';
export { createPhysicalMemory, GuestMemory, pcRamRegions } from './memory.ts';
export type { PciFunction } from './pci/pci-function.ts';
export { PciConfigSpace } from './pci/pci-function.ts';
export { createWire, unplugWire, type WireBuffers, WireEnd } from './wire.ts';
export { createPlatform, type FirmwareRom, Platform, type PlatformOptions, type PlatformState } from './platform.ts';
export { attachDevice, FakePower, type FakeSlot, FakeTerminal, fakeSlot, ManualClock, RecordingLine } from './testing.ts';
