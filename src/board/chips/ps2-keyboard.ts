/**
 * PS/2 keyboard (IBM enhanced, MF2): keys to scan codes of sets 1, 2 and 3, typematic repeat, and the command set.
 *
 * Spec: IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-key)".
 * Not modelled: the shifts that cursor keys put around themselves for Num Lock and Shift; overrun (keys wait on the host's side instead);
 * the time that a self test takes.
 */
import type { Clock, Nanos } from '../../contracts/index.ts';
import { KEYS, type Key, type KeyType, keyNumber } from '../input/keys.ts';

const ACKNOWLEDGE = 0xfa;
const RESEND = 0xfe;
const SELF_TEST_PASSED = 0xaa;
const ECHO = 0xee;
const IDENTITY = [0xab, 0x83];
const BREAK_PREFIX = 0xf0;
const EXTENDED_PREFIX = 0xe0;
const SET_1_BREAK = 0x80;

// Commands
const SET_LEDS = 0xed;
const SCAN_CODE_SET = 0xf0;
const IDENTIFY = 0xf2;
const TYPEMATIC_RATE = 0xf3;
const ENABLE = 0xf4;
const DEFAULT_DISABLE = 0xf5;
const SET_DEFAULT = 0xf6;
/** Of set 3: all keys typematic, make-break, make only, all three; then single keys. */
const ALL_KEYS_FIRST = 0xf7;
const SINGLE_KEYS_FIRST = 0xfb;
const SINGLE_KEYS_LAST = 0xfd;
const RESET = 0xff;
/** No code of set 3 is as high: a byte from here on is a command, also where an argument is awaited. */
const COMMANDS_FIRST = 0xed;

/** What a real keyboard buffers. */
const BUFFER_BYTES = 16;
const LONGEST_SEQUENCE = 8;
/** Answers that are not fetched; a flood of commands drops the oldest. */
const ANSWERS = 16;
/** 500 ms, then 10.9 per second. */
const RATE_DEFAULT = 0x2b;

/** Pause has no break code and says all at once: in set 1 and set 2. */
const PAUSE = keyNumber('pause');
const PAUSE_CODES = [
  [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5],
  [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77],
] as const;
/** Print Screen brings a Shift along. */
const PRINT_SCREEN = keyNumber('print-screen');
const PRINT_SCREEN_CODES = {
  make: [
    [0xe0, 0x2a, 0xe0, 0x37],
    [0xe0, 0x12, 0xe0, 0x7c],
  ],
  break: [
    [0xe0, 0xb7, 0xe0, 0xaa],
    [0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12],
  ],
} as const;

export class Ps2Keyboard {
  /** Scroll, Num and Caps Lock in bits 0–2, as the system set them. */
  leds = 0;
  readonly #clock: Clock;
  readonly #ready: () => void;
  #answers: number[] = [];
  #buffer: number[] = [];
  #scanning = true;
  /** The command whose argument is awaited; 0 for none. */
  #command = 0;
  #scanSet = 2;
  #rate = RATE_DEFAULT;
  /** By key; matters in set 3 only. */
  #types: KeyType[] = defaultTypes();
  #lastByte = 0;
  /** The key that repeats; −1 for none. */
  #held = -1;
  #repeat: Disposable | undefined;
  #repeatAt: Nanos = 0;

  /** `ready` is called when a byte has come up without anybody having asked for it. */
  constructor(options: { clock: Clock; ready: () => void }) {
    this.#clock = options.clock;
    this.#ready = options.ready;
  }

  reset(): void {
    this.#answers = [];
    this.#command = 0;
    this.leds = 0;
    this.#lastByte = 0;
    this.#defaults();
    this.#scanning = true;
  }

  /** Whether it can take another key. A key that comes while it does not scan is lost, as on a real keyboard. */
  get hasRoom(): boolean {
    return this.#buffer.length + LONGEST_SEQUENCE <= BUFFER_BYTES;
  }

