// A reporter for what vitest does not name: the files, and the tests in them, that a process died in. scripts/test.mjs reads what it leaves behind.
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node';

/** Where the files are written that did not come to an end while nothing else went wrong, as JSON. */
const LEFT_BEHIND = 'BULKHEAD_UNFINISHED';

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

  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const files = [...this.#running].map(([file, test]) => {
      const path = relative('.', file);
      console.error(`unfinished: ${path}, in the test: ${test}`);
      return path;
    });
    const isAll = errors.length === files.length && modules.every((module) => module.state() !== 'failed');
    const to = process.env[LEFT_BEHIND];
    if (to !== undefined) writeFileSync(to, JSON.stringify(isAll ? files : []));
  }
}
