/**
 * One virtual processor of the software engine: runs blocks, delivers events at instruction boundaries, and stands between
 * generated code and the rest. All of it happens in the caller's thread; the state block is shared memory, so that a thread per
 * vCPU can follow.
 *
 * Not modelled: SMM.
 */
import {
  ExitReason, type PhysicalMemory, type Logger, type SegmentName, type SegmentState, type TimeBase, type Vcpu, type VcpuEvent, type VcpuState, type VcpuWiring,
} from '../contracts/index.ts';
import { IF, RF, TF } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION, NMI } from '../x86/vectors.ts';
import { Blocks } from './blocks.ts';
import { DR6_SINGLE_STEP } from './breakpoints.ts';
import type { CodeTracker } from './code-pages.ts';
import { Core, GUEST_FAULT } from './core.ts';
import { deliverDebugException, deliverException, deliverInterrupt, endSleep } from './interrupts.ts';
import { type Interpreter, LOOP_SAMPLE, type RunExports } from './interpreter.ts';
import { slab } from './layout.ts';
import { Leave } from './leave.ts';
import { deliverMachineCheck } from './machine-check.ts';
import { updateMode } from './mode.ts';
import { blameFlatSegment, blameSegment, undoBranch } from './non-canonical.ts';
import { powerOn, startUp } from './power-on.ts';
import { OPERATIONS } from './system-operations.ts';
import type { RegionCompiler } from './translator/compile.ts';
import { MOST_REGIONS, Regions } from './translator/regions.ts';

const CONTINUE = 0;
const SEGMENT_NAMES: readonly SegmentName[] = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'];

const NEVER_HOT = 0x4000_0000;
/** What is left of it is never negative, which means something else (leave.ts). */
const MOST_GRANTED = 0x7fff_ffff;

export interface VcpuTranslation {
  readonly compiler: RegionCompiler;
  /** Lookups of a block that make it worth translating; 0: every block, before it runs. */
  readonly hotAfter: number;
}

export class SoftVcpu implements Vcpu {
  readonly id: number;
  readonly #core: Core;
  readonly #blocks: Blocks;
  readonly #regions: Regions | undefined;
  readonly #hotAfter: number;
  readonly #run: RunExports['run'];
  readonly #timeBase: TimeBase = { nanos: 0, thousandths: 0, instructionsPerMicrosecond: 0 };
  #sipiVector = 0;
  #machineCheck: Extract<VcpuEvent, { readonly kind: 'machine-check' }> | undefined;

