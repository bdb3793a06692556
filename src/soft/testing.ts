/** The test kit for system code: one core over a few megabytes of RAM, tables built by hand, operations run as the interpreter runs them. */
import { createPhysicalMemory } from '../board/memory.ts';
import type { CpuidModel, IoSpaceName, PhysicalMemory, RamRegion, VcpuWiring } from '../contracts/index.ts';
import { CR0_PE, EFER_LMA } from '../x86/control.ts';
import * as R from '../x86/record.ts';
import { INSTRUCTIONS } from '../x86/instructions.ts';
import * as S from '../x86/state.ts';
import type { CodePages, LineWatcher } from './code-pages.ts';
import { Core, GUEST_FAULT } from './core.ts';
import { createCpuidModel } from './cpuid.ts';
import { createHandlers } from './handlers.ts';
import { RECORDS_OFFSET, reservedBytes, slab } from './layout.ts';
import { updateMode } from './mode.ts';
import { SYSTEM_OPERATIONS } from './operations.ts';
import { type CompiledBatch, ImmediateCompiler, type RegionCompiler } from './translator/compile.ts';
import type { RegionPlan } from './translator/plan.ts';

export const RAM_BYTES = 4 * 1024 * 1024;

/** What the outside saw and says. */
export class FakeWiring implements VcpuWiring {
  /** `mmio read fee00020 4`, in order. */
  readonly accesses: string[] = [];
  /** What reads give; all ones elsewhere. */
  readonly values = new Map<string, number>();
  readonly msrs = new Map<number, bigint>();
  readonly logged: string[] = [];
  now = 1000;
  taskPriority = 0;
  cpuid: CpuidModel = createCpuidModel({ vcpuId: 0, vcpus: 1 });
  readonly io = {
    read: (space: IoSpaceName, address: number, size: number): number => {
      this.accesses.push(`${space} read ${address.toString(16)} ${size}`);
      return this.values.get(`${space} ${address.toString(16)}`) ?? 2 ** (size * 8) - 1;
    },
    write: (space: IoSpaceName, address: number, size: number, value: number): void => {
      this.accesses.push(`${space} write ${address.toString(16)} ${size} ${value.toString(16)}`);
    },
  };
  acknowledgeInterrupt(): number {
    return -1;
  }
  readTaskPriority(): number {
    return this.taskPriority;
  }
  writeTaskPriority(priority: number): void {
    this.taskPriority = priority;
  }
  readMsr(index: number): bigint | undefined {
    return this.msrs.get(index);
  }
  writeMsr(index: number, value: bigint): boolean {
    if (!this.msrs.has(index)) return false;
    this.msrs.set(index, value);
    return true;
  }
  timestamp(): number {
    return this.now;
  }
}

/** Nothing outside: the bus floats high, no interrupt comes, time stands still. `parts` are what a test has of its own. */
export function silentWiring(parts: Partial<VcpuWiring> = {}): VcpuWiring {
  return {
    io: { read: (_space, _address, size) => 2 ** (8 * size) - 1, write: () => undefined },
    cpuid: createCpuidModel({ vcpuId: 0, vcpus: 1 }),
    acknowledgeInterrupt: () => -1,
    readTaskPriority: () => 0,
    writeTaskPriority: () => undefined,
    readMsr: () => undefined,
    writeMsr: () => false,
    timestamp: () => 0,
    ...parts,
  };
}

export class FakeCodePages implements CodePages {
  /** Guest-physical pages that hold code, by host page. */
  readonly pages = new Set<number>();
  readonly stores: [hostOffset: number, size: number][] = [];
  armedLine = 0;
  hasCode(hostPage: number): boolean {
    return this.pages.has(hostPage);
  }
  storing(hostOffset: number, size: number): void {
    this.stores.push([hostOffset, size]);
  }
  watchLine(_watcher: LineWatcher, hostLine: number): void {
    this.armedLine = hostLine;
  }
}

/** RAM at `reservedBytes(1)`. */
function createMemory(regions: readonly RamRegion[]): PhysicalMemory {
  return createPhysicalMemory(regions, reservedBytes(1));
}

export interface DescriptorFields {
  readonly base?: number;
  /** In bytes when granular is absent, else in pages. */
  readonly limit?: number;
  readonly attributes: number;
}

/** Fields of a decoded record; registers as state offsets. */
export interface RecordFields {
  /** Operand size in bytes. */
  readonly size?: number;
  readonly memory?: boolean;
  readonly base?: number;
  readonly index?: number;
  readonly scale?: number;
  readonly segment?: number;
  readonly segmentField?: number;
  readonly reg?: number;
  readonly special?: number;
  readonly immediate?: number;
  readonly immediateHigh?: number;
  readonly displacement?: number;
  /** 16, 32 or 64. */
  readonly addressBits?: number;
  readonly rep?: boolean;
  readonly repne?: boolean;
}

