/**
 * From a plan to the function of a region (REGION_SIGNATURE in region-state.ts).
 *
 * Counting is exact. A block takes all its instructions from the budget at its start; an exit in the middle gives back what is
 * behind it. At the entry, at every back edge and behind every call that came back the budget must suffice for the longest way to
 * the next such place: where it does not, the interpreter takes over, which stops at exactly the right instruction.
 *
 * CALL is a nested call of the callee's region, RET returns from it; what comes back somewhere else than behind the call returns
 * further up. Stores to code and devices are left to the interpreter, so by then all nested functions have returned. System operations
 * and repeated string instructions are called, on the state block; when one changes code or translations, the budget is gone, and
 * each of the nested functions leaves before it would rely on them.
 *
 * Short callees are part of the region: such a CALL goes on in them, when the code there is what it was, and their RET behind the CALL.
 *
 * A region with several entries is one function, too: which of them is meant is in the state block.
 *
 * Where control leaves the page it goes on in another region, when the block table has one there.
 */
import { type Handler, HANDLER_SYSTEM, type HandlerTable } from '../handlers.ts';
import { PAGE } from '../access.ts';
import { fetchEntryOf, isFetchedFrom } from '../block-lookup.ts';
import { BLOCK_ENTRY_SIZE, BLOCK_OFFSET, BLOCK_OTHER_WAY, blockSlot } from '../layout.ts';
import { Leave, REGION_INTERPRET, REGION_UNWIND, REPEAT } from '../leave.ts';
import { type Imports, STATE } from '../interpreter-scope.ts';
import { IMM, LENGTH, LINK, OFFSET, RECORD_SIZE } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import type { Code, Label } from '../wasm/code.ts';
import { call, getLocal, i32, i64, select, store, type Value } from '../wasm/value.ts';
import { ELSEWHERE, isSameSetter, type Setter } from './flags.ts';
import type { Edge } from './flow.ts';
import { targetOf } from './outline.ts';
import { blocksOf, type PlannedBlock, type RegionPlan } from './plan.ts';
import { RegionGraph } from './region-graph.ts';
import { DEPTH, REGION_SIGNATURE, RegionState } from './region-state.ts';
import type { TouchedRegisters } from './registers.ts';
import { type Exits, TranslatorScope } from './scope.ts';
import { type Access, type Places, worthwhile } from './windows.ts';
import { X87Locals } from './x87-locals.ts';

/** Calls nested deeper go on as jumps: the stack of the host is finite. */
const DEEPEST_CALL = 64;
const WANTED_ENTRY: Value = STATE.load('i32', 4, S.REGION_ENTRY);

/** What regions of a module share. */
export interface RegionEnvironment {
  readonly handlers: HandlerTable;
  readonly registers: TouchedRegisters;
  readonly imports: Imports;
  /** Function index of the interpreter's `execute`. */
  readonly execute: number;
  /** Function index of `find` (shared-functions.ts). */
  readonly find: number;
  /** Type index of {@link REGION_SIGNATURE}. */
  readonly type: number;
  /** Indices of the module's regions, by {@link entryOf}. On one page they are valid together: one can call the other without asking. */
  readonly functions: ReadonlyMap<number, number>;
}

const entryKey = (mode: number, host: number): number => host * S.MODE_LIMIT + mode;

/** Tells the region from others of its partition. */
export function entryOf(plan: RegionPlan): number {
  return entryKey(plan.mode, plan.page + (blocksOf(plan)[0] as PlannedBlock).start);
}

/** Returns the offsets of its entries in the page, the one that was asked for first. */
export function writeRegion(plan: RegionPlan, environment: RegionEnvironment, code: Code): number[] {
  const graph = new RegionGraph(plan, environment.handlers, environment.registers);
  new RegionWriter(graph, plan, environment, code).write();
  return graph.entries.map((number) => graph.startOf(number));
}

/** A function that enters the region `index` not at its first entry but at this one. */
export function writeEntry(index: number, entry: number, code: Code): void {
  store(code, STATE, 4, i32(entry), S.REGION_ENTRY);
  code.returnCall(index, REGION_SIGNATURE.parameters.map((type, n) => getLocal(type, n)));
  code.op(UNREACHABLE);
}

