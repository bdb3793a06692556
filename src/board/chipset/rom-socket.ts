/**
 * What a board has for its firmware: the ROM, whose last byte is the last below 4 GiB, its mirror below 1 MiB with the RAM that can take
 * its place, and the configuration device.
 *
 * Spec: Intel 82371SB (PIIX3) datasheet §4.1 (where the ROM is decoded), SDM 3A §10.1.4 (the first instruction).
 * Not modelled: programming the ROM; writes are dropped.
 */
import { GiB } from '../../base/index.ts';
import type { Bus, DeviceState, IoHandler, PhysicalMemory } from '../../contracts/index.ts';
import { FW_CFG_BASE, FW_CFG_BYTES, FwCfg, type FwCfgOptions } from '../chips/fw-cfg.ts';
import { SHADOW_BASE, SHADOW_END, ShadowRam } from './shadow-ram.ts';

const ROM_END = 4 * GiB;
const OWNER = 'firmware';

export class RomSocket {
  readonly shadow: ShadowRam;
  readonly #memory: PhysicalMemory;
  readonly #offset: number;
  readonly #size: number;
  #configuration: FwCfg | undefined;

  /** `image` is whole pages. Throws BH401 when `memory` has no room beside RAM. */
  constructor(memory: PhysicalMemory, image: Uint8Array) {
    this.#memory = memory;
    this.#size = image.length;
    this.#offset = memory.reserve(image.length, OWNER);
    memory.bytes.set(image, this.#offset);
    memory.overlay(ROM_END - image.length, image.length, this.#offset, 'ro');
    this.shadow = new ShadowRam(memory, { offset: this.#offset, size: image.length });
  }

  /** What the processors' own loads and stores do not reach goes over the bus. Throws BH210 when something is in the way. */
  attach(bus: Pick<Bus, 'claim'>, options: FwCfgOptions): void {
    const configuration = new FwCfg(options);
    this.#configuration = configuration;
    bus.claim({ space: 'mmio', base: ROM_END - this.#size, size: this.#size }, OWNER, this.#rom());
    bus.claim({ space: 'mmio', base: SHADOW_BASE, size: SHADOW_END - SHADOW_BASE }, OWNER, this.shadow.handler);
    bus.claim({ space: 'pio', base: FW_CFG_BASE, size: FW_CFG_BYTES }, OWNER, configuration);
  }

  reset(): void {
    this.shadow.reset();
    this.#configuration?.reset();
  }

  save(): DeviceState {
    return { version: 1, shadow: this.shadow.save(), configuration: this.#configuration?.save() };
  }

  restore(state: DeviceState): void {
    this.shadow.restore(state['shadow'] as DeviceState);
    this.#configuration?.restore(state['configuration'] as DeviceState);
  }

  #rom(): IoHandler {
    const { bytes } = this.#memory;
    return {
      read: (offset, size) => {
        let value = 0;
        for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[this.#offset + offset + i] as number);
        return value;
      },
      write: () => undefined,
    };
  }
}