export class TestMachine {
  readonly wiring = new FakeWiring();
  readonly codePages = new FakeCodePages();
  readonly core: Core;
  readonly memory: PhysicalMemory;

  constructor(regions: readonly RamRegion[] = [{ base: 0, size: RAM_BYTES, access: 'rw' }]) {
    this.memory = createMemory(regions);
    this.core = new Core(0, this.memory, slab(0), this.wiring, this.codePages, {
      log: (severity, message) => this.wiring.logged.push(`${severity}: ${message}`),
    });
    this.core.set32(S.SYSTEM_FLAGS, 2);
    this.core.set32(S.FAULT_VECTOR, -1);
    for (let segment = S.ES; segment <= S.GS; segment++) this.segment(segment, 0, 0, 0xffff, segment === S.CS ? 0x9b : 0x93);
    this.segment(S.LDTR, 0, 0, 0, 0x1_0000);
    this.segment(S.TR, 0, 0, 0, 0x1_0000);
    this.core.set32(S.IDTR_LIMIT, 0x3ff);
    updateMode(this.core);
  }

  segment(segment: number, selector: number, base: number, limit: number, attributes: number): void {
    this.core.set32(S.segmentSelector(segment), selector);
    this.core.setNumber(S.segmentBase(segment), base);
    this.core.set32(S.segmentLimit(segment), limit);
    this.core.set32(S.segmentAttributes(segment), attributes);
    updateMode(this.core);
  }

  /** 32-bit protected mode at level `cpl`, flat segments, selectors 8 and 0x10 (or 0x1b and 0x23 at level 3). */
  enterProtected(cpl = 0): void {
    this.core.set32(S.CR0, this.core.get32(S.CR0) | CR0_PE);
    this.#enterFlat(cpl, 0xc09b);
  }

  /** 64-bit mode; paging is whatever CR3 and CR0 say (none, by default: only this kit can do that). */
  enterLong(cpl = 0): void {
    this.core.set32(S.CR0, this.core.get32(S.CR0) | CR0_PE);
    this.core.set32(S.EFER, this.core.get32(S.EFER) | EFER_LMA | 0x100);
    this.#enterFlat(cpl, 0xa09b);
  }

