/**
 * Advantech PCI-1710 multifunction card: 16 analog inputs with 12 bits through a FIFO of 4,096 samples, two analog outputs, 16 digital
 * inputs and outputs, and an 82C54.
 *
 *     offset 0x00 read  sample: channel in bits 15–12      write  software trigger
 *            0x02       —                                  write  range of the selected channel
 *            0x04       —                                  write  first and last channel of the scan
 *            0x06 read  status                             write  control
 *            0x08, 0x09                                    write  clear interrupt, clear FIFO
 *            0x0a, 0x0c, 0x0e                              write  analog outputs 0 and 1, their ranges
 *            0x10 read  digital inputs                     write  digital outputs
 *            0x18–0x1e  82C54, a word for each register
 *
 * Paced samples are not taken one by one: when somebody looks, or an interrupt is due, those that belong to the time that has passed are
 * computed, each for its own moment.
 *
 * Spec: Advantech PCI-1710 Series User's Manual, appendix C (register structure and format).
 * Not modelled: external trigger and gate inputs, the calibration EEPROM, the AMCC S5933's own registers (BAR 0); the input multiplexer
 * settles at once.
 */
import type { AccessSize, Clock, DeviceState, IoHandler, PciFunctionDescription, PciFunctionPort } from '../../contracts/index.ts';
import { Alarm } from '../ticks.ts';
import { INTERNAL_HERTZ, Pci1710Counters } from './pci1710-counters.ts';
import type { DigitalInputs, Signal } from './pci1710-world.ts';

const DATA = 0x00;
const RANGE = 0x02;
const MUX = 0x04;
const CONTROL = 0x06;
const CLEAR_INTERRUPT = 0x08;
const CLEAR_FIFO = 0x09;
const OUTPUT_0 = 0x0a;
const OUTPUT_1 = 0x0c;
const OUTPUT_RANGE = 0x0e;
const DIGITAL = 0x10;
const COUNTERS = 0x18;
const WINDOW_BYTES = 0x20;

// Control; the lower byte of the status register shows it
const SOFTWARE_TRIGGER = 1 << 0;
const PACER = 1 << 1;
const INTERRUPTS = 1 << 4;
/** Interrupt when the FIFO is half full, not at every sample. */
const HALF_FULL_ONLY = 1 << 5;
const EXTERNAL_CLOCK = 1 << 6;
const CONTROL_DEFINED = 0x7f;
// Status
const FIFO_EMPTY = 1 << 8;
const FIFO_HALF_FULL = 1 << 9;
const FIFO_FULL = 1 << 10;
const INTERRUPT = 1 << 11;
// Range
const GAIN = 7;
const UNIPOLAR = 1 << 4;
const DIFFERENTIAL = 1 << 5;

const CHANNELS = 16;
const FIFO_SAMPLES = 4096;
const STEPS = 4096;
/** 100,000 samples a second, in clocks of 10 MHz: a trigger during a conversion is ignored. */
const CONVERSION_TICKS = 100;
/** Full scale of an input by gain code, bipolar (±) and unipolar; of an output by range code. */
const BIPOLAR_VOLTS = [5, 2.5, 1.25, 0.625, 10, 10, 10, 10] as const;
const UNIPOLAR_VOLTS = [10, 5, 2.5, 1.25, 10, 10, 10, 10] as const;
const OUTPUT_VOLTS = [5, 10, 10, 10] as const;

export interface Pci1710Options {
  readonly clock: Clock;
  /** What the analog inputs are connected to, from channel 0 on. */
  readonly signals: readonly Signal[];
  readonly digitalInputs: DigitalInputs;
  /** The outside clock of counter 0. */
  readonly externalHertz: number;
  pci(description: PciFunctionDescription): PciFunctionPort;
}

export class Pci1710 implements IoHandler {
  readonly #clock: Clock;
  readonly #options: Pci1710Options;
  readonly #port: PciFunctionPort;
  readonly #counters: Pci1710Counters;
  readonly #alarm: Alarm;
  readonly #fifo = new Uint16Array(FIFO_SAMPLES);
  #fifoHead = 0;
  #fifoLength = 0;
  /** Samples were lost since the FIFO was cleared. */
  #overrun = false;
  #control = 0;
  #interrupt = false;
  readonly #ranges = new Uint8Array(CHANNELS);
  #firstChannel = 0;
  #lastChannel = 0;
  #channel = 0;
  #codes: [number, number] = [0, 0];
  #outputRanges = 0;
  #digitalOutputs = 0;
  /** Pulses of the pacer whose samples have been taken, since it was loaded. */
  #pulsesSeen = 0;

