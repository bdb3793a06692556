/** Folders under an editor: says when sources in them have changed. */
import { type FSWatcher, watch } from 'node:fs';

/** Editors write a file in several steps; what follows within this time is one change. */
const SETTLE_MS = 100;
const SOURCE = /\.[cm]?[jt]s$/;

/** Calls `changed` with the folder. Throws what the host says when a folder cannot be watched. */
export function watchSources(folders: readonly string[], changed: (folder: string) => void): Disposable {
  const timers = new Map<string, NodeJS.Timeout>();
  const watchers: FSWatcher[] = [];
  const dispose = (): void => {
    for (const watcher of watchers) watcher.close();
    for (const timer of timers.values()) clearTimeout(timer);
  };
  try {
    for (const folder of new Set(folders)) {
      const noticed = (_: unknown, file: string | null): void => {
        if (file !== null && !SOURCE.test(file)) return;
        clearTimeout(timers.get(folder));
        timers.set(folder, setTimeout(() => changed(folder), SETTLE_MS));
      };
      watchers.push(watch(folder, { persistent: false }, noticed));
    }
  } catch (error) {
    dispose();
    throw error;
  }
  return { [Symbol.dispose]: dispose };
}
