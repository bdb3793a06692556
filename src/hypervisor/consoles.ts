/** The consoles of a partition: which of its devices have one, and the machine's end of it. */
import { ByteRing } from '../base/index.ts';
import { DEVICE_CATALOGUE, type DeviceCatalogue } from '../board/index.ts';
import type { Partition, TerminalSize } from '../contracts/index.ts';
import type { PartitionLink } from '../partition/index.ts';
import { SHARED_MODELS } from '../shared/index.ts';

const MODELS: DeviceCatalogue = { ...DEVICE_CATALOGUE, ...SHARED_MODELS };

/** Names of the devices with a byte stream, the partition's console first. A device with several has its name, and `NAME.STREAM` for the others. */
export function consoleDevices(partition: Pick<Partition, 'devices' | 'console'>): string[] {
  const names = partition.devices.flatMap(({ name, model, options }) => {
    const known = MODELS[model];
    if (known?.console !== true) return [];
    return [name, ...(known.streams?.(options) ?? []).map((stream) => `${name}.${stream}`)];
  });
  const main = partition.console ?? names[0];
  return names.sort((a, b) => Number(b === main) - Number(a === main));
}

/** The machine's end of one console. Reading and writing never wait. */
export class ConsoleEnd {
  readonly device: string;
  readonly #link: PartitionLink;
  readonly #output: ByteRing;

  constructor(link: PartitionLink, device: string) {
    this.device = device;
    this.#link = link;
    const buffers = link.buffers.consoles[device];
    this.#output = buffers === undefined ? ByteRing.create(16) : ByteRing.over(buffers.output);
  }

  /** Bytes of output that were given up because they were not read in time. */
  get lost(): number {
    return this.#output.dropped;
  }

  /** Moves output into `into`; returns how many bytes. */
  read(into: Uint8Array): number {
    return this.#output.read(into);
  }

  /** Resolves when there is output to read. */
  arrival(): Promise<void> {
    return this.#output.arrival();
  }

  /** Whoever types here has a terminal of this size. */
  resize(size: TerminalSize): void {
    this.#link.resizeConsole(this.device, size);
  }

  /** Sends input; returns how many bytes were taken. The rest must be sent again later: the guest is not reading. */
  write(bytes: Uint8Array): number {
    return this.#link.sendInput(this.device, bytes);
  }
}
