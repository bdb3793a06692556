import { beforeEach, describe, expect, it } from 'vitest';
import { LegacyTimerLines } from './legacy-timer-lines.ts';
import { RecordingLine } from './testing.ts';

let timer: RecordingLine;
let clock: RecordingLine;
let lines: LegacyTimerLines;
beforeEach(() => {
  timer = new RecordingLine();
  clock = new RecordingLine();
  lines = new LegacyTimerLines(timer, clock);
});

describe('the lines of the 8254 and the real-time clock', () => {
  it('follow those two', () => {
    lines.setTimer(true);
    lines.setClock(true);
    lines.setClock(false);
    expect([timer.level, clock.level, clock.edges]).toEqual([true, false, 1]);
  });

  it('belong to whoever replaces them, until they are given back as they stand then', () => {
    lines.setTimer(true);
    lines.replace(true);
    expect(timer.level).toBe(false);
    lines.setTimer(false);
    lines.setClock(true);
    lines.replacements[0].pulse();
    expect([timer.edges, clock.edges]).toEqual([2, 0]);
    lines.replace(false);
    expect([timer.level, clock.level]).toEqual([false, true]);
  });
});
