import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../testing.ts';
import { Ps2Mouse } from './ps2-mouse.ts';

let clock: ManualClock;
let mouse: Ps2Mouse;
beforeEach(() => {
  clock = new ManualClock();
  mouse = new Ps2Mouse({ clock, ready: () => undefined });
});

function drain(): number[] {
  const bytes: number[] = [];
  for (let byte = mouse.take(); byte !== undefined; byte = mouse.take()) bytes.push(byte);
  return bytes;
}

function send(...bytes: number[]): number[] {
  for (const byte of bytes) mouse.receive(byte);
  return drain();
}

function move(dx: number, dy: number, buttons = 0, wheel = 0): number[] {
  mouse.event({ dx, dy, wheel, buttons });
  clock.advance(10e6);
  return drain();
}

/** Sets sample rates one after the other, as a driver that looks for a wheel. */
function knock(...rates: number[]): void {
  for (const rate of rates) send(0xf3, rate);
}

describe('a standard mouse', () => {
  it('tests itself and says what it is', () => {
    expect([send(0xff), send(0xf2)]).toEqual([
      [0xfa, 0xaa, 0x00],
      [0xfa, 0x00],
    ]);
  });

  it('reports nothing until it is enabled', () => {
    expect(move(1, 1)).toEqual([]);
    send(0xf4);
    expect(move(5, -2, 1)).toEqual([0x29, 0x05, 0xfe]);
    send(0xf5);
    expect(move(1, 1)).toEqual([]);
  });

  it('splits what does not fit nine bits over several packets', () => {
    send(0xf4);
    mouse.event({ dx: 600, dy: 0, wheel: 0, buttons: 0 });
    const xs: number[] = [];
    for (let i = 0; i < 5; i++) {
      clock.advance(10e6);
      const [flags, x] = drain();
      if (x !== undefined) xs.push(flags! & 0x10 ? x - 256 : x);
    }
    expect(xs).toEqual([255, 255, 90]);
  });

  it('sends at most as many packets as its sample rate, and sums up in between', () => {
    send(0xf4, 0xf3, 20);
    let packets = 0;
    let sum = 0;
    for (let i = 0; i < 1000; i++) {
      mouse.event({ dx: 1, dy: 0, wheel: 0, buttons: 0 });
      clock.advance(1e6);
      const packet = drain();
      if (packet.length > 0) packets++;
      sum += packet[1] ?? 0;
    }
    expect(packets).toBe(21); // at 0, 50, 100 … 1000 ms
    expect(sum).toBeGreaterThan(940);
  });

  it('never merges two changes of buttons: the second waits until the first is reported', () => {
    send(0xf4);
    mouse.event({ dx: 0, dy: 0, wheel: 0, buttons: 1 });
    expect(mouse.hasRoom).toBe(false);
    clock.advance(10e6);
    expect(drain()).toEqual([0x09, 0, 0]);
    expect(mouse.hasRoom).toBe(true);
    expect(move(0, 0, 0)).toEqual([0x08, 0, 0]);
  });

  it('tells its status: buttons, mode, scaling, resolution and rate', () => {
    send(0xf4);
    move(0, 0, 1);
    expect(send(0xe9)).toEqual([0xfa, 0x24, 0x02, 100]);
    send(0xe8, 3, 0xf3, 40, 0xe7, 0xf0);
    expect(send(0xe9)).toEqual([0xfa, 0x74, 0x03, 40]);
    send(0xf6);
    expect(send(0xe9)).toEqual([0xfa, 0x44, 0x02, 100]);
  });

  it('refuses rates and resolutions that there are not', () => {
    expect([send(0xf3, 99), send(0xe8, 4)]).toEqual([
      [0xfa, 0xfe],
      [0xfa, 0xfe],
    ]);
  });

  it('waits to be asked in remote mode', () => {
    send(0xf0);
    expect(move(3, 4)).toEqual([]);
    expect(send(0xeb)).toEqual([0xfa, 0x08, 3, 4]);
    expect(send(0xeb)).toEqual([0xfa, 0x08, 0, 0]);
  });

  it('echoes in wrap mode, but for reset and the way out', () => {
    send(0xee);
    expect([send(0xf2), send(0x12), send(0xec), send(0xf2)]).toEqual([[0xf2], [0x12], [0xfa], [0xfa, 0x00]]);
  });

  it('scales 2:1 in stream mode', () => {
    send(0xe7, 0xf4);
    expect([1, 2, 3, 4, 5, 6, 20].map((dx) => move(dx, 0)[1])).toEqual([1, 1, 3, 6, 9, 12, 40]);
  });

  it('resends its last packet, and asks for what is no command', () => {
    send(0xf4);
    move(7, 0);
    expect([send(0xfe), send(0xe1)]).toEqual([[0x08, 7, 0], [0xfe]]);
  });
});

describe('a wheel mouse', () => {
  it('appears after sample rates 200, 100, 80', () => {
    knock(200, 100, 80);
    expect(send(0xf2)).toEqual([0xfa, 0x03]);
    send(0xf4);
    expect([move(1, 0, 0, -2), move(0, 0, 0, 1)]).toEqual([
      [0x08, 1, 0, 0xfe],
      [0x08, 0, 0, 1],
    ]);
  });

  it('has five buttons after 200, 200, 80 as well, and is a plain mouse again after reset', () => {
    knock(200, 200, 80);
    expect(send(0xf2)).toEqual([0xfa, 0x00]);
    knock(200, 100, 80, 200, 200, 80);
    expect(send(0xf2)).toEqual([0xfa, 0x04]);
    send(0xf4);
    expect(move(0, 0, 0x18, 1)).toEqual([0x08, 0, 0, 0x31]);
    expect(send(0xff)).toEqual([0xfa, 0xaa, 0x00]);
  });
});

it('continues after save and restore, movement that waits included', () => {
  knock(200, 100, 80);
  send(0xf4);
  mouse.event({ dx: 9, dy: 0, wheel: 1, buttons: 2 });
  const state = JSON.parse(JSON.stringify(mouse.save()));
  const other = new Ps2Mouse({ clock, ready: () => undefined });
  other.restore(state);
  mouse = other;
  clock.advance(20e6);
  expect(drain()).toEqual([0x0a, 9, 0, 1]);
});

it('keeps a flood of movement and commands within its buffer', () => {
  send(0xf4);
  for (let i = 0; i < 10_000; i++) {
    mouse.event({ dx: 255, dy: -255, wheel: 7, buttons: 0 });
    mouse.receive(0xe9);
  }
  clock.advance(1e9);
  expect(drain().length).toBeLessThanOrEqual(19);
});
