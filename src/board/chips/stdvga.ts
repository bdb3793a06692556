/**
 * The "standard VGA" PCI function 1234:1111: a VGA, Bochs VBE registers, display memory as BAR 0, and the same registers once more in the
 * memory of BAR 2, where a driver that does not want ports finds them.
 *
 *     BAR 2   0x000 EDID    0x400 ports 0x3C0–0x3DF    0x500 DISPI registers    0x600 extended registers
 *
 * Spec: QEMU's description of its stdvga device (docs/specs/standard-vga), which Linux's bochs-drm and the Bochs VGABIOS drive; PCI 3.0.
 * Not modelled: the big-endian framebuffer (extended register 0x604 reads as little-endian and stays so).
 */
import type {
  AccessSize,
  Clock,
  DeviceState,
  DisplayBuffers,
  IoHandler,
  PciFunctionDescription,
  PciFunctionPort,
} from '../../contracts/index.ts';
import { edidOf } from '../display/edid.ts';
import { BochsVbe } from './bochs-vbe.ts';
import { Vga, VGA_COLOUR_PORTS } from './vga.ts';

const MMIO_BYTES = 0x1000;
const MMIO_VGA = 0x400;
const MMIO_VGA_BYTES = 0x20;
const MMIO_DISPI = 0x500;
const MMIO_DISPI_BYTES = 0x16;
const MMIO_EXTENDED = 0x600;
const EXTENDED_BYTES = 8;
const LITTLE_ENDIAN = 0x1e1e_1e1e;

export const STDVGA_FRAMEBUFFER_BAR = 0;
const DISPI_INDEX = 0;

/** A mode the board comes up in, as firmware would have set it. */
export interface StartMode {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
}

export interface StdvgaOptions {
  readonly clock: Clock;
  readonly memoryBytes: number;
  /** What the monitor prefers. */
  readonly preferred: { readonly width: number; readonly height: number };
  /** Absent: text mode. */
  readonly start?: StartMode;
  readonly rom?: Uint8Array;
}

export class Stdvga {
  readonly #options: StdvgaOptions;
  readonly #edid: Uint8Array;
  #vga: Vga | undefined;
  #vbe: BochsVbe | undefined;
  #port: PciFunctionPort | undefined;

  constructor(options: StdvgaOptions) {
    this.#options = options;
    this.#edid = edidOf(options.preferred.width, options.preferred.height);
  }

  /** What to put into a PCI slot; `connect` follows with the port of that slot. */
  get description(): PciFunctionDescription {
    const { memoryBytes, rom } = this.#options;
    return {
      identity: { vendor: 0x1234, device: 0x1111, classCode: 0x03_0000, revision: 2, subsystemVendor: 0x1af4, subsystem: 0x1100 },
      bars: [
        { kind: 'memory', size: memoryBytes, prefetchable: true, name: 'framebuffer' },
        undefined,
        { kind: 'mmio', size: MMIO_BYTES, handler: this.registers },
      ],
      ...(rom === undefined ? {} : { rom }),
    };
  }

  /** Display memory exists from here on. */
  connect(port: PciFunctionPort): void {
    const memory = port.memoryOf(STDVGA_FRAMEBUFFER_BAR) ?? new Uint8Array(new SharedArrayBuffer(this.#options.memoryBytes));
    this.#port = port;
    this.#vga = new Vga({ clock: this.#options.clock, memory });
    this.#vbe = new BochsVbe(this.#vga.block, memory);
    this.reset();
  }

  get vga(): Vga {
    return this.#vga as Vga;
  }

  get vbe(): BochsVbe {
    return this.#vbe as BochsVbe;
  }

  get buffers(): DisplayBuffers {
    return this.vga.buffers;
  }

  /** The start mode and where its pixels are; undefined in text mode, or while the framebuffer has no address. */
  get framebuffer(): (StartMode & { readonly base: number; readonly size: number; readonly pitch: number }) | undefined {
    const { start, memoryBytes } = this.#options;
    const base = this.#port?.barAddress(STDVGA_FRAMEBUFFER_BAR);
    if (start === undefined || base === undefined) return undefined;
    return { ...start, base, size: memoryBytes, pitch: start.width * (start.depth >> 3) };
  }

  reset(): void {
    this.vga.reset();
    this.vbe.reset();
    const { start } = this.#options;
    if (start !== undefined) this.vbe.setMode(start.width, start.height, start.depth);
  }

  save(): DeviceState {
    return { version: 1, vga: this.vga.save(), dispiIndex: this.vbe.index };
  }

  restore(state: DeviceState): void {
    this.vga.restore(state['vga'] as DeviceState);
    this.vbe.index = state['dispiIndex'] as number;
  }

  /**
   * Ports 0x1CE (index) and 0x1CF, 0x1D0 (data; some drivers want it aligned), as offsets. Registers are 16 bits wide; a byte is their
   * low half.
   */
  readonly dispi: IoHandler = {
    read: (offset: number, size: AccessSize): number => {
      const value = offset === DISPI_INDEX ? this.vbe.index : this.vbe.readData();
      return size === 1 ? value & 0xff : value;
    },
    write: (offset: number, _size: AccessSize, value: number): void => {
      if (offset === DISPI_INDEX) this.vbe.index = value;
      else this.vbe.writeData(value & 0xffff);
    },
  };

  /** BAR 2. */
  readonly registers: IoHandler = {
    read: (offset: number, size: AccessSize): number => {
      let value = 0;
      for (let i = 0; i < size; i++) value |= this.#readRegister(offset + i) << (8 * i);
      return value >>> 0;
    },
    write: (offset: number, size: AccessSize, value: number): void => {
      if (offset >= MMIO_DISPI && offset < MMIO_DISPI + MMIO_DISPI_BYTES) {
        // 16-bit registers: a byte alone would be half a value, and is dropped.
        for (let i = 0; i + 2 <= size; i += 2) this.vbe.write((offset + i - MMIO_DISPI) >> 1, (value >>> (8 * i)) & 0xffff);
        return;
      }
      for (let i = 0; i < size; i++) {
        const at = offset + i - MMIO_VGA;
        if (at >= 0 && at < MMIO_VGA_BYTES) this.vga.write(at + VGA_COLOUR_PORTS, (value >>> (8 * i)) & 0xff);
      }
    },
  };

  #readRegister(offset: number): number {
    if (offset < this.#edid.length) return this.#edid[offset] as number;
    if (offset >= MMIO_VGA && offset < MMIO_VGA + MMIO_VGA_BYTES) return this.vga.read(offset - MMIO_VGA + VGA_COLOUR_PORTS);
    if (offset >= MMIO_DISPI && offset < MMIO_DISPI + MMIO_DISPI_BYTES) {
      return (this.vbe.read((offset - MMIO_DISPI) >> 1) >> (8 * (offset & 1))) & 0xff;
    }
    if (offset >= MMIO_EXTENDED && offset < MMIO_EXTENDED + EXTENDED_BYTES) {
      const value = offset < MMIO_EXTENDED + 4 ? EXTENDED_BYTES : LITTLE_ENDIAN;
      return (value >>> (8 * (offset & 3))) & 0xff;
    }
    return 0;
  }
}
