import { describe, expect, it } from 'vitest';
import { BUILT_IN_FONT, FONT_GLYPH_ROWS } from './font.ts';
import { drawPicture } from './picture.ts';
import { parseDisplayMode } from './mode-option.ts';
import { MODE_03, setMode } from './modes.ts';
import { RegisterBlock } from './register-block.ts';
import { glyph, screenText, textCursor } from './text.ts';

const cell = (code: number): string[] =>
  Array.from({ length: FONT_GLYPH_ROWS }, (_, row) => (BUILT_IN_FONT[code * FONT_GLYPH_ROWS + row] as number).toString(2).padStart(8, '0'));

describe('the built-in font', () => {
  it('has a different shape for every printable ASCII character, and keeps the last column free between letters', () => {
    const shapes = new Set<string>();
    for (let code = 0x21; code < 0x7f; code++) {
      shapes.add(cell(code).join());
      expect(cell(code).every((row) => row.endsWith('0'))).toBe(true);
    }
    expect(shapes.size).toBe(0x7f - 0x21);
  });

  it('joins line-drawing characters at the edges of their cells', () => {
    // │ runs from top to bottom, ─ from side to side; ┌ meets the cells right of it and below it.
    expect(cell(0xb3).every((row) => row === '00011000')).toBe(true);
    expect(cell(0xc4).filter((row) => row !== '00000000')).toEqual(['11111111']);
    const corner = cell(0xda);
    expect([corner[0], corner[7]?.endsWith('1'), corner[7]?.startsWith('0'), corner[15]]).toEqual(['00000000', true, true, '00011000']);
  });

  it('leaves the middle of a double crossing open', () => {
    const cross = cell(0xce);
    expect([cross[6], cross[7], cross[8]]).toEqual(['11100111', '00000000', '11100111']);
  });

  it('puts accents over letters: é is e and something above it', () => {
    const [plain, accented] = [cell('e'.charCodeAt(0)), cell(0x82)];
    expect(accented.slice(4)).toEqual(plain.slice(4));
    expect(accented.slice(0, 4)).not.toEqual(plain.slice(0, 4));
  });
});

it('knows code page 437', () => {
  expect([0x41, 0x80, 0xb0, 0xe1, 0xf8, 0xfe, 0x10].map(glyph).join('')).toBe('AÇ░ß°■►');
});

describe('modes as people write them', () => {
  it.each([
    ['1024x768', { width: 1024, height: 768, depth: 32 }],
    ['800x600x16', { width: 800, height: 600, depth: 16 }],
    ['', undefined],
    ['800x600x8', undefined],
    ['8x6', undefined],
    ['1024x768 ', undefined],
  ])('%s', (text, mode) => {
    expect(parseDisplayMode(text)).toEqual(mode);
  });
});

it('draws whatever the registers hold, within bounds, and never throws', () => {
  let seed = 20_261_122;
  const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 8;
  const buffers = { registers: new RegisterBlock().buffer, memory: new Uint8Array(new SharedArrayBuffer(0x40000)) };
  const bytes = new Uint8Array(buffers.registers);
  for (let round = 0; round < 150; round++) {
    setMode(new RegisterBlock(buffers.registers), MODE_03);
    for (let i = 0; i < 40; i++) bytes[random() % bytes.length] = random();
    const { width, height, pixels } = drawPicture(buffers);
    expect(width).toBeLessThanOrEqual(2560);
    expect(height).toBeLessThanOrEqual(2048);
    expect(pixels.length).toBe(width * height * 4);
    screenText(buffers);
    textCursor(buffers);
  }
});