/** Where the interpreter takes over, packed into one number: its distance from the start of the page, and below it instructions given back. */
const UNSPENT_BITS = 16;
/** Exits settle the flags of so many different setters behind the region; what comes after them is settled before. */
const MOST_SETTERS = 20;

class RegionWriter {
  readonly #graph: RegionGraph;
  readonly #environment: RegionEnvironment;
  readonly #mode: number;
  /** Host offset of the page. */
  readonly #page: number;
  readonly #code: Code;
  readonly #state: RegionState;
  /** What had set the flags at some exit, or where paths meet; the first place stands for: they are settled. */
  readonly #setters: (Setter | undefined)[] = [undefined];
  /** Where the interpreter takes over, for each of them, and for what a local tells. */
  readonly #interpretExits: Label[] = [];
  #toldExit: Label = { depth: 0 };
  /** What was known before the last instruction of each block. */
  readonly #ends: (Places | undefined)[];
  readonly #labels: (Label | undefined)[];
  readonly #loops: (Label | undefined)[];
  #jumpExit: Label = { depth: 0 };
  #returnExit: Label = { depth: 0 };
  /** Everything but RIP, RSP and the budget is in the state block. */
  #goneExit: Label = { depth: 0 };

  constructor(graph: RegionGraph, { mode, page }: RegionPlan, environment: RegionEnvironment, code: Code) {
    this.#graph = graph;
    this.#environment = environment;
    this.#mode = mode;
    this.#page = page;
    this.#code = code;
    const x87 = graph.x87 && new X87Locals(code, graph.x87.touched);
    const is64Bit = (mode & S.MODE_CODE_SIZE) === S.MODE_CODE_64;
    this.#state = new RegionState(code, is64Bit, environment.registers.of(graph.blocks), x87, worthwhile(graph.accesses.flat()));
    this.#ends = graph.blocks.map(() => undefined);
    this.#labels = graph.blocks.map(() => undefined);
    this.#loops = graph.blocks.map(() => undefined);
  }

