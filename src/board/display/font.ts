/**
 * The character generator that a video BIOS would load: code page 437 in cells of 8×16 dots. Drawn for this project.
 *
 * Letters are drawn five dots wide and nine high and stretched; accents are put on top of letters; lines, blocks and shades are made by
 * rule. A code without a drawing shows as an empty frame.
 */
import { glyph } from './text.ts';

export const FONT_GLYPH_ROWS = 16;
const CODES = 256;

/** Rows of five dots, a digit to base 32 each, from the top of a capital to its foot and two more below. */
const DRAWN: Readonly<Record<string, string>> = {
  ' ': '', '!': '4444404', '"': 'aa', '#': 'aavavaa', $: '4fke5u4', '%': 'op248j3', '&': 'cik8lid', "'": '448',
  '(': '2488842', ')': '8422248', '*': '04lel40', '+': '044v440', ',': '00000cc48', '-': '000v', '.': '00000cc', '/': '11248gg',
  0: 'ehjlphe', 1: '4c4444e', 2: 'eh168gv', 3: 'eh161he', 4: '26aiv22', 5: 'vgu11he', 6: '68guhhe', 7: 'v124888', 8: 'ehhehhe',
  9: 'ehhf12c', ':': '0cc0cc0', ';': '0cc0cc48', '<': '248g842', '=': '00v0v', '>': '8421248', '?': 'eh12404', '@': 'ehnlnge',
  A: '4ahhvhh', B: 'uhhuhhu', C: 'ehggghe', D: 'uhhhhhu', E: 'vgguggv', F: 'vgguggg', G: 'ehgnhhf', H: 'hhhvhhh', I: 'e44444e',
  J: '72222ic', K: 'hikokih', L: 'ggggggv', M: 'hrllhhh', N: 'hhpljhh', O: 'ehhhhhe', P: 'uhhuggg', Q: 'ehhhlid', R: 'uhhukih',
  S: 'fgge11u', T: 'v444444', U: 'hhhhhhe', V: 'hhhhha4', W: 'hhhllrh', X: 'hha4ahh', Y: 'hha4444', Z: 'v1248gv',
  '[': 'e88888e', '\\': 'gg84211', ']': 'e22222e', '^': '4ah', _: '00000000v', '`': '84',
  a: '00e1fhf', b: 'gguhhhu', c: '00ehghe', d: '11fhhhf', e: '00ehvge', f: '698s888', g: '00fhhhf1e', h: 'gguhhhh', i: '40c444e',
  j: '2062222ic', k: 'ggikoki', l: 'c44444e', m: '00qllll', n: '00uhhhh', o: '00ehhhe', p: '00uhhhugg', q: '00fhhhf11', r: '00mpggg',
  s: '00fge1u', t: '88s8896', u: '00hhhhf', v: '00hhha4', w: '00hhlla', x: '00ha4ah', y: '00hhhhf1e', z: '00v248v',
  '{': '6448446', '|': '4444444', '}': 'c44244c', '~': '008l2',
  '•': '00eee', '♦': '04eve4', '↑': '4el4444', '↓': '4444le4', '→': '042v24', '←': '048v84', '↔': '0avva', '↕': '4el4le4',
  '►': 'gosusog', '◄': '137f731', '▲': '0044eev', '▼': '0vee44', '♥': '0avve4', '♠': '04evv4e', '♣': '0eelv4e', '☺': 'ehrhlhe',
  '☻': 'evlvhve', æ: '00q5fkf', Æ: 'fkkvkkn', ı: '00c444e', '¢': '04fkkf4', '£': '698s88v', '¥': 'ha4v4v4', ª: 'e1fhf0v',
  º: 'ehhhe0v', '¿': '4048ghe', '¡': '4044444', '⌐': '000vgg', '¬': '000v11', '½': 'ggi5127', '¼': 'ggi5571', '«': '005aka5',
  '»': '00ka5ak', 'ß': 'ehhuhhugg', 'Γ': 'vgggggg', α: '00dhiid', π: '00vaaaa', 'Σ': 'vg848gv', σ: '00fiiic', µ: '00hhhpmgg',
  τ: '00v4446', 'Φ': 'e4ehe4e', 'Θ': 'ehhvhhe', 'Ω': 'ehhhhar', δ: 'e84ehhe', φ: '00elle4', ε: '0ege0ge', '∞': '00alla',
  '∩': 'ehhhhhh', '≡': '0v0v0v', '±': '044v44v', '≥': '84248v', '≤': '24842v', '÷': '040v04', '≈': '08l208l2', '°': 'ciic',
  '∙': '000cc', '·': '000c', '√': '72222ic', 'ⁿ': 'uiii', '²': 'c248u', '■': '00vvvvv', 'ƒ': '698s88g',
};
const UNKNOWN = 'vhhhhhv';
/** Dots of the cell that each drawn row and column fills. */
const ROW_DOTS = [1, 2, 1, 2, 1, 2, 1, 1, 1];
const COLUMN_MASKS = [0xc0, 0x20, 0x10, 0x08, 0x06];
const TOP = 2;

/** Combining marks as rows of dots above a letter, or below. */
const ACCENTS: Readonly<Record<string, readonly number[]>> = {
  '\u0300': [0x30, 0x18],
  '\u0301': [0x0c, 0x18],
  '\u0302': [0x10, 0x6c],
  '\u0303': [0x32, 0x4c],
  '\u0308': [0x6c, 0x00],
  '\u030a': [0x10, 0x28],
};
const CEDILLA = '\u0327';

