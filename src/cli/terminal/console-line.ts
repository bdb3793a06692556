/**
 * The current line of a guest's console, as a terminal would show it: characters, colours, a cursor. It turns the raw stream of a serial
 * port, with its backspaces, carriage returns and escape sequences, into lines that can be prefixed, logged and redrawn.
 *
 * Sequences: ECMA-48 §8.3 and xterm's control sequences. Only what happens on one line is followed (SGR, EL, CHA, CUF, CUB, DCH, ICH);
 * a sequence that leaves the line ends it; questions to the terminal (DSR, DA) and everything else are swallowed, because an answer
 * would reach the wrong guest and a cursor movement would destroy its neighbours' lines.
 *
 * Not modelled: wide and combining characters (each counts as one column), tabs other than every 8 columns.
 */

/** A guest that never ends its line gets it ended here. */
const LONGEST_LINE = 2000;
/** Parameters of one sequence; longer ones are swallowed. */
const LONGEST_SEQUENCE = 64;
/** Nested colour commands without a reset in between are cut to the newest. */
const LONGEST_STYLE = 80;

const RESET = '\x1b[0m';

/** A finished or current line: plain for logs, styled for terminals. */
export interface ConsoleText {
  readonly plain: string;
  readonly styled: string;
}

type Mode = 'text' | 'escape' | 'sequence' | 'string' | 'string-escape' | 'charset';

export class ConsoleLine {
  #characters: string[] = [];
  #styles: string[] = [];
  #column = 0;
  #style = '';
  #mode: Mode = 'text';
  #parameters = '';
  readonly #decoder = new TextDecoder();

  /** Takes a piece of the stream, cut anywhere; calls `complete` for every line that ended in it. */
  feed(bytes: Uint8Array, complete: (line: ConsoleText) => void): void {
    for (const character of this.#decoder.decode(bytes, { stream: true })) this.#take(character, complete);
  }

  get empty(): boolean {
    return this.#characters.length === 0;
  }

  /** Where the cursor stands, from 0. */
  get column(): number {
    return this.#column;
  }

  /** The line so far. */
  get text(): ConsoleText {
    return this.slice(0, this.#characters.length);
  }

  /** Columns `[from, to)` of the line so far. */
  slice(from: number, to: number): ConsoleText {
    const characters = this.#characters.slice(from, to);
    let styled = '';
    let style = '';
    for (const [index, character] of characters.entries()) {
      const wanted = this.#styles[from + index] as string;
      if (wanted !== style) styled += style === '' ? wanted : RESET + wanted;
      style = wanted;
      styled += character;
    }
    return { plain: characters.join(''), styled: style === '' ? styled : styled + RESET };
  }

  /** Ends the line as it is: the guest is gone. */
  finish(complete: (line: ConsoleText) => void): void {
    this.#mode = 'text';
    if (!this.empty) this.#complete(complete);
    this.#style = '';
  }

  #take(character: string, complete: (line: ConsoleText) => void): void {
    switch (this.#mode) {
      case 'text':
        this.#takeText(character, complete);
        break;
      case 'escape':
        this.#takeEscape(character);
        break;
      case 'sequence':
        this.#takeSequence(character, complete);
        break;
      case 'charset':
        this.#mode = 'text';
        break;
      case 'string': // OSC, DCS and the like end with BEL or ST (ESC \)
        if (character === '\x07') this.#mode = 'text';
        else if (character === '\x1b') this.#mode = 'string-escape';
        else if (character === '\n') this.#takeText(character, complete); // nobody closed it: do not swallow the rest of the run
        break;
      case 'string-escape':
        this.#mode = character === '\\' ? 'text' : 'string';
        break;
    }
  }

  #takeText(character: string, complete: (line: ConsoleText) => void): void {
    this.#mode = 'text';
    switch (character) {
      case '\n':
        this.#complete(complete);
        break;
      case '\r':
        this.#column = 0;
        break;
      case '\b':
        this.#column = Math.max(0, this.#column - 1);
        break;
      case '\t':
        do this.#put(' ', complete);
        while (this.#column % 8 !== 0);
        break;
      case '\x1b':
        this.#mode = 'escape';
        break;
      default:
        // Other controls have no picture: bell, NUL padding, XON.
        if (character >= ' ' && character !== '\x7f' && !(character >= '\x80' && character < '\xa0')) this.#put(character, complete);
    }
  }

  #takeEscape(character: string): void {
    this.#parameters = '';
    if (character === '[') this.#mode = 'sequence';
    else if (']PX^_'.includes(character)) this.#mode = 'string';
    else if ('()*+#% '.includes(character)) this.#mode = 'charset';
    else this.#mode = character === '\x1b' ? 'escape' : 'text';
  }