  #enterFlat(cpl: number, codeAttributes: number): void {
    const level = cpl << 5;
    this.segment(S.CS, cpl === 3 ? 0x1b : 8, 0, 0xffff_ffff, codeAttributes | level);
    for (const segment of [S.ES, S.SS, S.DS, S.FS, S.GS]) this.segment(segment, cpl === 3 ? 0x23 : 0x10, 0, 0xffff_ffff, 0xc093 | level);
    this.core.set32(S.CPL, cpl);
    updateMode(this.core);
  }

  // ── RAM ──

  write8(address: number, ...values: number[]): void {
    this.memory.write(address, Uint8Array.from(values));
  }
  write16(address: number, value: number): void {
    this.core.view.setUint16(this.memory.offsetOf(address, 2), value, true);
  }
  write32(address: number, ...values: number[]): void {
    for (const [i, value] of values.entries()) this.core.view.setUint32(this.memory.offsetOf(address + i * 4, 4), value, true);
  }
  write64(address: number, value: bigint): void {
    this.core.view.setBigUint64(this.memory.offsetOf(address, 8), BigInt.asUintN(64, value), true);
  }
  read16(address: number): number {
    return this.core.view.getUint16(this.memory.offsetOf(address, 2), true);
  }
  read32(address: number): number {
    return this.core.view.getUint32(this.memory.offsetOf(address, 4), true);
  }
  read64(address: number): bigint {
    return this.core.view.getBigUint64(this.memory.offsetOf(address, 8), true);
  }

  /** An 8-byte segment descriptor; `attributes` as segment registers keep them. */
  descriptor(address: number, { base = 0, limit = 0xf_ffff, attributes }: DescriptorFields): void {
    this.write32(
      address,
      (limit & 0xffff) | (base << 16),
      ((base >>> 16) & 0xff) | ((attributes & 0xff) << 8) | (limit & 0xf_0000) | ((attributes & 0xf000) << 8) | (base & 0xff00_0000),
    );
  }

  /** A gate of 8 bytes; `attributes` is byte 5. */
  gate(address: number, selector: number, offset: number, attributes: number, parameters = 0): void {
    this.write32(address, (offset & 0xffff) | (selector << 16), parameters | (attributes << 8) | (offset & 0xffff_0000));
  }

  /** A gate of 16 bytes. */
  gate64(address: number, selector: number, offset: bigint, attributes: number, ist = 0): void {
    this.gate(address, selector, Number(offset & 0xffff_ffffn), attributes, ist);
    this.write32(address + 8, Number((offset >> 32n) & 0xffff_ffffn), 0);
  }

  // ── execution ──

  register(number: number): bigint {
    return this.core.get64(S.gpr(number));
  }
  setRegister(number: number, value: bigint | number): void {
    this.core.set64(S.gpr(number), BigInt.asUintN(64, BigInt(value)));
  }
  get rip(): bigint {
    return this.core.get64(S.RIP);
  }
  get flags(): number {
    return this.core.getFlags();
  }
  selector(segment: number): number {
    return this.core.get32(S.segmentSelector(segment));
  }

  record(fields: RecordFields = {}): number {
    const { core } = this;
    const record = core.base + RECORDS_OFFSET;
    const defaultBits = core.is64Bit ? 64 : (core.getSigned32(S.MODE) & S.MODE_CODE_SIZE) === S.MODE_CODE_32 ? 32 : 16;
    const bits = fields.addressBits ?? defaultBits;
    const segment = fields.segment ?? S.DS;
    core.u8[record + R.LENGTH] = 2;
    core.u8[record + R.SCALE] = fields.scale ?? 0;
    core.u16[(record + R.BASE) >>> 1] = fields.base ?? S.ZERO;
    core.u16[(record + R.INDEX) >>> 1] = fields.index ?? S.ZERO;
    core.u16[(record + R.SEGMENT) >>> 1] = fields.segmentField ?? (core.is64Bit && segment < S.FS ? S.ZERO : S.segmentBase(segment));
    core.u16[(record + R.REG) >>> 1] = fields.reg ?? S.ZERO;
    core.u16[(record + R.INFO) >>> 1] =
      Math.log2(fields.size ?? 4) |
      (fields.memory ? R.INFO_MEMORY : 0) |
      (Math.log2(bits / 16) << R.INFO_ADDRESS_SHIFT) |
      (fields.rep ? R.INFO_REP : 0) |
      (fields.repne ? R.INFO_REPNE : 0) |
      (segment << R.INFO_SEGMENT_SHIFT) |
      ((fields.special ?? 0) << R.INFO_REG_SHIFT);
    core.i32[(record + R.IMM) >>> 2] = fields.immediate ?? 0;
    core.i32[(record + R.IMM + 4) >>> 2] = fields.immediateHigh ?? (fields.immediate ?? 0) >> 31;
    core.i32[(record + R.DISP) >>> 2] = fields.displacement ?? 0;
    return record;
  }

  /** Runs one operation as a two-byte instruction at RIP. The vector it raised, or −1; RIP moves on only when there was none. */
  run(mnemonic: string, fields: RecordFields = {}): number {
    const { core } = this;
    const record = this.record(fields);
    core.leave = false;
    core.setNumber(S.NEXT_RIP, core.getCanonical(S.RIP) + 2);
    const operation = SYSTEM_OPERATIONS[mnemonic];
    if (operation === undefined) throw new Error(`no operation ${mnemonic}`);
    const fault = this.attempt(() => operation(core, record));
    if (fault < 0) core.set64(S.RIP, core.get64(S.NEXT_RIP));
    return fault;
  }

  /** The vector that `action` raised, or −1. */
  attempt(action: () => void): number {
    this.core.set32(S.FAULT_VECTOR, -1);
    try {
      action();
    } catch (fault) {
      if (fault !== GUEST_FAULT) throw fault;
      return this.core.getSigned32(S.FAULT_VECTOR);
    }
    return -1;
  }

  get errorCode(): number | undefined {
    return this.core.get32(S.FAULT_HAS_ERROR_CODE) ? this.core.get32(S.FAULT_ERROR_CODE) : undefined;
  }
}

/** Ready when it was asked so many times: what is hot meanwhile comes in batches, as with a compiler in a thread beside. */
export class LateCompiler implements RegionCompiler {
  readonly #compiler = new ImmediateCompiler(createHandlers(INSTRUCTIONS));
  readonly #waiting: (() => void)[] = [];
  readonly #patience: number;
  #asked = 0;

  constructor(patience: number) {
    this.#patience = patience;
  }

  submit(id: number, plans: readonly RegionPlan[]): void {
    this.#waiting.push(() => this.#compiler.submit(id, plans));
  }

  finished(): CompiledBatch | undefined {
    if (++this.#asked % this.#patience === 0) this.#waiting.shift()?.();
    return this.#compiler.finished();
  }
}
