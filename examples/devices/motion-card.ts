/**
 * A motion-control card for PCI: it drives one axis along a path that the host writes into a ring in RAM, and tells where the axis is.
 *
 *     host ──▶ ring of segments in RAM ──DMA──▶ card ──▶ axis
 *                                               card ──DMA──▶ status block in RAM, every period
 *                                               card ──MSI 0──▶ a segment is done, or there was none to go on with
 *                                               card ──MSI 1──▶ the axis ran into a limit switch
 *
 *     BAR 0   0x00  ID             "MOTN"
 *             0x04  CONTROL        bit 0: run   bit 1: write the status block
 *             0x08  STATUS         bit 0: running   1: segment done   2: underrun   3: limit   4: DMA refused; 1 to 4 are cleared by ones
 *             0x0C  ENABLE         which of bits 1 to 4 of STATUS interrupt
 *             0x10  RING           address of the ring: 8 bytes a segment, target position (signed) and duration in microseconds
 *             0x14  SIZE           segments in the ring, 1 to 1024
 *             0x18  HEAD           the host has filled the ring up to here (exclusive)
 *             0x1C  TAIL           the card has taken segments up to here; read-only
 *             0x20  STATUS BLOCK   address of 16 bytes: position, status, tail, periods
 *             0x24  POSITION       of the axis; read-only
 *
 * Without MSI the card holds INTA# as long as an enabled bit of STATUS is set.
 *
 * The card does not exist: vendor 1234 is nobody's. It is here to show BARs, DMA, messages and deadlines in one device.
 * Not modelled: acceleration (a segment is a straight line), a second axis.
 */
import {
  defineDevice,
  type Clock,
  type DeviceSlot,
  type DeviceState,
  type IoHandler,
  type Nanos,
  type PciFunctionPort,
  us,
} from 'bulkhead/device';

const ID = 0x4e54_4f4d; // "MOTN", little-endian
// Registers
const ID_AT = 0x00;
const CONTROL_AT = 0x04;
const STATUS_AT = 0x08;
const ENABLE_AT = 0x0c;
const RING_AT = 0x10;
const SIZE_AT = 0x14;
const HEAD_AT = 0x18;
const TAIL_AT = 0x1c;
const STATUS_BLOCK_AT = 0x20;
const POSITION_AT = 0x24;

const CONTROL_RUN = 1 << 0;
const CONTROL_REPORT = 1 << 1;

const RUNNING = 1 << 0;
const SEGMENT_DONE = 1 << 1;
const UNDERRUN = 1 << 2;
const LIMIT = 1 << 3;
const DMA_REFUSED = 1 << 4;
const EVENTS = SEGMENT_DONE | UNDERRUN | LIMIT | DMA_REFUSED;

const MOST_SEGMENTS = 1024;
const SEGMENT_BYTES = 8;
/** A segment of no duration would let the card take the whole ring at once. */
const SHORTEST_SEGMENT: Nanos = 1 * us;

const PROGRESS_VECTOR = 0;
const LIMIT_VECTOR = 1;
const VECTORS = 2;

export interface Axis {
  /** Limit switches lie at plus and minus this position. */
  readonly limit: number;
  /** Time between two status blocks. */
  readonly period: Nanos;
}

interface Segment {
  readonly from: number;
  readonly to: number;
  readonly start: Nanos;
  readonly end: Nanos;
}

export class MotionCard implements IoHandler {
  readonly #axis: Axis;
  readonly #clock: Clock;
  readonly #pci: PciFunctionPort;
  #control = 0;
  #events = 0;
  #enable = 0;
  #ring = 0;
  #size = 1;
  #head = 0;
  #tail = 0;
  #statusBlock = 0;
  #periods = 0;
  /** When the next status block is due. */
  #reportDue: Nanos = 0;
  #segment: Segment | undefined;
  /** Where the axis stands while no segment moves it. */
  #rest = 0;
  #segmentEnd: Disposable | undefined;
  #report: Disposable | undefined;