  /** Seconds to the first repeat, and from one to the next, as the typematic rate has it. */
  get repeatTimes(): { readonly delay: Nanos; readonly period: Nanos } {
    const rate = this.#rate;
    return { delay: (((rate >> 5) & 3) + 1) * 250e6, period: (8 + (rate & 7)) * 2 ** ((rate >> 3) & 3) * 4.17e6 };
  }

  /** A key goes down or up. */
  key(number: number, pressed: boolean): void {
    const key = KEYS[number];
    if (key === undefined) return;
    this.#stopRepeat(pressed ? -1 : number);
    if (!this.#scanning) return;
    this.#put(this.#codes(key, number, pressed));
    if (!pressed || number === PAUSE || (this.#scanSet === 3 && !SET_3_REPEATS.has(this.#types[number] as KeyType))) return;
    this.#held = number;
    this.#scheduleRepeat(this.#clock.now() + this.repeatTimes.delay);
  }

  /** The next byte for the controller: answers before keys. */
  take(): number | undefined {
    const byte = this.#answers.shift() ?? this.#buffer.shift();
    if (byte !== undefined) this.#lastByte = byte;
    return byte;
  }

  /** A byte from the controller. */
  receive(byte: number): void {
    if (this.#command !== 0 && byte < COMMANDS_FIRST) {
      this.#argument(byte);
      return;
    }
    this.#command = 0;
    switch (byte) {
      case SET_LEDS:
      case SCAN_CODE_SET:
      case TYPEMATIC_RATE:
        this.#command = byte;
        this.#answer(ACKNOWLEDGE);
        break;
      case ECHO:
        this.#answer(ECHO);
        break;
      case IDENTIFY:
        this.#answer(ACKNOWLEDGE, ...IDENTITY);
        break;
      case ENABLE:
        this.#clear();
        this.#scanning = true;
        this.#answer(ACKNOWLEDGE);
        break;
      case DEFAULT_DISABLE:
      case SET_DEFAULT:
        this.#defaults();
        this.#scanning = byte === SET_DEFAULT;
        this.#answer(ACKNOWLEDGE);
        break;
      case RESEND:
        this.#answer(this.#lastByte);
        break;
      case RESET:
        this.reset();
        this.#answer(ACKNOWLEDGE, SELF_TEST_PASSED);
        break;
      default:
        this.#keyTypes(byte);
    }
  }

  save(): KeyboardState {
    return {
      leds: this.leds,
      answers: [...this.#answers],
      buffer: [...this.#buffer],
      scanning: this.#scanning,
      command: this.#command,
      scanSet: this.#scanSet,
      rate: this.#rate,
      types: [...this.#types],
      lastByte: this.#lastByte,
      held: this.#held,
      repeatAt: this.#repeatAt,
    };
  }

  restore(state: KeyboardState): void {
    this.#stopRepeat(-1);
    this.leds = state.leds;
    this.#answers = state.answers.slice(0, ANSWERS);
    this.#buffer = state.buffer.slice(0, BUFFER_BYTES);
    this.#scanning = state.scanning;
    this.#command = state.command;
    this.#scanSet = state.scanSet;
    this.#rate = state.rate;
    this.#types = [...state.types];
    this.#lastByte = state.lastByte;
    this.#held = state.held;
    if (state.held >= 0) this.#scheduleRepeat(state.repeatAt);
  }

  #argument(byte: number): void {
    const command = this.#command;
    switch (command) {
      case SET_LEDS:
        this.leds = byte & 7;
        break;
      case TYPEMATIC_RATE:
        this.#rate = byte & 0x7f;
        break;
      case SCAN_CODE_SET:
        this.#command = 0;
        this.#chooseSet(byte);
        return;
      default:
        // Key types go on until the next command: each byte is a key by its code in set 3.
        for (const [number, key] of KEYS.entries()) if (key.set3 === byte) this.#types[number] = typeOf(command - SINGLE_KEYS_FIRST);
        this.#answer(ACKNOWLEDGE);
        return;
    }
    this.#command = 0;
    this.#answer(ACKNOWLEDGE);
  }

  /** 0 asks which set it is. */
  #chooseSet(set: number): void {
    if (set === 0) this.#answer(ACKNOWLEDGE, this.#scanSet);
    else if (set > 3) this.#answer(RESEND);
    else {
      this.#clear();
      this.#scanSet = set;
      this.#answer(ACKNOWLEDGE);
    }
  }

  #keyTypes(byte: number): void {
    if (byte >= SINGLE_KEYS_FIRST && byte <= SINGLE_KEYS_LAST) {
      this.#clear();
      this.#command = byte;
      this.#answer(ACKNOWLEDGE);
    } else if (byte >= ALL_KEYS_FIRST && byte < SINGLE_KEYS_FIRST) {
      this.#clear();
      this.#types.fill(typeOf(byte - ALL_KEYS_FIRST));
      this.#answer(ACKNOWLEDGE);
    } else {
      this.#answer(RESEND); // no command
    }
  }

  #defaults(): void {
    this.#clear();
    this.#rate = RATE_DEFAULT;
    this.#scanSet = 2;
    this.#types = defaultTypes();
  }

  #clear(): void {
    this.#buffer = [];
    this.#stopRepeat(-1);
  }

  /** Without `key` whatever repeats ends; with it only when it is that key. */
  #stopRepeat(key: number): void {
    if (key >= 0 && key !== this.#held) return;
    this.#held = -1;
    this.#repeat?.[Symbol.dispose]();
    this.#repeat = undefined;
  }

  #scheduleRepeat(at: Nanos): void {
    this.#repeatAt = at;
    this.#repeat?.[Symbol.dispose]();
    this.#repeat = this.#clock.at(at, () => {
      const key = KEYS[this.#held];
      if (key === undefined) return;
      // A system that does not keep up gets fewer repeats, not old ones.
      if (this.#buffer.length === 0) this.#put(this.#codes(key, this.#held, true));
      this.#scheduleRepeat(this.#clock.now() + this.repeatTimes.period);
      this.#ready();
    });
  }

