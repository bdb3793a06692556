/**
 * PIIX3, function 1: the IDE controller. Two channels at their ISA addresses and lines, bus mastering through BAR 4.
 *
 * Spec: Intel 82371FB/82371SB (PIIX/PIIX3) datasheet, order 290550-002, §2.3 (function 1's configuration space), §2.7 (bus master).
 * Out of reset both channels decode their ports, as firmware leaves them; the chip itself would wait for IDETIM to be written.
 *
 * Not modelled: timing (IDETIM and SIDETIM keep what is written), native PCI mode, swapped channels.
 */
import type { AccessSize, DeviceSlot, DeviceState, IoHandler, IrqLine, Nanos, PciFunctionPort } from '../../contracts/index.ts';
import type { AtaDevice } from '../storage/ata-device.ts';
import { AtaChannel, type AtaChannelState } from './ata-channel.ts';
import { BUS_MASTER_BYTES, BusMasterIde, type BusMasterIdeState } from './bus-master-ide.ts';

/** IDETIM of both channels (§2.3.9), SIDETIM (§2.3.10). */
const IDE_TIMING = 0x40;
const IDE_TIMING_BYTES = 5;
/** High byte of IDETIM: the channel answers at its ports. */
const DECODE_ENABLE = 1 << 7;
const COMMAND = 0x04;
const COMMAND_IO = 1 << 0;
const CHANNELS = 2;

export interface Piix3IdeOptions {
  readonly slot: Pick<DeviceSlot, 'pci' | 'clock'>;
  /** Of the primary and the secondary channel: 14 and 15. */
  readonly lines: readonly [IrqLine, IrqLine];
  /** Primary device 0 and 1, secondary device 0 and 1. */
  readonly drives: readonly (AtaDevice | undefined)[];
  readonly latency: Nanos;
}

export class Piix3Ide {
  /** Command block and control block of each channel, in the order of a manifest's ranges. */
  readonly handlers: readonly IoHandler[];
  readonly #channels: readonly AtaChannel[];
  readonly #busMasters: readonly BusMasterIde[];
  readonly #pci: PciFunctionPort;

  constructor({ slot, lines, drives, latency }: Piix3IdeOptions) {
    this.#pci = slot.pci({
      identity: { vendor: 0x8086, device: 0x7010, classCode: 0x01_0180 },
      place: { device: 1, function: 1 },
      bars: [
        undefined,
        undefined,
        undefined,
        undefined,
        {
          kind: 'pio',
          size: CHANNELS * BUS_MASTER_BYTES,
          handler: {
            read: (offset, size) => this.#busMasters[offset >> 3]?.read(offset & 7, size) ?? 0,
            write: (offset, size, value) => this.#busMasters[offset >> 3]?.write(offset & 7, size, value),
          },
        },
      ],
      registers: [
        {
          at: IDE_TIMING,
          bytes: Uint8Array.of(0, DECODE_ENABLE, 0, DECODE_ENABLE, 0),
          writable: new Uint8Array(IDE_TIMING_BYTES).fill(0xff),
        },
      ],
    });
    this.#busMasters = Array.from(
      { length: CHANNELS },
      (_, index) => new BusMasterIde({ dma: this.#pci.dma, changed: () => this.#channels[index]?.busMasterChanged() }),
    );
    this.#channels = this.#busMasters.map((busMaster, index) => {
      const line = lines[index] as IrqLine;
      return new AtaChannel({
        devices: [drives[2 * index], drives[2 * index + 1]],
        clock: slot.clock,
        latency,
        busMaster,
        interrupt: (level) => line.set(level),
      });
    });
    this.handlers = this.#channels.flatMap((channel, index) => [
      this.#decoded(index, channel.commandBlock),
      this.#decoded(index, channel.controlBlock),
    ]);
  }

  reset(): void {
    for (const busMaster of this.#busMasters) busMaster.reset();
    for (const channel of this.#channels) channel.reset();
  }

  pause(): void {
    for (const channel of this.#channels) channel.pause();
  }

  resume(): void {
    for (const channel of this.#channels) channel.resume();
  }

  save(): DeviceState {
    return {
      version: 1,
      busMasters: this.#busMasters.map((busMaster) => busMaster.save()),
      channels: this.#channels.map((channel) => channel.save()),
    };
  }

  restore(state: DeviceState): void {
    const { busMasters, channels } = state as unknown as { busMasters: readonly BusMasterIdeState[]; channels: readonly AtaChannelState[] };
    for (const [index, busMaster] of this.#busMasters.entries()) busMaster.restore(busMasters[index] as BusMasterIdeState);
    for (const [index, channel] of this.#channels.entries()) channel.restore(channels[index] as AtaChannelState);
  }

  /** Only while the function decodes I/O and the channel its ports (§2.3.9). */
  #decoded(channel: number, handler: IoHandler): IoHandler {
    const decodes = (): boolean =>
      (this.#pci.config(COMMAND) & COMMAND_IO) !== 0 && (this.#pci.config(IDE_TIMING + 2 * channel + 1) & DECODE_ENABLE) !== 0;
    return {
      read: (offset, size) => (decodes() ? handler.read(offset, size) : ALL_ONES[size]),
      write: (offset, size, value) => {
        if (decodes()) handler.write(offset, size, value);
      },
    };
  }
}

/** What nobody answers. */
const ALL_ONES: Readonly<Record<AccessSize, number>> = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff };
