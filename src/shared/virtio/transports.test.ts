/** What both transports promise a driver (VIRTIO 1.2 §2, §3, §4), with a device that keeps what it was told. */
import { describe, expect, it } from 'vitest';
import { fakeSlot } from '../../board/index.ts';
import type { AccessSize, DeviceState } from '../../contracts/index.ts';
import type { SplitQueue } from './split-queue.ts';
import { overMmio, overPci, TRANSPORTS, VirtioDriver } from './testing.ts';
import { readConfigBytes, type VirtioDevice, type VirtioHost } from './virtio-device.ts';
import { VIRTIO_MMIO_BYTES, VirtioMmio } from './virtio-mmio.ts';
import { VirtioPci } from './virtio-pci.ts';
import { F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1 } from './virtio-transport.ts';

class NotedDevice implements VirtioDevice {
  readonly id = 42;
  readonly pciClass = 0xff_0000;
  readonly features = (1n << 5n) | (1n << 40n);
  readonly queueSizes = [64, 8];
  readonly configBytes = 12;
  readonly config = Uint8Array.from({ length: 12 }, (_, index) => index + 1);
  readonly calls: string[] = [];
  host: VirtioHost | undefined;
  queues: readonly (SplitQueue | undefined)[] = [];

  attach = (host: VirtioHost): void => void (this.host = host);
  readConfig = (offset: number, size: AccessSize): number => readConfigBytes(this.config, offset, size);
  writeConfig = (offset: number, size: AccessSize, value: number): void => void this.calls.push(`config ${offset}/${size} = ${value}`);
  notify = (queue: number): void => void this.calls.push(`notify ${queue}`);
  reset = (): void => void this.calls.push('reset');
  save = (): DeviceState => ({ version: 1, note: 7 });
  restore = (state: DeviceState): void => void this.calls.push(`restore ${state['note']}`);

  activate(queues: readonly (SplitQueue | undefined)[], features: bigint): void {
    this.queues = queues;
    this.calls.push(`activate ${queues.map((queue) => queue?.size ?? 0).join(',')} 0x${features.toString(16)}`);
  }
}

const NEEDS_RESET = 64;

