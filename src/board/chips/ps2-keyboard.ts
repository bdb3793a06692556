/**
 * PS/2 keyboard (IBM enhanced, MF2): its command set, and keys as scan code set 2.
 *
 * Spec: IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-key)".
 * Not modelled: scan code sets 1 and 3 in the keyboard itself, typematic repeat (what the host side sends is what the guest gets).
 */
const ACKNOWLEDGE = 0xfa;
const RESEND = 0xfe;
const BREAK_PREFIX = 0xf0;
const EXTENDED_PREFIX = 0xe0;
/** The buffer in a real keyboard holds 16; a terminal that pastes is served better by more. */
const QUEUE_BYTES = 256;

/** Set 2 code of each key, in the order of its set 1 code from 1 on; 0 where set 1 has no key. This is also the 8042's translation. */
const SET_2_BY_SET_1 = [
  0x76,
  0x16,
  0x1e,
  0x26,
  0x25,
  0x2e,
  0x36,
  0x3d,
  0x3e,
  0x46,
  0x45,
  0x4e,
  0x55,
  0x66,
  0x0d, // Esc 1…0 - = Backspace Tab
  0x15,
  0x1d,
  0x24,
  0x2d,
  0x2c,
  0x35,
  0x3c,
  0x43,
  0x44,
  0x4d,
  0x54,
  0x5b,
  0x5a,
  0x14, // Q…P [ ] Enter Ctrl
  0x1c,
  0x1b,
  0x23,
  0x2b,
  0x34,
  0x33,
  0x3b,
  0x42,
  0x4b,
  0x4c,
  0x52,
  0x0e,
  0x12,
  0x5d, // A…L ; ' ` Shift \
  0x1a,
  0x22,
  0x21,
  0x2a,
  0x32,
  0x31,
  0x3a,
  0x41,
  0x49,
  0x4a,
  0x59,
  0x7c,
  0x11,
  0x29,
  0x58, // Z…M , . / Shift KP* Alt Space Caps
  0x05,
  0x06,
  0x04,
  0x0c,
  0x03,
  0x0b,
  0x83,
  0x0a,
  0x01,
  0x09,
  0x77,
  0x7e, // F1…F10 Num Scroll
  0x6c,
  0x75,
  0x7d,
  0x7b,
  0x6b,
  0x73,
  0x74,
  0x79,
  0x69,
  0x72,
  0x7a,
  0x70,
  0x71, // keypad 7 8 9 - 4 5 6 + 1 2 3 0 .
  0x84,
  0,
  0x61,
  0x78,
  0x07, // SysRq, none, the key beside left Shift, F11 F12
] as const;

const SET_1_BY_SET_2 = new Uint8Array(256);
for (const [index, set2] of SET_2_BY_SET_1.entries()) if (set2 !== 0) SET_1_BY_SET_2[set2] = index + 1;

/** The 8042's translation of a single set 2 byte; codes that name no key pass unchanged. */
export function set1FromSet2(code: number): number {
  return SET_1_BY_SET_2[code] || code;
}

// Where the characters of a US keyboard are, by set 1 code: unshifted rows and their shifted counterparts.
const ROWS = [
  { from: 0x02, plain: '1234567890-=', shifted: '!@#$%^&*()_+' },
  { from: 0x10, plain: 'qwertyuiop[]', shifted: 'QWERTYUIOP{}' },
  { from: 0x1e, plain: "asdfghjkl;'`", shifted: 'ASDFGHJKL:"~' },
  { from: 0x2b, plain: '\\zxcvbnm,./', shifted: '|ZXCVBNM<>?' },
  { from: 0x39, plain: ' ', shifted: '' },
  { from: 0x1c, plain: '\n', shifted: '\r' },
  { from: 0x0f, plain: '\t', shifted: '' },
  { from: 0x0e, plain: '\b', shifted: '' },
  { from: 0x01, plain: '\u001b', shifted: '' },
] as const;
const LEFT_SHIFT = 0x12;

export class Ps2Keyboard {
  #queue: number[] = [];
  #scanning = true;
  /** The command whose argument is awaited; 0 for none. */
  #command = 0;
  #scanSet = 2;
  /** Scroll, Num and Caps Lock in bits 0–2, as the system set them. */
  leds = 0;
  #lastByte = 0;

