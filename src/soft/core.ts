/**
 * One vCPU's state block seen from TypeScript: typed access by offset, flags, faults. System code (mmu, segments, interrupts,
 * MSRs) and the x87 work on it; the interpreter's generated code works on the same bytes.
 *
 * Guest faults inside system code are raised with {@link Core.raise}, which throws one preallocated object; it never crosses
 * generated code: the call boundary in vcpu.ts catches it and returns a status.
 */
import type { Logger, PhysicalMemory, VcpuWiring } from '../contracts/index.ts';
import { EFER_LMA } from '../x86/control.ts';
import { announcedFeatures } from '../x86/features.ts';
import { AF, ARITHMETIC, CF, FIXED, OF, OTHERS, PF, SF, VM, ZF } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { Breakpoints } from './breakpoints.ts';
import type { CodePages, LineWatcher } from './code-pages.ts';
import { Mmu } from './mmu.ts';

/** The one object thrown for a guest fault. What happened stands in FAULT_VECTOR, FAULT_ERROR_CODE. */
export const GUEST_FAULT: object = Object.freeze({ name: 'guest fault' });

/** For a core on its own: nothing is decoded, nothing is logged. */
const NO_CODE: CodePages = { hasCode: () => false, storing: () => undefined, watchLine: () => undefined };
const NO_LOG: Logger = { log: () => undefined };

export class Core implements LineWatcher {
  readonly id: number;
  readonly memory: PhysicalMemory;
  readonly wiring: VcpuWiring;
  /** Byte offset of the state block in the shared memory. */
  readonly base: number;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
  readonly view: DataView;
  /** Set by a system operation after which the current block must not continue: a jump, a change of mode, mapping or IF. */
  leave = false;
  /** Set by PAUSE: this core has nothing better to do than to let others run. The vCPU's loop clears it. */
  yielding = false;
  /** The partition has no other core: PAUSE lets nobody run. */
  isAlone = false;
  /** Set by INT n, SYSCALL and their like, which clear TF: no single-step trap follows them (SDM 3B §18.3.1.4). */
  clearedTrap = false;
  /** The second page of the instruction at RIP is another one than it was: its decoded block is no good. */
  onStaleCrossing: () => void = () => undefined;
  readonly log: Logger;
  readonly mmu: Mmu;
  readonly breakpoints: Breakpoints;
  /** Opcodes already reported as undefined: the log gets each once. */
  readonly reportedOpcodes: Set<string> = new Set();
  /** What went wrong, in words, when ACTIVITY became ACTIVITY_SHUTDOWN. */
  detail = '';
  #features: ReadonlySet<string> | undefined;

  constructor(
    id: number,
    memory: PhysicalMemory,
    base: number,
    wiring: VcpuWiring,
    codePages: CodePages = NO_CODE,
    log: Logger = NO_LOG,
  ) {
    const buffer = memory.memory.buffer;
    this.id = id;
    this.memory = memory;
    this.wiring = wiring;
    this.base = base;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.view = new DataView(buffer);
    this.log = log;
    this.breakpoints = new Breakpoints(this);
    this.mmu = new Mmu(this, codePages);
  }

  /** What CPUID announces, by the names of x86/features.ts. The rest does not exist. */
  get features(): ReadonlySet<string> {
    this.#features ??= announcedFeatures((leaf, subleaf, out) => this.wiring.cpuid.lookup(leaf, subleaf, out));
    return this.#features;
  }

  get32(offset: number): number {
    return this.u32[(this.base + offset) >>> 2] as number;
  }
  set32(offset: number, value: number): void {
    this.u32[(this.base + offset) >>> 2] = value;
  }
  getSigned32(offset: number): number {
    return this.i32[(this.base + offset) >>> 2] as number;
  }
  /** Unsigned. Allocates a BigInt: not for hot paths. */
  get64(offset: number): bigint {
    return this.u64[(this.base + offset) >>> 3] as bigint;
  }
  set64(offset: number, value: bigint): void {
    this.u64[(this.base + offset) >>> 3] = value;
  }
  /** A 64-bit field as an exact number where it is below 2^53, without allocation. */
  getNumber(offset: number): number {
    const word = (this.base + offset) >>> 2;
    return (this.u32[word] as number) + (this.u32[word + 1] as number) * 0x1_0000_0000;
  }

  /** A canonical 64-bit field as an exact, signed number; what is not canonical stays outside ±2^47. */
  getCanonical(offset: number): number {
    const word = (this.base + offset) >>> 2;
    return (this.u32[word] as number) + (this.i32[word + 1] as number) * 0x1_0000_0000;
  }
  /** Writes all 64 bits from an integer below ±2^53, sign-extended. */
  setNumber(offset: number, value: number): void {
    const word = (this.base + offset) >>> 2;
    this.i32[word] = value;
    this.i32[word + 1] = Math.floor(value / 0x1_0000_0000);
  }

