// What the controllers of the packaging cell say of themselves in shared memory (guests/channel/cell.h), read as another partition reads it.
import { beforeAll, describe, expect, it } from 'vitest';
import { ms } from '../src/base/index.ts';
import type { Clock, DeviceSpec } from '../src/contracts/index.ts';
import { type ChannelBuffers, ChannelEnd, createChannel } from '../src/shared/index.ts';
import { Guest } from './support/guest.ts';

const BYTES = 0x1_0000;
const LINE = 64;
const COPIES = 4;
const FRAMES_AT = 4096;
const FRAME_SLOTS = 64;
const FRAME_WORDS = 5;
/** For a busy host: it takes a few seconds. */
const PATIENCE = 200_000;

const device: DeviceSpec = { name: 'mem', model: 'ivshmem', ranges: [], irqs: [], options: {} };

class Cell {
  readonly guest: Guest;
  readonly words: Uint32Array;

  constructor(image: string, cmdline = '') {
    const alarm = new Int32Array(new SharedArrayBuffer(4));
    const member = { writable: true, vectors: 1, doorbellsPerSecond: 1000, alarm };
    const [own] = createChannel(BYTES, [member, member]) as [ChannelBuffers, ChannelBuffers];
    this.words = new Uint32Array(own.port.lanes['memory'] as SharedArrayBuffer);
    const shared = (clock: Clock) => new Map([['mem', new ChannelEnd(own, clock, () => undefined)]]);
    this.guest = new Guest(image, { devices: [device], shared, cmdline, instructionsPerMicrosecond: 100 });
  }

  /** The last state, word by word; undefined before the first. */
  state(words: number): number[] | undefined {
    const sequence = this.words[0] as number;
    const at = LINE / 4 + (sequence % COPIES) * words;
    return sequence === 0 ? undefined : [...this.words.subarray(at, at + words)];
  }
}

describe('the motion controller', () => {
  let cell: Cell;
  beforeAll(() => {
    cell = new Cell('guests/rtos/images/control.elf', 'setpoint=1200');
    cell.guest.run({ instructions: 1e9, time: 1500 * ms });
  }, PATIENCE);

  it('tells its speed, its set point and that it has missed nothing', () => {
    const [kind, seconds, speed, setpoint, , jobs, misses, worst] = cell.state(8) as number[];
    expect([kind, seconds, setpoint, misses]).toEqual([0x4e54_4f01, 1, 1200, 0]);
    expect(speed).toBeGreaterThan(1150);
    expect(speed).toBeLessThan(1250);
    expect(jobs).toBeGreaterThan(1400);
    expect(worst).toBeGreaterThan(0);
  });

  it('writes a hundred states a second, and beats with each', () => {
    const [sequence, epoch, beat] = cell.words as unknown as [number, number, number];
    expect([epoch, beat]).toEqual([1, sequence]);
    expect(sequence).toBeGreaterThan(140);
  });

  it('says on its console what it always said', () => {
    expect(cell.guest.console).toMatch(/control: t=1s jobs=\d+ misses=0/);
  });
});

describe('the vision computer', () => {
  let cell: Cell;
  beforeAll(() => {
    cell = new Cell('guests/rtos/images/vision.elf', 'fps=25');
    cell.guest.run({ instructions: 1e9, time: 2200 * ms });
  }, PATIENCE);
  const ring = FRAMES_AT / 4;
  const frame = (index: number): number[] => {
    const slot = ring + (2 * LINE) / 4 + (index % FRAME_SLOTS) * (FRAME_WORDS + 1);
    return [...cell.words.subarray(slot, slot + 1 + FRAME_WORDS)];
  };

  it('tells what it is and that it has missed nothing', () => {
    const [kind, framesPerSecond, jobs, misses] = cell.state(5) as number[];
    expect([kind, framesPerSecond, misses]).toEqual([0x5349_5601, 25, 0]);
    expect(jobs).toBeGreaterThan(50);
  });

  it('puts each frame into the ring, the 50th as its console shows it', () => {
    const sent = cell.words[ring] as number;
    expect(sent).toBeGreaterThan(50);
    const [, checksum, , blobs, largest] = /frame=50 checksum=([0-9a-f]+) chain=([0-9a-f]+) blobs=(\d+) largest=(\d+)/.exec(cell.guest.console) ?? [];
    const [bytes, number, sum, count, size, took] = frame(49) as [number, number, number, number, number, number];
    expect([bytes, number, sum.toString(16).padStart(8, '0'), count, size]).toEqual([20, 50, checksum, Number(blobs), Number(largest)]);
    expect(took).toBeGreaterThan(1000);
  });

  it('waits for nobody who does not read: the ring is full and its frames go on', { timeout: PATIENCE }, () => {
    cell.guest.run({ instructions: 1e9, time: 1500 * ms });
    expect(cell.words[ring]).toBe(FRAME_SLOTS);
    expect(cell.state(5)?.[2]).toBeGreaterThan(80);
  });
});
