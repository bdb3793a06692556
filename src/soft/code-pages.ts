/**
 * Which bytes of RAM instructions were decoded from, in chunks of 64 bytes, for all vCPUs of a partition. A store into such a
 * chunk forgets the page's decoded blocks on every vCPU before it happens; data that merely shares a page with code costs
 * only the slow path.
 */

/** What the memory path must know. A page with code is never entered in a write TLB, so that its stores come here. */
export interface CodePages {
  /** `hostPage`: host offset >>> 12. Asked on every TLB fill for writing. */
  hasCode(hostPage: number): boolean;
  /** `size` bytes at `hostOffset`, within one page, are about to change. */
  storing(hostOffset: number, size: number): void;
}

/** A vCPU's side: what it decoded and what it may store to directly. */
export interface CodeUser {
  /** Stores to this page must take the slow path from now on. */
  dropWritable(hostPage: number): void;
  /** Blocks of this page are stale. */
  forgetPage(hostPage: number): void;
}

const CHUNK_SHIFT = 6;

export class CodeTracker implements CodePages {
  /** 64 chunk bits of each page, as two words. */
  readonly #chunks: Uint32Array;
  readonly users: CodeUser[] = [];

  constructor(memoryBytes: number) {
    this.#chunks = new Uint32Array((memoryBytes >>> 12) * 2);
  }

  hasCode(hostPage: number): boolean {
    return ((this.#chunks[hostPage * 2] as number) | (this.#chunks[hostPage * 2 + 1] as number)) !== 0;
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
    const page = hostOffset >>> 12;
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
}
