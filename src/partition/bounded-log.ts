/** A log that a guest cannot flood: what it provokes per second is bounded, and what was left out is counted. */
import { s } from '../base/index.ts';
import type { Logger, Nanos, Severity } from '../contracts/index.ts';

/** Messages per second; as many again may come at once after a quiet second. */
const MESSAGES_PER_SECOND = 20;

export function boundedLog(hostNow: () => Nanos, sink: (severity: Severity, message: string) => void): Logger {
  let windowStart = hostNow();
  let inWindow = 0;
  let leftOut = 0;
  return {
    log(severity, message, fields) {
      // Details are for whoever debugs a device model; nobody does here.
      if (severity === 'trace' || severity === 'debug') return;
      const now = hostNow();
      if (now - windowStart >= s) {
        windowStart = now;
        inWindow = 0;
      }
      if (++inWindow > MESSAGES_PER_SECOND) {
        leftOut++;
        return;
      }
      const noted = leftOut > 0 ? ` (${leftOut} messages before this one were left out)` : '';
      leftOut = 0;
      sink(severity, message + inWords(fields) + noted);
    },
  };
}

function inWords(fields: Readonly<Record<string, string | number | boolean>> | undefined): string {
  const pairs = Object.entries(fields ?? {}).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? '' : ` [${pairs.join(' ')}]`;
}