  constructor(id: number, memory: PhysicalMemory, wiring: VcpuWiring, tracker: CodeTracker, interpreter: Interpreter, translation: VcpuTranslation | undefined, isAlone: boolean, log: Logger) {
    this.id = id;
    this.#core = new Core(id, memory, slab(id), wiring, tracker, log);
    this.#core.isAlone = isAlone;
    this.#hotAfter = translation?.hotAfter ?? NEVER_HOT;
    this.#blocks = new Blocks(this.#core, tracker, interpreter.handlers, this.#hotAfter);
    this.#blocks.onForget = () => this.#leaveSoon();
    const { mmu } = this.#core;
    this.#blocks.onForgetAll = () => this.#regions?.forgetAll();
    tracker.users.push({
      dropWritable: (page) => mmu.dropWritable(page),
      forgetPage: (page) => {
        this.#blocks.forgetPage(page);
        this.#regions?.forgetPage(page);
      },
      forgetTranslations: () => {
        mmu.flush();
        this.#leaveSoon();
      },
    });
    const table = new WebAssembly.Table({ element: 'anyfunc', initial: translation === undefined ? 1 : MOST_REGIONS });
    const instance = new WebAssembly.Instance(interpreter.module, {
      env: {
        memory: memory.memory,
        table,
        readSlow: (low: number, high: number, size: number) => mmu.readSlow(low, high, size),
        writeSlow: (low: number, high: number, size: number, readFirst: number) => mmu.writeSlow(low, high, size, readFirst),
        commitStore: () => mmu.commitStore(),
        system: (record: number, operation: number) => this.#system(record, operation),
      },
    });
    const { run, execute } = instance.exports as unknown as RunExports;
    this.#run = run;
    this.#regions = translation && new Regions(this.#core, this.#blocks, interpreter.handlers, translation.compiler, table, {
      fill: (low: number, high: number, size: number, write: number) => mmu.fill(low, high, size, write),
      system: (record: number, operation: number) => this.#system(record, operation),
      execute,
    });
    this.reset(id === 0);
  }

  get retired(): number {
    return this.#core.getSigned32(S.GRANTED) - this.#core.getSigned32(S.BUDGET) - this.#core.getSigned32(S.BUDGET_STASH);
  }

  get awake(): boolean {
    return this.#core.get32(S.ACTIVITY) === S.ACTIVITY_RUNNING;
  }

  get canWake(): boolean {
    return this.#core.get32(S.ACTIVITY) === S.ACTIVITY_MWAIT || (this.#core.getSigned32(S.SYSTEM_FLAGS) & IF) !== 0;
  }

  get detail(): string {
    return this.#core.detail;
  }

  run(budget: number): ExitReason {
    const core = this.#core;
    const granted = Math.min(budget, MOST_GRANTED);
    core.set32(S.GRANTED, granted);
    this.#setTimeBase();
    core.set32(S.BUDGET, granted);
    core.set32(S.BUDGET_STASH, 0);
    this.#regions?.exchange();
    const { breakpoints } = core;
    for (;;) {
      // Traps of the instruction before come first (SDM 3A table 6-2), but not between MOV SS and what follows (§6.8.3).
      if (breakpoints.pending !== 0 && core.get32(S.INTERRUPT_SHADOW) !== S.SHADOW_STACK_SEGMENT) deliverDebugException(core);
      if (core.get32(S.EVENTS) !== 0) this.#deliverEvents();
      const activity = core.get32(S.ACTIVITY);
      if (activity !== S.ACTIVITY_RUNNING) return this.#inactive(activity);
      if (core.yielding) {
        core.yielding = false;
        return ExitReason.Yield;
      }
      if (core.get32(S.BUDGET) === 0) return ExitReason.Budget;
      const flags = core.getSigned32(S.SYSTEM_FLAGS);
      // RF is for the next instruction only; that one sets it again where it returns to a fault (SDM 3B §18.3.1.1).
      const isResuming = (flags & RF) !== 0;
      if (isResuming) core.set32(S.SYSTEM_FLAGS, flags & ~RF);
      const stepping = (flags & TF) !== 0;
      const { isArmed } = breakpoints;
      if (stepping || isArmed || core.mmu.permitsWrap || core.get32(S.INTERRUPT_SHADOW) !== 0) {
        const shadow = core.get32(S.INTERRUPT_SHADOW);
        if (isArmed && !isResuming && shadow !== S.SHADOW_STACK_SEGMENT) {
          const found = breakpoints.atInstruction();
          if (found !== 0) {
            breakpoints.pending |= found;
            this.#takeOne();
            continue;
          }
        }
        // The shadow covers one instruction, which may cast it anew.
        core.set32(S.INTERRUPT_SHADOW, 0);
        breakpoints.hits = 0;
        this.#limitToOne();
      }
      const record = this.#blocks.find();
      if (record === 0) {
        this.#takeOne();
        deliverException(core);
        continue;
      }
      core.set32(S.BRANCH_RECORD, 0);
      core.mmu.refusedNonCanonical = false;
      core.mmu.wrapSize = 0;
      core.clearedTrap = false; // an interrupt may have switched tasks
      const reason = this.#run(core.base, this.#regions !== undefined && this.#isTranslated(isArmed || stepping) ? this.#blocks.lookUp : record);
      const stepped = stepping && core.get32(S.BUDGET) === 0 && !core.clearedTrap;
      this.#restoreBudget();
      core.mmu.permitsWrap = false;
      if (core.get32(S.REPEATING) !== 0) this.#interruptRepetition(reason);
      if (reason === Leave.Lookup && undoBranch(core)) deliverException(core);
      else if (reason === Leave.Fault) {
        if (core.mmu.mustRepeat) {
          core.mmu.mustRepeat = false;
          continue;
        }
        if (core.mmu.refusedNonCanonical && core.get32(S.FAULT_VECTOR) === GENERAL_PROTECTION) blameSegment(core);
        if (core.mmu.wrapSize !== 0 && this.#mayWrap()) continue;
        deliverException(core);
      } else {
        if (reason === Leave.Hot) this.#foundHot();
        if (stepped) breakpoints.pending |= DR6_SINGLE_STEP;
        if (isArmed) this.#finishWatched();
      }
    }
  }

  #setTimeBase(): void {
    const core = this.#core;
    const base = this.#timeBase;
    core.wiring.timeBase?.(base);
    core.setNumber(S.TIME_NANOS, base.nanos);
    core.set32(S.TIME_THOUSANDTHS, base.thousandths);
    // Generated code divides integers.
    const isExact = Number.isInteger(base.instructionsPerMicrosecond) && Number.isInteger(base.thousandths);
    core.set32(S.TIME_RATE, isExact ? base.instructionsPerMicrosecond : 0);
  }

  #isTranslated(isWatched: boolean): boolean {
    if (isWatched) return false;
    if (this.#hotAfter === 0 && !this.#blocks.isTranslated) {
      this.#regions?.request();
      this.#regions?.exchange();
    }
    // Finding the block may have ended the run: then it must not begin.
    return this.#core.get32(S.BUDGET) !== 0 && this.#blocks.isTranslated;
  }

  /** The block at RIP was looked up often, or a loop back to it was sampled. */
  #foundHot(): void {
    const core = this.#core;
    const isLoop = core.get32(S.LOOP_SAMPLE) === 0;
    if (isLoop) core.set32(S.LOOP_SAMPLE, LOOP_SAMPLE);
    if (isLoop && !this.#blocks.heat(LOOP_SAMPLE)) return;
    this.#regions?.request();
    this.#regions?.exchange();
  }

  /** After one instruction with breakpoints armed: what it touched is reported. */
  #finishWatched(): void {
    const { breakpoints } = this.#core;
    breakpoints.pending |= breakpoints.hits;
    breakpoints.hits = 0;
  }

  /**
   * Between two iterations of a repeated instruction RF is set: whatever is delivered here saves it, and instruction breakpoints see
   * the instruction once (SDM 3B §18.3.1.1).
   */
  #interruptRepetition(reason: number): void {
    const core = this.#core;
    core.set32(S.REPEATING, 0);
    if (reason !== Leave.Fault) core.set32(S.SYSTEM_FLAGS, core.getSigned32(S.SYSTEM_FLAGS) | RF);
  }

  /** The fault was raised because an operand crosses 4 GiB: where that is no fault, the instruction runs again. */
  #mayWrap(): boolean {
    const { mmu } = this.#core;
    const { wrapAt, wrapSize } = mmu;
    mmu.wrapSize = 0;
    if (this.#core.get32(S.FAULT_VECTOR) !== GENERAL_PROTECTION || blameFlatSegment(this.#core, wrapAt, wrapSize)) return false;
    mmu.permitsWrap = true;
    return true;
  }

  limit(instructions: number): void {
    const core = this.#core;
    const left = core.get32(S.BUDGET) + core.get32(S.BUDGET_STASH);
    if (left <= instructions) return;
    core.set32(S.GRANTED, core.getSigned32(S.GRANTED) - (left - instructions));
    if (core.get32(S.BUDGET_STASH) === 0) core.set32(S.BUDGET, instructions);
    else core.set32(S.BUDGET_STASH, instructions - core.get32(S.BUDGET));
  }

  setInterruptPin(level: boolean): void {
    if (level) this.#raiseEvent(S.EVENT_INTERRUPT);
    else Atomics.and(this.#core.i32, (this.#core.base + S.EVENTS) >>> 2, ~S.EVENT_INTERRUPT);
  }

  inject(event: VcpuEvent): void {
    switch (event.kind) {
      case 'nmi': this.#raiseEvent(S.EVENT_NMI); break;
      case 'init':
        // A SIPI before it would have been ignored; one that follows it at once is for the core that waits then.
        Atomics.and(this.#core.i32, (this.#core.base + S.EVENTS) >>> 2, ~S.EVENT_SIPI);
        this.#raiseEvent(S.EVENT_INIT);
        break;
      case 'sipi':
        this.#sipiVector = event.vector;
        this.#raiseEvent(S.EVENT_SIPI);
        break;
      case 'machine-check':
        this.#machineCheck = event;
        this.#raiseEvent(S.EVENT_MACHINE_CHECK);
        break;
    }
  }

  reset(bootstrap: boolean): void {
    powerOn(this.#core, false);
    this.#core.detail = '';
    this.#blocks.forgetAll();
    this.#core.set32(S.LOOP_SAMPLE, LOOP_SAMPLE);
    this.#core.set32(S.ACTIVITY, bootstrap ? S.ACTIVITY_RUNNING : S.ACTIVITY_WAIT_FOR_SIPI);
  }

  readState(): VcpuState {
    const core = this.#core;
    const segments = Object.fromEntries(SEGMENT_NAMES.map((name, n): [SegmentName, SegmentState] => [name, {
      selector: core.get32(S.segmentSelector(n)), base: core.get64(S.segmentBase(n)),
      limit: core.get32(S.segmentLimit(n)), attributes: core.get32(S.segmentAttributes(n)),
    }]));
    return {
      gpr: Array.from({ length: 16 }, (_, n) => core.get64(S.gpr(n))),
      rip: core.get64(S.RIP),
      rflags: BigInt(core.getFlags() >>> 0),
      segments: segments as Record<SegmentName, SegmentState>,
      gdtr: { base: core.get64(S.GDTR_BASE), limit: core.get32(S.GDTR_LIMIT) },
      idtr: { base: core.get64(S.IDTR_BASE), limit: core.get32(S.IDTR_LIMIT) },
      cr0: BigInt(core.get32(S.CR0)), cr2: core.get64(S.CR2), cr3: core.get64(S.CR3),
      cr4: BigInt(core.get32(S.CR4)), efer: BigInt(core.get32(S.EFER)),
    };
  }

  writeState(state: VcpuState): void {
    const core = this.#core;
    for (let n = 0; n < 16; n++) core.set64(S.gpr(n), state.gpr[n] ?? 0n);
    core.set64(S.RIP, state.rip);
    core.setFlags(Number(state.rflags & 0xffff_ffffn));
    for (const [n, name] of SEGMENT_NAMES.entries()) {
      const segment = state.segments[name];
      core.set32(S.segmentSelector(n), segment.selector);
      core.set64(S.segmentBase(n), segment.base);
      core.set32(S.segmentLimit(n), segment.limit);
      core.set32(S.segmentAttributes(n), segment.attributes);
    }
    core.set64(S.GDTR_BASE, state.gdtr.base);
    core.set32(S.GDTR_LIMIT, state.gdtr.limit);
    core.set64(S.IDTR_BASE, state.idtr.base);
    core.set32(S.IDTR_LIMIT, state.idtr.limit);
    core.set32(S.CR0, Number(state.cr0));
    core.set64(S.CR2, state.cr2);
    core.set64(S.CR3, state.cr3);
    core.set32(S.CR4, Number(state.cr4));
    core.set32(S.EFER, Number(state.efer));
    core.set32(S.CPL, (state.segments.ss.attributes >> 5) & 3);
    core.set32(S.ACTIVITY, S.ACTIVITY_RUNNING);
    core.mmu.flush();
    updateMode(core);
  }

  [Symbol.dispose](): void {
    this.#blocks.forgetAll();
  }

  /** From generated code: 0 continue with the next record, else a Leave code. */
  #system(record: number, operation: number): number {
    const core = this.#core;
    core.leave = false;
    try {
      (OPERATIONS[operation] as (typeof OPERATIONS)[number])(core, record);
    } catch (fault) {
      if (fault !== GUEST_FAULT) throw fault;
      return Leave.Fault;
    }
    if (!core.leave) return CONTINUE;
    core.copy64(S.RIP, S.NEXT_RIP);
    if (!this.#isPlain()) return Leave.Lookup;
    // Another page may lie there now.
    core.set32(S.CODE_PAGE, S.NO_PAGE);
    return Leave.Jump;
  }

  /** Nothing has to happen before the next instruction: `run` would only find its block. */
  #isPlain(): boolean {
    const core = this.#core;
    const { breakpoints } = core;
    return (
      core.get32(S.EVENTS) === 0 && core.get32(S.ACTIVITY) === S.ACTIVITY_RUNNING && core.get32(S.INTERRUPT_SHADOW) === 0 &&
      core.get32(S.REPEATING) === 0 && (core.getSigned32(S.SYSTEM_FLAGS) & (TF | RF)) === 0 && !breakpoints.isArmed && breakpoints.pending === 0 &&
      !core.yielding && !core.mmu.permitsWrap && this.#hotAfter !== 0
    );
  }

  #inactive(activity: number): ExitReason {
    switch (activity) {
      case S.ACTIVITY_HALTED: case S.ACTIVITY_MWAIT: return ExitReason.Halt;
      case S.ACTIVITY_WAIT_FOR_SIPI: return ExitReason.WaitForSipi;
      default: return ExitReason.Shutdown;
    }
  }

  #raiseEvent(event: number): void {
    Atomics.or(this.#core.i32, (this.#core.base + S.EVENTS) >>> 2, event);
    this.#leaveSoon();
  }

  /** Generated code stops before its next instruction; the budget it had is kept aside. */
  #leaveSoon(): void {
    const core = this.#core;
    core.set32(S.BUDGET_STASH, core.get32(S.BUDGET_STASH) + core.get32(S.BUDGET));
    core.set32(S.BUDGET, 0);
  }

  #limitToOne(): void {
    const core = this.#core;
    core.set32(S.BUDGET_STASH, core.get32(S.BUDGET) - 1);
    core.set32(S.BUDGET, 1);
  }

  #restoreBudget(): void {
    const core = this.#core;
    core.set32(S.BUDGET, core.get32(S.BUDGET) + core.get32(S.BUDGET_STASH));
    core.set32(S.BUDGET_STASH, 0);
  }

  /** A fetch that faults counts as an instruction, or a fault loop would never end its turn. */
  #takeOne(): void {
    this.#restoreBudget();
    this.#core.set32(S.BUDGET, this.#core.get32(S.BUDGET) - 1);
  }

  #deliverEvents(): void {
    const core = this.#core;
    const word = (core.base + S.EVENTS) >>> 2;
    const events = core.i32[word] as number;
    if (events & S.EVENT_INIT) {
      Atomics.and(core.i32, word, ~S.EVENT_INIT);
      const budget = core.get32(S.BUDGET);
      powerOn(core, true);
      core.set32(S.BUDGET, budget);
      core.set32(S.ACTIVITY, S.ACTIVITY_WAIT_FOR_SIPI);
      if (!(events & S.EVENT_SIPI)) return;
    }
    const activity = core.get32(S.ACTIVITY);
    if (events & S.EVENT_SIPI) {
      Atomics.and(core.i32, word, ~S.EVENT_SIPI);
      if (activity === S.ACTIVITY_WAIT_FOR_SIPI) startUp(core, this.#sipiVector);
    }
    if (activity === S.ACTIVITY_WAIT_FOR_SIPI || activity === S.ACTIVITY_SHUTDOWN) return;
    if (events & S.EVENT_MACHINE_CHECK && this.#machineCheck !== undefined) {
      Atomics.and(core.i32, word, ~S.EVENT_MACHINE_CHECK);
      deliverMachineCheck(core, this.#machineCheck.code, this.#machineCheck.address);
      return;
    }
    if (core.get32(S.INTERRUPT_SHADOW) !== 0) return;
    if (events & S.EVENT_NMI && core.get32(S.NMI_BLOCKED) === 0) {
      Atomics.and(core.i32, word, ~S.EVENT_NMI);
      deliverInterrupt(core, NMI);
      return;
    }
    if ((events & S.EVENT_INTERRUPT) === 0) return;
    if (core.getSigned32(S.SYSTEM_FLAGS) & IF) {
      const vector = core.wiring.acknowledgeInterrupt();
      if (vector >= 0) deliverInterrupt(core, vector);
    } else if (activity === S.ACTIVITY_MWAIT && core.get32(S.MWAIT_EXTENSIONS) & S.MWAIT_MASKED_INTERRUPTS) endSleep(core);
  }
}

