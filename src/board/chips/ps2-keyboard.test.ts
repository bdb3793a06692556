import { beforeEach, describe, expect, it } from 'vitest';
import { keyNumber } from '../input/keys.ts';
import { keystrokes } from '../input/keystrokes.ts';
import { ManualClock } from '../testing.ts';
import { Ps2Keyboard } from './ps2-keyboard.ts';

let clock: ManualClock;
let keyboard: Ps2Keyboard;
let ready: number;
beforeEach(() => {
  clock = new ManualClock();
  ready = 0;
  keyboard = new Ps2Keyboard({ clock, ready: () => ready++ });
});

function drain(): string {
  const bytes: string[] = [];
  for (let byte = keyboard.take(); byte !== undefined; byte = keyboard.take()) bytes.push(byte.toString(16).padStart(2, '0'));
  return bytes.join(' ');
}

function send(...bytes: number[]): string {
  for (const byte of bytes) keyboard.receive(byte);
  return drain();
}

function stroke(text: string): string {
  for (const { key, pressed } of keystrokes(text)) keyboard.key(key, pressed);
  return drain();
}

const press = (name: string) => keyboard.key(keyNumber(name)!, true);
const release = (name: string) => keyboard.key(keyNumber(name)!, false);

describe('scan codes', () => {
  it.each([
    ['a', '1e 9e', '1c f0 1c', '1c'],
    ['<enter>', '1c 9c', '5a f0 5a', '5a'],
    ['<f7>', '41 c1', '83 f0 83', '37'],
    ['<left-shift>', '2a aa', '12 f0 12', '12 f0 12'],
    ['<right-ctrl>', 'e0 1d e0 9d', 'e0 14 e0 f0 14', '58'],
    ['<delete>', 'e0 53 e0 d3', 'e0 71 e0 f0 71', '64'],
    ['<keypad-enter>', 'e0 1c e0 9c', 'e0 5a e0 f0 5a', '79'],
    ['<left-super>', 'e0 5b e0 db', 'e0 1f e0 f0 1f', '8b f0 8b'],
    ['<print-screen>', 'e0 2a e0 37 e0 b7 e0 aa', 'e0 12 e0 7c e0 f0 7c e0 f0 12', '57'],
    ['<pause>', 'e1 1d 45 e1 9d c5', 'e1 14 77 e1 f0 14 f0 77', '62'],
  ])('%s in sets 1, 2 and 3', (key, ...sets) => {
    for (const [index, codes] of sets.entries()) {
      expect(send(0xf0, index + 1)).toBe('fa fa');
      expect(stroke(key)).toBe(codes);
    }
  });

  it('comes up in set 2, says which set it is in, and knows no fourth', () => {
    expect(send(0xf0, 0)).toBe('fa fa 02');
    expect(send(0xf0, 3)).toBe('fa fa');
    expect(send(0xf0, 0)).toBe('fa fa 03');
    expect(send(0xf0, 4)).toBe('fa fe');
    expect(send(0xff)).toBe('fa aa');
    expect(send(0xf0, 0)).toBe('fa fa 02');
  });
});

describe('key types of set 3', () => {
  beforeEach(() => void send(0xf0, 3));

  it('are set for all keys at once', () => {
    send(0xf8); // make/break
    expect(stroke('a')).toBe('1c f0 1c');
    send(0xf9); // make only
    expect(stroke('<left-shift>')).toBe('12');
    send(0xfa); // all three
    press('a');
    clock.advance(500e6);
    release('a');
    expect(drain()).toBe('1c f0 1c');
  });

  it('are set for single keys until the next command', () => {
    expect(send(0xfc, 0x1c, 0x1b)).toBe('fa fa fa');
    expect(send(0xf4)).toBe('fa');
    expect([stroke('a'), stroke('s'), stroke('d')]).toEqual(['1c f0 1c', '1b f0 1b', '23']);
    send(0xf6);
    send(0xf0, 3);
    expect(stroke('a')).toBe('1c');
  });
});

describe('typematic repeat', () => {
  /** Repeats within a time, read as they come. */
  function repeats(nanos: number): number {
    let count = 0;
    for (let passed = 0; passed < nanos; passed += 1e6) {
      clock.advance(1e6);
      if (drain() !== '') count++;
    }
    return count;
  }

  it('begins after half a second with 10.9 per second', () => {
    press('a');
    drain();
    expect(repeats(499e6)).toBe(0);
    expect(repeats(1_000e6)).toBe(11);
    expect(ready).toBe(11);
  });

  it('takes rate and delay from the system: 30 per second after a quarter of a second', () => {
    expect(send(0xf3, 0x00)).toBe('fa fa');
    press('a');
    drain();
    expect(repeats(249e6)).toBe(0);
    expect(repeats(1_000e6)).toBe(30);
  });

  it('ends with the key, and is taken over by the next one', () => {
    press('a');
    press('b');
    drain();
    clock.advance(600e6);
    expect(drain()).toBe('32');
    release('a');
    expect(drain()).toBe('f0 1c');
    clock.advance(100e6);
    expect(drain()).toBe('32');
    release('b');
    drain();
    clock.advance(2_000e6);
    expect(drain()).toBe('');
  });

  it('does not pile up while nobody reads', () => {
    press('a');
    clock.advance(10_000e6);
    expect(drain()).toBe('1c');
    expect(keyboard.hasRoom).toBe(true);
  });

  it('goes on after save and restore', () => {
    press('a');
    drain();
    clock.advance(400e6);
    const state = JSON.parse(JSON.stringify(keyboard.save()));
    keyboard.reset();
    keyboard.restore(state);
    clock.advance(101e6);
    expect(drain()).toBe('1c');
  });
});

describe('commands', () => {
  it('light the LEDs', () => {
    expect(send(0xed, 0x05)).toBe('fa fa');
    expect(keyboard.leds).toBe(5);
  });

  it('are taken in place of an argument', () => {
    expect(send(0xed, 0xf2)).toBe('fa fa ab 83');
  });

  it('resend the last byte, and ask for what is no command', () => {
    expect(send(0xee)).toBe('ee');
    expect(send(0xfe)).toBe('ee');
    expect(send(0x55)).toBe('fe');
  });

  it('stop scanning: keys are lost until it is enabled again, which also empties the buffer', () => {
    expect(send(0xf5)).toBe('fa');
    expect(stroke('a')).toBe('');
    expect(send(0xf4)).toBe('fa');
    expect(stroke('a')).toBe('1c f0 1c');
    press('b');
    expect(send(0xf4)).toBe('fa');
  });

  it('are answered before keys that wait', () => {
    press('a');
    expect(send(0xee)).toBe('ee 1c');
  });

  it('flood without growing anything', () => {
    for (let i = 0; i < 10_000; i++) keyboard.receive(0xf2);
    expect(drain().split(' ').length).toBeLessThanOrEqual(16);
  });
});
