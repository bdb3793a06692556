/** Every rule, in the order of their codes. One property each, one file each. */
import type { Rule } from '../rule.ts';
import { boardDeviceKnown } from './board-device-known.ts';
import { boardDeviceOwner } from './board-device-owner.ts';
import { boardDeviceUnused } from './board-device-unused.ts';
import { boardIrq } from './board-irq.ts';
import { boardMmio } from './board-mmio.ts';
import { boardPorts } from './board-ports.ts';
import { bootFileExists } from './boot-file-exists.ts';
import { bootFileFetched } from './boot-file-fetched.ts';
import { bootFileKind } from './boot-file-kind.ts';
import { bootFirmwareKind } from './boot-firmware-kind.ts';
import { bootFitsMemory } from './boot-fits-memory.ts';
import { bootFlat } from './boot-flat.ts';
import { bootInitrdKind } from './boot-initrd-kind.ts';
import { bootInitrdUse } from './boot-initrd-use.ts';
import { bootSource } from './boot-source.ts';
import { consoleDevice } from './console-device.ts';
import { consoleWays } from './console-ways.ts';
import { coreExists } from './core-exists.ts';
import { coreOnce } from './core-once.ts';
import { cpuFeatureKnown } from './cpu-feature-known.ts';
import { cpuFeatureNeeds } from './cpu-feature-needs.ts';
import { coreOwner } from './core-owner.ts';
import { coreSome } from './core-some.ts';
import { crashLimit } from './crash-limit.ts';
import { deviceModel } from './device-model.ts';
import { deviceModule } from './device-module.ts';
import { deviceOptionKnown } from './device-option-known.ts';
import { deviceOptionValue } from './device-option-value.ts';
import { devicePlaced } from './device-placed.ts';
import { deviceSource } from './device-source.ts';
import { diskImage } from './disk-image.ts';
import { diskOwner } from './disk-owner.ts';
import { diskWindow } from './disk-window.ts';
import { exclusiveAlone } from './exclusive-alone.ts';
import { grantKnown } from './grant-known.ts';
import { ioInSpace } from './io-in-space.ts';
import { memoryAligned } from './memory-aligned.ts';
import { memoryFits } from './memory-fits.ts';
import { memoryMaximum } from './memory-maximum.ts';
import { memoryMinimum } from './memory-minimum.ts';
import { memoryOwner } from './memory-owner.ts';
import { mediumExists } from './medium-exists.ts';
import { mediumOwner } from './medium-owner.ts';
import { mediumSize } from './medium-size.ts';
import { mmioOverRam } from './mmio-over-ram.ts';
import { partitionIrq } from './partition-irq.ts';
import { partitionMmio } from './partition-mmio.ts';
import { partitionPorts } from './partition-ports.ts';
import { networkAddress } from './network-address.ts';
import { networkForwards } from './network-forwards.ts';
import { networkHost } from './network-host.ts';
import { networkStations } from './network-stations.ts';
import { networkSubnet } from './network-subnet.ts';
import { platformSpace } from './platform-space.ts';
import { rtosCoreZero } from './rtos-core-zero.ts';
import { sharedConsole } from './shared-console.ts';
import { sharedGranted } from './shared-granted.ts';
import { sharedKeys } from './shared-keys.ts';
import { sharedKnown } from './shared-known.ts';
import { sharedMemory } from './shared-memory.ts';
import { sharedModel } from './shared-model.ts';
import { somePartition } from './some-partition.ts';
import { wireEnds } from './wire-ends.ts';
import { wireHost } from './wire-host.ts';
import { wireKnown } from './wire-known.ts';
import { wireStations } from './wire-stations.ts';
import { wireUsed } from './wire-used.ts';
import { validNames } from './valid-names.ts';

export const RULES: readonly Rule[] = [
  validNames,
  somePartition,
  deviceModel,
  deviceOptionKnown,
  deviceOptionValue,
  devicePlaced,
  deviceSource,
  ioInSpace,
  consoleDevice,
  cpuFeatureKnown,
  cpuFeatureNeeds,
  deviceModule,
  coreOwner,
  coreExists,
  coreOnce,
  coreSome,
  rtosCoreZero,
  memoryOwner,
  memoryFits,
  memoryMinimum,
  memoryAligned,
  memoryMaximum,
  boardDeviceOwner,
  boardDeviceKnown,
  boardPorts,
  boardMmio,
  boardIrq,
  boardDeviceUnused,
  partitionPorts,
  partitionMmio,
  partitionIrq,
  platformSpace,
  mmioOverRam,
  sharedKnown,
  sharedGranted,
  grantKnown,
  sharedConsole,
  consoleWays,
  sharedMemory,
  sharedKeys,
  sharedModel,
  exclusiveAlone,
  diskImage,
  diskWindow,
  diskOwner,
  networkStations,
  networkAddress,
  networkSubnet,
  networkForwards,
  networkHost,
  wireKnown,
  wireEnds,
  wireStations,
  wireHost,
  wireUsed,
  bootFileExists,
  bootFileFetched,
  bootFileKind,
  bootFlat,
  bootFitsMemory,
  bootInitrdUse,
  bootInitrdKind,
  bootSource,
  bootFirmwareKind,
  crashLimit,
  mediumExists,
  mediumSize,
  mediumOwner,
];
