/**
 * PS/2 mouse: three buttons, and, when a driver knocks for them, the IntelliMouse's wheel and the Explorer's fourth and fifth button.
 *
 * Movement is summed up and reported at the sample rate, so that nothing is lost however slowly the system reads; a change of buttons is
 * never merged with the next one.
 *
 * Spec: IBM PS/2 Hardware Interface Technical Reference, "Mouse"; Microsoft, "Mouse and wheel mouse detection" (the knocks).
 * Not modelled: horizontal wheels; the time that a self test takes.
 */
import type { Clock, Nanos, PointerEvent } from '../../contracts/index.ts';

const ACKNOWLEDGE = 0xfa;
const RESEND = 0xfe;
const SELF_TEST_PASSED = 0xaa;

// Commands
const SCALING_1_1 = 0xe6;
const SCALING_2_1 = 0xe7;
const RESOLUTION = 0xe8;
const STATUS_REQUEST = 0xe9;
const STREAM_MODE = 0xea;
const READ_DATA = 0xeb;
const RESET_WRAP_MODE = 0xec;
const WRAP_MODE = 0xee;
const REMOTE_MODE = 0xf0;
const IDENTIFY = 0xf2;
const SAMPLE_RATE = 0xf3;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const SET_DEFAULTS = 0xf6;
const RESET = 0xff;

// Device identities
const STANDARD = 0;
const WHEEL = 3;
const FIVE_BUTTONS = 4;
/** Sample rates set one after the other that turn a mouse into the next better one. */
const KNOCKS: readonly { readonly rates: readonly number[]; readonly from: number; readonly to: number }[] = [
  { rates: [200, 100, 80], from: STANDARD, to: WHEEL },
  { rates: [200, 200, 80], from: WHEEL, to: FIVE_BUTTONS },
];
const RATES = [10, 20, 40, 60, 80, 100, 200];
const RATE_DEFAULT = 100;
const RESOLUTION_DEFAULT = 2;
const QUEUE_BYTES = 16;
/** Nine bits and a sign. */
const MOVE_MAX = 255;
const WHEEL_MAX = 7;
/** Scaling 2:1 of the counts in stream mode; from 6 on it doubles. */
const SCALED = [0, 1, 1, 3, 6, 9];
/** What may add up while the system does not read. */
const SUM_MAX = 0x7fff;

export class Ps2Mouse {
  readonly #clock: Clock;
  readonly #ready: () => void;
  #queue: number[] = [];
  #reporting = false;
  #remote = false;
  #wrap = false;
  #scaling2 = false;
  #resolution = RESOLUTION_DEFAULT;
  #sampleRate = RATE_DEFAULT;
  #identity = STANDARD;
  /** The last three rates set. */
  #rates: number[] = [];
  #command = 0;
  #dx = 0;
  #dy = 0;
  #wheel = 0;
  #buttons = 0;
  #reported = 0;
  #lastPacket: number[] = [];
  #nextReport: Nanos = 0;
  #timer: Disposable | undefined;

  /** `ready` is called when a packet has come up without anybody having asked for it. */
  constructor(options: { clock: Clock; ready: () => void }) {
    this.#clock = options.clock;
    this.#ready = options.ready;
  }

  reset(): void {
    this.#queue = [];
    this.#defaults();
    this.#remote = false;
    this.#wrap = false;
    this.#identity = STANDARD;
    this.#rates = [];
    this.#command = 0;
    this.#buttons = 0;
    this.#reported = 0;
    this.#lastPacket = [];
    this.#nextReport = 0;
  }

  /** Whether it can take an event: not while a change of buttons waits to be reported. */
  get hasRoom(): boolean {
    return !this.#streaming || this.#buttons === this.#reported;
  }