  #codes(key: Key, number: number, pressed: boolean): readonly number[] {
    if (this.#scanSet === 3) {
      if (pressed) return [key.set3];
      return SET_3_BREAKS.has(this.#types[number] as KeyType) ? [BREAK_PREFIX, key.set3] : [];
    }
    const column = this.#scanSet - 1;
    if (number === PAUSE) return pressed ? (PAUSE_CODES[column] ?? []) : [];
    if (number === PRINT_SCREEN) return PRINT_SCREEN_CODES[pressed ? 'make' : 'break'][column] ?? [];
    const prefix = key.extended ? [EXTENDED_PREFIX] : [];
    if (this.#scanSet === 1) return [...prefix, pressed ? key.set1 : key.set1 | SET_1_BREAK];
    return pressed ? [...prefix, key.set2] : [...prefix, BREAK_PREFIX, key.set2];
  }

  #put(codes: readonly number[]): void {
    if (this.#buffer.length + codes.length <= BUFFER_BYTES) this.#buffer.push(...codes);
  }

  #answer(...bytes: number[]): void {
    this.#answers.push(...bytes);
    if (this.#answers.length > ANSWERS) this.#answers.splice(0, this.#answers.length - ANSWERS);
  }
}

export interface KeyboardState {
  readonly leds: number;
  readonly answers: readonly number[];
  readonly buffer: readonly number[];
  readonly scanning: boolean;
  readonly command: number;
  readonly scanSet: number;
  readonly rate: number;
  readonly types: readonly KeyType[];
  readonly lastByte: number;
  readonly held: number;
  readonly repeatAt: Nanos;
}

/** Commands 0xF7–0xFA and 0xFB–0xFD name them in this order. */
const TYPE_ORDER: readonly KeyType[] = ['typematic', 'make-break', 'make', 'typematic-make-break'];
const SET_3_REPEATS: ReadonlySet<KeyType> = new Set(['typematic', 'typematic-make-break']);
const SET_3_BREAKS: ReadonlySet<KeyType> = new Set(['make-break', 'typematic-make-break']);

function typeOf(order: number): KeyType {
  return TYPE_ORDER[order] as KeyType;
}

function defaultTypes(): KeyType[] {
  return KEYS.map(({ type }) => type);
}