  reset(): void {
    this.#queue = [];
    this.#scanning = true;
    this.#command = 0;
    this.#scanSet = 2;
    this.leds = 0;
  }

  /** Keys as scan code set 2, break codes included. False, and nothing queued, when the buffer is full or scanning is off. */
  send(codes: readonly number[]): boolean {
    if (!this.#scanning || this.#queue.length + codes.length > QUEUE_BYTES) return false;
    for (const code of codes) this.#queue.push(code & 0xff);
    return true;
  }

  /** Presses and releases the key of a US keyboard that makes `character`. False when there is none or no room. */
  type(character: string): boolean {
    for (const { from, plain, shifted } of ROWS) {
      const inPlain = plain.indexOf(character);
      const index = inPlain >= 0 ? inPlain : shifted.indexOf(character);
      if (index < 0 || character === '') continue;
      const code = SET_2_BY_SET_1[from + index - 1] ?? 0;
      const stroke = [code, BREAK_PREFIX, code];
      const withShift = inPlain < 0 && character !== '\r';
      return this.send(withShift ? [LEFT_SHIFT, ...stroke, BREAK_PREFIX, LEFT_SHIFT] : stroke);
    }
    return false;
  }

  /** An extended key (arrows, Home, right Ctrl…): press and release. */
  typeExtended(set2: number): boolean {
    return this.send([EXTENDED_PREFIX, set2, EXTENDED_PREFIX, BREAK_PREFIX, set2]);
  }

  /** The next byte for the controller. */
  take(): number | undefined {
    const byte = this.#queue.shift();
    if (byte !== undefined) this.#lastByte = byte;
    return byte;
  }

  /** A byte from the controller. */
  receive(byte: number): void {
    if (this.#command !== 0 && byte < 0xed) {
      this.#argument(byte);
      return;
    }
    this.#command = 0;
    switch (byte) {
      case 0xed: // set LEDs
      case 0xf0: // scan code set
      case 0xf3: // typematic rate
        this.#command = byte;
        this.#answer(ACKNOWLEDGE);
        break;
      case 0xee:
        this.#answer(0xee);
        break;
      case 0xf2: // identify: MF2
        this.#answer(ACKNOWLEDGE, 0xab, 0x83);
        break;
      case 0xf4:
        this.#queue = [];
        this.#scanning = true;
        this.#answer(ACKNOWLEDGE);
        break;
      case 0xf5:
      case 0xf6:
        this.#queue = [];
        this.#scanning = byte === 0xf6;
        this.#scanSet = 2;
        this.#answer(ACKNOWLEDGE);
        break;
      case RESEND:
        this.#answer(this.#lastByte);
        break;
      case 0xff:
        this.reset();
        this.#answer(ACKNOWLEDGE, 0xaa);
        break;
      default:
        // Key type commands of set 3 are acknowledged and do nothing; what is no command is asked for again.
        this.#answer(byte >= 0xf7 ? ACKNOWLEDGE : RESEND);
    }
  }

  save(): { queue: number[]; scanning: boolean; command: number; scanSet: number; leds: number } {
    return { queue: [...this.#queue], scanning: this.#scanning, command: this.#command, scanSet: this.#scanSet, leds: this.leds };
  }

  restore(state: ReturnType<Ps2Keyboard['save']>): void {
    this.#queue = state.queue.slice(0, QUEUE_BYTES);
    this.#scanning = state.scanning;
    this.#command = state.command;
    this.#scanSet = state.scanSet;
    this.leds = state.leds;
  }

  #argument(byte: number): void {
    const command = this.#command;
    this.#command = 0;
    if (command === 0xed) this.leds = byte & 7;
    if (command !== 0xf0) this.#answer(ACKNOWLEDGE);
    else if (byte === 0) this.#answer(ACKNOWLEDGE, this.#scanSet);
    else {
      this.#scanSet = byte <= 3 ? byte : this.#scanSet; // reported back; keys come in set 2 all the same
      this.#answer(byte <= 3 ? ACKNOWLEDGE : RESEND);
    }
  }

  /** Answers go before keys; a command flood drops keys, never memory. */
  #answer(...bytes: number[]): void {
    this.#queue.unshift(...bytes);
    if (this.#queue.length > QUEUE_BYTES) this.#queue.length = QUEUE_BYTES;
  }
}
