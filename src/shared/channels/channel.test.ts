import { beforeEach, describe, expect, it } from 'vitest';
import { ms, s } from '../../base/index.ts';
import { ManualClock } from '../../board/index.ts';
import { type ChannelBuffers, ChannelEnd, createChannel } from './channel.ts';

const MEMBER = { writable: true, vectors: 4, doorbellsPerSecond: 1000 };

let buffers: ChannelBuffers[];
let clock: ManualClock;
let heard: string[];
let woken: number[];

const alarms: Int32Array[] = Array.from({ length: 3 }, () => new Int32Array(new SharedArrayBuffer(4)));

function end(id: number): ChannelEnd {
  const made = new ChannelEnd(buffers[id] as ChannelBuffers, clock, (alarm) => woken.push(alarms.indexOf(alarm)));
  made.listen((vector) => heard.push(`${id}: ${vector}`));
  return made;
}

beforeEach(() => {
  buffers = createChannel(
    4096,
    [MEMBER, MEMBER, { writable: false, vectors: 1, doorbellsPerSecond: 10 }].map((member, id) => ({ ...member, alarm: alarms[id] as Int32Array })),
  );
  clock = new ManualClock();
  heard = [];
  woken = [];
});

describe('memory shared by partitions', () => {
  it('is the same bytes for all of them, and only read by those who may not write', () => {
    const [left, right, reader] = [end(0), end(1), end(2)];
    left.memory.write(8, 4, 0x1234_5678);
    reader.memory.write(8, 4, 0);
    expect([right.memory.read(8, 4), reader.memory.read(8, 4)]).toEqual([0x1234_5678, 0x1234_5678]);
  });

  it('stays while partitions come and go', () => {
    const before = end(0);
    before.memory.write(0, 4, 7);
    before[Symbol.dispose]();
    expect(end(0).memory.read(0, 4)).toBe(7);
  });
});

describe('a doorbell', () => {
  it('wakes its receiver at once and is heard when it is admitted', () => {
    const [left, right] = [end(0), end(1)];
    left.ring(1, 2);
    expect([woken, heard]).toEqual([[1], []]);
    left.admit();
    expect(heard).toEqual([]);
    right.admit();
    right.admit();
    expect(heard).toEqual(['1: 2']);
  });

  it('rung again before it was heard is rung once, and wakes nobody', () => {
    const [left, right] = [end(0), end(1)];
    for (let i = 0; i < 1000; i++) left.ring(1, 2);
    right.admit();
    expect([woken, heard]).toEqual([[1], ['1: 2']]);
    left.ring(1, 2);
    right.admit();
    expect([woken, heard]).toEqual([[1, 1], ['1: 2', '1: 2']]);
  });

  it('can be rung by a partition for itself', () => {
    const left = end(0);
    left.ring(0, 3);
    left.admit();
    expect([woken, heard]).toEqual([[0], ['0: 3']]);
  });

  it('of a peer or a vector that does not exist is silent', () => {
    const [left, , reader] = [end(0), end(1), end(2)];
    for (const [peer, vector] of [[3, 0], [65_535, 0], [1, 4], [1, 65_535], [2, 1]] as const) left.ring(peer, vector);
    for (const each of [left, reader]) each.admit();
    expect([woken, heard]).toEqual([[], []]);
  });

  it('that waits for a partition is forgotten when that starts again', () => {
    end(0).ring(1, 0);
    end(1).admit();
    expect(heard).toEqual([]);
  });

  it('is heard as often as the grant of its sender allows, by the receiver\'s own clock, and late rather than not at all', () => {
    const [left, right] = [end(0), end(1)];
    const flood = (time: number): number => {
      const before = heard.length;
      for (let at = 0; at < time; at += ms / 10) {
        left.ring(1, 0);
        right.admit();
        clock.advance(ms / 10);
      }
      return heard.length - before;
    };
    expect(flood(20 * ms)).toBe(40); // a burst of 20, then one a millisecond
    expect(flood(100 * ms)).toBe(100);
    left.ring(1, 0);
    right.admit();
    const before = heard.length;
    clock.advance(ms);
    expect(heard.length).toBe(before + 1); // without another look
    clock.advance(s);
    expect(flood(20 * ms)).toBe(40);
  });

  it('of one sender does not use up what another one may ring', () => {
    const [left, right, reader] = [end(0), end(1), end(2)];
    for (let i = 0; i < 100; i++) {
      left.ring(1, 0);
      right.admit();
    }
    heard.length = 0;
    reader.ring(1, 1);
    right.admit();
    expect(heard).toEqual(['1: 1']);
  });
});