  constructor(options: Pci1710Options) {
    this.#options = options;
    this.#clock = options.clock;
    this.#counters = new Pci1710Counters(options.clock);
    this.#alarm = new Alarm(options.clock, () => this.#settle());
    this.#port = options.pci({
      identity: { vendor: 0x13fe, device: 0x1710, classCode: 0x11_8000, subsystemVendor: 0x10b5, subsystem: 0x9050 },
      bars: [undefined, undefined, { kind: 'pio', size: WINDOW_BYTES, handler: this }],
      interruptPin: true,
    });
  }

  reset(): void {
    this.#control = 0;
    this.#ranges.fill(0);
    this.#firstChannel = 0;
    this.#lastChannel = 0;
    this.#channel = 0;
    this.#codes = [0, 0];
    this.#outputRanges = 0;
    this.#digitalOutputs = 0;
    this.#counters.reset();
    this.#pulsesSeen = 0;
    this.#clearFifo();
    this.#setInterrupt(false);
    this.#alarm.cancel();
  }

  /** Volts on the two analog outputs, for whoever watches the modelled world. */
  get outputs(): readonly [number, number] {
    return [this.#outputVolts(0), this.#outputVolts(1)];
  }

  get digitalOutputs(): number {
    return this.#digitalOutputs;
  }

  read(offset: number, size: AccessSize): number {
    if (size === 4) return (this.read(offset, 2) | (this.read(offset + 2, 2) << 16)) >>> 0;
    if (offset >= COUNTERS) return offset & 1 ? 0 : this.#counters.read((offset - COUNTERS) >> 1);
    // Popping the FIFO is one access; its halves are not two samples.
    const value = this.#word(offset & ~1);
    return size === 2 ? value : (value >>> (8 * (offset & 1))) & 0xff;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size === 4) {
      this.write(offset, 2, value & 0xffff);
      this.write(offset + 2, 2, value >>> 16);
      return;
    }
    this.#settle();
    if (offset === CLEAR_FIFO || (offset === CLEAR_INTERRUPT && size === 2)) this.#clearFifo();
    if (offset === CLEAR_INTERRUPT) this.#setInterrupt(false);
    else if (offset >= COUNTERS) this.#writeCounters(offset, value);
    else if (!(offset & 1)) this.#writeWord(offset, value);
    this.#arm();
  }

  dispose(): void {
    this.#alarm.cancel();
  }

  save(): DeviceState {
    this.#settle();
    return {
      version: 1,
      fifo: Array.from({ length: this.#fifoLength }, (_, i) => this.#fifo[(this.#fifoHead + i) % FIFO_SAMPLES] as number),
      overrun: this.#overrun,
      control: this.#control,
      interrupt: this.#interrupt,
      ranges: [...this.#ranges],
      scan: [this.#firstChannel, this.#lastChannel, this.#channel],
      codes: this.#codes,
      outputRanges: this.#outputRanges,
      digitalOutputs: this.#digitalOutputs,
      pulsesSeen: this.#pulsesSeen,
      counters: this.#counters.save(),
    };
  }

  restore(state: DeviceState): void {
    this.reset();
    for (const sample of state['fifo'] as readonly number[]) this.#push(sample);
    this.#overrun = state['overrun'] as boolean;
    this.#control = state['control'] as number;
    this.#ranges.set(state['ranges'] as readonly number[]);
    const [first = 0, last = 0, channel = 0] = state['scan'] as readonly number[];
    this.#firstChannel = first;
    this.#lastChannel = last;
    this.#channel = channel;
    this.#codes = [...(state['codes'] as [number, number])];
    this.#outputRanges = state['outputRanges'] as number;
    this.#digitalOutputs = state['digitalOutputs'] as number;
    this.#pulsesSeen = state['pulsesSeen'] as number;
    this.#counters.restore(state['counters'] as DeviceState);
    this.#setInterrupt(state['interrupt'] as boolean);
    this.#arm();
  }

  #word(offset: number): number {
    switch (offset) {
      case DATA: {
        this.#settle();
        const sample = this.#pop();
        this.#arm();
        return sample;
      }
      case CONTROL:
        this.#settle();
        return this.#status();
      case DIGITAL:
        return this.#options.digitalInputs(this.#clock.now(), this.#digitalOutputs) & 0xffff;
      default:
        return 0xffff;
    }
  }

  #writeWord(offset: number, value: number): void {
    switch (offset) {
      case DATA:
        if (this.#control & SOFTWARE_TRIGGER) this.#convert(this.#clock.now());
        break;
      case RANGE:
        this.#ranges[this.#firstChannel] = value & (GAIN | UNIPOLAR | DIFFERENTIAL);
        break;
      case MUX:
        this.#firstChannel = value & (CHANNELS - 1);
        this.#lastChannel = (value >> 8) & (CHANNELS - 1);
        this.#channel = this.#firstChannel;
        break;
      case CONTROL:
        this.#writeControl(value & CONTROL_DEFINED);
        break;
      case OUTPUT_0:
      case OUTPUT_1:
        this.#codes[offset === OUTPUT_0 ? 0 : 1] = value & (STEPS - 1);
        break;
      case OUTPUT_RANGE:
        this.#outputRanges = value & 0x0f;
        break;
      case DIGITAL:
        this.#digitalOutputs = value & 0xffff;
        break;
    }
  }

  #writeControl(value: number): void {
    // Pulses that came while nobody wanted them make no samples.
    if (value & PACER && !(this.#control & PACER)) this.#pulsesSeen = this.#counters.pulses;
    this.#control = value;
    this.#counters.setClock(value & EXTERNAL_CLOCK ? this.#options.externalHertz : INTERNAL_HERTZ);
  }

  #writeCounters(offset: number, value: number): void {
    if (offset & 1) return;
    this.#counters.write((offset - COUNTERS) >> 1, value & 0xff);
    this.#pulsesSeen = this.#counters.pulses;
  }

  #status(): number {
    const length = this.#fifoLength;
    return (
      this.#control |
      (length === 0 ? FIFO_EMPTY : 0) |
      (length >= FIFO_SAMPLES / 2 ? FIFO_HALF_FULL : 0) |
      (this.#overrun || length === FIFO_SAMPLES ? FIFO_FULL : 0) |
      (this.#interrupt ? INTERRUPT : 0)
    );
  }

  /** Takes the samples of the pulses that have been; no more than the FIFO holds. */
  #settle(): void {
    if (!(this.#control & PACER) || this.#counters.pacerTicks === 0) return;
    const { pulses } = this.#counters;
    const stride = this.#stride();
    for (; this.#pulsesSeen + stride <= pulses && this.#fifoLength < FIFO_SAMPLES; ) {
      this.#pulsesSeen += stride;
      this.#convert(this.#counters.pulseTime(this.#pulsesSeen));
    }
    if (this.#pulsesSeen + stride <= pulses) {
      this.#pulsesSeen = pulses;
      this.#overrun = true;
    }
    this.#arm();
  }

  /** Pulses for each conversion: more than one where they come faster than it converts. */
  #stride(): number {
    return Math.max(1, Math.ceil(CONVERSION_TICKS / this.#counters.pacerTicks));
  }

  /** The next moment at which a sample will interrupt. */
  #arm(): void {
    const wanted = (this.#control & (PACER | INTERRUPTS)) === (PACER | INTERRUPTS) && !this.#interrupt;
    if (!wanted || this.#counters.pacerTicks === 0 || this.#fifoLength === FIFO_SAMPLES) {
      this.#alarm.cancel();
      return;
    }
    const samples = this.#control & HALF_FULL_ONLY ? Math.max(1, FIFO_SAMPLES / 2 - this.#fifoLength) : 1;
    this.#alarm.set(this.#counters.pulseTime(this.#pulsesSeen + samples * this.#stride()));
  }

  #convert(now: number): void {
    const channel = this.#channel;
    const range = this.#ranges[channel] as number;
    const differential = (range & DIFFERENTIAL) !== 0;
    const volts = this.#volts(channel, now) - (differential ? this.#volts((channel + 1) % CHANNELS, now) : 0);
    if (this.#fifoLength === FIFO_SAMPLES) this.#overrun = true;
    else this.#push((channel << 12) | quantize(volts, range));
    // A differential input takes two channels of the scan.
    this.#channel = channel === this.#lastChannel ? this.#firstChannel : (channel + (differential ? 2 : 1)) % CHANNELS;
    if (!(this.#control & INTERRUPTS)) return;
    if (!(this.#control & HALF_FULL_ONLY) || this.#fifoLength >= FIFO_SAMPLES / 2) this.#setInterrupt(true);
  }

  #volts(channel: number, now: number): number {
    return this.#options.signals[channel]?.(now, this.outputs) ?? 0;
  }

  #outputVolts(index: 0 | 1): number {
    return (this.#codes[index] / STEPS) * (OUTPUT_VOLTS[(this.#outputRanges >> (2 * index)) & 3] as number);
  }

  #push(sample: number): void {
    this.#fifo[(this.#fifoHead + this.#fifoLength) % FIFO_SAMPLES] = sample;
    this.#fifoLength++;
  }

  #pop(): number {
    if (this.#fifoLength === 0) return 0xffff;
    const sample = this.#fifo[this.#fifoHead] as number;
    this.#fifoHead = (this.#fifoHead + 1) % FIFO_SAMPLES;
    this.#fifoLength--;
    return sample;
  }

  #clearFifo(): void {
    this.#fifoHead = 0;
    this.#fifoLength = 0;
    this.#overrun = false;
  }

  #setInterrupt(level: boolean): void {
    this.#interrupt = level;
    this.#port.setInterrupt(level);
  }
}

/** 12 bits: a bipolar input's 0 V is the middle of the scale. */
function quantize(volts: number, range: number): number {
  const gain = range & GAIN;
  const share = range & UNIPOLAR ? volts / (UNIPOLAR_VOLTS[gain] as number) : (volts / (BIPOLAR_VOLTS[gain] as number) + 1) / 2;
  return Math.max(0, Math.min(STEPS - 1, Math.floor(share * STEPS)));
}
