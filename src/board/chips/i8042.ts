/**
 * 8042 keyboard controller of the PC/AT and PS/2, with a keyboard on its first port and, when asked for, a mouse on the second.
 *
 * Spec: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
 * Not modelled: masking of A20 (the bit can be written and read), passwords, timeouts and parity errors on the serial lines.
 */
import type { Clock, DeviceState, InputBackend } from '../../contracts/index.ts';
import { set1FromSet2 } from '../input/keys.ts';
import { type KeyboardState, Ps2Keyboard } from './ps2-keyboard.ts';
import { type MouseState, Ps2Mouse } from './ps2-mouse.ts';

// Status register
const STATUS_OUTPUT_FULL = 1 << 0;
const STATUS_SYSTEM = 1 << 2;
const STATUS_COMMAND = 1 << 3;
const STATUS_NOT_INHIBITED = 1 << 4;
const STATUS_AUXILIARY = 1 << 5;
// Command byte
const KEYBOARD_INTERRUPT = 1 << 0;
const AUXILIARY_INTERRUPT = 1 << 1;
const SYSTEM_FLAG = 1 << 2;
const KEYBOARD_DISABLED = 1 << 4;
const AUXILIARY_DISABLED = 1 << 5;
const TRANSLATE = 1 << 6;
// Output port
const NOT_RESET = 1 << 0;
const A20 = 1 << 1;

const RAM_BYTES = 32;
const BREAK_PREFIX = 0xf0;
/** Answers of the controller itself that wait for the output buffer. */
const ANSWERS = 8;

export interface KeyboardControllerPins {
  /** IRQ 1 and IRQ 12. */
  keyboardInterrupt(level: boolean): void;
  auxiliaryInterrupt(level: boolean): void;
  /** The processor's reset line was pulsed. */
  reset(): void;
}

export class I8042 {
  readonly keyboard: Ps2Keyboard;
  /** Absent without `mouse`. */
  readonly mouse: Ps2Mouse | undefined;
  readonly #pins: KeyboardControllerPins;
  readonly #input: InputBackend;
  /** Byte 0 is the command byte. */
  readonly #ram = new Uint8Array(RAM_BYTES);
  #outputPort = NOT_RESET | A20;
  #command = 0;
  #lastWasCommand = false;
  #answers: { byte: number; auxiliary: boolean }[] = [];
  #full = false;
  #output = 0;
  #auxiliary = false;
  #breaking = false;

  constructor(options: { clock: Clock; mouse: boolean; pins: KeyboardControllerPins; input: InputBackend }) {
    this.#pins = options.pins;
    this.#input = options.input;
    const ready = () => this.pump();
    this.keyboard = new Ps2Keyboard({ clock: options.clock, ready });
    this.mouse = options.mouse ? new Ps2Mouse({ clock: options.clock, ready }) : undefined;
    this.reset();
  }

  /** As a PC's firmware leaves it: tested, translating, keyboard interrupt on, mouse port off. */
  reset(): void {
    this.keyboard.reset();
    this.mouse?.reset();
    this.#ram.fill(0);
    this.#ram[0] = KEYBOARD_INTERRUPT | SYSTEM_FLAG | TRANSLATE | AUXILIARY_DISABLED;
    this.#outputPort = NOT_RESET | A20;
    this.#command = 0;
    this.#lastWasCommand = false;
    this.#answers = [];
    this.#full = false;
    this.#breaking = false;
    this.#drive();
  }

