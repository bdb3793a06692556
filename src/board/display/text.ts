/** The characters on a screen in text mode, as text. */
import type { DisplayBuffers } from '../../contracts/index.ts';
import { crtcWord, displayMode } from './geometry.ts';
import { characterAt, characterCounter } from './picture.ts';
import { Crtc, RegisterBlock } from './register-block.ts';

/** Code page 437 below ASCII and above it: what a PC's character generator draws. */
const CP437_LOW = ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼';
const CP437_HIGH =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ';
const CURSOR_OFF = 0x20;

export interface CellPlace {
  readonly row: number;
  readonly column: number;
}

/** One line per row, trailing blanks removed; undefined while the screen is in a graphics mode or dark. */
export function screenText({ registers, memory }: DisplayBuffers): string[] | undefined {
  const block = new RegisterBlock(registers);
  const mode = displayMode(block, memory.length);
  if (mode.kind !== 'text') return undefined;
  return Array.from({ length: mode.rows }, (_, row) => {
    let line = '';
    for (let column = 0; column < mode.columns; column++) {
      line += glyph(memory[characterAt(block, characterCounter(block, row, column), memory)] as number);
    }
    return line.trimEnd();
  });
}

/** Where the text cursor stands; undefined while it is off, outside the screen, or there is no text. */
export function textCursor({ registers, memory }: DisplayBuffers): CellPlace | undefined {
  const block = new RegisterBlock(registers);
  const mode = displayMode(block, memory.length);
  if (mode.kind !== 'text' || (block.crtc[Crtc.CursorStart] as number) & CURSOR_OFF) return undefined;
  const pitch = (block.crtc[Crtc.Offset] as number) * 2;
  const at = crtcWord(block, Crtc.CursorLocationHigh) - crtcWord(block, Crtc.StartAddressHigh);
  if (at < 0 || pitch === 0 || at >= pitch * mode.rows) return undefined;
  return { row: Math.floor(at / pitch), column: at % pitch };
}

/** What stands for a character code in text. */
export function glyph(code: number): string {
  if (code < 0x20) return CP437_LOW[code] as string;
  if (code < 0x7f) return String.fromCharCode(code);
  return code === 0x7f ? '⌂' : (CP437_HIGH[code - 0x80] as string);
}
