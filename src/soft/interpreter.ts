/**
 * The interpreter, generated as one WebAssembly module at start-up from the instruction table and the semantics: a main loop
 * with a `br_table` over handlers, and a second function for rarer instructions.
 *
 * `run(state, record)` executes decoded records until it returns an {@link Leave} code; BUDGET and RIP in the state block are
 * then exact. Counting is exact: every dispatched record that is an instruction takes one from the budget, micro-operations
 * (block ends, prepared addresses) give theirs back.
 */
import { LINK, OFFSET, RECORD_SIZE, HANDLER } from '../x86/record.ts';
import * as S from '../x86/state.ts';
import type { InstructionRow } from '../x86/table.ts';
import { advanceRecord, type Endings, type Imports, InterpreterScope, linkOf, RECORD, type Shape, STATE } from './interpreter-scope.ts';
import { BLOCK_ENTRIES, BLOCK_ENTRY_SIZE, BLOCK_OFFSET, TLB_ENTRIES, TLB_ENTRY_SIZE } from './layout.ts';
import { SEMANTICS, type Semantics, type Size } from './semantics/index.ts';
import { SYSTEM_MNEMONICS } from './system-operations.ts';
import type { Code } from './wasm/code.ts';
import { ModuleBuilder } from './wasm/module.ts';
import { call, constant, getLocal, i32, store, type Value } from './wasm/value.ts';

/** Why generated code came back. */
export const Leave = {
  /** The budget is used up; RIP is the next instruction. */
  Budget: 0,
  /** Continue at RIP, for which no block is known (or something changed that must be looked at first). */
  Lookup: 1,
  /** An exception is recorded in FAULT_VECTOR; RIP is the faulting instruction. */
  Fault: 2,
} as const;

/** Status of the second function beyond Leave.Lookup and Leave.Fault. */
const NEXT = 0;
const REPEAT = 3;
const JUMP = 4;

/** Fixed handlers; those of instructions follow. */
export const HANDLER_END = 0;
export const HANDLER_SYSTEM = 1;
export const HANDLER_MICRO = 2;
const FIRST_HANDLER = 3;

export const SYSTEM_NUMBER: ReadonlyMap<string, number> = new Map(SYSTEM_MNEMONICS.map((name, number) => [name, number]));

const systemNumber = (mnemonic: string): number => {
  const number = SYSTEM_NUMBER.get(mnemonic);
  if (number === undefined) throw new Error(`no system operation ${mnemonic}`);
  return number;
};

interface Handler {
  readonly semantics: Semantics;
  readonly shape: Shape;
}

export interface Interpreter {
  readonly module: WebAssembly.Module;
  /** Handler of a table row at log2 size (0–3) and register (0) or memory (1) operand, or −1: it is a system operation. */
  handler(row: InstructionRow, sizeLog2: number, memory: 0 | 1, condition: number): number;
}

export interface RunExports {
  run(state: number, record: number): number;
}

export function buildInterpreter(rows: readonly InstructionRow[]): Interpreter {
  const handlers = collectHandlers(rows);
  const hotHandlers = handlers.list.filter((h) => h.semantics.hot);
  const coldHandlers = handlers.list.filter((h) => !h.semantics.hot);
  const numbers = new Map<Handler, number>();
  for (const [i, handler] of [...hotHandlers, ...coldHandlers].entries()) numbers.set(handler, FIRST_HANDLER + i);

  const builder = new ModuleBuilder();
  const slow = { parameters: ['i32', 'i32', 'i32'], results: ['i32'] } as const;
  const imports: Imports = {
    readSlow: builder.importFunction('readSlow', slow),
    writeSlow: builder.importFunction('writeSlow', { parameters: ['i32', 'i32', 'i32', 'i32'], results: ['i32'] }),
    commitStore: builder.importFunction('commitStore', { parameters: [], results: [] }),
    system: builder.importFunction('system', { parameters: ['i32', 'i32'], results: ['i32'] }),
  };
  const signature = { parameters: ['i32', 'i32'], results: ['i32'] } as const;
  const coldFunction = builder.function(signature, undefined, (code) =>
    emitColdFunction(code, coldHandlers, imports, FIRST_HANDLER + hotHandlers.length));
  builder.function(signature, 'run', (code) => emitMainLoop(code, hotHandlers, imports, coldFunction));
  return {
    module: new WebAssembly.Module(builder.build()),
    handler: (row, sizeLog2, memory, condition) => {
      const handler = handlers.byKey.get(key(row.mnemonic, row.pattern, sizeLog2, memory, condition));
      return handler === undefined ? -1 : (numbers.get(handler) as number);
    },
  };
}

