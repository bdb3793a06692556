/** A virtio device on the board: its transport in the slot the manifest gave it. */
import { AttachedChip } from '../../board/index.ts';
import type { Device, DeviceSlot, DeviceSpec } from '../../contracts/index.ts';
import type { VirtioDevice } from './virtio-device.ts';
import { VirtioMmio } from './virtio-mmio.ts';
import { VirtioPci } from './virtio-pci.ts';

/** `make` is called when the device is attached. */
export function virtioOverPci(spec: DeviceSpec, make: (slot: DeviceSlot) => VirtioDevice): Device {
  return new AttachedChip(spec, (slot) => {
    const chip = new VirtioPci({ name: spec.name, device: make(slot), log: slot.log, pci: (description) => slot.pci(description) });
    return { chip, handlers: [] };
  });
}

export function virtioOverMmio(spec: DeviceSpec, make: (slot: DeviceSlot) => VirtioDevice): Device {
  return new AttachedChip(spec, (slot) => {
    const [irq] = spec.irqs;
    const line = irq === undefined ? { set: () => undefined, pulse: () => undefined } : slot.irq(irq);
    const chip = new VirtioMmio({ name: spec.name, device: make(slot), dma: slot.dma, log: slot.log, line });
    return { chip, handlers: [chip] };
  });
}