  /** Something happened. Movement is lost while nobody listens, as it is when a real mouse is moved then. */
  event({ dx, dy, wheel, buttons }: PointerEvent): void {
    this.#buttons = buttons & 0x1f;
    if (!this.#reporting && !this.#remote) return;
    this.#dx = within(this.#dx + dx, SUM_MAX);
    this.#dy = within(this.#dy + dy, SUM_MAX);
    this.#wheel = within(this.#wheel + wheel, SUM_MAX);
    this.#schedule();
  }

  /** The next byte for the controller. */
  take(): number | undefined {
    const byte = this.#queue.shift();
    if (this.#queue.length === 0) this.#schedule();
    return byte;
  }

  /** A byte from the controller. */
  receive(byte: number): void {
    if (this.#wrap && byte !== RESET_WRAP_MODE && byte !== RESET) {
      this.#answer(byte);
      return;
    }
    if (this.#command !== 0) {
      this.#argument(byte);
      return;
    }
    switch (byte) {
      case RESOLUTION:
      case SAMPLE_RATE:
        this.#command = byte;
        this.#answer(ACKNOWLEDGE);
        break;
      case STATUS_REQUEST:
        this.#answer(ACKNOWLEDGE, this.#status, this.#resolution, this.#sampleRate);
        break;
      case READ_DATA:
        this.#answer(ACKNOWLEDGE, ...this.#packet());
        break;
      case IDENTIFY:
        this.#answer(ACKNOWLEDGE, this.#identity);
        break;
      case RESEND:
        this.#answer(...this.#lastPacket);
        break;
      case RESET:
        this.reset();
        this.#answer(ACKNOWLEDGE, SELF_TEST_PASSED, this.#identity);
        break;
      default:
        this.#answer(this.#setMode(byte) ? ACKNOWLEDGE : RESEND);
    }
  }

  save(): MouseState {
    return {
      queue: [...this.#queue],
      reporting: this.#reporting,
      remote: this.#remote,
      wrap: this.#wrap,
      scaling2: this.#scaling2,
      resolution: this.#resolution,
      sampleRate: this.#sampleRate,
      identity: this.#identity,
      rates: [...this.#rates],
      command: this.#command,
      dx: this.#dx,
      dy: this.#dy,
      wheel: this.#wheel,
      buttons: this.#buttons,
      reported: this.#reported,
      nextReport: this.#nextReport,
    };
  }

  restore(state: MouseState): void {
    this.reset();
    this.#queue = state.queue.slice(0, QUEUE_BYTES);
    this.#reporting = state.reporting;
    this.#remote = state.remote;
    this.#wrap = state.wrap;
    this.#scaling2 = state.scaling2;
    this.#resolution = state.resolution;
    this.#sampleRate = state.sampleRate;
    this.#identity = state.identity;
    this.#rates = state.rates.slice(-3);
    this.#command = state.command;
    this.#dx = state.dx;
    this.#dy = state.dy;
    this.#wheel = state.wheel;
    this.#buttons = state.buttons;
    this.#reported = state.reported;
    this.#nextReport = state.nextReport;
    this.#schedule();
  }

  get #streaming(): boolean {
    return this.#reporting && !this.#remote && !this.#wrap;
  }

  get #pending(): boolean {
    return this.#dx !== 0 || this.#dy !== 0 || this.#wheel !== 0 || this.#buttons !== this.#reported;
  }

  get #status(): number {
    // Buttons in the status byte run right, middle, left from bit 0 up.
    const buttons = ((this.#buttons & 2) >> 1) | ((this.#buttons & 4) >> 1) | ((this.#buttons & 1) << 2);
    return buttons | (this.#scaling2 ? 1 << 4 : 0) | (this.#reporting ? 1 << 5 : 0) | (this.#remote ? 1 << 6 : 0);
  }

  /** The next packet goes out when the sample rate allows it and the one before is gone. */
  #schedule(): void {
    if (!this.#streaming || !this.#pending || this.#queue.length > 0 || this.#timer !== undefined) return;
    this.#timer = this.#clock.at(Math.max(this.#nextReport, this.#clock.now()), () => {
      this.#timer = undefined;
      if (!this.#streaming || !this.#pending || this.#queue.length > 0) return;
      this.#nextReport = this.#clock.now() + 1e9 / this.#sampleRate;
      this.#answer(...this.#packet());
      this.#ready();
    });
  }

  #argument(byte: number): void {
    const command = this.#command;
    this.#command = 0;
    if (command === RESOLUTION ? byte > 3 : !RATES.includes(byte)) {
      this.#answer(RESEND);
      return;
    }
    if (command === RESOLUTION) this.#resolution = byte;
    else this.#setRate(byte);
    this.#answer(ACKNOWLEDGE);
  }

  #setRate(rate: number): void {
    this.#sampleRate = rate;
    this.#rates = [...this.#rates.slice(-2), rate];
    const knock = KNOCKS.find(({ rates, from }) => from === this.#identity && rates.every((value, i) => value === this.#rates[i]));
    if (knock !== undefined) this.#identity = knock.to;
  }

  /** False when it is no command. */
  #setMode(command: number): boolean {
    switch (command) {
      case SCALING_1_1:
      case SCALING_2_1:
        this.#scaling2 = command === SCALING_2_1;
        return true;
      case STREAM_MODE:
        this.#remote = false;
        this.#forget();
        return true;
      case RESET_WRAP_MODE:
        this.#wrap = false;
        return true;
      case WRAP_MODE:
        this.#wrap = true;
        this.#forget();
        return true;
      case REMOTE_MODE:
        this.#remote = true;
        this.#forget();
        return true;
      case ENABLE:
      case DISABLE:
        this.#reporting = command === ENABLE;
        this.#forget();
        return true;
      case SET_DEFAULTS:
        this.#defaults();
        return true;
      default:
        return false;
    }
  }

  #defaults(): void {
    this.#reporting = false;
    this.#scaling2 = false;
    this.#resolution = RESOLUTION_DEFAULT;
    this.#sampleRate = RATE_DEFAULT;
    this.#forget();
  }