  get cpl(): number {
    return this.getSigned32(S.CPL);
  }
  /** Executing in 64-bit mode (long mode with CS.L). */
  get is64Bit(): boolean {
    return (this.getSigned32(S.MODE) & S.MODE_CODE_SIZE) === S.MODE_CODE_64;
  }
  /** Protected mode, virtual-8086 mode excluded. */
  get isProtected(): boolean {
    return (this.getSigned32(S.MODE) & S.MODE_PROTECTED) !== 0;
  }
  get isVirtual8086(): boolean {
    return (this.getSigned32(S.SYSTEM_FLAGS) & VM) !== 0;
  }
  /** IA32_EFER.LMA: 64-bit or compatibility mode. */
  get isLongMode(): boolean {
    return (this.getSigned32(S.EFER) & EFER_LMA) !== 0;
  }

  /** `to` ← `from`, both 64-bit fields. */
  copy64(to: number, from: number): void {
    const source = (this.base + from) >>> 2;
    const target = (this.base + to) >>> 2;
    this.i32[target] = this.i32[source] as number;
    this.i32[target + 1] = this.i32[source + 1] as number;
  }

  /** RFLAGS with the lazy arithmetic flags made real. */
  getFlags(): number {
    const word = (this.base + S.FLAG_RESULT) >>> 2;
    const low = this.i32[word] as number;
    const high = this.i32[word + 1] as number;
    const aux = this.getSigned32(S.FLAG_AUX);
    let parity = (low ^ (aux >>> S.AUX_PARITY_DELTA_SHIFT)) & 0xff;
    parity ^= parity >> 4;
    parity = (0x9669 >> (parity & 15)) & 1;
    const carry = aux >>> 31;
    const overflow = carry ^ ((aux >>> 30) & 1);
    const sign = (high >>> 31) ^ (aux & S.AUX_SIGN_DELTA);
    return (
      this.getSigned32(S.SYSTEM_FLAGS) |
      (carry ? CF : 0) |
      (parity ? PF : 0) |
      (aux & S.AUX_ADJUST ? AF : 0) |
      ((low | high) === 0 ? ZF : 0) |
      (sign ? SF : 0) |
      (overflow ? OF : 0)
    );
  }

  /** Writes all of RFLAGS; bit 1 reads as one, bits 3, 5, 15 and above 21 as zero (SDM 1 figure 3-8). */
  setFlags(flags: number): void {
    this.set32(S.SYSTEM_FLAGS, (flags & OTHERS) | FIXED);
    this.setArithmeticFlags(flags & ARITHMETIC);
  }

  /**
   * Any combination must be representable: a result of 0 gives ZF (SF and PF come through the deltas), a result of 1… does
   * not. PF of 0 is even, of 1 odd.
   */
  setArithmeticFlags(flags: number): void {
    const zero = (flags & ZF) !== 0;
    const result = zero ? 0 : 1;
    const parityDelta = (flags & PF) !== 0 ? result : result ^ 1;
    const carry = (flags & CF) !== 0;
    const partial = carry !== ((flags & OF) !== 0);
    const word = (this.base + S.FLAG_RESULT) >>> 2;
    this.i32[word] = result;
    this.i32[word + 1] = 0;
    this.set32(
      S.FLAG_AUX,
      (flags & SF ? S.AUX_SIGN_DELTA : 0) |
        (flags & AF ? S.AUX_ADJUST : 0) |
        (parityDelta << S.AUX_PARITY_DELTA_SHIFT) |
        (partial ? S.AUX_PARTIAL : 0) |
        (carry ? S.AUX_CARRY : 0),
    );
  }

  /** MWAIT ends, or has nothing to wait for (SDM 3A §9.10.4). */
  lineStored(): void {
    this.set32(S.MONITOR_LINE, 0);
    if (this.get32(S.ACTIVITY) === S.ACTIVITY_MWAIT) this.set32(S.ACTIVITY, S.ACTIVITY_RUNNING);
  }

  /** Records the exception and leaves system code. `errorCode` undefined: none is pushed. */
  raise(vector: number, errorCode?: number): never {
    this.recordFault(vector, errorCode);
    throw GUEST_FAULT;
  }

  /** Continue at `rip` (an offset into CS, already masked and checked) when this system operation completes. */
  jump(rip: bigint): void {
    this.set64(S.NEXT_RIP, rip);
    this.leave = true;
  }

  /** As {@link jump}, for canonical addresses as numbers. */
  jumpTo(rip: number): void {
    this.setNumber(S.NEXT_RIP, rip);
    this.leave = true;
  }

  /** For paths that report by return value instead of throwing. */
  recordFault(vector: number, errorCode?: number): void {
    this.set32(S.FAULT_VECTOR, vector);
    this.set32(S.FAULT_ERROR_CODE, errorCode ?? 0);
    this.set32(S.FAULT_HAS_ERROR_CODE, errorCode === undefined ? 0 : 1);
  }

  /** The linear address `address` (a guest-visible 64-bit value) from its two halves is canonical (SDM 1 §3.3.7.1). */
  static isCanonical(high: number): boolean {
    return high >> 15 === 0 || high >> 15 === -1;
  }
}