/** Arms of the line-drawing characters from 0xB3 on: up, down, left, right; 1 single, 2 double. */
const LINES = (
  '1100 1110 1120 2210 0210 0120 2220 2200 0220 2020 2010 1020 0110 1001 1011 0111 1101 0011 1111 1102 ' +
  '2201 2002 0202 2022 0222 2202 0022 2222 1022 2011 0122 0211 2001 1002 0102 0201 2211 1122 1010 0101'
).split(' ');
const FIRST_LINE = 0xb3;
// Where lines run in the cell
const MIDDLE_ROW = 7;
const DOUBLE_ROWS = [6, 8] as const;
const DOUBLE_COLUMNS = [2, 5] as const;
const MIDDLE_COLUMN = 3;
/** Light, medium and dark shade at 0xB0: dots of even and of odd rows. */
const SHADES = [
  [0x88, 0x22],
  [0xaa, 0x55],
  [0xee, 0xbb],
] as const;

/** 16 bytes per code, the left-most dot in bit 7. */
export const BUILT_IN_FONT: Uint8Array = makeFont();

function makeFont(): Uint8Array {
  const font = new Uint8Array(CODES * FONT_GLYPH_ROWS);
  for (let code = 0; code < CODES; code++) draw(code, font.subarray(code * FONT_GLYPH_ROWS, (code + 1) * FONT_GLYPH_ROWS));
  return font;
}

function draw(code: number, cell: Uint8Array): void {
  const arms = LINES[code - FIRST_LINE];
  if (code >= 0xb0 && code < FIRST_LINE) for (let row = 0; row < cell.length; row++) cell[row] = SHADES[code - 0xb0]?.[row & 1] ?? 0;
  else if (arms !== undefined) drawLines(arms, cell);
  else if (code >= 0xdb && code <= 0xdf) drawBlock(code, cell);
  else if (code !== 0 && code !== 0xff) drawLetter(glyph(code), cell);
}

function drawLetter(character: string, cell: Uint8Array): void {
  const [base = '', mark = ''] = DRAWN[character] === undefined ? [...character.normalize('NFD')] : [character];
  // An i gives up its dot for an accent.
  const rows = DRAWN[mark !== '' && base === 'i' ? 'ı' : base] ?? UNKNOWN;
  let to = TOP;
  for (const [index, digit] of [...rows].entries()) {
    const dots = Number.parseInt(digit, 32);
    const bits = COLUMN_MASKS.reduce((all, mask, column) => (dots & (16 >> column) ? all | mask : all), 0);
    for (let i = 0; i < (ROW_DOTS[index] as number); i++) cell[to++] = bits;
  }
  if (mark === CEDILLA) cell.set([0x10, 0x08, 0x30], TOP + 10);
  const accent = ACCENTS[mark];
  if (accent !== undefined) cell.set(accent, base === base.toUpperCase() ? 0 : TOP);
}

function drawLines(arms: string, cell: Uint8Array): void {
  const [up = 0, down = 0, left = 0, right = 0] = [...arms].map(Number);
  const across = (row: number, from: number, to: number): void => {
    for (let x = from; x <= to; x++) cell[row] = (cell[row] as number) | (0x80 >> x);
  };
  const along = (column: number, from: number, to: number, mask = 0x80): void => {
    for (let y = from; y <= to; y++) cell[y] = (cell[y] as number) | (mask >> column);
  };
  const [top, bottom] = DOUBLE_ROWS;
  const [near, far] = DOUBLE_COLUMNS;
  // A line of a double arm ends at the line of the crossing pair that it meets first: where a pair turns, the outer line is longer.
  if (right === 2) {
    across(top, up === 2 ? far : down === 2 ? near : MIDDLE_COLUMN, 7);
    across(bottom, down === 2 ? far : up === 2 ? near : MIDDLE_COLUMN, 7);
  }
  if (left === 2) {
    across(top, 0, up === 2 ? near : down === 2 ? far : MIDDLE_COLUMN + 1);
    across(bottom, 0, down === 2 ? near : up === 2 ? far : MIDDLE_COLUMN + 1);
  }
  if (up === 2) {
    along(near, 0, left === 2 ? top : right === 2 ? bottom : MIDDLE_ROW);
    along(far, 0, right === 2 ? top : left === 2 ? bottom : MIDDLE_ROW);
  }
  if (down === 2) {
    along(near, left === 2 ? bottom : right === 2 ? top : MIDDLE_ROW, 15);
    along(far, right === 2 ? bottom : left === 2 ? top : MIDDLE_ROW, 15);
  }
  // A single arm goes up to the first line of a pair that passes, and through to the far one where the pair turns.
  const upright = up === 2 || down === 2;
  const level = left === 2 || right === 2;
  const passes = up === 2 && down === 2;
  const passesLevel = left === 2 && right === 2;
  if (right === 1) across(MIDDLE_ROW, !upright || left ? MIDDLE_COLUMN : passes ? far : near, 7);
  if (left === 1) across(MIDDLE_ROW, 0, !upright || right ? MIDDLE_COLUMN + 1 : passes ? near : far);
  if (up === 1) along(MIDDLE_COLUMN, 0, !level || down ? MIDDLE_ROW : passesLevel ? top : bottom, 0xc0);
  if (down === 1) along(MIDDLE_COLUMN, !level || up ? MIDDLE_ROW : passesLevel ? bottom : top, 15, 0xc0);
}

/** Full, lower, left, right and upper half. */
function drawBlock(code: number, cell: Uint8Array): void {
  const dots = code === 0xdd ? 0xf0 : code === 0xde ? 0x0f : 0xff;
  const half = cell.length / 2;
  cell.fill(dots, code === 0xdc ? half : 0, code === 0xdf ? half : cell.length);
}
