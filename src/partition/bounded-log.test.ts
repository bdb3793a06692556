import { describe, expect, it } from 'vitest';
import { s } from '../base/index.ts';
import { boundedLog } from './bounded-log.ts';

describe('the log of a partition', () => {
  it('passes messages on, with their fields in words, and keeps details to itself', () => {
    const messages: string[] = [];
    const log = boundedLog(() => 0, (severity, message) => messages.push(`${severity}: ${message}`));
    log.log('warn', 'unknown MSR', { index: 0x1234, write: true });
    log.log('debug', 'detail');
    expect(messages).toEqual(['warn: unknown MSR [index=4660 write=true]']);
  });

  it('is bounded in time, and says how much it left out', () => {
    let now = 0;
    const messages: string[] = [];
    const log = boundedLog(() => now, (_, message) => messages.push(message));
    for (let i = 0; i < 1000; i++) log.log('warn', 'again');
    expect(messages).toHaveLength(20);
    now += s;
    log.log('warn', 'later');
    expect(messages.at(-1)).toBe('later (980 messages before this one were left out)');
  });
});
