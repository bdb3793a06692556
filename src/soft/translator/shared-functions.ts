/** Functions that all regions of a module call: what is rare or long enough not to stand in each of them. */
import { STATE } from '../interpreter-scope.ts';
import { findBlock } from '../block-lookup.ts';
import { TLB_ENTRIES, TLB_ENTRY_SIZE } from '../layout.ts';
import * as S from '../../x86/state.ts';
import type { Code } from '../wasm/code.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { call, getLocal, i32, store } from '../wasm/value.ts';

export interface SharedFunctions {
  /** `miss(address, how) → host`: fills a TLB; 0 when the interpreter must do the instruction. */
  readonly miss: number;
  /** `translate(table, address, how) → host`: the same, where the TLB at `table` may know. */
  readonly translate: number;
  /** `find(rip) → region`: the number of the region that starts there, 0 when there is none. CODE_PAGE and CODE_HOST are its page's then. */
  readonly find: number;
}

/** How an access misses: its size, this bit when it writes … */
export const MISS_WRITES = 0x100;
/** … and above it whether the entry was empty, which nobody looks at. */
export const MISS_WAS_EMPTY_SHIFT = 9;

export function defineSharedFunctions(builder: ModuleBuilder, fill: number): SharedFunctions {
  const miss = builder.function({ parameters: ['i64', 'i32'], results: ['i32'] }, undefined, (code) => {
    const address = getLocal('i64', 0);
    const how = getLocal('i32', 1);
    code.returnValue(call('i32', fill, [address.wrap(), address.shr(32).wrap(), how.and(MISS_WRITES - 1), how.and(MISS_WRITES)]));
    code.op(UNREACHABLE);
  });
  return {
    miss,
    translate: builder.function({ parameters: ['i32', 'i64', 'i32'], results: ['i32'] }, undefined, (code) => writeTranslate(code, miss)),
    find: builder.function({ parameters: ['i64'], results: ['i32'] }, undefined, writeFind),
  };
}

const UNREACHABLE = 0x00;

function writeTranslate(code: Code, miss: number): void {
  const [table, address, how] = [getLocal('i32', 0), getLocal('i64', 1), getLocal('i32', 2)];
  const entry = code.permanentLocal('i32');
  const entryValue = getLocal('i32', entry);
  code.setLocal(entry, table.add(address.wrap().shr(8).and((TLB_ENTRIES - 1) * TLB_ENTRY_SIZE)));
  const last = address.add(how.and(MISS_WRITES - 1).widen()).sub(1);
  code.if(entryValue.load('i64', 8).eq(last.and(-4096)), () => code.returnValue(address.wrap().add(entryValue.load('i32', 4, 8))));
  code.returnValue(call('i32', miss, [address, how]));
  code.op(UNREACHABLE);
}

function writeFind(code: Code): void {
  const region = code.permanentLocal('i32');
  const regionValue = getLocal('i32', region);
  code.block((miss) => {
    const { page, pageHost, entry } = findBlock(code, getLocal('i64', 0), miss);
    code.setLocal(region, entry.load('i32', 4, 12));
    code.branchIf(miss, regionValue.leSigned(0));
    store(code, STATE, 8, page, S.CODE_PAGE);
    store(code, STATE, 4, pageHost, S.CODE_HOST);
    code.returnValue(regionValue);
  });
  code.returnValue(i32(0));
  code.op(UNREACHABLE);
}
