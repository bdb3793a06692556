/**
 * The translated regions of one vCPU: what is hot is asked for, what is ready is put into the block table, what has changed is
 * taken out.
 *
 * The last word of a block's entry in the table says it all: positive, the number of its region; negative, how many more times it
 * will be looked up before it is hot. Generated code reads and counts it.
 */
import * as S from '../../x86/state.ts';
import type { Blocks } from '../blocks.ts';
import type { Core } from '../core.ts';
import type { HandlerTable } from '../handlers.ts';
import { exportOf, type RegionCompiler } from './compile.ts';
import { type KnownBlocks, planRegion, type RegionPlan } from './plan.ts';

const PAGE = 4096;
/** Functions in the table; when it is full, everything is translated anew. */
export const MOST_REGIONS = 16_384;
/** A block that is not to be translated is never hot again. */
const NEVER = -0x4000_0000;
/** Batches that may be with the compiler, and requests that may wait for it: a guest makes hot code faster than anybody translates it. */
const MOST_BATCHES = 2;
const MOST_WAITING = 256;
const REGIONS_PER_BATCH = 32;
/** Bytes of modules; beyond, everything is translated anew. A module lives as long as one of its regions does. */
const MOST_MODULE_BYTES = 96 * 1024 * 1024;
/** Where an indirect jump is expected to lead: bytes before and behind it, and how many places. */
const FARTHEST_TARGET = 1024;
const MOST_TARGETS = 48;
/** Lookups after which a request that found no room is made again. */
const LATER = -10_000;
/** The next lookup makes it hot. */
const AT_ONCE = -1;

interface Request {
  readonly host: number;
  readonly plan: RegionPlan;
  /** Offsets of its further entries that became hot meanwhile. */
  readonly asked: number[];
}

export class Regions {
  readonly #table: WebAssembly.Table;
  readonly #core: Core;
  readonly #blocks: Blocks;
  readonly #handlers: HandlerTable;
  readonly #compiler: RegionCompiler;
  readonly #imports: Record<string, unknown>;
  #waiting: Request[] = [];
  /** Batches being compiled; an entry becomes undefined when its page changes meanwhile. */
  readonly #batches = new Map<number, (Request | undefined)[]>();
  #moduleBytes = 0;
  #nextBatch = 1;
  #nextRegion = 1;
  /** Region numbers by host page, for taking out. */
  readonly #byPage = new Map<number, number[]>();
  /** Pages of regions that have callees on this page in them. */
  readonly #callers = new Map<number, Set<number>>();
  readonly #free: number[] = [];

  constructor(
    core: Core, blocks: Blocks, handlers: HandlerTable, compiler: RegionCompiler, table: WebAssembly.Table,
    functions: Readonly<Record<'fill' | 'system' | 'execute', CallableFunction>>,
  ) {
    this.#core = core;
    this.#blocks = blocks;
    this.#handlers = handlers;
    this.#compiler = compiler;
    this.#table = table;
    this.#imports = { memory: core.memory.memory, table, ...functions };
  }