describe.each(TRANSPORTS)('over %s', (_, over) => {
  const made = () => {
    const device = new NotedDevice();
    const driver = VirtioDriver.on(device, over);
    device.calls.length = 0;
    return { device, driver, access: driver.access };
  };

  it('a device is found with its features, those of its queues, and VERSION_1', () => {
    const { access } = made();
    expect(access.features()).toBe((1n << 5n) | (1n << 40n) | F_VERSION_1 | F_INDIRECT_DESC | F_EVENT_IDX);
    expect([0, 1, 2].map((index) => access.maximumSize(index))).toEqual([64, 8, 0]);
    expect(access.status()).toBe(0);
  });

  it('it becomes active when the driver says DRIVER_OK, not before, and not twice', () => {
    const { device, driver, access } = made();
    access.setStatus(1);
    access.setStatus(3);
    access.accept((1n << 40n) | F_VERSION_1);
    access.setStatus(11);
    access.notify(0);
    expect(device.calls).toEqual([]);
    driver.start(1n << 40n, 4);
    access.setStatus(15);
    driver.access.notify(1);
    driver.access.notify(2);
    expect(device.calls).toEqual(['reset', 'activate 4,4 0x10100000000', 'notify 1']);
  });

  it('features it did not offer are not accepted, nor is a driver without VERSION_1 (§2.2.2, §6.2)', () => {
    for (const features of [F_VERSION_1 | (1n << 6n), 1n << 5n, 0n]) {
      const { access } = made();
      access.setStatus(3);
      access.accept(features);
      access.setStatus(11);
      expect(access.status()).toBe(3);
    }
  });

  it('features cannot be changed once they were accepted', () => {
    const { device, access } = made();
    access.setStatus(3);
    access.accept(F_VERSION_1);
    access.setStatus(11);
    access.accept(F_VERSION_1 | (1n << 5n));
    access.setStatus(15);
    expect(device.calls).toEqual(['activate 0,0 0x100000000']);
  });

  it('status bits cannot be taken back but by reset (§2.1.1)', () => {
    const { access } = made();
    access.setStatus(3);
    access.setStatus(1);
    expect(access.status()).toBe(3);
    access.setStatus(0);
    expect(access.status()).toBe(0);
  });

  it('a queue without a power of two, or larger than offered, keeps the size it had', () => {
    const { device, access } = made();
    access.setStatus(3);
    access.accept(F_VERSION_1);
    access.setStatus(11);
    access.setUpQueue(0, 48, { descriptors: 0x1000, available: 0x2000, used: 0x3000 });
    access.setUpQueue(1, 16, { descriptors: 0x4000, available: 0x5000, used: 0x6000 });
    access.setUpQueue(7, 16, { descriptors: 0x4000, available: 0x5000, used: 0x6000 });
    access.setStatus(15);
    expect(device.calls).toEqual(['activate 64,8 0x100000000']);
  });

  it('queues above 4 GiB are addressed as they are, and refused where there is no RAM', () => {
    const { access } = made();
    access.setStatus(3);
    access.accept(F_VERSION_1);
    access.setStatus(11);
    access.setUpQueue(0, 8, { descriptors: 0x1_0000_1000, available: 0x2000, used: 0x3000 });
    access.setStatus(15);
    expect(access.status() & NEEDS_RESET).toBe(NEEDS_RESET);
  });

  it('its configuration is read and written at any width, and nothing lies behind it', () => {
    const { device, access } = made();
    expect([access.readConfig(0, 1), access.readConfig(2, 2), access.readConfig(8, 4)]).toEqual([1, 0x0403, 0x0c0b0a09]);
    access.writeConfig(4, 2, 0xabcd);
    access.writeConfig(11, 1, 5);
    access.writeConfig(12, 4, 9);
    expect(access.readConfig(12, 4)).toBe(0);
    expect(device.calls).toEqual(['config 4/2 = 43981', 'config 11/1 = 5']);
  });

  it('a change of configuration changes the generation, and interrupts a driver that runs (§2.5.1)', () => {
    const { device, driver, access } = made();
    const before = access.generation();
    device.host?.configChanged();
    expect(access.generation()).not.toBe(before);
    expect(access.interrupts()).toBe(0);
    driver.start();
    device.host?.configChanged();
    expect(access.interrupts()).toBe(2);
    expect(access.interrupts()).toBe(0);
  });

  it('a device that fails says so once, and does nothing more until it is reset', () => {
    const { device, driver, access } = made();
    driver.start();
    device.calls.length = 0;
    device.host?.fail('this');
    device.host?.fail('that');
    access.notify(0);
    expect(access.status() & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(driver.slot.messages.filter((message) => message.includes('stands still'))).toHaveLength(1);
    expect(device.calls).toEqual([]);
    driver.start();
    access.notify(0);
    expect(device.calls).toEqual(['reset', 'activate 16,8 0x100000000', 'notify 0']);
  });

  it('comes back as it was from what was saved', () => {
    const { device, driver, access } = made();
    driver.start(1n << 5n);
    const saved = JSON.parse(JSON.stringify(access.transport.save()));
    access.setStatus(0);
    device.calls.length = 0;
    access.transport.restore(saved);
    expect(device.calls).toEqual(['reset', 'activate 16,8 0x100000020', 'restore 7']);
    expect(access.status()).toBe(15);
  });
});

describe('PCI alone', () => {
  const made = () => {
    const slot = fakeSlot();
    const device = new NotedDevice();
    const pci = new VirtioPci({ name: 'device', device, log: slot.log, pci: (description) => slot.pci(description) });
    const [port] = slot.functions;
    if (port === undefined) throw new Error('there is no function');
    return { slot, device, pci, port };
  };

  /** Capabilities by type: register, BAR, offset, length (§4.1.4). */
  const capabilities = ({ port }: ReturnType<typeof made>) => {
    const found = new Map<number, readonly number[]>();
    for (let at = port.readConfig(0x34, 1); at !== 0; at = port.readConfig(at + 1, 1)) {
      if (port.readConfig(at, 1) !== 9) continue;
      found.set(port.readConfig(at + 3, 1), [at, port.readConfig(at + 4, 1), port.readConfig(at + 8, 4), port.readConfig(at + 12, 4)]);
    }
    return found;
  };

  it('is a non-transitional device, with a capability for each structure (§4.1.2, §4.1.4)', () => {
    const pci = made();
    const { port } = pci;
    expect([port.readConfig(0, 2), port.readConfig(2, 2)]).toEqual([0x1af4, 0x1040 + 42]);
    expect(port.readConfig(8, 1)).toBeGreaterThanOrEqual(1);
    const found = capabilities(pci);
    expect([...found.keys()].sort()).toEqual([1, 2, 3, 4, 5]);
    for (const type of [1, 2, 3, 4]) expect(found.get(type)?.[1]).toBe(4);
    const notify = found.get(2)?.[0] as number;
    expect(port.readConfig(notify + 16, 4)).toBe(4);
  });

  it('lets firmware reach its structures through configuration space (§4.1.4.9)', () => {
    const pci = made();
    const { port, device } = pci;
    const [window = 0] = capabilities(pci).get(5) ?? [];
    const through = (offset: number, length: number) => {
      port.writeConfig(window + 4, 1, 4);
      port.writeConfig(window + 8, 4, offset);
      port.writeConfig(window + 12, 4, length);
    };
    through(0x2004, 4);
    expect(port.readConfig(window + 16, 4)).toBe(0x08070605);
    through(0x14, 1);
    port.writeConfig(window + 16, 1, 3);
    expect(port.readConfig(window + 16, 1)).toBe(3);
    through(0x2002, 2);
    port.writeConfig(window + 16, 2, 0x1234);
    expect(device.calls).toEqual(['config 2/2 = 4660']);
    // Another BAR, a length that is none, a place beyond: nothing.
    for (const [bar, offset, length] of [[1, 0, 4], [4, 0, 3], [4, 0x4000, 4], [4, 2, 4]] as const) {
      through(offset, length);
      port.writeConfig(window + 4, 1, bar);
      port.writeConfig(window + 16, 4, 0xffff_ffff);
    }
    expect(device.calls).toHaveLength(1);
  });

  it('interrupts by the vectors the driver chose, and refuses those it does not have (§4.1.5.1.2)', () => {
    const { slot, pci, port, device } = made();
    const { registers } = pci;
    const driver = new VirtioDriver(accessTo(pci), slot);
    const msix = [...Array(256).keys()].find((at) => at >= 0x40 && port.readConfig(at & ~3, 1) === 0x11 && (at & 3) === 0) as number;
    port.writeConfig(msix + 2, 2, 0x8000);
    const table = port.barAddress(1) as number;
    for (const vector of [0, 1, 2]) {
      slot.bus.write('mmio', table + 16 * vector, 4, 0xfee0_0000);
      slot.bus.write('mmio', table + 16 * vector + 8, 4, 0x40 + vector);
      slot.bus.write('mmio', table + 16 * vector + 12, 4, 0);
    }
    driver.start();
    registers.write(0x10, 2, 0);
    registers.write(0x16, 2, 1);
    registers.write(0x1a, 2, 2);
    expect(registers.read(0x1a, 2)).toBe(2);
    registers.write(0x16, 2, 0);
    registers.write(0x1a, 2, 3);
    expect(registers.read(0x1a, 2)).toBe(0xffff);
    device.host?.configChanged();
    expect(slot.msis).toEqual([[0xfee0_0000, 0x40]]);
    driver.queue(1).add({ writable: [1] });
    const queue = device.queues[1];
    queue?.complete(queue.take() as never, 0);
    queue?.announce();
    expect(slot.msis.at(-1)).toEqual([0xfee0_0000, 0x42]);
    expect(port.interruptAsserted).toBe(false);
  });

  it('holds INTA# until the reason was read (§4.1.5.3)', () => {
    const { slot, pci, port, device } = made();
    new VirtioDriver(accessTo(pci), slot).start();
    device.host?.configChanged();
    expect(port.interruptAsserted).toBe(true);
    expect(pci.registers.read(0x1000, 1)).toBe(2);
    expect(port.interruptAsserted).toBe(false);
  });

  it('reaches nothing while bus mastering is off, and says so to its driver', () => {
    const { slot, pci, port } = made();
    const driver = new VirtioDriver(accessTo(pci), slot);
    port.writeConfig(4, 2, port.readConfig(4, 2) & ~4);
    driver.start();
    expect(driver.access.status() & NEEDS_RESET).toBe(NEEDS_RESET);
  });

  /** The registers of one that is there already. */
  function accessTo(pci: VirtioPci) {
    const inner = overPci(new NotedDevice());
    return redirected(inner, pci);
  }
});

describe('memory-mapped registers alone', () => {
  it('begin with "virt", version 2 and the device ID; wrong widths read as 0 (§4.2.2)', () => {
    const slot = fakeSlot();
    const mmio = new VirtioMmio({ name: 'device', device: new NotedDevice(), dma: slot.dma, log: slot.log, line: slot.irq(23) });
    expect([0, 4, 8].map((at) => mmio.read(at, 4))).toEqual([0x7472_6976, 2, 42]);
    expect([mmio.read(0, 1), mmio.read(8, 2)]).toEqual([0, 0]);
    expect(mmio.read(0xb0, 4)).toBe(0xffff_ffff);
    expect(mmio.read(VIRTIO_MMIO_BYTES - 4, 4)).toBe(0);
  });

  it('hold the line until the reason was acknowledged', () => {
    const slot = fakeSlot();
    const device = new NotedDevice();
    const driver = new VirtioDriver(overMmio(device, slot), slot).start();
    device.host?.configChanged();
    expect(slot.lines.get(23)?.level).toBe(true);
    expect(driver.access.interrupts()).toBe(2);
    expect(slot.lines.get(23)?.level).toBe(false);
  });
});

/** `access` with the common operations sent to another function's registers. */
function redirected(access: ReturnType<typeof overPci>, { registers, transport }: VirtioPci): ReturnType<typeof overPci> {
  return {
    ...access,
    transport,
    status: () => registers.read(0x14, 1),
    setStatus: (value) => registers.write(0x14, 1, value),
    accept(features) {
      for (const select of [0, 1]) {
        registers.write(0x08, 4, select);
        registers.write(0x0c, 4, Number((features >> BigInt(32 * select)) & 0xffff_ffffn));
      }
    },
    maximumSize(index) {
      registers.write(0x16, 2, index);
      return registers.read(0x18, 2);
    },
    setUpQueue(index, size, { descriptors, available, used }) {
      registers.write(0x16, 2, index);
      registers.write(0x18, 2, size);
      for (const [part, address] of [descriptors, available, used].entries()) registers.write(0x20 + 8 * part, 4, address);
      registers.write(0x1c, 2, 1);
    },
    notify: (index) => registers.write(0x3000 + 4 * index, 2, index),
  };
}
