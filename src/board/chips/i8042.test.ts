import { beforeEach, describe, expect, it } from 'vitest';
import type { KeyEvent, PointerEvent } from '../../contracts/index.ts';
import { keystrokes } from '../input/keystrokes.ts';
import { ManualClock, RecordingLine } from '../testing.ts';
import { I8042 } from './i8042.ts';

let clock: ManualClock;
let irq1: RecordingLine;
let irq12: RecordingLine;
let resets: number;
let keys: KeyEvent[];
let pointer: PointerEvent[];

function controller(mouse = false): I8042 {
  clock = new ManualClock();
  irq1 = new RecordingLine();
  irq12 = new RecordingLine();
  resets = 0;
  keys = [];
  pointer = [];
  return new I8042({
    clock,
    mouse,
    input: { key: () => keys.shift(), pointer: () => pointer.shift() },
    pins: { keyboardInterrupt: (level) => irq1.set(level), auxiliaryInterrupt: (level) => irq12.set(level), reset: () => resets++ },
  });
}

let chip: I8042;
beforeEach(() => {
  chip = controller();
});

function type(text: string): void {
  keys.push(...keystrokes(text));
  chip.pump();
}

/** Everything the system would read until the buffer is empty. */
function drain(): number[] {
  const bytes: number[] = [];
  for (let i = 0; i < 1000 && chip.readStatus() & 1; i++) bytes.push(chip.readData());
  return bytes;
}

function command(code: number, ...data: number[]): number[] {
  chip.writeCommand(code);
  for (const byte of data) chip.writeData(byte);
  return drain();
}

function keyboard(...bytes: number[]): number[] {
  for (const byte of bytes) chip.writeData(byte);
  return drain();
}

describe('controller', () => {
  it('passes its self test and the test of the keyboard line', () => {
    expect([command(0xaa), command(0xab)]).toEqual([[0x55], [0x00]]);
  });

  it('keeps its command byte', () => {
    expect(command(0x20)).toEqual([0x65]);
    command(0x60, 0x30);
    expect(command(0x20)).toEqual([0x30]);
  });

  it('shows no mouse port when there is none: a looped byte comes back as a key', () => {
    chip.writeCommand(0xd3);
    chip.writeData(0x5a);
    expect(chip.readStatus() & 0x21).toBe(0x01);
    expect(drain()).toEqual([0x5a]);
    expect(command(0xa9)).toEqual([0x01]);
  });

  it('pulses the reset line on 0xFE, and through the output port', () => {
    chip.writeCommand(0xfe);
    chip.writeCommand(0xff);
    expect(resets).toBe(1);
    command(0xd1, 0xde);
    expect(resets).toBe(2);
  });

  it('keeps the A20 bit of the output port', () => {
    command(0xd1, 0x01);
    expect(command(0xd0)).toEqual([0x01]);
    command(0xdf);
    expect(command(0xd0)).toEqual([0x03]);
  });
});

describe('the keyboard behind it', () => {
  it('answers reset, identify and echo', () => {
    expect([keyboard(0xff), keyboard(0xf2), keyboard(0xee)]).toEqual([[0xfa, 0xaa], [0xfa, 0xab, 0x41], [0xee]]);
  });

  it('is identified as AB 83 when translation is off', () => {
    command(0x60, 0x21);
    expect(keyboard(0xf2)).toEqual([0xfa, 0xab, 0x83]);
  });

  it('has its set 2 translated to set 1, one interrupt per byte', () => {
    type('aB');
    expect(drain()).toEqual([0x1e, 0x9e, 0x2a, 0x30, 0xb0, 0xaa]);
    expect(irq1.edges).toBe(6);
  });

  it('has prefixes of extended keys passed on', () => {
    type('<up>');
    expect(drain()).toEqual([0xe0, 0x48, 0xe0, 0xc8]);
  });

  it('is held back while its interface is disabled', () => {
    chip.writeCommand(0xad);
    type('a');
    expect(drain()).toEqual([]);
    chip.writeCommand(0xae);
    expect(drain()).toEqual([0x1e, 0x9e]);
  });

  it('leaves what it has no room for with the host, and loses nothing', () => {
    type('x'.repeat(500));
    expect(keys.length).toBeGreaterThan(980);
    const bytes: number[] = [];
    for (let piece = drain(); piece.length > 0; piece = drain()) bytes.push(...piece);
    expect(bytes).toEqual(Array.from({ length: 500 }, () => [0x2d, 0xad]).flat());
  });
});

describe('the mouse behind it', () => {
  beforeEach(() => {
    chip = controller(true);
    command(0xa8);
    command(0x60, 0x47);
  });

  it('answers on the auxiliary port, with IRQ 12', () => {
    chip.writeCommand(0xd4);
    chip.writeData(0xff);
    expect(chip.readStatus() & 0x21).toBe(0x21);
    expect([drain(), irq12.edges, irq1.edges]).toEqual([[0xfa, 0xaa, 0x00], 3, 0]);
  });

  it('raises IRQ 12 for a movement when it is enabled', () => {
    command(0xd4, 0xf4);
    irq12.edges = 0;
    pointer.push({ dx: 5, dy: -2, wheel: 0, buttons: 1 });
    chip.pump();
    clock.advance(10e6);
    expect([drain(), irq12.edges, irq1.edges]).toEqual([[0x29, 0x05, 0xfe], 3, 0]);
  });
});

it('continues after save and restore', () => {
  type('a');
  const state = JSON.parse(JSON.stringify(chip.save()));
  chip.reset();
  chip.restore(state);
  expect(drain()).toEqual([0x1e, 0x9e]);
});
