// Rules of RFC 854 to 858, 1073 and 1143.
import { beforeEach, describe, expect, it } from 'vitest';
import { TELNET_BINARY, TELNET_BREAK, TelnetDecoder, TelnetStripper, telnetData, telnetWindowSize } from './telnet.ts';

let typed: number[];
let events: string[];
let decoder: TelnetDecoder;

beforeEach(() => {
  typed = [];
  events = [];
  decoder = new TelnetDecoder({
    typed: (bytes) => typed.push(...bytes),
    resized: ({ columns, rows }) => events.push(`${columns}x${rows}`),
    broken: () => events.push('break'),
    answer: (bytes) => events.push([...bytes].join(' ')),
  });
});

const text = (): string => String.fromCharCode(...typed);
const feed = (...pieces: readonly (string | readonly number[] | Uint8Array)[]): void => {
  for (const piece of pieces) decoder.feed(Uint8Array.from(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece));
};

describe('a telnet server', () => {
  it('offers to echo and asks for the size of the window before anything else', () => {
    expect([...TelnetDecoder.greeting()]).toEqual([255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 3, 255, 253, 0, 255, 253, 31]);
  });

  it('takes a return with what must follow it for one key, however it is cut', () => {
    feed('ls\r\0', 'a\r', '\nb\r\rc\n');
    expect(text()).toBe('ls\ra\rb\r\rc\n');
  });

  it('takes every byte as it is once the client talks in eight bits', () => {
    feed(TELNET_BINARY, '\r\0\r\n', [0x80, 0xfe, 255, 255]);
    expect(typed).toEqual([13, 0, 13, 10, 0x80, 0xfe, 255]);
  });

  it('hears the size of the window, doubled bytes included', () => {
    feed(telnetWindowSize({ columns: 132, rows: 43 }), telnetWindowSize({ columns: 255, rows: 255 }), telnetWindowSize({ columns: 0, rows: 0 }));
    expect(events).toEqual(['132x43', '255x255']);
  });

  it('tells a break in the place where it was pressed, and an interrupt as the key it stands for', () => {
    feed('a', TELNET_BREAK, 'b', [255, 244]);
    expect([text(), events]).toEqual(['ab\x03', ['break']]);
  });

  it('refuses options it does not know, each once, and answers nothing to what it asked for', () => {
    feed([255, 253, 1, 255, 251, 31, 255, 252, 3], [255, 253, 39], [255, 251, 24], [255, 253, 39, 255, 251, 24]);
    expect(events).toEqual(['255 252 39', '255 254 24']);
  });

  it('swallows commands and subnegotiations it does not understand, of any length and without an end', () => {
    feed([255, 241, 255, 249], 'x', [255, 250, 24, ...new Array(100_000).fill(7), 255, 240], 'y', [255, 250, 31, 1, 255, 240], [255, 250, 1]);
    feed(new Array(100_000).fill(1));
    expect([text(), events]).toEqual(['xy', []]);
  });

  it('survives anything', () => {
    let state = 0x1234_5678;
    for (let round = 0; round < 20_000; round++) {
      const bytes = Uint8Array.from({ length: round % 13 }, () => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return state & 0x4000_0000 ? 240 + ((state >>> 16) & 15) : state >>> 24;
      });
      decoder.feed(bytes);
    }
    expect(events.length).toBeLessThan(20_000 * 13);
    feed([255, 240, 0, 255, 240], TELNET_BINARY);
    typed = [];
    feed('still here');
    expect(text()).toBe('still here');
  });
});

describe('a telnet client', () => {
  it('shows what is meant for the terminal and nothing else', () => {
    const stripper = new TelnetStripper();
    const bytes = [...TelnetDecoder.greeting(), 0x41, ...telnetData(Uint8Array.of(255, 1)), 255, 241, 0x42];
    const shown = bytes.flatMap((byte) => [...stripper.feed(Uint8Array.of(byte))]);
    expect(shown).toEqual([0x41, 255, 1, 0x42]);
  });
});