const key = (mnemonic: string, pattern: string, sizeLog2: number, memory: 0 | 1, condition: number): string =>
  `${mnemonic} ${pattern} ${sizeLog2} ${memory} ${condition}`;

/** One handler for each mnemonic, operand pattern, size, operand kind and condition that the table can produce. */
function collectHandlers(rows: readonly InstructionRow[]): { list: Handler[]; byKey: Map<string, Handler> } {
  const list: Handler[] = [];
  const byKey = new Map<string, Handler>();
  for (const row of rows) {
    const semantics = SEMANTICS[row.mnemonic];
    if (!semantics) continue;
    for (const sizeLog2 of row.sizes) {
      for (const memory of row.operandKinds) {
        for (const condition of row.conditional ? CONDITIONS : [0]) {
          const name = key(row.mnemonic, row.pattern, sizeLog2, memory, condition);
          if (byKey.has(name)) continue;
          const shape = { pattern: row.pattern, size: (1 << sizeLog2) as Size, memory: memory === 1, condition };
          const handler = { semantics, shape };
          byKey.set(name, handler);
          list.push(handler);
        }
      }
    }
  }
  return { list, byKey };
}

const CONDITIONS: readonly number[] = Array.from({ length: 16 }, (_, i) => i);

function emitHandler(code: Code, handler: Handler, imports: Imports, ends: Endings): void {
  const scope = new InterpreterScope(code, handler.shape, imports, ends);
  scope.systemNumber = systemNumber;
  handler.semantics.body(scope);
}

function emitColdFunction(code: Code, handlers: readonly Handler[], imports: Imports, first: number): void {
  const give = (status: number): void => code.returnValue(i32(status));
  const scopeOf = (handler: Handler): void => {
    const ends: Endings = {
      saveBudget: () => {},
      restoreBudget: () => {},
      next: () => give(NEXT),
      fault: () => give(Leave.Fault),
      jump: (rip) => {
        storeRip(code, rip);
        give(JUMP);
      },
      jumpRelative: () => ends.jump(new InterpreterScope(code, handler.shape, imports, ends).relativeTarget()),
      repeat: () => give(REPEAT),
      afterSystem: (status) => code.returnValue(status),
      setBudget: (value) => {
        store(code, STATE, 4, value, S.BUDGET);
      },
      budget: () => STATE.load('i32', 4, S.BUDGET),
    };
    emitHandler(code, handler, imports, ends);
    give(NEXT);
  };
  code.switch(RECORD.load('i32', 2, HANDLER).sub(first), handlers.map((handler) => () => scopeOf(handler)), () => code.op(0x00));
  code.op(0x00); // unreachable: every case returns
}

function storeRip(code: Code, rip: Value): void {
  store(code, STATE, 8, rip, S.RIP);
}