  /** The block at RIP was found hot. */
  request(): void {
    const core = this.#core;
    const mode = core.get32(S.MODE);
    const host = this.#blocks.hostOfRip;
    const slot = this.#blocks.slotOf(host);
    if (slot < 0) return;
    core.i32[slot + 3] = this.#waiting.length < MOST_WAITING ? NEVER : LATER;
    if (core.i32[slot + 3] === LATER) return;
    if ((mode & S.MODE_SEGMENTED) !== 0 || (mode & S.MODE_CODE_SIZE) === S.MODE_CODE_16) return;
    const page = host - (host & (PAGE - 1));
    const promise = this.#promiseOf(mode, page, host - page);
    if (promise !== undefined) {
      promise.asked.push(host - page);
      return;
    }
    const known: KnownBlocks = {
      memory: core.u8,
      state: core.base,
      recordAt: (offset) => this.#blocks.recordOf(page + offset),
      soughtAround: (offset) => this.#soughtAround(page, offset),
      isTranslated: (offset) => this.#blocks.heatOf(page + offset, mode) > 0,
      pageAt: (distance) => {
        const linear = BigInt.asUintN((mode & S.MODE_CODE_SIZE) === S.MODE_CODE_64 ? 64 : 32, core.get64(S.CODE_PAGE) + BigInt(distance));
        const other = core.mmu.fetchedFrom(Number(BigInt.asIntN(32, linear)), Number(BigInt.asIntN(32, linear >> 32n)));
        if (other === 0) return undefined;
        return {
          recordAt: (offset) => this.#blocks.recordOf(other + offset),
          guard: () => {
            this.#noteCaller(other >>> 12, page >>> 12);
            return this.#blocks.guardOf(other >>> 12);
          },
        };
      },
    };
    const plan = planRegion(known, this.#handlers, mode, page, host & (PAGE - 1));
    if (plan !== undefined) this.#waiting.push({ host, plan, asked: [] });
  }

  /** What is being translated and may be entered there. */
  #promiseOf(mode: number, page: number, offset: number): Request | undefined {
    const covers = (request: Request | undefined): boolean =>
      request !== undefined && request.plan.page === page && request.plan.mode === mode && request.plan.entries.includes(offset);
    for (const requests of [this.#waiting, ...this.#batches.values()]) {
      const found = requests.find(covers);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #soughtAround(page: number, offset: number): number[] {
    const sought: number[] = [];
    const end = Math.min(PAGE, offset + FARTHEST_TARGET);
    for (let at = Math.max(0, offset - FARTHEST_TARGET); at < end && sought.length < MOST_TARGETS; at++) {
      if (this.#blocks.isSought(page + at)) sought.push(at);
    }
    return sought;
  }

  /** Hands over what waits and takes in what is ready. To be called where no translated code is running. */
  exchange(): void {
    if (this.#waiting.length > 0 && this.#batches.size < MOST_BATCHES) {
      const requests = this.#waiting.splice(0, REGIONS_PER_BATCH);
      this.#batches.set(this.#nextBatch, requests);
      this.#compiler.submit(this.#nextBatch++, requests.map(({ plan }) => plan));
    }
    if (this.#batches.size === 0) return;
    for (let ready = this.#compiler.finished(); ready !== undefined; ready = this.#compiler.finished()) {
      const requests = this.#batches.get(ready.id);
      this.#batches.delete(ready.id);
      if (requests === undefined) continue;
      // What cannot be translated stays with the interpreter: its blocks are never hot again.
      if (typeof ready.module === 'string') this.#core.log.log('warn', `a batch of ${requests.length} regions was not translated: ${ready.module}`);
      else {
        this.#moduleBytes += ready.bytes;
        if (this.#moduleBytes > MOST_MODULE_BYTES) this.#blocks.forgetAll();
        else this.#install(requests, ready.module);
      }
    }
  }

  #install(requests: readonly (Request | undefined)[], module: WebAssembly.Module): void {
    if (requests.every((request) => request === undefined)) return;
    const { exports } = new WebAssembly.Instance(module, { env: this.#imports });
    for (const [n, request] of requests.entries()) {
      if (request === undefined) continue;
      const { host, plan, asked } = request;
      if (!this.#enter(host, plan.mode, exports[exportOf(n)])) return;
      for (const offset of plan.entries) {
        const entry = exports[exportOf(n, offset)];
        const at = plan.page + offset;
        if (entry !== undefined && this.#blocks.heatOf(at, plan.mode) <= 0 && !this.#enter(at, plan.mode, entry)) return;
        // Not an entry after all: it may have a region of its own.
        if (entry === undefined && asked.includes(offset)) this.#blocks.setHeat(at, plan.mode, AT_ONCE);
      }
      this.#blocks.unlink(host >>> 12);
    }
  }

  #noteCaller(calleePage: number, callerPage: number): void {
    const callers = this.#callers.get(calleePage);
    if (callers) callers.add(callerPage);
    else this.#callers.set(calleePage, new Set([callerPage]));
  }

  /** From now on control that comes to the block goes to this function. False: there is no room for it, and all are gone. */
  #enter(host: number, mode: number, region: unknown): boolean {
    const number = this.#free.pop() ?? this.#nextRegion++;
    if (number >= MOST_REGIONS) {
      this.#blocks.forgetAll();
      return false;
    }
    this.#table.set(number, region);
    if (!this.#blocks.setHeat(host, mode, number)) {
      this.#release(number);
      return true;
    }
    const page = host >>> 12;
    const numbers = this.#byPage.get(page);
    if (numbers) numbers.push(number);
    else this.#byPage.set(page, [number]);
    return true;
  }

  /** The page's code changed: its entries in the block table are gone already. */
  forgetPage(hostPage: number): void {
    this.#waiting = this.#waiting.filter(({ host }) => host >>> 12 !== hostPage);
    for (const requests of this.#batches.values()) {
      for (const [n, request] of requests.entries()) if (request !== undefined && request.host >>> 12 === hostPage) requests[n] = undefined;
    }
    for (const number of this.#byPage.get(hostPage) ?? []) this.#release(number);
    this.#byPage.delete(hostPage);
    const callers = this.#callers.get(hostPage) ?? [];
    this.#callers.delete(hostPage);
    // Their checks fail from now on, so that they are to be made anew.
    for (const page of callers) {
      this.#blocks.forgetPage(page);
      this.forgetPage(page);
    }
  }

  forgetAll(): void {
    this.#waiting = [];
    for (const requests of this.#batches.values()) requests.fill(undefined);
    for (const numbers of this.#byPage.values()) for (const number of numbers) this.#release(number);
    this.#byPage.clear();
    this.#callers.clear();
    this.#free.length = 0;
    this.#nextRegion = 1;
    this.#moduleBytes = 0;
  }

  #release(number: number): void {
    this.#table.set(number, null);
    this.#free.push(number);
  }
}