  /** Movement counters start anew. */
  #forget(): void {
    this.#dx = 0;
    this.#dy = 0;
    this.#wheel = 0;
    this.#reported = this.#buttons;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  /** Takes from the sums what fits one packet. */
  #packet(): number[] {
    const dx = within(this.#dx, MOVE_MAX);
    const dy = within(this.#dy, MOVE_MAX);
    const wheel = within(this.#wheel, WHEEL_MAX);
    this.#dx -= dx;
    this.#dy -= dy;
    this.#wheel = this.#identity === STANDARD ? 0 : this.#wheel - wheel;
    this.#reported = this.#buttons;
    const x = this.#scale(dx);
    const y = this.#scale(dy);
    const packet = [0x08 | (this.#buttons & 7) | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0), x & 0xff, y & 0xff];
    if (this.#identity === WHEEL) packet.push(wheel & 0xff);
    if (this.#identity === FIVE_BUTTONS) packet.push((wheel & 0x0f) | ((this.#buttons & 0x18) << 1));
    this.#lastPacket = packet;
    return packet;
  }

  #scale(counts: number): number {
    if (!this.#scaling2 || this.#remote) return counts;
    const size = Math.abs(counts);
    return Math.sign(counts) * Math.min(MOVE_MAX, SCALED[size] ?? 2 * size);
  }

  #answer(...bytes: number[]): void {
    this.#queue.push(...bytes);
    if (this.#queue.length > QUEUE_BYTES) this.#queue.splice(0, this.#queue.length - QUEUE_BYTES);
  }
}

export interface MouseState {
  readonly queue: readonly number[];
  readonly reporting: boolean;
  readonly remote: boolean;
  readonly wrap: boolean;
  readonly scaling2: boolean;
  readonly resolution: number;
  readonly sampleRate: number;
  readonly identity: number;
  readonly rates: readonly number[];
  readonly command: number;
  readonly dx: number;
  readonly dy: number;
  readonly wheel: number;
  readonly buttons: number;
  readonly reported: number;
  readonly nextReport: Nanos;
}

function within(value: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, Math.trunc(value)));
}
