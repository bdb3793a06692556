/**
 * Which registers an instruction touches. Nothing here knows instructions: each handler is generated once into the void, with
 * registers in its operand fields that no instruction uses of itself, and what was touched is kept.
 */
import { BASE, IMM, INDEX, RECORD_SIZE, REG } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import type { Handler, HandlerTable } from '../handlers.ts';
import type { Imports } from '../interpreter-scope.ts';
import { Code } from '../wasm/code.ts';
import { isExecutedElsewhere } from './outline.ts';
import type { PlannedBlock } from './plan.ts';
import { NOTHING, REGION_SIGNATURE, RegionState, type Touched } from './region-state.ts';
import { type Exits, TranslatorScope } from './scope.ts';

/** Stand-ins for the registers that the fields name: general ones by these numbers, vector ones likewise. */
const ROLES = [{ field: REG, number: 8 }, { field: BASE, number: 9 }, { field: INDEX, number: 10 }] as const;
const VECTOR = 16;
const STAND_INS: number = ROLES.reduce((bits, { number }) => bits | (1 << number) | (1 << (VECTOR + number)), 0);

/** What an instruction does besides computing. */
export interface Effect extends Touched {
  /** `sets`: all six, without looking at what they were; `reads`: anything else that concerns them. */
  readonly flagUse: 'none' | 'sets' | 'reads';
  /** The region may be left before it. */
  readonly mayLeave: boolean;
}

/** What is in the state block, a system operation finds and changes there. */
const SYSTEM_OPERATION: Effect = { ...NOTHING, flagUse: 'reads', mayLeave: true };

export class TouchedRegisters {
  readonly #handlers: HandlerTable;
  readonly #imports: Imports;
  readonly #known = new Map<number, Effect>();

  constructor(handlers: HandlerTable, imports: Imports) {
    this.#handlers = handlers;
    this.#imports = imports;
  }

  /** By all instructions of these records. */
  of(blocks: readonly PlannedBlock[]): Touched {
    let { read, changed, flags } = NOTHING;
    for (const { records } of blocks) {
      for (let record = 0; record < records.byteLength; record += RECORD_SIZE) {
        const general = this.effectOf(records, record);
        read |= named(general.read, records, record);
        changed |= named(general.changed, records, record);
        flags ||= general.flags;
      }
    }
    return { read, changed, flags };
  }

  /** Registers that an instruction changes ({@link Touched}). */
  changedBy(records: DataView, record: number): number {
    return named(this.effectOf(records, record).changed, records, record);
  }

  /** With the stand-ins for the registers that the fields name. */
  effectOf(records: DataView, record: number): Effect {
    const number = records.getUint16(record, true);
    const handler = this.#handlers.at(number) as Handler;
    if (isExecutedElsewhere(handler)) return SYSTEM_OPERATION;
    // Shifts by nothing are different.
    const key = number * 2 + ((records.getUint8(record + IMM) & 0x1f) === 0 ? 0 : 1);
    let effect = this.#known.get(key);
    if (effect === undefined) {
      effect = this.#learn(handler, records, record);
      this.#known.set(key, effect);
    }
    return effect;
  }

  #learn(handler: Handler, records: DataView, record: number): Effect {
    const model = new DataView(new ArrayBuffer(RECORD_SIZE));
    for (let i = 0; i < RECORD_SIZE; i++) model.setUint8(i, records.getUint8(record + i));
    for (const { field, number } of ROLES) {
      const isAddress = handler.shape.memory && field !== REG;
      const offset = records.getUint16(record + field, true);
      if (isAddress || isGeneral(offset)) model.setUint16(field, S.gpr(number) + (isAddress ? 0 : offset & 7), true);
      else if (isVector(offset)) model.setUint16(field, S.xmm(number), true);
    }
    const code = new Code(REGION_SIGNATURE.parameters.length);
    const state = new RegionState(code, true, NOTHING);
    let mayLeave = false;
    const nothing = (): void => undefined;
    const exits: Exits = {
      interpret: () => { mayLeave = true; },
      jump: nothing, jumpRelative: nothing, next: nothing, fault: nothing, repeat: nothing, afterSystem: nothing,
      setBudget: nothing, budget: () => state.budget, saveBudget: nothing, restoreBudget: nothing,
    };
    const scope = new TranslatorScope(state, handler, this.#imports, exits, model, 0);
    code.scope(() => handler.semantics.body(scope));
    const { setter } = state.flags;
    const isWhole = setter !== undefined && setter.kind !== 'words' && setter.rotated === undefined && setter.carry === undefined;
    const flags = state.touched.flags || setter !== undefined;
    return { ...state.touched, flags, mayLeave, flagUse: !flags ? 'none' : isWhole && !state.touched.flags ? 'sets' : 'reads' };
  }
}

const isGeneral = (offset: number): boolean => offset < S.GPR + 16 * 8;
const isVector = (offset: number): boolean => offset >= S.XMM && offset < S.XMM + 16 * S.XMM_STRIDE;

/** The set with the stand-ins replaced by what this record names. */
function named(set: number, records: DataView, record: number): number {
  let result = set & ~STAND_INS;
  for (const { field, number } of ROLES) {
    const offset = records.getUint16(record + field, true);
    for (const bit of [number, VECTOR + number]) {
      if ((set & (1 << bit)) === 0) continue;
      if (isGeneral(offset)) result |= 1 << ((offset - S.GPR) >>> 3);
      else if (isVector(offset)) result |= 1 << (VECTOR + (offset - S.XMM) / S.XMM_STRIDE);
    }
  }
  return result;
}
