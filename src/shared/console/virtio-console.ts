/**
 * Virtio console: byte streams between a guest and the host. Port 0 is a console; further ports, by name, are plain streams
 * (`/dev/virtio-ports/NAME` in Linux).
 *
 *     queue 0, 1   port 0: to the guest, from it      queue 4, 5   port 1      queue 6, 7   port 2 …
 *     queue 2, 3   control messages: to the guest, from it (with VIRTIO_CONSOLE_F_MULTIPORT)
 *
 * What a guest writes never waits for anybody; what is typed waits, and nothing of it is lost, until the guest has room for it and, on a
 * port other than the console, somebody there has opened it. Each call moves a bounded number of bytes; the rest follows by the clock.
 *
 * Spec: VIRTIO 1.2 §5.3.
 * Not modelled: ports that come and go (§5.3.6.2: VIRTIO_CONSOLE_DEVICE_REMOVE), the state of the host's side (every port is open).
 */
import { us } from '../../base/index.ts';
import type { AccessSize, CharacterBackend, Clock, DeviceState } from '../../contracts/index.ts';
import type { Chain, SplitQueue } from '../virtio/index.ts';
import { readConfigBytes, type VirtioDevice, type VirtioHost } from '../virtio/index.ts';

// Features (§5.3.3)
export const F_SIZE: bigint = 1n << 0n;
export const F_MULTIPORT: bigint = 1n << 1n;
export const F_EMERG_WRITE: bigint = 1n << 2n;

// Configuration (§5.3.4)
const COLUMNS = 0;
const ROWS = 2;
const MAX_PORTS = 4;
const EMERGENCY_WRITE = 8;
const CONFIG_BYTES = 12;

// Control messages (§5.3.6.2): port (32 bits), event, value (16 bits each)
const MESSAGE_BYTES = 8;
const DEVICE_READY = 0;
const DEVICE_ADD = 1;
const PORT_READY = 3;
const CONSOLE_PORT = 4;
const RESIZE = 5;
const PORT_OPEN = 6;
const PORT_NAME = 7;

const CONTROL_TO_GUEST = 2;
const CONTROL_FROM_GUEST = 3;
const QUEUE_SIZE = 128;
const CONTROL_QUEUE_SIZE = 64;

/** Bytes moved, and control messages read, before others get their turn. */
const PAUSE = 100 * us;
const BYTES_PER_CALL = 64 * 1024;
const MESSAGES_PER_CALL = 64;
const PIECE = 4096;
const USUAL_SIZE = { columns: 80, rows: 25 };

export interface ConsoleStream {
  /** Of a port; the console has none. */
  readonly name?: string;
  readonly line: CharacterBackend;
}

export interface VirtioConsoleOptions {
  /** Port 0, the console, first. At most 31. */
  readonly streams: readonly [ConsoleStream, ...ConsoleStream[]];
  readonly clock: Clock;
}

interface Port {
  readonly stream: ConsoleStream;
  /** Indices of its queues. */
  readonly toGuest: number;
  readonly fromGuest: number;
  /** The guest has it open. */
  open: boolean;
  /** The chain that was begun and how far it is. */
  chain: Chain | undefined;
  done: number;
  /** The next byte for the guest, taken from the line while there was room for it. */
  typed: number | undefined;
}

export class VirtioConsole implements VirtioDevice {
  readonly id = 3;
  readonly pciClass = 0x07_8000;
  readonly features: bigint = F_SIZE | F_MULTIPORT | F_EMERG_WRITE;
  readonly queueSizes: readonly number[];
  readonly configBytes = CONFIG_BYTES;
  readonly #clock: Clock;
  readonly #ports: readonly Port[];
  readonly #console: Port;
  readonly #piece = new Uint8Array(PIECE);
  /** Messages for the guest: port × 8 + event, once each. */
  readonly #messages = new Set<number>();
  #host: VirtioHost | undefined;
  #queues: readonly (SplitQueue | undefined)[] = [];
  #multiport = false;
  #columns = USUAL_SIZE.columns;
  #rows = USUAL_SIZE.rows;
  #later: Disposable | undefined;

