/**
 * The interpreter, generated as one WebAssembly module from the instruction table and the semantics: a main loop
 * with a `br_table` over handlers, and a second function for rarer instructions.
 *
 * `run(state, record)` executes decoded records until it returns an {@link Leave} code; BUDGET and RIP in the state block are
 * then exact. Counting is exact: every dispatched record that is an instruction takes one from the budget, micro-operations
 * (block ends, prepared addresses) give theirs back.
 */
import { HANDLER, IMM, LINK, OFFSET, RECORD_SIZE } from '../x86/record.ts';
import * as S from '../x86/state.ts';
import { fetchEntryOf, findBlock, isFetchedFrom } from './block-lookup.ts';
import { advanceRecord, type Endings, type Imports, InterpreterScope, linkOf, RECORD, type Shape, STATE } from './interpreter-scope.ts';
import { FIRST_HANDLER, type Handler, type HandlerTable } from './handlers.ts';
import { JUMP, Leave, NEXT, REGION_INTERPRET, REGION_UNWIND, REPEAT } from './leave.ts';
import { SYSTEM_MNEMONICS } from './system-operations.ts';
import { REGION_SIGNATURE } from './translator/region-state.ts';
import type { Code, Label } from './wasm/code.ts';
import { ModuleBuilder } from './wasm/module.ts';
import { call, getLocal, i32, result, store, type Value } from './wasm/value.ts';
import { f80FunctionsOf } from './x87/f80-functions.ts';

/** Backward links inside a page are not looked up: so many of them count as as many lookups of the target. */
export const LOOP_SAMPLE = 256;

export const SYSTEM_NUMBER: ReadonlyMap<string, number> = new Map(SYSTEM_MNEMONICS.map((name, number) => [name, number]));

const systemNumber = (mnemonic: string): number => {
  const number = SYSTEM_NUMBER.get(mnemonic);
  if (number === undefined) throw new Error(`no system operation ${mnemonic}`);
  return number;
};

export interface Interpreter {
  /** Exports {@link RunExports}. */
  readonly module: WebAssembly.Module;
  readonly handlers: HandlerTable;
}

export interface RunExports {
  run(state: number, record: number): number;
  /**
   * One rarer instruction, already taken from the budget: NEXT, REPEAT (once more, if the budget has it), JUMP (RIP is set), or a Leave code. For
   * translated code that leaves it to the interpreter.
   */
  execute(state: number, record: number): number;
}

/** The bytes of the module. */
export function writeInterpreter(handlers: HandlerTable): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const slow = { parameters: ['i32', 'i32', 'i32'], results: ['i32'] } as const;
  const functions = {
    readSlow: builder.importFunction('readSlow', slow),
    writeSlow: builder.importFunction('writeSlow', { parameters: ['i32', 'i32', 'i32', 'i32'], results: ['i32'] }),
    commitStore: builder.importFunction('commitStore', { parameters: [], results: ['i32'] }),
    system: builder.importFunction('system', { parameters: ['i32', 'i32'], results: ['i32'] }),
  };
  const imports: Imports = { ...functions, f80: f80FunctionsOf(builder) };
  const signature = { parameters: ['i32', 'i32'], results: ['i32'] } as const;
  // A function each: the host optimises those that a guest uses, which is soon done. Of all of them in one it has to make machine code at once.
  const cold = handlers.cold.map((handler) => builder.function(signature, undefined, (code) => emitColdHandler(code, handler, imports)));
  const coldFunction = builder.function(signature, 'execute', (code) => {
    const selector = RECORD.load('i32', 2, HANDLER).sub(FIRST_HANDLER + handlers.hot.length);
    code.switch(selector, cold.map((index) => () => code.returnCall(index, [STATE, RECORD])), () => code.op(0x00));
    code.op(0x00); // unreachable: every case returns
  });
  builder.importTable();
  const regionType = builder.typeIndex(REGION_SIGNATURE);
  builder.function(signature, 'run', (code) => emitMainLoop(code, handlers.hot, imports, coldFunction, regionType));
  return builder.build();
}

function emitHandler(code: Code, handler: Handler, imports: Imports, ends: Endings): void {
  const scope = new InterpreterScope(code, handler.shape, imports, ends);
  scope.systemNumber = systemNumber;
  handler.semantics.body(scope);
}

function emitColdHandler(code: Code, handler: Handler, imports: Imports): void {
  const give = (status: number): void => code.returnValue(i32(status));
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
  code.op(0x00); // unreachable: it returned
}

function storeRip(code: Code, rip: Value): void {
  store(code, STATE, 8, rip, S.RIP);
}

