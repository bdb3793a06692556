/**
 * Watches what a guest does to a terminal it has for itself, as far as it must be undone: whether it is on the alternate screen (xterm
 * control sequences, DECSET 47, 1047, 1049). Leaving a screen one is not on would move the cursor to a place saved long ago.
 */

const ALTERNATE_SCREEN = /\x1b\[\?(?:1049|1047|47)([hl])/g;
/** One byte less than the longest sequence: what may begin in one piece and end in the next. */
const CARRIED = 7;

/** Cursor shown, colours off, no mouse reports, no bracketed paste, no scroll region. */
const TAME = '\x1b[?25h\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b7\x1b[r\x1b8';

export class ScreenTracker {
  #alternate = false;
  #carried = '';

  /** Takes a piece of what went to the terminal, cut anywhere. */
  watch(bytes: Uint8Array): void {
    let text = this.#carried;
    for (const byte of bytes) text += String.fromCharCode(byte);
    let end = 0;
    for (const match of text.matchAll(ALTERNATE_SCREEN)) {
      this.#alternate = match[1] === 'h';
      end = match.index + match[0].length;
    }
    this.#carried = text.slice(Math.max(end, text.length - CARRIED));
  }

  /** Bytes that make the terminal usable for others again. */
  tame(): string {
    const leave = this.#alternate ? '\x1b[?1049l' : '';
    this.#alternate = false;
    return leave + TAME;
  }
}