  constructor({ streams, clock }: VirtioConsoleOptions) {
    this.#clock = clock;
    this.#ports = streams.map((stream, index) => {
      const toGuest = index === 0 ? 0 : 2 + 2 * index;
      return { stream, toGuest, fromGuest: toGuest + 1, open: false, chain: undefined, done: 0, typed: undefined };
    });
    this.#console = this.#ports[0] as Port;
    const rest = this.#ports.slice(1).flatMap(() => [QUEUE_SIZE, QUEUE_SIZE]);
    this.queueSizes = [QUEUE_SIZE, QUEUE_SIZE, CONTROL_QUEUE_SIZE, CONTROL_QUEUE_SIZE, ...rest];
  }

  attach(host: VirtioHost): void {
    this.#host = host;
  }

  readConfig(offset: number, size: AccessSize): number {
    const bytes = new Uint8Array(CONFIG_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint16(COLUMNS, this.#columns, true);
    view.setUint16(ROWS, this.#rows, true);
    view.setUint32(MAX_PORTS, this.#ports.length, true);
    return readConfigBytes(bytes, offset, size);
  }

  /** §5.3.4: a character for emergencies, before and beside all queues. */
  writeConfig(offset: number, _size: AccessSize, value: number): void {
    if (offset === EMERGENCY_WRITE) this.#console.stream.line.output(value & 0xff);
  }

  activate(queues: readonly (SplitQueue | undefined)[], features: bigint): void {
    this.#queues = queues;
    this.#multiport = (features & F_MULTIPORT) !== 0n;
    this.#measure();
    this.#move();
  }

  notify(queue: number): void {
    if (this.#multiport && queue === CONTROL_FROM_GUEST) this.#readMessages();
    else if (this.#multiport && queue === CONTROL_TO_GUEST) this.#sendMessages();
    else this.#move();
  }

  reset(): void {
    this.#queues = [];
    this.#multiport = false;
    this.#messages.clear();
    this.#later?.[Symbol.dispose]();
    this.#later = undefined;
    for (const port of this.#ports) {
      port.open = false;
      port.chain = undefined;
      port.done = 0;
    }
  }

  /** Something was typed, or the terminal has another size. */
  pollInput(): void {
    if (this.#measure()) {
      if (this.#multiport) this.#say(0, RESIZE);
      else this.#host?.configChanged();
    }
    this.#move();
  }

  save(): DeviceState {
    return {
      version: 1,
      columns: this.#columns,
      rows: this.#rows,
      open: this.#ports.map(({ open }) => open),
      done: this.#ports.map(({ done }) => done),
      messages: [...this.#messages],
    };
  }

  restore(state: DeviceState): void {
    this.#columns = state['columns'] as number;
    this.#rows = state['rows'] as number;
    for (const [index, port] of this.#ports.entries()) {
      port.open = (state['open'] as readonly boolean[])[index] === true;
      // The chain it was at comes back first.
      port.done = (state['done'] as readonly number[])[index] ?? 0;
    }
    for (const message of state['messages'] as readonly number[]) this.#messages.add(message);
    this.#move();
  }

  dispose(): void {
    this.#later?.[Symbol.dispose]();
  }

  /** Whether the size is another one than before. */
  #measure(): boolean {
    const { columns, rows } = this.#console.stream.line.size ?? USUAL_SIZE;
    const isNew = columns !== this.#columns || rows !== this.#rows;
    this.#columns = columns;
    this.#rows = rows;
    return isNew;
  }

  // ── bytes ──

  #move(): void {
    let left = BYTES_PER_CALL;
    for (const port of this.#ports) {
      if (port !== this.#console && !this.#multiport) break;
      left -= this.#fromGuest(port, left);
      left -= this.#toGuest(port, left);
    }
    if (left <= 0) this.#goOnLater();
  }

  /** How many bytes of the guest's were moved, at most `limit`. */
  #fromGuest(port: Port, limit: number): number {
    const queue = this.#queues[port.fromGuest];
    if (queue === undefined) return 0;
    let moved = 0;
    while (moved < limit) {
      port.chain ??= queue.take();
      const { chain } = port;
      if (chain === undefined) break;
      const piece = this.#piece.subarray(0, Math.min(PIECE, limit - moved, chain.readableBytes - port.done));
      if (piece.length > 0 && chain.read(port.done, piece)) {
        for (const byte of piece) port.stream.line.output(byte);
        port.done += piece.length;
        moved += piece.length;
        if (port.done < chain.readableBytes) continue;
      }
      queue.complete(chain, 0);
      port.chain = undefined;
      port.done = 0;
      moved++;
    }
    queue.announce();
    return moved;
  }

  #toGuest(port: Port, limit: number): number {
    const queue = this.#queues[port.toGuest];
    // §5.3.6.1: nobody is there to read it.
    if (queue === undefined || (port !== this.#console && !port.open)) return 0;
    const { line } = port.stream;
    let moved = 0;
    while (moved < limit && queue.hasWaiting) {
      port.typed ??= line.input();
      if (port.typed === undefined) break;
      const chain = queue.take();
      if (chain === undefined) break;
      const room = Math.min(PIECE, chain.writableBytes);
      let count = 0;
      while (count < room && port.typed !== undefined) {
        this.#piece[count++] = port.typed;
        port.typed = line.input();
      }
      queue.complete(chain, chain.write(0, this.#piece.subarray(0, count)) ? count : 0);
      moved += count + 1; // buffers without room are not free either
    }
    queue.announce();
    return moved;
  }

  // ── control ──

  #say(port: number, event: number): void {
    this.#messages.add(port * 8 + event);
    this.#sendMessages();
  }

  #sendMessages(): void {
    const queue = this.#queues[CONTROL_TO_GUEST];
    if (queue === undefined) return;
    for (const message of this.#messages) {
      const chain = queue.take();
      if (chain === undefined) break;
      this.#messages.delete(message);
      const bytes = this.#encode(message >> 3, message & 7);
      // A buffer too small for a message gets none: its driver could not read it.
      queue.complete(chain, chain.write(0, bytes) ? bytes.length : 0);
    }
    queue.announce();
  }

  #encode(port: number, event: number): Uint8Array {
    const name = event === PORT_NAME ? (this.#ports[port]?.stream.name ?? '') : '';
    const bytes = new Uint8Array(MESSAGE_BYTES + (event === RESIZE ? 4 : name.length));
    const view = new DataView(bytes.buffer);
    view.setUint32(0, port, true);
    view.setUint16(4, event, true);
    view.setUint16(6, 1, true);
    if (event === RESIZE) {
      view.setUint16(MESSAGE_BYTES, this.#columns, true);
      view.setUint16(MESSAGE_BYTES + 2, this.#rows, true);
    }
    for (let i = 0; i < name.length; i++) bytes[MESSAGE_BYTES + i] = name.charCodeAt(i) & 0x7f;
    return bytes;
  }

  #readMessages(): void {
    const queue = this.#queues[CONTROL_FROM_GUEST];
    if (queue === undefined) return;
    for (let count = 0; count < MESSAGES_PER_CALL; count++) {
      const chain = queue.take();
      if (chain === undefined) break;
      const message = this.#piece.subarray(0, MESSAGE_BYTES);
      if (chain.read(0, message)) {
        const view = new DataView(message.buffer, message.byteOffset, MESSAGE_BYTES);
        this.#hear(view.getUint32(0, true), view.getUint16(4, true), view.getUint16(6, true));
      }
      queue.complete(chain, 0);
    }
    queue.announce();
    if (queue.hasWaiting) this.#goOnLater();
  }

  #goOnLater(): void {
    this.#later ??= this.#clock.at(this.#clock.now() + PAUSE, () => {
      this.#later = undefined;
      if (this.#multiport) this.#readMessages();
      this.#move();
    });
  }

  #hear(id: number, event: number, value: number): void {
    if (event === DEVICE_READY && value === 1) {
      for (const index of this.#ports.keys()) this.#say(index, DEVICE_ADD);
      return;
    }
    const port = this.#ports[id];
    if (port === undefined) return;
    if (event === PORT_READY && value === 1) {
      if (port === this.#console) {
        this.#say(id, CONSOLE_PORT);
        this.#say(id, RESIZE);
      }
      if (port.stream.name !== undefined) this.#say(id, PORT_NAME);
      this.#say(id, PORT_OPEN);
    } else if (event === PORT_OPEN) {
      port.open = value === 1;
      this.#move();
    }
  }
}