  #takeSequence(character: string, complete: (line: ConsoleText) => void): void {
    if (character >= '@' && character <= '~') {
      this.#mode = 'text';
      if (this.#parameters.length <= LONGEST_SEQUENCE) this.#obey(character, complete);
    } else if (character >= ' ') {
      if (this.#parameters.length <= LONGEST_SEQUENCE) this.#parameters += character;
    } else {
      this.#takeText(character, complete); // a control inside a sequence: the sequence was broken off
    }
  }

  #obey(final: string, complete: (line: ConsoleText) => void): void {
    // The first parameter, which defaults to 1 for all that move or count.
    const count = Math.max(1, Number.parseInt(this.#parameters, 10) || 1);
    switch (final) {
      case 'm':
        this.#setStyle();
        break;
      case 'K':
      case 'J':
        this.#erase();
        break;
      case 'G':
        this.#column = Math.min(count - 1, LONGEST_LINE - 1);
        break;
      case 'C':
        this.#column = Math.min(this.#column + count, LONGEST_LINE - 1);
        break;
      case 'D':
        this.#column = Math.max(0, this.#column - count);
        break;
      case 'P':
        this.#characters.splice(this.#column, count);
        this.#styles.splice(this.#column, count);
        break;
      case '@':
        if (this.#column < this.#characters.length) {
          const blanks = Math.min(count, LONGEST_LINE - this.#characters.length);
          this.#characters.splice(this.#column, 0, ...Array<string>(blanks).fill(' '));
          this.#styles.splice(this.#column, 0, ...Array<string>(blanks).fill(''));
        }
        break;
      case 'A':
      case 'B':
      case 'E':
      case 'F':
      case 'H':
      case 'd':
      case 'f':
        if (!this.empty) this.#complete(complete);
        break;
    }
  }

  #setStyle(): void {
    // Private forms (`ESC [ > 4 m`) set keyboard options, not colours.
    if (/^[<-?]/.test(this.#parameters)) return;
    if (this.#parameters === '' || /^0+$/.test(this.#parameters)) {
      this.#style = '';
      return;
    }
    const sequence = `\x1b[${this.#parameters}m`;
    const resets = this.#parameters.startsWith('0;');
    const combined = resets ? sequence : this.#style + sequence;
    this.#style = combined.length <= LONGEST_STYLE ? combined : sequence;
  }

  #erase(): void {
    const mode = Number.parseInt(this.#parameters, 10) || 0;
    const from = mode === 0 ? this.#column : 0;
    if (mode === 1) {
      for (let i = 0; i <= this.#column && i < this.#characters.length; i++) this.#characters[i] = ' ';
    } else {
      this.#characters.length = Math.min(this.#characters.length, from);
      this.#styles.length = this.#characters.length;
    }
  }

  #put(character: string, complete: (line: ConsoleText) => void): void {
    while (this.#characters.length < this.#column) {
      this.#characters.push(' ');
      this.#styles.push('');
    }
    this.#characters[this.#column] = character;
    this.#styles[this.#column] = this.#style;
    this.#column++;
    if (this.#column >= LONGEST_LINE) this.#complete(complete);
  }

  #complete(complete: (line: ConsoleText) => void): void {
    // Programs clear to the end of line by writing blanks; those are no text.
    let length = this.#characters.length;
    while (length > 0 && this.#characters[length - 1] === ' ' && this.#styles[length - 1] === '') length--;
    const line = this.slice(0, length);
    this.#characters = [];
    this.#styles = [];
    this.#column = 0;
    complete(line);
  }
}
