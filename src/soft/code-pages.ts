/**
 * What the memory path must know about decoded code: stores to a page from which instructions were decoded are reported
 * before they happen, and such a page is never entered in a write TLB.
 */
export interface CodePages {
  /** `hostPage`: host offset >>> 12. Asked on every TLB fill for writing. */
  hasCode(hostPage: number): boolean;
  /** `size` bytes at `hostOffset`, within one page, are about to change. */
  storing(hostOffset: number, size: number): void;
}
