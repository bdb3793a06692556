import { defineConfig } from 'vitest/config';
import { Unfinished } from './test/support/unfinished.ts';

export default defineConfig({
  test: {
    include: ['examples/**/*.test.ts', 'guests/**/*.test.ts', 'src/**/*.test.ts', 'test/**/*.test.ts'],
    // Guests that boot take seconds; a unit test that takes this long is broken.
    testTimeout: 60_000,
    // Threads share the machine with what they test: SharedArrayBuffer, Workers, timers.
    pool: 'forks',
    reporters: ['default', new Unfinished()],
  },
});
