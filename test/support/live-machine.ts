/** A whole machine from its manifest, with a Worker for each partition, and its consoles as text: what a terminal would show. */
import { fileURLToPath } from 'node:url';
import { manifestHost } from '../../src/cli/manifest-file.ts';
import { nodeHost } from '../../src/cli/node-host.ts';
import type { Machine, PartitionStatus } from '../../src/contracts/index.ts';
import { type ConsoleEnd, type MachineEvent, type MachineHost, RunningMachine } from '../../src/hypervisor/index.ts';
import { compileManifest } from '../../src/manifest/index.ts';
import type { Pace } from '../../src/partition/index.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const POLL_MS = 10;
/** For things that take a second on a machine with nothing else to do. */
const PATIENCE_MS = 60_000;

/** What a manifest says; its paths start from the root of the checkout. Throws, with the findings, when it has errors. */
export function machineOf(manifest: string): Machine {
  const { machine, findings } = compileManifest(manifest, 'manifest.yaml', manifestHost(ROOT));
  if (machine === undefined) throw new Error(findings.map(({ code, message, at }) => `${at.line}: ${code}: ${message}`).join('\n'));
  return machine;
}

export class LiveMachine implements AsyncDisposable {
  readonly running: RunningMachine;
  /** Everything that has happened so far. */
  readonly events: MachineEvent[] = [];
  readonly #consoles = new Map<string, { readonly end: ConsoleEnd; text: string }>();

  /** Starts nothing yet. */
  constructor(machine: Machine, pace: Pace, host: MachineHost = nodeHost()) {
    this.running = new RunningMachine(machine, host, { pace });
    this.running.on((event) => this.events.push(event));
    for (const { name } of machine.partitions) {
      const [end] = this.running.consoles(name);
      if (end !== undefined) this.#consoles.set(name, { end, text: '' });
    }
  }

  /** All that a partition has written to its console, in all its lives, carriage returns left out. */
  console(name: string): string {
    const console = this.#consoles.get(name);
    if (console === undefined) throw new Error(`${name} has no console`);
    const piece = new Uint8Array(4096);
    for (let count = console.end.read(piece); count > 0; count = console.end.read(piece)) {
      console.text += Buffer.from(piece.subarray(0, count)).toString('latin1').replaceAll('\r', '');
    }
    if (console.end.lost > 0) throw new Error(`${console.end.lost} bytes of the console of ${name} were lost`);
    return console.text;
  }

  type(name: string, text: string): void {
    const bytes = Buffer.from(text);
    if (this.#consoles.get(name)?.end.write(bytes) !== bytes.length) throw new Error(`${name} does not take what is typed`);
  }

  status(name: string): PartitionStatus {
    return this.running.status().find((status) => status.name === name) as PartitionStatus;
  }

  /** What has happened to a partition, in order. */
  kinds(name: string): string[] {
    return this.events.flatMap((event) => ('partition' in event && event.partition === name && event.kind !== 'log' ? [event.kind] : []));
  }

  /** Resolves when `holds` does. Rejects, with what the machine looks like, when that does not happen. */
  async until(what: string, holds: () => boolean, patience: number = PATIENCE_MS): Promise<void> {
    const last = performance.now() + patience;
    while (!holds()) {
      if (performance.now() > last) throw new Error(`never ${what}: ${JSON.stringify(this.running.status())}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.running[Symbol.asyncDispose]();
  }
}
