/** memtest86+ 6 as a guest, with its screen. It has a screen and nothing else to say how it fares. */
import { packageFile } from '../../src/host/node/packages.ts';
import { createSoftEngine } from '../../src/soft/index.ts';
import { Guest } from './guest.ts';
import { TextScreen } from './text-screen.ts';

export const MEMTEST_IMAGES = { '64-bit': 'boot/memtest86+x64.bin', '32-bit': 'boot/memtest86+ia32.bin' } as const;
export type MemtestWidth = keyof typeof MEMTEST_IMAGES;

export async function memtestImages(): Promise<Record<MemtestWidth, string>> {
  const image = (width: MemtestWidth): Promise<string> => packageFile('memtest86+', 'amd64', MEMTEST_IMAGES[width]);
  return { '64-bit': await image('64-bit'), '32-bit': await image('32-bit') };
}

export interface MemtestOptions {
  readonly memory: number;
  readonly cpus: number;
  /** It waits for seconds at its start and for minutes in its bit fade test: on a slow core these are few instructions. */
  readonly instructionsPerMicrosecond: number;
}

export class Memtest {
  readonly guest: Guest;
  readonly #screen = new TextScreen();

  constructor(image: string, options: MemtestOptions) {
    this.guest = new Guest(image, {
      ...options,
      engine: this.#screen.watch(createSoftEngine()),
      models: ['vga-text', 'i8042'],
      // No pause for F1, no measuring of caches that are not there; the other words keep it from hardware that a PC has and this board has not.
      cmdline: 'nopause nobench nosm keyboard=legacy',
    });
  }

  get screen(): string[] {
    return this.#screen.lines;
  }

  /** Number of the test that runs; undefined before the first. */
  get test(): number | undefined {
    return this.#number(/Test #(\d+)/);
  }

  /** Passes through all tests that were completed. */
  get passes(): number | undefined {
    return this.#number(/Pass: +(\d+)/);
  }

  get errors(): number | undefined {
    return this.#number(/Errors: +(\d+)/);
  }

  /** Below the header: a table of failing addresses, or nothing. */
  get findings(): string[] {
    return this.screen.slice(10, -1).filter((line) => line !== '');
  }

  #number(pattern: RegExp): number | undefined {
    const found = pattern.exec(this.screen.slice(0, 9).join('\n'))?.[1];
    return found === undefined ? undefined : Number(found);
  }
}
