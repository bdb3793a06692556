/**
 * The inter-VM shared memory device of QEMU, 1af4:1110 revision 1: registers in BAR 0, the MSI-X table in BAR 1, the shared memory itself
 * in BAR 2. With vectors it is what QEMU calls `ivshmem-doorbell`; without, it has the legacy interrupt INTA# in their place, for guests
 * that do not speak MSI-X.
 *
 *     0  Interrupt Mask     INTx# is asserted while Mask and Status have a bit in common (only without MSI-X)
 *     4  Interrupt Status   bit 0: a peer rang; reading clears it
 *     8  IVPosition         number of this partition among the peers
 *    12  Doorbell           bits 31–16 the peer, bits 15–0 the vector; rings it
 *
 * Spec: QEMU, "Device Specification for Inter-VM shared memory device" (docs/specs/ivshmem-spec).
 * Not modelled: revision 0 with its unready state, the server and its protocol; registers narrower than 32 bits drop writes.
 */
import type { AccessSize, ChannelBackend, DeviceState, IoHandler, PciFunctionDescription, PciFunctionPort } from '../../contracts/index.ts';

const INTERRUPT_MASK = 0x0;
const INTERRUPT_STATUS = 0x4;
const IV_POSITION = 0x8;
const DOORBELL = 0xc;
const REGISTER_BYTES = 0x100;
const PEER_INTERRUPT = 1 << 0;

export interface IvshmemOptions {
  readonly channel: ChannelBackend;
  /** MSI-X vectors; 0: INTA#. */
  readonly vectors: number;
  pci(description: PciFunctionDescription): PciFunctionPort;
}

export class Ivshmem {
  readonly #channel: ChannelBackend;
  readonly #port: PciFunctionPort;
  readonly #usesMessages: boolean;
  #mask = 0;
  #status = 0;

  constructor({ channel, vectors, pci }: IvshmemOptions) {
    this.#channel = channel;
    this.#usesMessages = vectors > 0;
    this.#port = pci({
      identity: { vendor: 0x1af4, device: 0x1110, classCode: 0x05_0000, revision: 1, subsystemVendor: 0x1af4, subsystem: 0x1100 },
      bars: [
        { kind: 'mmio', size: REGISTER_BYTES, handler: this.registers },
        undefined,
        { kind: 'mmio', size: channel.memory.size, handler: memoryHandler(channel), wide: true, prefetchable: true },
      ],
      ...(vectors > 0 ? { msix: { vectors, bar: 1 } } : { interruptPin: true }),
    });
    channel.listen((vector) => this.#rung(vector));
  }

  /** The memory stays as it is: it is the peers' as well. */
  reset(): void {
    this.#mask = 0;
    this.#status = 0;
    this.#channel.forget();
    this.#update();
  }

  save(): DeviceState {
    return { version: 1, mask: this.#mask, status: this.#status };
  }

  restore(state: DeviceState): void {
    this.#mask = state['mask'] as number;
    this.#status = state['status'] as number;
    this.#update();
  }

  /** BAR 0. */
  readonly registers: IoHandler = {
    read: (offset: number, size: AccessSize): number => {
      const value = this.#read(offset & ~3) >>> (8 * (offset & 3));
      return size === 4 ? value >>> 0 : value & (2 ** (8 * size) - 1);
    },
    write: (offset: number, size: AccessSize, value: number): void => {
      if (size !== 4) return;
      if (offset === INTERRUPT_MASK) this.#mask = value;
      else if (offset === INTERRUPT_STATUS) this.#status = value;
      else if (offset === DOORBELL) this.#channel.ring(value >>> 16, value & 0xffff);
      this.#update();
    },
  };

  #read(register: number): number {
    switch (register) {
      case INTERRUPT_MASK:
        return this.#mask;
      case INTERRUPT_STATUS: {
        const status = this.#status;
        this.#status = 0;
        this.#update();
        return status;
      }
      case IV_POSITION:
        return this.#channel.id;
      default:
        return 0;
    }
  }

  #rung(vector: number): void {
    if (this.#usesMessages) {
      this.#port.signal(vector);
      return;
    }
    this.#status |= PEER_INTERRUPT;
    this.#update();
  }

  #update(): void {
    if (!this.#usesMessages) this.#port.setInterrupt((this.#mask & this.#status) !== 0);
  }
}

/** BAR 2: engines reach the bytes themselves; whoever goes over the bus finds them here. */
function memoryHandler({ memory }: ChannelBackend): IoHandler {
  return {
    shared: memory,
    read: (offset, size) => memory.read(offset, size),
    write: (offset, size, value) => memory.write(offset, size, value),
  };
}