  /** Call when there may be input: keyboard and mouse take what they have room for; the next byte goes to the system when it can take one. */
  pump(): void {
    this.#takeInput();
    if (this.#full) return;
    const answer = this.#answers.shift();
    if (answer !== undefined) this.#fill(answer.byte, answer.auxiliary);
    else if (!this.#pumpKeyboard() && this.mouse !== undefined && !(this.#commandByte & AUXILIARY_DISABLED)) {
      const byte = this.mouse.take();
      if (byte !== undefined) this.#fill(byte, true);
    }
    this.#drive();
  }

  /** Port 0x60. */
  readData(): number {
    const byte = this.#output;
    this.#full = false;
    this.#drive(); // falls, so that the next byte makes an edge
    this.pump();
    return byte;
  }

  /** Port 0x64. */
  readStatus(): number {
    return (
      (this.#full ? STATUS_OUTPUT_FULL : 0) |
      (this.#commandByte & SYSTEM_FLAG ? STATUS_SYSTEM : 0) |
      (this.#lastWasCommand ? STATUS_COMMAND : 0) |
      STATUS_NOT_INHIBITED |
      (this.#full && this.#auxiliary ? STATUS_AUXILIARY : 0)
    );
  }

  writeData(byte: number): void {
    const command = this.#command;
    this.#command = 0;
    this.#lastWasCommand = false;
    if (command >= 0x60 && command <= 0x7f) this.#ram[command - 0x60] = byte;
    else if (command === 0xd1) this.#writeOutputPort(byte);
    else if (command === 0xd2) this.#answer(byte, false);
    else if (command === 0xd3)
      this.#answer(byte, this.mouse !== undefined); // without a mouse port it comes back as a key
    else if (command === 0xd4) this.mouse?.receive(byte);
    else {
      this.#ram[0] = this.#commandByte & ~KEYBOARD_DISABLED; // data to the keyboard turns its clock on
      this.keyboard.receive(byte);
    }
    this.pump();
    this.#drive();
  }

  writeCommand(command: number): void {
    this.#command = 0;
    this.#lastWasCommand = true;
    if (command >= 0x20 && command <= 0x3f) this.#answer(this.#ram[command - 0x20] as number, false);
    else if (command >= 0xf0) {
      if (!(command & NOT_RESET)) this.#pins.reset(); // pulses the output-port lines whose bits are 0
    } else {
      switch (command) {
        case 0xa7:
          this.#ram[0] = this.#commandByte | AUXILIARY_DISABLED;
          break;
        case 0xa8:
          this.#ram[0] = this.#commandByte & ~AUXILIARY_DISABLED;
          break;
        case 0xa9:
          this.#answer(this.mouse === undefined ? 0x01 : 0x00, false);
          break; // clock line stuck, or good
        case 0xaa:
          this.#ram[0] = this.#commandByte | SYSTEM_FLAG;
          this.#answer(0x55, false);
          break;
        case 0xab:
          this.#answer(0x00, false);
          break;
        case 0xad:
          this.#ram[0] = this.#commandByte | KEYBOARD_DISABLED;
          break;
        case 0xae:
          this.#ram[0] = this.#commandByte & ~KEYBOARD_DISABLED;
          break;
        case 0xc0:
          this.#answer(0x80, false);
          break; // input port: keyboard not locked
        case 0xe0:
          this.#answer(0x00, false);
          break; // test inputs: both clock lines low
        case 0xd0:
          this.#answer(this.#outputPort, false);
          break;
        case 0xdd:
          this.#outputPort &= ~A20;
          break;
        case 0xdf:
          this.#outputPort |= A20;
          break;
        default:
          this.#command = command;
      }
    }
    this.pump();
    this.#drive();
  }

  save(): DeviceState {
    return {
      version: 2,
      ram: [...this.#ram],
      outputPort: this.#outputPort,
      command: this.#command,
      full: this.#full,
      output: this.#output,
      auxiliary: this.#auxiliary,
      breaking: this.#breaking,
      lastWasCommand: this.#lastWasCommand,
      answers: this.#answers.map((a) => ({ ...a })),
      keyboard: this.keyboard.save(),
      ...(this.mouse === undefined ? {} : { mouse: this.mouse.save() }),
    };
  }

  restore(state: DeviceState): void {
    const saved = state as unknown as {
      ram: number[];
      outputPort: number;
      command: number;
      full: boolean;
      output: number;
      auxiliary: boolean;
      breaking: boolean;
      lastWasCommand: boolean;
      answers: { byte: number; auxiliary: boolean }[];
      keyboard: KeyboardState;
      mouse?: MouseState;
    };
    this.#ram.set(saved.ram.slice(0, RAM_BYTES));
    this.#outputPort = saved.outputPort;
    this.#command = saved.command;
    this.#full = saved.full;
    this.#output = saved.output;
    this.#auxiliary = saved.auxiliary;
    this.#breaking = saved.breaking;
    this.#lastWasCommand = saved.lastWasCommand;
    this.#answers = saved.answers.slice(0, ANSWERS);
    this.keyboard.restore(saved.keyboard);
    if (saved.mouse !== undefined) this.mouse?.restore(saved.mouse);
    this.#drive();
  }

  get #commandByte(): number {
    return this.#ram[0] as number;
  }

  #answer(byte: number, auxiliary: boolean): void {
    if (this.#answers.length < ANSWERS) this.#answers.push({ byte, auxiliary });
  }

  #takeInput(): void {
    while (this.keyboard.hasRoom) {
      const event = this.#input.key();
      if (event === undefined) break;
      this.keyboard.key(event.key, event.pressed);
    }
    while (this.mouse?.hasRoom) {
      const event = this.#input.pointer();
      if (event === undefined) break;
      this.mouse.event(event);
    }
  }

  #pumpKeyboard(): boolean {
    if (this.#commandByte & KEYBOARD_DISABLED) return false;
    let byte = this.keyboard.take();
    if (byte !== undefined && this.#commandByte & TRANSLATE) {
      // Set 2 marks a break with a prefix, set 1 with bit 7 of the code.
      if (byte === BREAK_PREFIX) {
        this.#breaking = true;
        byte = this.keyboard.take();
      }
      if (byte !== undefined) {
        byte = set1FromSet2(byte) | (this.#breaking ? 0x80 : 0);
        this.#breaking = false;
      }
    }
    if (byte === undefined) return false;
    this.#fill(byte, false);
    return true;
  }

  #fill(byte: number, auxiliary: boolean): void {
    this.#full = true;
    this.#output = byte;
    this.#auxiliary = auxiliary;
  }

  #writeOutputPort(value: number): void {
    this.#outputPort = value | NOT_RESET;
    if (!(value & NOT_RESET)) this.#pins.reset();
  }

  #drive(): void {
    this.#pins.keyboardInterrupt(this.#full && !this.#auxiliary && (this.#commandByte & KEYBOARD_INTERRUPT) !== 0);
    this.#pins.auxiliaryInterrupt(this.#full && this.#auxiliary && (this.#commandByte & AUXILIARY_INTERRUPT) !== 0);
  }
}
