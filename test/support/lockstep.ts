/** The same guest twice, interpreted and translated, step by step: after every slice both must be in the same state. */
import type { VcpuReport } from '../../src/partition/index.ts';
import { createSoftEngine } from '../../src/soft/index.ts';
import { LateCompiler } from '../../src/soft/testing.ts';
import { Guest, type GuestOptions } from './guest.ts';
import { ramDigest } from './ram-digest.ts';

/** How often the compiler is asked before a batch is ready: dozens of regions are hot by then. */
const PATIENCE = 200;

/** Registers that differ, and where: `vCPU 0 gpr.4: 0x7fe0, translated 0x7fdc`. */
export interface Difference {
  readonly retired: number;
  readonly found: readonly string[];
}

export class Lockstep {
  readonly interpreted: Guest;
  readonly translated: Guest;

  /** `hotAfter`: 0 translates every block before it runs; with more, what is hot comes in batches, as from a compiler in a thread beside. */
  constructor(image: string, hotAfter: number, options: Omit<GuestOptions, 'engine'> = {}) {
    this.interpreted = new Guest(image, { ...options, engine: createSoftEngine({ translation: 'none' }) });
    this.translated = new Guest(image, { ...options, engine: createSoftEngine({ translation: hotAfter === 0 ? 'immediate' : () => new LateCompiler(PATIENCE), hotAfter }) });
  }

  /** Runs both until they end or have retired so many instructions; undefined: no difference in registers, clock, console or RAM. */
  run(instructions: number): Difference | undefined {
    const { interpreted, translated } = this;
    while (interpreted.partition.end === undefined && interpreted.partition.retired < instructions) {
      const sleep = interpreted.partition.advance();
      translated.partition.advance();
      const found = compare(flatten(snapshot(interpreted)), flatten(snapshot(translated)));
      if (found.length > 0) return { retired: interpreted.partition.retired, found };
      if (sleep === Number.POSITIVE_INFINITY) break;
    }
    const found = compare(flatten(outcome(interpreted)), flatten(outcome(translated)));
    return found.length > 0 ? { retired: interpreted.partition.retired, found } : undefined;
  }
}

const snapshot = ({ partition }: Guest): unknown => ({
  retired: partition.retired,
  time: partition.clock.now(),
  vcpu: partition.registers().map(({ state }: VcpuReport) => state),
});

const outcome = ({ partition, console, log }: Guest): unknown => ({
  end: partition.end,
  console,
  log: log.join('\n'),
  ram: ramDigest(partition.memory),
});

/** Every leaf by its path. */
function flatten(value: unknown, path = '', into: Map<string, string> = new Map()): Map<string, string> {
  if (typeof value !== 'object' || value === null) into.set(path, typeof value === 'bigint' ? `0x${value.toString(16)}` : String(value));
  else for (const [key, part] of Object.entries(value)) flatten(part, path === '' ? key : `${path}.${key}`, into);
  return into;
}

function compare(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((path) => a.get(path) !== b.get(path))
    .map((path) => `${path}: ${a.get(path)}, translated ${b.get(path)}`);
}