function emitMainLoop(code: Code, handlers: readonly Handler[], imports: Imports, coldFunction: number, regionType: number): void {
  const budget = code.newLocal('i32');
  const rip = code.newLocal('i64');
  const from = code.newLocal('i32');
  const reason = code.newLocal('i32');
  const untranslated = code.newLocal('i32');
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
            // A link back closes a loop.
            code.if(getLocal('i32', link).le(RECORD), () => {
              const left = code.newLocal('i32');
              code.setLocal(left, STATE.load('i32', 4, S.LOOP_SAMPLE).sub(1));
              store(code, STATE, 4, getLocal('i32', left), S.LOOP_SAMPLE);
              code.if(getLocal('i32', left).isZero(), () => {
                code.setLocal(1, getLocal('i32', link));
                leave(Leave.Hot);
              }, undefined, false);
            });
            code.setLocal(1, getLocal('i32', link));
            code.branch(next);
          });
          goto(target(), RECORD);
        };
        /** RIP in memory is right already: after system operations. */
        const afterSystem = (status: Value): void => {
          code.if(status, () => {
            code.if(status.eq(Leave.Jump), () => {
              // Whatever comes of it, it was no branch.
              code.setLocal(1, i32(0));
              goto(STATE.load('i64', 8, S.RIP), i32(0));
            });
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
        /** Where the fetch TLB has the second page of an instruction as it was when that was decoded, no more needs to be asked. */
        const passCrossing = (): void => {
          const page = code.newLocal('i64');
          const entry = code.newLocal('i32');
          const [pageValue, entryValue] = [getLocal('i64', page), getLocal('i32', entry)];
          code.setLocal(page, STATE.load('i64', 8, S.CODE_PAGE).add(4096).and(STATE.load('i64', 8, S.LINEAR_MASK)));
          code.setLocal(entry, fetchEntryOf(pageValue));
          code.if(isFetchedFrom(entryValue, pageValue, RECORD.load('i32', 4, IMM)), advance);
        };
        const micro = (): void => {
          giveBack();
          code.if(linkOf().eq(systemNumber('check_crossing')), passCrossing);
          const ends = endsFor(plain);
          const afterMicro = (status: Value): void => {
            // An instruction that faults counts, wherever it does.
            code.if(status.eq(Leave.Fault), () => code.setLocal(budget, budgetValue.sub(1)), undefined, false);
            ends.afterSystem(status);
          };
          new InterpreterScope(code, plain, imports, { ...ends, afterSystem: afterMicro }).systemCall(linkOf());
        };
        const lookUp = (): void => {
          giveBack();
          goto(STATE.load('i64', 8, S.RIP), i32(0));
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
          [end, system, micro, lookUp, ...handlers.map((handler) => () => emitHandler(code, handler, imports, endsFor(handler.shape)))],
          cold,
        );
        advance();
      });
      code.setLocal(untranslated, i32(0));
      code.loop((again) => {
        const locals = { rip, from, untranslated, budget };
        emitLookup(code, locals, regionType, next, again, saveBudget, restoreBudget);
      });
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

interface LookupLocals {
  readonly rip: number;
  readonly from: number;
  readonly untranslated: number;
  readonly budget: number;
}

/**
 * Finds the block at `rip` in the block table, through the fetch TLB where it lies on another page; falls out when unknown. A
 * translated region is called, and what it says is looked up `again`; other blocks are counted and go on at `next`.
 */
function emitLookup(
  code: Code, locals: LookupLocals, regionType: number, next: Label, again: Label, saveBudget: () => void, restoreBudget: () => void,
): void {
  const { rip, from, untranslated, budget } = locals;
  const linear = code.newLocal('i64');
  const region = code.newLocal('i32');
  const rsp = code.newLocal('i64');
  const regionValue = getLocal('i32', region);
  code.block((miss) => {
    code.setLocal(linear, getLocal('i64', rip).add(STATE.load('i64', 8, S.CODE_BASE)).and(STATE.load('i64', 8, S.LINEAR_MASK)));
    const { page, pageHost, entry } = findBlock(code, getLocal('i64', linear), miss, () => code.setLocal(from, i32(0)));
    store(code, STATE, 8, page, S.CODE_PAGE);
    store(code, STATE, 4, pageHost, S.CODE_HOST);
    code.setLocal(region, entry.load('i32', 4, 12));
    code.if(regionValue.gtSigned(getLocal('i32', untranslated)), () => {
      saveBudget();
      code.callIndirect(regionType, regionValue, [i32(0), STATE.load('i64', 8, S.gpr(S.RSP)), getLocal('i32', budget)]);
      code.setLocal(budget, result('i32'));
      code.setLocal(rsp, result('i64'));
      code.setLocal(untranslated, i32(0));
      code.if(getLocal('i32', budget).geSigned(0), () => store(code, STATE, 8, getLocal('i64', rsp), S.gpr(S.RSP)), () => {
        const status = getLocal('i32', budget);
        code.if(status.ltSigned(REGION_UNWIND), () => code.returnValue(i32(REGION_UNWIND + Leave.Jump).sub(status)), undefined, false);
        // Larger than any number of a region: the next look passes by.
        code.setLocal(untranslated, status.eq(REGION_INTERPRET).mul(0x7fff_ffff));
        restoreBudget();
      });
      code.setLocal(rip, STATE.load('i64', 8, S.RIP));
      code.setLocal(from, i32(0));
      // Whatever led here, it was no branch of the interpreter's.
      code.setLocal(1, i32(0));
      code.branch(again);
    });
    code.if(regionValue.ltSigned(0), () => {
      store(code, entry, 4, regionValue.add(1), 12);
      code.if(regionValue.eq(-1), () => {
        storeRip(code, getLocal('i64', rip));
        saveBudget();
        code.returnValue(i32(Leave.Hot));
      }, undefined, false);
      code.if(getLocal('i32', from), () => {
        store(code, getLocal('i32', from), 4, entry.load('i32', 4, 8), LINK);
      });
    });
    code.setLocal(1, entry.load('i32', 4, 8));
    code.branch(next);
  });
}
