// A reporter for what vitest does not name: the files, and the tests in them, that a process died in.
import { relative } from 'node:path';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

export class Unfinished implements Reporter {
  /** By file: the test that was started last. */
  readonly #running = new Map<string, string>();

  onTestModuleStart({ moduleId }: TestModule): void {
    this.#running.set(moduleId, 'none yet');
  }

  onTestCaseReady({ module, fullName }: TestCase): void {
    this.#running.set(module.moduleId, fullName);
  }

  onTestModuleEnd({ moduleId }: TestModule): void {
    this.#running.delete(moduleId);
  }

  onTestRunEnd(): void {
    for (const [file, test] of this.#running) console.error(`unfinished: ${relative('.', file)}, in the test: ${test}`);
  }
}