function emitMainLoop(code: Code, handlers: readonly Handler[], imports: Imports, coldFunction: number): void {
  const budget = code.newLocal('i32');
  const rip = code.newLocal('i64');
  const from = code.newLocal('i32');
  const reason = code.newLocal('i32');
  const budgetValue = getLocal('i32', budget);
  const saveBudget = (): void => {
    store(code, STATE, 4, budgetValue, S.BUDGET);
  };
  const restoreBudget = (): void => code.setLocal(budget, STATE.load('i32', 4, S.BUDGET));
  const giveBack = (): void => code.setLocal(budget, budgetValue.add(1));
  restoreBudget();
  code.block((exit) => {
    code.loop((next) => {
      code.block((lookup) => {
        const leave = (why: number): void => {
          code.setLocal(reason, i32(why));
          code.branch(exit);
        };
        const goto = (target: Value, linkFrom: Value): void => {
          code.setLocal(rip, target);
          code.setLocal(from, linkFrom);
          code.branch(lookup);
        };
        const followLink = (target: () => Value): void => {
          const link = code.newLocal('i32');
          code.setLocal(link, linkOf());
          code.if(getLocal('i32', link), () => {
            code.setLocal(1, getLocal('i32', link));
            code.branch(next);
          });
          goto(target(), RECORD);
        };
        /** RIP in memory is right already: after system operations. */
        const afterSystem = (status: Value): void => {
          code.if(status, () => {
            code.setLocal(reason, status);
            saveBudget();
            code.returnValue(status);
          }, undefined, false);
        };
        const advance = (): void => {
          advanceRecord(code, RECORD_SIZE);
          code.branch(next);
        };
        const endsFor = (shape: Shape): Endings => {
          const ends: Endings = {
            saveBudget,
            restoreBudget,
            next: advance,
            fault: () => leave(Leave.Fault),
            jump: (target) => goto(target, i32(0)),
            jumpRelative: () => followLink(() => new InterpreterScope(code, shape, imports, ends).relativeTarget()),
            repeat: () => code.branch(next),
            afterSystem: (status) => {
              afterSystem(status);
              advance();
            },
            setBudget: (value) => code.setLocal(budget, value),
            budget: () => budgetValue,
          };
          return ends;
        };
        const plain: Shape = { pattern: '', size: 4, memory: false, condition: 0 };
        const end = (): void => {
          giveBack();
          followLink(() => new InterpreterScope(code, plain, imports, endsFor(plain)).rip().and(STATE.load('i64', 8, S.LINEAR_MASK)));
        };
        const system = (): void => new InterpreterScope(code, plain, imports, endsFor(plain)).systemCall(linkOf());
        const micro = (): void => {
          giveBack();
          system();
        };
        const cold = (): void => {
          saveBudget();
          const status = code.newLocal('i32');
          code.setLocal(status, call('i32', coldFunction, [STATE, RECORD]));
          restoreBudget();
          const value = getLocal('i32', status);
          code.if(value.isZero(), advance);
          code.branchIf(next, value.eq(REPEAT));
          code.if(value.eq(JUMP), () => goto(STATE.load('i64', 8, S.RIP), i32(0)));
          code.if(value.eq(Leave.Fault), () => leave(Leave.Fault));
          afterSystem(value);
        };
        code.if(budgetValue.isZero(), () => leave(Leave.Budget), undefined, false);
        code.setLocal(budget, budgetValue.sub(1));
        code.switch(
          RECORD.load('i32', 2, HANDLER),
          [end, system, micro, ...handlers.map((handler) => () => emitHandler(code, handler, imports, endsFor(handler.shape)))],
          cold,
        );
        advance();
      });
      emitLookup(code, rip, from, next);
      storeRip(code, getLocal('i64', rip));
      store(code, STATE, 4, RECORD, S.BRANCH_RECORD);
      saveBudget();
      code.returnValue(i32(Leave.Lookup));
    });
  });
  // Budget and faults: RIP is this record's.
  storeRip(code, STATE.load('i64', 8, S.CODE_PAGE).add(RECORD.load('i64', 2, OFFSET)).sub(STATE.load('i64', 8, S.CODE_BASE)).and(STATE.load('i64', 8, S.LINEAR_MASK)));
  saveBudget();
  code.returnValue(getLocal('i32', reason));
}

/** Finds the block at `rip` in the block table, through the fetch TLB where it lies on another page; falls out when unknown. */
function emitLookup(code: Code, rip: number, from: number, next: { readonly depth: number }): void {
  const linear = code.newLocal('i64');
  const page = code.newLocal('i64');
  const host = code.newLocal('i32');
  const entry = code.newLocal('i32');
  const linearValue = getLocal('i64', linear);
  const pageValue = getLocal('i64', page);
  const hostValue = getLocal('i32', host);
  const entryValue = getLocal('i32', entry);
  code.block((miss) => {
    code.setLocal(linear, getLocal('i64', rip).add(STATE.load('i64', 8, S.CODE_BASE)).and(STATE.load('i64', 8, S.LINEAR_MASK)));
    code.setLocal(page, linearValue.and(-4096));
    code.if(pageValue.eq(STATE.load('i64', 8, S.CODE_PAGE)), () => {
      code.setLocal(host, STATE.load('i32', 4, S.CODE_HOST));
    }, () => {
      code.setLocal(from, i32(0));
      code.setLocal(entry, STATE.load('i32', 4, S.TLB_FETCH).add(pageValue.shr(8n).wrap().and((TLB_ENTRIES - 1) * TLB_ENTRY_SIZE)));
      code.branchIf(miss, entryValue.load('i64', 8).ne(pageValue));
      code.setLocal(host, pageValue.wrap().add(entryValue.load('i32', 4, 8)));
    });
    const pageHost = code.newLocal('i32');
    code.setLocal(pageHost, hostValue);
    code.setLocal(host, hostValue.or(linearValue.wrap().and(0xfff)));
    code.setLocal(entry, STATE.add(BLOCK_OFFSET).add(hostValue.xor(hostValue.shr(15)).and(BLOCK_ENTRIES - 1).mul(constant('i32', BLOCK_ENTRY_SIZE))));
    code.branchIf(miss, entryValue.load('i64', 8).ne(STATE.load('i64', 8, S.DECODE_KEY).or(hostValue.widen())));
    code.setLocal(1, entryValue.load('i32', 4, 8));
    code.if(getLocal('i32', from), () => {
      store(code, getLocal('i32', from), 4, RECORD, LINK);
    });
    store(code, STATE, 8, pageValue, S.CODE_PAGE);
    store(code, STATE, 4, getLocal('i32', pageHost), S.CODE_HOST);
    code.branch(next);
  });
}
