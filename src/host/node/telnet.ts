/**
 * The telnet protocol as a server of terminals speaks it: bytes of the network in, what was typed, window sizes and breaks out. A state
 * machine without a socket; whatever arrives, it neither throws nor keeps more than a line of it.
 *
 * The server echoes and suppresses go-ahead, so that clients send character by character, asks for the size of the window, and talks in
 * eight bits. Options it did not ask for are refused, once each, so that no two peers can keep each other busy.
 *
 * Spec: RFC 854 (protocol, NVT), RFC 855 (options), RFC 856 (binary), RFC 857 (echo), RFC 858 (suppress go-ahead), RFC 1073 (NAWS),
 * RFC 1143 (no option loops).
 * Not modelled: urgent data (the DM signal), line mode, terminal type, authentication and encryption.
 */
import type { TerminalSize } from '../../contracts/index.ts';

const IAC = 255;
const DONT = 254;
const DO = 253;
const WONT = 252;
const WILL = 251;
const SUBNEGOTIATION = 250;
const BREAK = 243;
const INTERRUPT_PROCESS = 244;
const SUBNEGOTIATION_END = 240;

const BINARY = 0;
const ECHO = 1;
const SUPPRESS_GO_AHEAD = 3;
const WINDOW_SIZE = 31;

const CARRIAGE_RETURN = 13;
const LINE_FEED = 10;
const CONTROL_C = 3;
/** A subnegotiation that is longer is none that is understood here. */
const LONGEST_SUBNEGOTIATION = 64;

/** What we offer to do, and what we ask of the other side. */
const WE_DO = [ECHO, SUPPRESS_GO_AHEAD, BINARY];
const THEY_DO = [SUPPRESS_GO_AHEAD, BINARY, WINDOW_SIZE];

export interface TelnetEvents {
  /** Bytes were typed; only valid during the call. */
  typed(bytes: Uint8Array): void;
  resized(size: TerminalSize): void;
  /** The break key: here, a wish to write. */
  broken(): void;
  /** To the network. */
  answer(bytes: Uint8Array): void;
}

type Mode = 'data' | 'command' | 'option' | 'subnegotiation' | 'subnegotiation-command';

export class TelnetDecoder {
  readonly #events: TelnetEvents;
  #mode: Mode = 'data';
  /** WILL, WONT, DO or DONT, while its option follows. */
  #verb = 0;
  #subnegotiation: number[] = [];
  #afterReturn = false;
  /** They said WILL BINARY: a return is a return, and what follows belongs to somebody else (RFC 856). */
  #binary = false;
  readonly #refused = new Set<number>();
  #typed = new Uint8Array(1024);
  #count = 0;

  constructor(events: TelnetEvents) {
    this.#events = events;
  }

  /** What the server says first. */
  static greeting(): Uint8Array {
    return Uint8Array.from([...WE_DO.flatMap((option) => [IAC, WILL, option]), ...THEY_DO.flatMap((option) => [IAC, DO, option])]);
  }

  /** Takes what came from the network, cut anywhere. */
  feed(bytes: Uint8Array): void {
    for (const byte of bytes) this.#take(byte);
    this.#flush();
  }

  #take(byte: number): void {
    switch (this.#mode) {
      case 'data':
        if (byte === IAC) this.#mode = 'command';
        else this.#character(byte);
        break;
      case 'command':
        this.#command(byte);
        break;
      case 'option':
        this.#mode = 'data';
        this.#negotiate(this.#verb, byte);
        break;
      case 'subnegotiation':
        if (byte === IAC) this.#mode = 'subnegotiation-command';
        else if (this.#subnegotiation.length < LONGEST_SUBNEGOTIATION) this.#subnegotiation.push(byte);
        break;
      case 'subnegotiation-command':
        if (byte === IAC) {
          this.#mode = 'subnegotiation';
          if (this.#subnegotiation.length < LONGEST_SUBNEGOTIATION) this.#subnegotiation.push(byte);
        } else {
          this.#mode = 'data';
          if (byte === SUBNEGOTIATION_END) this.#negotiated(this.#subnegotiation);
        }
        break;
    }
  }

  #command(byte: number): void {
    this.#mode = 'data';
    switch (byte) {
      case IAC:
        this.#character(IAC);
        break;
      case WILL:
      case WONT:
      case DO:
      case DONT:
        this.#verb = byte;
        this.#mode = 'option';
        break;
      case SUBNEGOTIATION:
        this.#subnegotiation = [];
        this.#mode = 'subnegotiation';
        break;
      case BREAK:
        this.#flush();
        this.#events.broken();
        break;
      case INTERRUPT_PROCESS:
        this.#character(CONTROL_C);
        break;
    }
  }