  write(): void {
    const code = this.#code;
    const state = this.#state;
    const { entries, needsFlags } = this.#graph;
    const storeEntry = (entry: number): void => store(code, STATE, 8, state.ripAt(this.#graph.startOf(entries[entry] as number)), S.RIP);
    state.enter();
    code.if(state.budget.lt(Math.max(...entries.map((number) => this.#need(number)))), () => {
      storeEntry(0);
      for (let entry = 1; entry < entries.length; entry++) code.if(WANTED_ENTRY.eq(entry), () => storeEntry(entry));
      if (entries.length > 1) store(code, STATE, 4, i32(0), S.REGION_ENTRY);
      this.#interpretHere();
    }, undefined, false);
    state.load(entries.some((number) => needsFlags[number] !== 'none'));
    const behindFlags = (setter: number): void => {
      if (setter === MOST_SETTERS) {
        code.block((told) => {
          this.#toldExit = told;
          this.#inside();
        });
        code.branchTable(this.#interpretExits, state.variable('setter', 'i32').value);
        return;
      }
      code.block((exit) => {
        this.#interpretExits.push(exit);
        behindFlags(setter + 1);
      });
      if (setter === 0) return;
      code.scope(() => {
        state.flags.setter = this.#setters[setter];
        state.settleFlags();
      });
      code.branch(this.#interpretExits[0] as Label);
    };
    behindFlags(0);
    const exit = this.#exit.value;
    state.setBudget(state.budget.add(exit.wrap().and((1 << UNSPENT_BITS) - 1)));
    state.save();
    const rip = state.page.add(exit.shrSigned(UNSPENT_BITS));
    store(code, STATE, 8, state.is64Bit ? rip : rip.and(i64(0xffff_ffffn)), S.RIP);
    this.#interpretHere();
  }

  /** All of the region but where the interpreter takes over. */
  #inside(): void {
    const code = this.#code;
    const state = this.#state;
    code.block((gone) => {
      this.#goneExit = gone;
      code.block((jump) => {
        this.#jumpExit = jump;
        code.block((returning) => {
          this.#returnExit = returning;
          this.#tree(this.#graph.root);
          code.op(UNREACHABLE);
        });
        state.save();
        // Where nobody called, it is a jump.
        code.branchIf(gone, DEPTH.isZero());
        store(code, STATE, 8, this.#rip.value, S.RIP);
        this.#goOn();
      });
      state.save();
    });
    // Regions know their own RIP.
    const region = this.#findRegion();
    code.if(region.gtSigned(0), () => code.returnCallIndirect(this.#environment.type, region, [DEPTH, state.stackPointer, state.budget]));
    store(code, STATE, 8, this.#rip.value, S.RIP);
    this.#goOn();
  }

  /** Returns to whoever goes on at RIP. */
  #goOn(): void {
    this.#code.returnValue(this.#state.stackPointer, this.#state.budget);
  }

  /** Returns from all nested regions: everything is in the state block. */
  #giveUp(status: Value): void {
    this.#code.returnValue(i64(0), status);
  }

  /** The interpreter goes on at RIP: the budget and RSP are all that is not in the state block yet. */
  #interpretHere(): void {
    this.#state.saveBudgetAndStack();
    this.#giveUp(i32(REGION_INTERPRET));
  }

  /** Gives up when a system operation says so. */
  #heed(status: Value): void {
    this.#code.if(status, () => this.#giveUp(i32(REGION_UNWIND + Leave.Jump).sub(status)), undefined, false);
  }

  get #exit(): ReturnType<RegionState['variable']> {
    return this.#state.variable('exit', 'i64');
  }

  get #rip(): ReturnType<RegionState['variable']> {
    return this.#state.variable('rip', 'i64');
  }

  #need(block: number): number {
    return this.#graph.flow.longestPath[block] as number;
  }

  // ── the dominator tree ──

  #tree(node: number): void {
    const merges = this.#graph.flow.merges[node] as readonly number[];
    if (!this.#graph.flow.isLoopHeader[node]) {
      this.#within(node, merges, 0);
      return;
    }
    this.#beforeLoop(node);
    this.#code.loop((label) => {
      this.#loops[node] = label;
      this.#within(node, merges, 0);
    });
  }

  #within(node: number, merges: readonly number[], from: number): void {
    const merge = merges[from];
    if (merge === undefined) {
      this.#block(node);
      return;
    }
    this.#code.block((label) => {
      this.#labels[merge] = label;
      this.#within(node, merges, from + 1);
    });
    this.#state.hasLeft = false;
    this.#state.flags.setter = this.#setterAtStart(merge);
    this.#resumeAt(node, merge);
    this.#tree(merge);
  }

  /** Several paths lead from a block to a merge: what is known there is what was, less what they change. */
  #resumeAt(from: number, merge: number): void {
    const { windows } = this.#state;
    const { flow, changed, clobbers } = this.#graph;
    const between = flow.between(from, merge);
    const places = this.#ends[from];
    if (places === undefined || clobbers[from] || between.some((block) => clobbers[block])) windows.forget();
    else windows.resume(places, between.reduce((bits, block) => bits | (changed[block] as number), this.#lastChanges(from)));
  }

  /** Registers that the last instruction of a block changes. */
  #lastChanges(number: number): number {
    const { records } = this.#graph.blocks[number] as PlannedBlock;
    return this.#environment.registers.changedBy(records, records.byteLength - RECORD_SIZE);
  }

  /** Other paths come back: only what the loop leaves alone is known in it. For registers that it goes through, windows are opened. */
  #beforeLoop(header: number): void {
    const { windows } = this.#state;
    const { flow, changed, clobbers, accesses } = this.#graph;
    const loop = flow.loopOf(header);
    if (loop.some((block) => clobbers[block])) {
      windows.forget();
      return;
    }
    const changes = loop.reduce((bits, block) => bits | (changed[block] as number), 0);
    windows.resume(windows.places, changes);
    const inside = loop.flatMap((block) => accesses[block] as readonly Access[]);
    for (const { register, distance } of inside) {
      if (changes & (1 << register)) continue;
      const isForWrite = inside.some((other) => other.register === register && other.isWrite);
      const window = windows.windowOf(windows.originOf(register));
      if (window === undefined || (isForWrite && !window.isForWrite)) this.#state.openWindow(register, distance, isForWrite);
    }
  }

  /** Where several paths meet: what those do that lead here is {@link #prepareFlags}. */
  #setterAtStart(block: number): Setter | undefined {
    return this.#graph.needsFlags[block] === 'exits' ? ELSEWHERE : undefined;
  }

  /** Before a branch to a block that other paths lead to. */
  #prepareFlags(to: number): void {
    const need = this.#graph.needsFlags[to];
    const { flags } = this.#state;
    if (need === 'reads') this.#state.settleFlags();
    else if (need === 'exits' && flags.setter !== ELSEWHERE) this.#state.variable('setter', 'i32').set(i32(this.#placeOfSetter()));
  }

  /** The place of what set the flags last among the setters; they are settled when there is no room. */
  #placeOfSetter(): number {
    const { flags } = this.#state;
    const known = this.#setters.findIndex((other) => isSameSetter(other, flags.setter));
    if (known >= 0) return known;
    if (this.#setters.length < MOST_SETTERS) return this.#setters.push(flags.setter) - 1;
    this.#state.settleFlags();
    return 0;
  }

  /** Control goes from a block to an offset of the page, or of its callee's. */
  #goto(from: number, offset: number, callee = (this.#graph.blocks[from] as PlannedBlock).callee): void {
    const to = this.#graph.numberAt(offset, callee);
    const { flow } = this.#graph;
    if (to === undefined || flow.isForeign(from, to)) {
      if (callee === 0) {
        this.#leave(this.#state.ripAt(offset, 0), this.#jumpExit);
        return;
      }
      // What a callee jumps to would return to the caller's caller.
      this.#state.aside(() => this.#interpretAt(offset, 0));
      this.#state.hasLeft = true;
      return;
    }
    this.#follow(from, to);
  }

  /** Control goes from a block to another. */
  #follow(from: number, to: number): void {
    const { flow } = this.#graph;
    const state = this.#state;
    const isBack = flow.isBack(from, to);
    if (!isBack && !flow.isMerge[to]) {
      // Other paths come back here with flags of their own.
      if (flow.isLoopHeader[to]) this.#prepareFlags(to);
      this.#alignX87(to);
      this.#tree(to);
      return;
    }
    state.aside(() => {
      if (isBack) {
        this.#code.if(state.budget.lt(this.#need(to)), () => state.aside(() => this.#interpretAt(this.#graph.startOf(to), 0, this.#distanceOf(to))), undefined, false);
      }
      this.#prepareFlags(to);
      this.#alignX87(to);
      this.#code.branch((isBack ? this.#loops[to] : this.#labels[to]) as Label);
    });
    state.hasLeft = true;
  }

  /** Before control goes to a block: the locals of the x87 stack become what that block takes them for. */
  #alignX87(to: number): void {
    this.#state.x87?.moveTo(this.#graph.x87?.topAt[to] as number);
  }

  /** To the entry that is meant. */
  #enter(): void {
    const { root, entries } = this.#graph;
    const code = this.#code;
    const state = this.#state;
    const arms = entries.slice(1).map((number) => () => state.aside(() => this.#goto(root, this.#graph.startOf(number))));
    const entry = state.variable('entry', 'i32');
    entry.set(WANTED_ENTRY);
    code.if(entry.value, () => {
      store(code, STATE, 4, i32(0), S.REGION_ENTRY);
      code.dispatch(entry.value.sub(1), [...arms.keys()], arms, () => code.op(UNREACHABLE));
    }, undefined, false);
    this.#goto(root, this.#graph.startOf(0));
  }

  #block(number: number): void {
    if (this.#graph.entries.length > 1 && number === this.#graph.root) {
      this.#enter();
      return;
    }
    const before = this.#state.distance;
    this.#state.distance = this.#distanceOf(number);
    this.#instructions(number);
    this.#state.distance = before;
  }

  #distanceOf(number: number): number {
    return this.#graph.callees[(this.#graph.blocks[number] as PlannedBlock).callee]?.distance ?? 0;
  }

  #instructions(number: number): void {
    const block = this.#graph.blocks[number] as PlannedBlock;
    const state = this.#state;
    const count = block.records.byteLength / RECORD_SIZE;
    if (this.#graph.flow.isLoopHeader[number]) state.flags.setter = this.#setterAtStart(number);
    state.x87?.enterBlock(this.#graph.x87?.topAt[number] as number);
    state.dirty = this.#graph.dirty[number] as number;
    if (block.crosses) this.#checkPage(block, state.ripAt(PAGE), block.address - RECORD_SIZE + IMM);
    const guard = this.#graph.enteredAt(number)?.guard ?? 0;
    if (guard !== 0) this.#checkPage(block, state.ripAt(0), guard);
    state.setBudget(state.budget.sub(count));
    for (let n = 0; n < count && !state.hasLeft; n++) {
      if (n === count - 1) this.#ends[number] = state.windows.places;
      this.#instruction(number, block, n, count - 1 - n);
    }
    if (state.hasLeft) return;
    if (block.stops) this.#interpretAt(block.end, 0);
    else this.#goto(number, block.end);
  }

  /** Whether the code at a linear page is what it was (Blocks.guardOf). As `passCrossing` of interpreter.ts: what does not pass is looked at there. */
  #checkPage({ start }: PlannedBlock, page: Value, guard: number): void {
    const state = this.#state;
    const entry = state.variable('fetch-entry', 'i32');
    entry.set(fetchEntryOf(page));
    const isSame = isFetchedFrom(entry.value, page, i32(guard).load('i32', 4));
    this.#code.if(isSame.isZero(), () => state.aside(() => this.#interpretAt(start, 0)), undefined, false);
  }

  /** `behind`: instructions of the block that follow this one; the budget is already charged for them. */
  #instruction(number: number, block: PlannedBlock, n: number, behind: number): void {
    const { records } = block;
    const record = n * RECORD_SIZE;
    if (records.getUint16(record, true) === HANDLER_SYSTEM) {
      this.#system(number, n, behind);
      return;
    }
    const handler = this.#environment.handlers.at(records.getUint16(record, true)) as Handler;
    const { semantics, mnemonic } = handler;
    if (semantics.repeats) {
      this.#repeating(number, n, behind);
      return;
    }
    const offset = records.getUint16(record + OFFSET, true);
    const transfer = this.#graph.transfers[number];
    const callee = this.#graph.calledBy(number);
    const returns = block.callee > 0 ? this.#graph.returnOf(block) : undefined;
    const never = (): never => {
      throw new Error(`${mnemonic} is not to be translated`);
    };
    const jump = (rip: Value): void => {
      if (returns !== undefined && transfer === 'return') this.#goto(number, returns, 0);
      else if (transfer === 'call' || transfer === 'indirect-call') {
        this.#call(number, rip, returns ?? block.end, transfer === 'call' ? targetOf(records, record) : undefined);
      } else if (this.#graph.dispatches[number]) this.#dispatch(number, rip);
      else this.#leave(rip, transfer === 'return' ? this.#returnExit : this.#jumpExit);
    };
    const exits: Exits = {
      interpret: () => this.#state.aside(() => this.#interpretAt(offset, behind + 1)),
      jump,
      jumpRelative: () => {
        const target = transfer === 'call' ? undefined : targetOf(records, record);
        if (callee !== undefined) this.#follow(number, callee);
        else if (target === undefined) jump(scope.relativeTarget());
        else this.#goto(number, target);
      },
      expected: returns !== undefined && transfer === 'return' ? this.#state.ripAt(returns, 0) : undefined,
      next: never, fault: never, repeat: never, afterSystem: never, setBudget: never, saveBudget: never, restoreBudget: never,
      // Behind this instruction, not behind its block.
      budget: () => this.#state.budget.add(behind),
    };
    const scope = new TranslatorScope(this.#state, handler, this.#environment.imports, exits, records, record);
    this.#state.keepsFlags = this.#graph.effects[number]?.[n]?.flagUse === 'none';
    this.#code.scope(() => semantics.body(scope));
  }

  /** A system operation sees the whole state and may change all of it. */
  #system(number: number, n: number, behind: number): void {
    const code = this.#code;
    const state = this.#state;
    const { records, address } = this.#graph.blocks[number] as PlannedBlock;
    const record = n * RECORD_SIZE;
    const next = records.getUint16(record + OFFSET, true) + records.getUint8(record + LENGTH);
    if (!this.#suspend(number, n, behind)) return;
    store(code, STATE, 8, state.ripAt(next), S.NEXT_RIP);
    const status = state.variable('status', 'i32');
    status.set(call('i32', this.#environment.imports.system, [i32(address + record), i32(records.getInt32(record + LINK, true))]));
    this.#heed(status.value);
    this.#resume(number, n, behind);
  }

  /** A repeated string instruction is the interpreter's, which counts its iterations. */
  #repeating(number: number, n: number, behind: number): void {
    const code = this.#code;
    const state = this.#state;
    const { address } = this.#graph.blocks[number] as PlannedBlock;
    if (!this.#suspend(number, n, behind)) return;
    const status = state.variable('status', 'i32');
    code.block((isDone) => {
      code.loop((again) => {
        status.set(call('i32', this.#environment.execute, [STATE, i32(address + n * RECORD_SIZE)]));
        code.branchIf(isDone, status.value.ne(REPEAT));
        const left = state.variable('budget', 'i32');
        left.set(STATE.load('i32', 4, S.BUDGET));
        code.if(left.value.isZero(), () => this.#giveUp(i32(REGION_INTERPRET)), undefined, false);
        store(code, STATE, 4, left.value.sub(1), S.BUDGET);
        code.branch(again);
      });
    });
    this.#heed(status.value);
    this.#resume(number, n, behind);
  }

  /** Before an instruction that is executed elsewhere: everything is in the state block. False: the region was left instead. */
  #suspend(number: number, n: number, behind: number): boolean {
    const state = this.#state;
    const { records } = this.#graph.blocks[number] as PlannedBlock;
    const offset = records.getUint16(n * RECORD_SIZE + OFFSET, true);
    if (state.x87 !== undefined) {
      // Where the x87 stack is behind it is not known.
      this.#interpretAt(offset, behind + 1);
      return false;
    }
    state.settleFlags();
    if (behind > 0) state.setBudget(state.budget.add(behind));
    state.save(state.dirty);
    state.saveBudgetAndStack();
    store(this.#code, STATE, 8, state.ripAt(offset), S.RIP);
    return true;
  }

  /** Behind an instruction that was executed elsewhere, and may have taken any part of the budget or all of it. */
  #resume(number: number, n: number, behind: number): void {
    const state = this.#state;
    const { records } = this.#graph.blocks[number] as PlannedBlock;
    const record = n * RECORD_SIZE;
    const next = records.getUint16(record + OFFSET, true) + records.getUint8(record + LENGTH);
    state.loadBudgetAndStack();
    state.load(true);
    const need = Math.max(this.#need(number) - n - 1, 1);
    this.#code.if(state.budget.lt(need), () => state.aside(() => this.#interpretAt(next, 0)), undefined, false);
    if (behind > 0) state.setBudget(state.budget.sub(behind));
  }

  /** An indirect jump: to a block of the region, or out of it. */
  #dispatch(number: number, rip: Value): void {
    const state = this.#state;
    const offsets = (this.#graph.edges[number] as readonly Edge[]).map(({ to }) => this.#graph.startOf(to));
    if (offsets.length === 0) {
      this.#leave(rip, this.#jumpExit);
      return;
    }
    this.#rip.set(rip);
    const [first, last] = [Math.min(...offsets), Math.max(...offsets)];
    const map = Array.from({ length: last - first + 1 }, (_, n): number | undefined => {
      const arm = offsets.indexOf(first + n);
      return arm < 0 ? undefined : arm;
    });
    const distance = this.#rip.value.sub(state.page.add(first));
    const selector = state.variable('selector', 'i32');
    selector.set(select(distance.gt(map.length), i32(map.length), distance.wrap()));
    const arms = offsets.map((offset) => () => state.aside(() => this.#goto(number, offset)));
    this.#code.dispatch(selector.value, map, arms, () => this.#leave(this.#rip.value, this.#jumpExit));
    state.hasLeft = true;
  }

  // ── ways out ──

  #interpretAt(offset: number, unspent: number, distance = this.#state.distance): void {
    const exit = this.#state.flags.setter === ELSEWHERE ? this.#toldExit : this.#interpretExits[this.#placeOfSetter()] as Label;
    this.#state.x87?.beforeSave();
    this.#exit.set(i64((BigInt(distance + offset) << BigInt(UNSPENT_BITS)) | BigInt(unspent)));
    this.#code.branch(exit);
    this.#state.hasLeft = true;
  }

  #leave(rip: Value, exit: Label): void {
    const state = this.#state;
    state.aside(() => {
      state.settleFlags();
      state.x87?.beforeSave();
      this.#rip.set(rip);
      this.#code.branch(exit);
    });
    state.hasLeft = true;
  }

  /** The return address is pushed; what remains is to go there and to come back. `target`: an offset of this page, where that is known. */
  #call(from: number, rip: Value, returnOffset: number, target: number | undefined): void {
    const code = this.#code;
    const state = this.#state;
    const next = this.#graph.numberAt(returnOffset);
    this.#rip.set(rip);
    state.settleFlags();
    state.x87?.beforeSave();
    state.save(state.dirty);
    const storeRip = (): void => store(code, STATE, 8, this.#rip.value, S.RIP);
    const carried = [state.stackPointer, state.budget];
    const direct = target === undefined ? undefined : this.#environment.functions.get(entryKey(this.#mode, this.#page + target));
    if (direct === undefined) {
      const region = target === undefined ? this.#findRegion() : this.#regionOfPage(target);
      code.if(region.leSigned(0), () => {
        storeRip();
        this.#goOn();
      }, undefined, false);
      code.if(DEPTH.ge(DEEPEST_CALL), () => code.returnCallIndirect(this.#environment.type, region, [DEPTH, ...carried]), undefined, false);
      code.callIndirect(this.#environment.type, region, [DEPTH.add(1), ...carried]);
    } else {
      code.if(DEPTH.ge(DEEPEST_CALL), () => code.returnCall(direct, [DEPTH, ...carried]), undefined, false);
      code.callVoid(direct, [DEPTH.add(1), ...carried]);
    }
    state.takeResults();
    code.if(state.budget.ltSigned(0), () => this.#giveUp(state.budget), undefined, false);
    this.#rip.set(STATE.load('i64', 8, S.RIP));
    code.if(this.#rip.value.ne(state.ripAt(returnOffset, 0)), () => {
      // As it was: with another use of what was loaded V8 loads it once.
      storeRip();
      this.#goOn();
    }, undefined, false);
    store(code, STATE, 8, state.page, S.CODE_PAGE);
    store(code, STATE, 4, i32(this.#page), S.CODE_HOST);
    code.if(state.budget.lt(next === undefined ? 1 : this.#need(next)), () => this.#interpretHere(), undefined, false);
    if (next === undefined) {
      code.branch(this.#goneExit);
      state.hasLeft = true;
      return;
    }
    state.load(this.#graph.needsFlags[next] !== 'none');
    this.#goto(from, returnOffset, 0);
  }

  /** The same on this page, whose place in memory is known: its entry in the block table is, too. Not positive when there is none. */
  #regionOfPage(offset: number): Value {
    const region = this.#state.variable('region', 'i32');
    const host = this.#page + offset;
    const key = i64((BigInt(this.#mode) << 40n) | BigInt(host));
    this.#lookInSet(region, STATE.add(blockSlot(host, this.#mode)), key);
    return region.value;
  }

  /** The region of the block with this key, or what stands there in its place; `entry`: address of its entry, less BLOCK_OFFSET. */
  #lookInSet(region: ReturnType<RegionState['variable']>, entry: Value, key: Value): void {
    const look = (way: Value): void => region.set(select(way.load('i64', 8, BLOCK_OFFSET).eq(key), way.load('i32', 4, BLOCK_OFFSET + 12), i32(0)));
    look(entry);
    this.#code.if(region.value.isZero(), () => look(entry.xor(BLOCK_OTHER_WAY)), undefined, false);
  }

  /** The number of the region that starts at `rip`; not positive when there is none. */
  #findRegion(): Value {
    const region = this.#state.variable('region', 'i32');
    const rip = this.#rip.value;
    // Not this region's own idea of its page: a change of level means that even this page is to be fetched anew.
    this.#code.if(rip.and(-4096).eq(STATE.load('i64', 8, S.CODE_PAGE)), () => {
      // On this page, whose place in memory is known: so is the better part of what blockSlot computes.
      const offset = this.#state.variable('offset', 'i32');
      offset.set(rip.wrap().and(0xfff));
      const entry = this.#state.variable('entry', 'i32');
      entry.set(STATE.add(offset.value.mul(BLOCK_ENTRY_SIZE).xor(blockSlot(this.#page, this.#mode))));
      const key = i64((BigInt(this.#mode) << 40n) | BigInt(this.#page)).or(offset.value.widen());
      this.#lookInSet(region, entry.value, key);
    }, () => region.set(call('i32', this.#environment.find, [rip])));
    return region.value;
  }
}

const UNREACHABLE = 0x00;
