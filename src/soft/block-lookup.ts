/** How generated code finds a block in the block table: the interpreter's main loop and translated regions. In TypeScript: Blocks.find. */
import * as S from '../x86/state.ts';
import { STATE } from './interpreter-scope.ts';
import { BLOCK_ENTRIES, BLOCK_ENTRY_SIZE, BLOCK_OFFSET, BLOCK_OTHER_WAY, TLB_ENTRIES, TLB_ENTRY_SIZE } from './layout.ts';
import type { Code, Label } from './wasm/code.ts';
import { constant, getLocal, type Value } from './wasm/value.ts';

export interface FoundBlock {
  /** Linear address of its page (i64), and the host offset of that (i32). */
  readonly page: Value;
  readonly pageHost: Value;
  /** Address of its entry in the table (i32). */
  readonly entry: Value;
}

/** Address of the fetch TLB's entry for a linear page address (i64). */
export const fetchEntryOf = (page: Value): Value =>
  STATE.load('i32', 4, S.TLB_FETCH).add(page.shr(8).wrap().and((TLB_ENTRIES - 1) * TLB_ENTRY_SIZE));

/** Whether the fetch TLB has a linear page address (i64) at this host offset (i32); `entry`: where its entry is (i32). All of them locals or constants. */
export const isFetchedFrom = (entry: Value, page: Value, host: Value): Value =>
  entry.load('i64', 8).eq(page).and(page.wrap().add(entry.load('i32', 4, 8)).eq(host));

/**
 * The flat block at a linear address (i64, in a local): on the page of CODE_PAGE, or wherever the fetch TLB knows another one to be. Branches to `miss`
 * where there is none. `elsewhere` is generated where the page is another one.
 */
export function findBlock(code: Code, linear: Value, miss: Label, elsewhere: () => void = () => undefined): FoundBlock {
  const [page, pageHost, host, entry] = [code.newLocal('i64'), code.newLocal('i32'), code.newLocal('i32'), code.newLocal('i32')];
  const found = { page: getLocal('i64', page), pageHost: getLocal('i32', pageHost), entry: getLocal('i32', entry) };
  const first = getLocal('i32', host);
  code.setLocal(page, linear.and(-4096));
  code.if(found.page.eq(STATE.load('i64', 8, S.CODE_PAGE)), () => code.setLocal(pageHost, STATE.load('i32', 4, S.CODE_HOST)), () => {
    elsewhere();
    code.setLocal(entry, fetchEntryOf(found.page));
    code.branchIf(miss, found.entry.load('i64', 8).ne(found.page));
    code.setLocal(pageHost, found.page.wrap().add(found.entry.load('i32', 4, 8)));
  });
  code.setLocal(host, found.pageHost.or(linear.wrap().and(0xfff)));
  // As blockSlot (layout.ts) computes it.
  const slot = first.xor(first.shr(15)).xor(STATE.load('i32', 4, S.DECODE_KEY + 4)).and(BLOCK_ENTRIES - 1).mul(constant('i32', BLOCK_ENTRY_SIZE));
  code.setLocal(entry, STATE.add(BLOCK_OFFSET).add(slot));
  const isOther = (): Value => found.entry.load('i64', 8).ne(STATE.load('i64', 8, S.DECODE_KEY).or(first.widen()));
  code.if(isOther(), () => {
    code.setLocal(entry, found.entry.xor(BLOCK_OTHER_WAY));
    code.branchIf(miss, isOther());
  }, undefined, false);
  return found;
}