  /** RFC 854: a return is followed by a line feed or a NUL, which are not typed. */
  #character(byte: number): void {
    const wasReturn = this.#afterReturn;
    this.#afterReturn = byte === CARRIAGE_RETURN && !this.#binary;
    if (wasReturn && (byte === 0 || byte === LINE_FEED)) return;
    if (this.#count === this.#typed.length) this.#flush();
    this.#typed[this.#count++] = byte;
  }

  #flush(): void {
    if (this.#count === 0) return;
    const count = this.#count;
    this.#count = 0;
    this.#events.typed(this.#typed.subarray(0, count));
  }

  #negotiate(verb: number, option: number): void {
    if (verb === WILL || verb === WONT) {
      if (option === BINARY) this.#binary = verb === WILL;
      if (verb === WILL && !THEY_DO.includes(option)) this.#refuse(DONT, option);
    } else if (verb === DO && !WE_DO.includes(option)) {
      this.#refuse(WONT, option);
    }
  }

  #refuse(verb: number, option: number): void {
    const key = verb * 256 + option;
    if (this.#refused.has(key)) return;
    this.#refused.add(key);
    this.#events.answer(Uint8Array.of(IAC, verb, option));
  }

  #negotiated([option, columnsHigh, columnsLow, rowsHigh, rowsLow]: readonly number[]): void {
    if (option !== WINDOW_SIZE || rowsLow === undefined) return;
    const columns = ((columnsHigh as number) << 8) | (columnsLow as number);
    const rows = ((rowsHigh as number) << 8) | rowsLow;
    // RFC 1073: 0 says that the size is not known.
    if (columns === 0 || rows === 0) return;
    this.#flush();
    this.#events.resized({ columns, rows });
  }
}

/** Bytes for a terminal as they go over the network: those that look like commands are doubled. */
export function telnetData(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(IAC)) return bytes;
  return Uint8Array.from([...bytes].flatMap((byte) => (byte === IAC ? [IAC, IAC] : [byte])));
}

/** A client's side: says how large its window is. */
export function telnetWindowSize({ columns, rows }: TerminalSize): Uint8Array {
  const size = Uint8Array.of(columns >> 8, columns, rows >> 8, rows);
  return Uint8Array.of(IAC, WILL, WINDOW_SIZE, IAC, SUBNEGOTIATION, WINDOW_SIZE, ...telnetData(size), IAC, SUBNEGOTIATION_END);
}

/** A client's side: eight bits from here on, and the break key. */
export const TELNET_BINARY: Uint8Array = Uint8Array.of(IAC, WILL, BINARY);
export const TELNET_BREAK: Uint8Array = Uint8Array.of(IAC, BREAK);

/** A client's side: takes the commands out of what a server sends. */
export class TelnetStripper {
  #skip = 0;
  #inCommand = false;

  /** What is for the terminal. */
  feed(bytes: Uint8Array): Uint8Array {
    const kept: number[] = [];
    for (const byte of bytes) {
      if (this.#skip > 0) this.#skip--;
      else if (this.#inCommand) {
        this.#inCommand = false;
        if (byte === IAC) kept.push(byte);
        else if (byte >= WILL && byte <= DONT) this.#skip = 1;
      } else if (byte === IAC) this.#inCommand = true;
      else kept.push(byte);
    }
    return Uint8Array.from(kept);
  }
}
