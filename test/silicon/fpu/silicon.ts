/** Runs cases on the host CPU through run.c, built with gcc into a temporary folder. x86-64 Linux only. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Image, IMAGE_SIZE } from './image.ts';

export class Silicon implements Disposable {
  readonly #folder: string;
  readonly #program: string;

  /** Throws when there is no compiler. */
  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'bulkhead-silicon-'));
    this.#program = join(this.#folder, 'run');
    const source = new URL('./run.c', import.meta.url).pathname;
    const built = spawnSync('gcc', ['-O1', '-fno-pie', '-no-pie', '-fno-stack-protector', '-o', this.#program, source], { encoding: 'utf8' });
    if (built.status !== 0) throw new Error(`cannot build ${source}: ${built.error?.message ?? built.stderr}`);
  }

  run(cases: readonly Image[]): Image[] {
    const input = new Uint8Array(cases.length * IMAGE_SIZE);
    for (const [i, image] of cases.entries()) input.set(image.bytes, i * IMAGE_SIZE);
    const { stdout, status, signal } = spawnSync(this.#program, [], { input, maxBuffer: 2 * input.length + 4096 });
    if (stdout.length !== input.length) {
      throw new Error(`case ${Math.floor(stdout.length / IMAGE_SIZE)} ended the native program: status ${status}, signal ${signal}`);
    }
    return cases.map((_, i) => new Image(Uint8Array.from(stdout.subarray(i * IMAGE_SIZE, (i + 1) * IMAGE_SIZE))));
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
