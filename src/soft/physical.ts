/**
 * The physical address space as one core reaches it: RAM, ROM and display memory as host offsets,
 * everything else through the bus. Page granular: a page is RAM when all of it is.
 *
 * Memory that other partitions reach as well lies in no partition's own: it is accessed here, in the largest pieces its alignment allows,
 * each as one ({@link SharedWindow}).
 */
import { SharedWindow } from '../base/index.ts';
import type { AccessSize, IoSpace, MappedRange, PhysicalMemory } from '../contracts/index.ts';
import { PAGE } from './access.ts';
import type { CodePages } from './code-pages.ts';

export class PhysicalSpace {
  readonly #memory: PhysicalMemory;
  readonly #io: IoSpace;
  readonly #codePages: CodePages;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #view: DataView;
  /** Of the page that `hostOf` found last. */
  isWritable = false;

  constructor(memory: PhysicalMemory, io: IoSpace, codePages: CodePages, u8: Uint8Array, u32: Uint32Array, view: DataView) {
    this.#memory = memory;
    this.#io = io;
    this.#codePages = codePages;
    this.#u8 = u8;
    this.#u32 = u32;
    this.#view = view;
  }

  /** Host offset of a physical page, or −1 when it is not RAM; sets `isWritable`. */
  hostOf(physicalPage: number): number {
    const { map } = this.#memory;
    for (let i = 0; i < map.length; i++) {
      const range = map[i] as MappedRange;
      if (physicalPage >= range.base && physicalPage < range.end) {
        this.isWritable = range.access === 'rw';
        return range.offset + (physicalPage - range.base);
      }
    }
    this.isWritable = false;
    return -1;
  }

  /** Copies `size` bytes, within one page, from RAM or a device to `target`. */
  load(physical: number, target: number, size: number): void {
    const page = physical - (physical % PAGE);
    const host = this.hostOf(page);
    if (host >= 0) {
      const from = host + (physical - page);
      for (let i = 0; i < size; i++) this.#u8[target + i] = this.#u8[from + i] as number;
      return;
    }
    const io = this.#io;
    const shared = io.sharedAt?.(physical, size);
    if (shared !== undefined) {
      shared.window.load(physical - shared.base, this.#view, target, size);
      return;
    }
    for (let done = 0; done < size; ) {
      const part = largestAccess(size - done);
      const value = io.read('mmio', physical + done, part);
      if (part === 4) this.#view.setUint32(target + done, value, true);
      else if (part === 2) this.#view.setUint16(target + done, value, true);
      else this.#u8[target + done] = value;
      done += part;
    }
  }

  /** Copies `size` bytes, within one page, from `source` to RAM or a device. ROM takes its writes to the bus, which counts and drops them. */
  store(physical: number, source: number, size: number): void {
    const page = physical - (physical % PAGE);
    const host = this.hostOf(page);
    if (host >= 0 && this.isWritable) {
      const to = host + (physical - page);
      if (this.#codePages.hasCode(host >>> 12)) this.#codePages.storing(to, size);
      for (let i = 0; i < size; i++) this.#u8[to + i] = this.#u8[source + i] as number;
      return;
    }
    const io = this.#io;
    const shared = io.sharedAt?.(physical, size);
    if (shared !== undefined) {
      shared.window.store(physical - shared.base, this.#view, source, size);
      return;
    }
    for (let done = 0; done < size; ) {
      const part = largestAccess(size - done);
      const value =
        part === 4
          ? this.#view.getUint32(source + done, true)
          : part === 2
            ? this.#view.getUint16(source + done, true)
            : (this.#u8[source + done] as number);
      io.write('mmio', physical + done, part, value);
      done += part;
    }
  }

  /** What is read there and stored again can be one access, which {@link replace} makes of it: not of RAM, which one thread has to itself. */
  isExchangeable(physical: number, size: number): boolean {
    const shared = this.#io.sharedAt?.(physical, size);
    return shared !== undefined && SharedWindow.isOnePiece(physical - shared.base, size);
  }

  /** Stores what lies at `source` if what is there is still what `expected` begins with; else false. Only where {@link isExchangeable}. */
  replace(physical: number, expected: DataView, source: number, size: number): boolean {
    const shared = this.#io.sharedAt?.(physical, size);
    return shared === undefined || shared.window.replace(physical - shared.base, expected, this.#view, source, size);
  }

  /** Reads 4 bytes of RAM at a multiple of 4: all ones where there is none. */
  load32(physical: number): number {
    const host = this.hostOf(physical - (physical % PAGE));
    return host < 0 ? 0xffff_ffff : (this.#u32[(host + (physical % PAGE)) >>> 2] as number);
  }
}

function largestAccess(remaining: number): AccessSize {
  return remaining >= 4 ? 4 : remaining >= 2 ? 2 : 1;
}
