/**
 * The one way from devices to RAM. Whatever a guest tells its devices to read or write, they reach the RAM of their own partition and
 * nothing else: addresses are guest-physical and looked up in that partition's memory, as an IOMMU would do it. What lies outside is
 * refused, counted and reported with device and address.
 *
 * Not modelled: DMA from one device into another's registers or memory (peer to peer).
 */
import { copyBytes } from '../base/index.ts';
import type { Bytes, DmaPort, Gpa, Logger, PhysicalMemory } from '../contracts/index.ts';

/** Refusals of one device that are reported one by one; after that, each time their number has doubled. */
const REPORTED_SINGLY = 4;

export interface DmaGateOptions {
  readonly memory: PhysicalMemory;
  readonly log: Logger;
  /** An access outside RAM ends the partition: called once, with what happened in words. Absent: it is reported and the partition goes on. */
  readonly stop?: ((cause: string) => void) | undefined;
}

/** What a port needs to know of its device. */
export interface DmaMaster {
  readonly name: string;
  /** Bus mastering is on. Absent: always. */
  enabled?(): boolean;
  /** An access was refused: PCI functions note a master abort. */
  refused?(): void;
}

export class DmaGate {
  readonly #options: DmaGateOptions;
  readonly #ports: { readonly device: string; readonly port: CheckedDmaPort }[] = [];

  constructor(options: DmaGateOptions) {
    this.#options = options;
  }

  port(master: DmaMaster): DmaPort {
    const port = new CheckedDmaPort(master, this.#options);
    this.#ports.push({ device: master.name, port });
    return port;
  }

  /** Accesses refused so far, of all devices. */
  get violations(): number {
    let sum = 0;
    for (const { port } of this.#ports) sum += port.violations;
    return sum;
  }

  /** By device, those that have any. */
  violators(): { readonly device: string; readonly violations: number }[] {
    const sums = new Map<string, number>();
    for (const { device, port } of this.#ports) sums.set(device, (sums.get(device) ?? 0) + port.violations);
    return [...sums].filter(([, violations]) => violations > 0).map(([device, violations]) => ({ device, violations }));
  }
}

class CheckedDmaPort implements DmaPort {
  violations = 0;
  readonly #master: DmaMaster;
  readonly #memory: PhysicalMemory;
  readonly #log: Logger;
  readonly #stop: ((cause: string) => void) | undefined;
  readonly #view: DataView;
  readonly #hasRom: boolean;

  constructor(master: DmaMaster, { memory, log, stop }: DmaGateOptions) {
    this.#master = master;
    this.#memory = memory;
    this.#log = log;
    this.#stop = stop;
    this.#view = new DataView(memory.bytes.buffer);
    this.#hasRom = memory.regions.some(({ access }) => access === 'ro');
  }

  read(gpa: Gpa, target: Uint8Array, at = 0, size = target.length - at): boolean {
    const offset = this.#readable(gpa, size);
    if (offset < 0) return false;
    copyBytes(target, at, this.#memory.bytes, offset, size);
    return true;
  }

  write(gpa: Gpa, source: Uint8Array, at = 0, size = source.length - at): boolean {
    const offset = this.#writable(gpa, size);
    if (offset < 0) return false;
    this.#memory.written(gpa, size);
    copyBytes(this.#memory.bytes, offset, source, at, size);
    return true;
  }

  read16(gpa: Gpa): number | undefined {
    const offset = this.#readable(gpa, 2);
    return offset < 0 ? undefined : this.#view.getUint16(offset, true);
  }

  read32(gpa: Gpa): number | undefined {
    const offset = this.#readable(gpa, 4);
    return offset < 0 ? undefined : this.#view.getUint32(offset, true);
  }

  read64(gpa: Gpa): bigint | undefined {
    const offset = this.#readable(gpa, 8);
    return offset < 0 ? undefined : this.#view.getBigUint64(offset, true);
  }

  write16(gpa: Gpa, value: number): boolean {
    const offset = this.#writable(gpa, 2);
    if (offset < 0) return false;
    this.#memory.written(gpa, 2);
    this.#view.setUint16(offset, value, true);
    return true;
  }

  write32(gpa: Gpa, value: number): boolean {
    const offset = this.#writable(gpa, 4);
    if (offset < 0) return false;
    this.#memory.written(gpa, 4);
    this.#view.setUint32(offset, value, true);
    return true;
  }

  write64(gpa: Gpa, value: bigint): boolean {
    const offset = this.#writable(gpa, 8);
    if (offset < 0) return false;
    this.#memory.written(gpa, 8);
    this.#view.setBigUint64(offset, value, true);
    return true;
  }

  window(gpa: Gpa, size: Bytes): Uint8Array | undefined {
    const offset = this.#writable(gpa, size);
    return offset < 0 ? undefined : this.#memory.bytes.subarray(offset, offset + size);
  }

  written(gpa: Gpa, size: Bytes): void {
    if (this.#memory.offsetOf(gpa, size) >= 0) this.#memory.written(gpa, size);
  }

  reaches(gpa: Gpa, size: Bytes, access: 'read' | 'write'): boolean {
    return (access === 'read' ? this.#readable(gpa, size) : this.#writable(gpa, size)) >= 0;
  }

  #readable(gpa: Gpa, size: Bytes): number {
    if (this.#master.enabled?.() === false) return this.#refuse('read', gpa, size, 'while bus mastering is off');
    const offset = this.#memory.offsetOf(gpa, size);
    return offset >= 0 ? offset : this.#refuse('read', gpa, size, OUTSIDE);
  }

  #writable(gpa: Gpa, size: Bytes): number {
    if (this.#master.enabled?.() === false) return this.#refuse('write', gpa, size, 'while bus mastering is off');
    const offset = this.#memory.offsetOf(gpa, size);
    if (offset < 0) return this.#refuse('write', gpa, size, OUTSIDE);
    if (this.#hasRom && this.#touchesRom(gpa, size)) return this.#refuse('write', gpa, size, 'to read-only memory');
    return offset;
  }

  #touchesRom(gpa: Gpa, size: Bytes): boolean {
    return this.#memory.regions.some((region) => region.access === 'ro' && gpa < region.base + region.size && region.base < gpa + size);
  }

  /** −1, after counting and reporting. A driver that turns bus mastering off under a busy device does no harm and ends nothing. */
  #refuse(access: 'read' | 'write', gpa: Gpa, size: Bytes, why: string): -1 {
    const { name } = this.#master;
    const count = ++this.violations;
    this.#master.refused?.();
    if (count <= REPORTED_SINGLY || (count & (count - 1)) === 0) {
      const first = `0x${gpa.toString(16)}`;
      this.#log.log('warn', `${name}: DMA ${access} of ${size} bytes at ${first} ${why} was refused (${count} so far)`, {
        device: name,
        address: first,
        size,
        violations: count,
      });
      if (why === OUTSIDE) this.#stop?.(`${name} tried to ${access} ${size} bytes at ${first}, outside the RAM of its partition, by DMA`);
    }
    return -1;
  }
}

const OUTSIDE = 'outside the RAM of its partition';
