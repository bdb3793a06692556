/**
 * `bulkhead/device`: what a module that describes a device imports. Types of everything a device may touch, `defineDevice`, and the few
 * helpers our own devices are made with.
 */
export { KiB, MiB, ms, s, us } from '../../base/index.ts';
export type {
  AccessSize,
  Bytes,
  Clock,
  DeviceSlot,
  DeviceState,
  DmaPort,
  Gpa,
  IoHandler,
  IoRange,
  IrqLine,
  Logger,
  Nanos,
  PciBar,
  PciFunctionDescription,
  PciFunctionPort,
  PciIdentity,
} from '../../contracts/index.ts';
export type { Chip, Wired } from '../attached-chip.ts';
export { type ByteRegisters, byteWide } from '../byte-wide.ts';
export type { DeviceModel, DevicePlace } from '../catalogue.ts';
export { type DefinedOption, type DefinedOptions, defineDevice, type DeviceDefinition, type DeviceDetails, type OptionValues } from './define-device.ts';
