/**
 * Which bytes of RAM instructions were decoded from, in chunks of 64 bytes, for all vCPUs of a partition. A store into such a
 * chunk forgets the page's decoded blocks on every vCPU before it happens; data that merely shares a page with code costs
 * only the slow path.
 *
 * The same means tell a core in MWAIT of a store to its line (SDM 3A §9.10.4): a page with an armed line counts as a page with code.
 * Every way to RAM passes here, DMA included, so no store is missed, and only stores to the line itself end the wait.
 */

/** What the memory path must know. A page with code is never entered in a write TLB, so that its stores come here. */
export interface CodePages {
  /** `hostPage`: host offset >>> 12. Asked on every TLB fill for writing. */
  hasCode(hostPage: number): boolean;
  /** `size` bytes at `hostOffset`, within one page, are about to change. */
  storing(hostOffset: number, size: number): void;
  /** `watcher` is told of the next store to the 64 bytes at `hostLine`, in place of the line before; 0: to none. */
  watchLine(watcher: LineWatcher, hostLine: number): void;
}

/** A core whose MONITOR armed a line. */
export interface LineWatcher {
  /** The line is about to be stored to; it is watched no more. */
  lineStored(): void;
}

/** A vCPU's side: what it decoded and what it may store to directly. */
export interface CodeUser {
  /** Stores to this page must take the slow path from now on. */
  dropWritable(hostPage: number): void;
  /** Blocks of this page are stale. */
  forgetPage(hostPage: number): void;
  /** Other bytes may lie behind a physical address now: no translation holds, and the running block must be left. */
  forgetTranslations(): void;
}

const CHUNK_SHIFT = 6;
/** What MONITOR watches, as CPUID leaf 5 says. */
export const LINE_BYTES = 64;

export class CodeTracker implements CodePages {
  /** 64 chunk bits of each page, as two words. */
  readonly #chunks: Uint32Array;
  readonly users: CodeUser[] = [];
  /** Armed lines, as host offsets, and whose they are: at most one for each core, mostly none. */
  readonly #lines: number[] = [];
  readonly #watchers: LineWatcher[] = [];

  constructor(memoryBytes: number) {
    this.#chunks = new Uint32Array((memoryBytes >>> 12) * 2);
  }

  hasCode(hostPage: number): boolean {
    if (((this.#chunks[hostPage * 2] as number) | (this.#chunks[hostPage * 2 + 1] as number)) !== 0) return true;
    for (let i = 0; i < this.#lines.length; i++) if ((this.#lines[i] as number) >>> 12 === hostPage) return true;
    return false;
  }

  watchLine(watcher: LineWatcher, hostLine: number): void {
    const known = this.#watchers.indexOf(watcher);
    if (known >= 0) {
      if (this.#lines[known] === hostLine) return;
      this.#lines.splice(known, 1);
      this.#watchers.splice(known, 1);
    }
    if (hostLine === 0) return;
    const page = hostLine >>> 12;
    const isNew = !this.hasCode(page);
    this.#lines.push(hostLine);
    this.#watchers.push(watcher);
    if (isNew) for (const user of this.users) user.dropWritable(page);
  }

  /** Instructions were decoded from these bytes, within one page. */
  mark(hostOffset: number, size: number): void {
    const page = hostOffset >>> 12;
    const isNew = !this.hasCode(page);
    const last = ((hostOffset + size - 1) & 0xfff) >>> CHUNK_SHIFT;
    for (let chunk = (hostOffset & 0xfff) >>> CHUNK_SHIFT; chunk <= last; chunk++) {
      const word = page * 2 + (chunk >>> 5);
      this.#chunks[word] = (this.#chunks[word] as number) | (1 << (chunk & 31));
    }
    if (isNew) for (const user of this.users) user.dropWritable(page);
  }

  storing(hostOffset: number, size: number): void {
    if (this.#lines.length !== 0) this.#endWaits(hostOffset, size);
    const page = hostOffset >>> 12;
    // Most of what devices store to holds no code.
    if (((this.#chunks[page * 2] as number) | (this.#chunks[page * 2 + 1] as number)) === 0) return;
    const last = ((hostOffset + size - 1) & 0xfff) >>> CHUNK_SHIFT;
    for (let chunk = (hostOffset & 0xfff) >>> CHUNK_SHIFT; chunk <= last; chunk++) {
      if (((this.#chunks[page * 2 + (chunk >>> 5)] as number) >>> (chunk & 31)) & 1) {
        this.#chunks[page * 2] = 0;
        this.#chunks[page * 2 + 1] = 0;
        for (const user of this.users) user.forgetPage(page);
        return;
      }
    }
  }

  #endWaits(hostOffset: number, size: number): void {
    for (let i = this.#lines.length - 1; i >= 0; i--) {
      const line = this.#lines[i] as number;
      if (hostOffset + size <= line || hostOffset >= line + LINE_BYTES) continue;
      const watcher = this.#watchers[i] as LineWatcher;
      this.watchLine(watcher, 0);
      watcher.lineStored();
    }
  }
}