  constructor(slot: DeviceSlot, axis: Axis) {
    this.#axis = axis;
    this.#clock = slot.clock;
    this.#pci = slot.pci({
      identity: { vendor: 0x1234, device: 0x4d43, classCode: 0x11_8000 },
      interruptPin: true,
      msi: VECTORS,
      bars: [{ kind: 'mmio', size: 4096, handler: this }],
    });
  }

  reset(): void {
    this.#stopTimers();
    this.#control = 0;
    this.#events = 0;
    this.#enable = 0;
    this.#ring = 0;
    this.#size = 1;
    this.#head = 0;
    this.#tail = 0;
    this.#statusBlock = 0;
    this.#periods = 0;
    this.#reportDue = 0;
    this.#segment = undefined;
    this.#rest = 0;
    this.#updateInterrupt();
  }

  get position(): number {
    const segment = this.#segment;
    if (segment === undefined) return this.#rest;
    const { from, to, start, end } = segment;
    return Math.round(from + ((to - from) * Math.min(this.#clock.now() - start, end - start)) / (end - start));
  }

  /** Registers are dwords; what a smaller access reads is its part of one. */
  read(offset: number, size: number): number {
    const value = this.#readRegister(offset & ~3);
    return (value >>> (8 * (offset & 3))) & (size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1);
  }

  /** Only whole dwords are taken. */
  write(offset: number, size: number, value: number): void {
    if (size !== 4) return;
    switch (offset) {
      case CONTROL_AT:
        this.#writeControl(value);
        break;
      case STATUS_AT:
        this.#events &= ~value;
        break;
      case ENABLE_AT:
        this.#enable = value & EVENTS;
        break;
      case RING_AT:
        this.#ring = value;
        break;
      case SIZE_AT:
        this.#size = Math.min(Math.max(value, 1), MOST_SEGMENTS);
        this.#head = 0;
        this.#tail = 0;
        break;
      case HEAD_AT:
        this.#head = value % this.#size;
        this.#goOn();
        break;
      case STATUS_BLOCK_AT:
        this.#statusBlock = value;
        break;
    }
    this.#updateInterrupt();
  }

  save(): DeviceState {
    const registers = [this.#control, this.#events, this.#enable, this.#ring, this.#size, this.#head, this.#tail, this.#statusBlock];
    return { version: 1, registers, periods: this.#periods, reportDue: this.#reportDue, rest: this.#rest, segment: this.#segment ?? null };
  }

  restore(state: DeviceState): void {
    const saved = state as unknown as { registers: number[]; periods: number; reportDue: Nanos; rest: number; segment: Segment | null };
    const [control = 0, events = 0, enable = 0, ring = 0, size = 1, head = 0, tail = 0, statusBlock = 0] = saved.registers;
    this.#stopTimers();
    this.#control = control;
    this.#events = events;
    this.#enable = enable;
    this.#ring = ring;
    this.#size = size;
    this.#head = head;
    this.#tail = tail;
    this.#statusBlock = statusBlock;
    this.#periods = saved.periods;
    this.#reportDue = saved.reportDue;
    this.#rest = saved.rest;
    this.#segment = saved.segment ?? undefined;
    if (this.#segment !== undefined) this.#segmentEnd = this.#clock.at(this.#segment.end, () => this.#finish());
    if (control & CONTROL_REPORT) this.#report = this.#clock.at(this.#reportDue, () => this.#writeReport());
    this.#updateInterrupt();
  }

  get #status(): number {
    return this.#events | (this.#segment === undefined ? 0 : RUNNING);
  }

  #readRegister(offset: number): number {
    switch (offset) {
      case ID_AT:
        return ID;
      case CONTROL_AT:
        return this.#control;
      case STATUS_AT:
        return this.#status;
      case ENABLE_AT:
        return this.#enable;
      case RING_AT:
        return this.#ring;
      case SIZE_AT:
        return this.#size;
      case HEAD_AT:
        return this.#head;
      case TAIL_AT:
        return this.#tail;
      case STATUS_BLOCK_AT:
        return this.#statusBlock;
      case POSITION_AT:
        return this.position;
      default:
        return 0;
    }
  }

  #writeControl(value: number): void {
    const before = this.#control;
    this.#control = value & (CONTROL_RUN | CONTROL_REPORT);
    if ((this.#control & CONTROL_RUN) === 0) this.#halt();
    else this.#goOn();
    if ((this.#control & CONTROL_REPORT) === 0) this.#report?.[Symbol.dispose]();
    else if ((before & CONTROL_REPORT) === 0) this.#scheduleReport();
  }

  /** Takes the next segment if the axis stands and there is one. One segment at a time: a ring cannot keep the card busy forever. */
  #goOn(): void {
    if ((this.#control & CONTROL_RUN) === 0 || this.#segment !== undefined || this.#tail === this.#head) return;
    const at = this.#ring + this.#tail * SEGMENT_BYTES;
    const target = this.#pci.dma.read32(at);
    const duration = this.#pci.dma.read32(at + 4);
    if (target === undefined || duration === undefined) {
      this.#control &= ~CONTROL_RUN;
      this.#raise(DMA_REFUSED, PROGRESS_VECTOR);
      return;
    }
    this.#tail = (this.#tail + 1) % this.#size;
    const start = this.#clock.now();
    this.#segment = { from: this.#rest, to: target | 0, start, end: start + Math.max(duration * us, SHORTEST_SEGMENT) };
    this.#segmentEnd = this.#clock.at(this.#segment.end, () => this.#finish());
  }

  #finish(): void {
    this.#rest = this.position;
    this.#segment = undefined;
    if (Math.abs(this.#rest) >= this.#axis.limit) {
      this.#rest = Math.sign(this.#rest) * this.#axis.limit;
      this.#control &= ~CONTROL_RUN;
      this.#raise(LIMIT, LIMIT_VECTOR);
      return;
    }
    this.#raise(SEGMENT_DONE, PROGRESS_VECTOR);
    if (this.#tail === this.#head) this.#raise(UNDERRUN, PROGRESS_VECTOR);
    this.#goOn();
  }

  #halt(): void {
    this.#rest = this.position;
    this.#segment = undefined;
    this.#segmentEnd?.[Symbol.dispose]();
  }

  #scheduleReport(): void {
    this.#reportDue = this.#clock.now() + this.#axis.period;
    this.#report = this.#clock.at(this.#reportDue, () => this.#writeReport());
  }

  #writeReport(): void {
    this.#periods = (this.#periods + 1) >>> 0;
    const block = new Uint8Array(16);
    const view = new DataView(block.buffer);
    view.setInt32(0, this.position, true);
    view.setUint32(4, this.#status, true);
    view.setUint32(8, this.#tail, true);
    view.setUint32(12, this.#periods, true);
    if (this.#pci.dma.write(this.#statusBlock, block)) {
      this.#scheduleReport();
    } else {
      this.#control &= ~CONTROL_REPORT;
      this.#raise(DMA_REFUSED, PROGRESS_VECTOR);
    }
  }

  /** Sets the bit, and sends its message where that is wanted. */
  #raise(event: number, vector: number): void {
    this.#events |= event;
    if (this.#pci.usesMessages && this.#enable & event) this.#pci.signal(vector);
    this.#updateInterrupt();
  }

  #updateInterrupt(): void {
    this.#pci.setInterrupt((this.#events & this.#enable) !== 0);
  }

  #stopTimers(): void {
    this.#segmentEnd?.[Symbol.dispose]();
    this.#report?.[Symbol.dispose]();
  }
}

export const device = defineDevice({
  title: 'Motion-control card with DMA and messages, on PCI',
  options: {
    limit: { type: 'number', default: 100_000, minimum: 1, maximum: 1_000_000_000, description: 'where the limit switches are, plus and minus, in counts' },
    'period-us': { type: 'number', default: 1000, minimum: 10, maximum: 1_000_000, description: 'time between two status blocks, in microseconds' },
  },
  attach: (slot, { options }) => ({ chip: new MotionCard(slot, { limit: options.limit, period: options['period-us'] * us }), handlers: [] }),
});
