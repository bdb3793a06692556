/**
 * A guest of a few lines, for tests of devices: what a driver does to a card, written down as calls and assembled to 32-bit code.
 *
 *     new GuestProgram().out(0x302, 0).delay(1000).in(0x300)
 *
 * Values that are read are kept in the order they were read. Interrupts are counted by vector: ISA lines arrive at 0x20 + line, messages
 * (MSI) at whatever vector the program told the device; handlers acknowledge to the interrupt controllers by themselves.
 *
 * Spec: Intel SDM 2 (encodings), 8259A datasheet (initialization), PCI 3.0 §3.2.2.3.2 (configuration mechanism 1).
 * Not modelled: anything a real driver would do that these calls cannot say; load an image of your own for that.
 */
import type { AccessSize, Gpa } from '../contracts/index.ts';

/** Where the program is loaded: high enough to start in flat 32-bit protected mode. */
export const PROGRAM_BASE: Gpa = 0x10_0000;
/** Values read, one dword each. */
export const RESULTS: Gpa = 0x30_0000;
/** The address of the next result. */
export const RESULT_POINTER: Gpa = 0x2f_fff8;
/** Interrupts taken, one dword per vector. */
export const COUNTERS: Gpa = 0x2f_0000;
/** Instructions per microsecond of a {@link TestMachine}: what `delay` counts on. */
export const MIPS = 100;
/** Vector of ISA line 0. */
export const FIRST_LINE_VECTOR = 0x20;
export const EXIT_PORT = 0xf4;
/** Vectors from here on are messages: their end goes to the local APIC (SDM 3A §11.8.5). */
const FIRST_MESSAGE_VECTOR = 0x30;
const APIC_EOI = 0xfee0_00b0;
const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const STACK_TOP = 0x2e_0000;
const GATE_BYTES = 8;
const CODE_SELECTOR = 0x08;

type Code = readonly number[];

const u16 = (value: number): Code => [value & 0xff, (value >>> 8) & 0xff];
const u32 = (value: number): Code => [...u16(value), ...u16(value >>> 16)];
/** MOV EAX, imm32 */
const eax = (value: number): Code => [0xb8, ...u32(value)];
/** MOV EDX, imm32 */
const edx = (value: number): Code => [0xba, ...u32(value)];
const OUT_DX: Readonly<Record<AccessSize, Code>> = { 1: [0xee], 2: [0x66, 0xef], 4: [0xef] };
const IN_DX: Readonly<Record<AccessSize, Code>> = { 1: [0xec], 2: [0x66, 0xed], 4: [0xed] };
const STORE_EAX: Readonly<Record<AccessSize, Code>> = { 1: [0xa2], 2: [0x66, 0xa3], 4: [0xa3] };
const LOAD_EAX: Readonly<Record<AccessSize, Code>> = { 1: [0xa0], 2: [0x66, 0xa1], 4: [0xa1] };
const CLEAR_EAX: Code = [0x31, 0xc0];
/** MOV ESI, [pointer]; MOV [ESI], EAX; ADD dword [pointer], 4 */
const RECORD: Code = [0x8b, 0x35, ...u32(RESULT_POINTER), 0x89, 0x06, 0x83, 0x05, ...u32(RESULT_POINTER), 4];

export class GuestProgram {
  readonly #code: number[] = [];
  readonly #handlers = new Map<number, GuestProgram>();

  /** Writes to a port. */
  out(port: number, value: number, size: AccessSize = 1): this {
    return this.#emit(edx(port), eax(value), OUT_DX[size]);
  }

  /** Reads a port and keeps the value. */
  in(port: number, size: AccessSize = 1): this {
    return this.#emit(edx(port), CLEAR_EAX, IN_DX[size], RECORD);
  }

  /** Stores to memory, or to a register that is memory-mapped. */
  store(address: Gpa, value: number, size: AccessSize = 4): this {
    return this.#emit(eax(value), STORE_EAX[size], u32(address));
  }

  /** Loads from memory, or from a register that is memory-mapped, and keeps the value. */
  load(address: Gpa, size: AccessSize = 4): this {
    return this.#emit(CLEAR_EAX, LOAD_EAX[size], u32(address), RECORD);
  }

  /** Waits until `(port & mask) === value`. */
  untilPort(port: number, mask: number, value: number, size: AccessSize = 1): this {
    return this.#until([...edx(port), ...CLEAR_EAX, ...IN_DX[size]], mask, value);
  }

  /** Waits until `(memory & mask) === value`. */
  untilMemory(address: Gpa, mask: number, value: number): this {
    return this.#until([0xa1, ...u32(address)], mask, value);
  }

  /** Does nothing for a while. */
  delay(microseconds: number): this {
    // MOV ECX, n; DEC ECX; JNZ -3: two instructions a turn.
    return this.#emit([0xb9, ...u32(Math.max(1, Math.round((microseconds * MIPS) / 2)))], [0x49, 0x75, 0xfd]);
  }

  /** Reads configuration space of the device in `slot` of the PCI bus and keeps the value. The first device is in slot 2. */
  readConfig(slot: number, register: number, size: AccessSize = 4): this {
    return this.#selectConfig(slot, register).in(CONFIG_DATA + (register & 3), size);
  }

  writeConfig(slot: number, register: number, value: number, size: AccessSize = 4): this {
    return this.#selectConfig(slot, register).out(CONFIG_DATA + (register & 3), value, size);
  }

  /** Lets the device do DMA and send messages; its ranges answer already. */
  enableBusMaster(slot: number): this {
    return this.writeConfig(slot, 0x04, 0x0007, 2);
  }

  /** Stores a dword at `offset` of a memory BAR, wherever that is. */
  storeBar(slot: number, bar: number, offset: number, value: number): this {
    // MOV dword [EAX + offset], value
    return this.#addressOfBar(slot, bar).#emit([0xc7, 0x80, ...u32(offset), ...u32(value)]);
  }

  /** Loads a dword from `offset` of a memory BAR and keeps the value. */
  loadBar(slot: number, bar: number, offset: number): this {
    return this.#addressOfBar(slot, bar).#emit([0x8b, 0x80, ...u32(offset)], RECORD);
  }

  /** Waits until `(register & mask) === value`, of a dword in a memory BAR. */
  untilBar(slot: number, bar: number, offset: number, mask: number, value: number): this {
    this.#addressOfBar(slot, bar).#emit([0x89, 0xc7]); // MOV EDI, EAX
    return this.#until([0x8b, 0x87, ...u32(offset)], mask, value);
  }

  /** What the handler of a vector does before the interrupt controllers are told: a device that holds a line must be told first. */
  onInterrupt(vector: number, handler: (program: GuestProgram) => void): this {
    const program = new GuestProgram();
    handler(program);
    this.#handlers.set(vector, program);
    return this;
  }

  /** Sleeps until `count` interrupts of this vector have been taken. */
  waitForInterrupts(vector: number, count = 1): this {
    const counter = COUNTERS + 4 * vector;
    // again: CLI; CMP dword [counter], count; JAE done; STI; HLT; JMP again; done:
    return this.#emit([0xfa, 0x81, 0x3d, ...u32(counter), ...u32(count), 0x73, 0x04, 0xfb, 0xf4, 0xeb, 0xef]);
  }

  /** Keeps how many interrupts of this vector were taken. */
  countInterrupts(vector: number): this {
    return this.load(COUNTERS + 4 * vector);
  }

  /** The calls so far as code, without what a program needs around it. */
  get code(): readonly number[] {
    return this.#code;
  }

  /** The image: code to be loaded and entered at {@link PROGRAM_BASE}. */
  assemble(): Uint8Array {
    const prologueBytes = prologue(0, 0).length;
    const main = [...this.#code, ...exit()];
    const handlers: number[] = [];
    const offsets: number[] = [];
    for (let vector = 0; vector < 256; vector++) {
      offsets.push(handlers.length);
      handlers.push(...handlerOf(vector, this.#handlers.get(vector)));
    }
    const handlersAt = PROGRAM_BASE + prologueBytes + main.length;
    const tablesAt = Math.ceil((handlersAt + handlers.length) / 16) * 16;
    const gates = offsets.flatMap((offset) => interruptGate(handlersAt + offset));
    const image = new Uint8Array(tablesAt - PROGRAM_BASE + gates.length + GDT.length);
    image.set([...prologue(tablesAt, tablesAt + gates.length), ...main, ...handlers]);
    image.set([...gates, ...GDT], tablesAt - PROGRAM_BASE);
    return image;
  }

  #emit(...pieces: Code[]): this {
    for (const piece of pieces) this.#code.push(...piece);
    return this;
  }

  /** AND EAX, mask; CMP EAX, value; JNE to the start of `read`. */
  #until(read: Code, mask: number, value: number): this {
    const loop = [...read, 0x25, ...u32(mask), 0x3d, ...u32(value)];
    return this.#emit(loop, [0x0f, 0x85, ...u32(-(loop.length + 6))]);
  }

  #selectConfig(slot: number, register: number): this {
    return this.out(CONFIG_ADDRESS, (0x8000_0000 | (slot << 11) | (register & 0xfc)) >>> 0, 4);
  }

  /** Leaves it in EAX. */
  #addressOfBar(slot: number, bar: number): this {
    return this.#selectConfig(slot, 0x10 + 4 * bar).#emit(edx(CONFIG_DATA), IN_DX[4], [0x83, 0xe0, 0xf0]); // AND EAX, -16
  }
}

/** Flat code and data segments (SDM 3A figure 3-8). */
const GDT: Code = [
  ...[0, 0, 0, 0, 0, 0, 0, 0],
  ...[0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0],
  ...[0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0],
];
/** ICW1 to ICW4 of both controllers; then every line but the timer's is let through. */
const INTERRUPT_CONTROLLERS: readonly (readonly [port: number, value: number])[] = [
  [0x20, 0x11],
  [0x21, FIRST_LINE_VECTOR],
  [0x21, 0x04],
  [0x21, 0x01],
  [0xa0, 0x11],
  [0xa1, FIRST_LINE_VECTOR + 8],
  [0xa1, 0x02],
  [0xa1, 0x01],
  [0x21, 0x01],
  [0xa1, 0x00],
];

/** Segments, stack, tables, controllers; ends with interrupts on. */
function prologue(idt: Gpa, gdt: Gpa): Code {
  const pseudoDescriptors = RESULT_POINTER - 0x20;
  const word = (address: Gpa, value: number): Code => [0x66, 0xc7, 0x05, ...u32(address), ...u16(value)];
  const dword = (address: Gpa, value: number): Code => [0xc7, 0x05, ...u32(address), ...u32(value)];
  const lgdt: Code = [0x0f, 0x01, 0x15, ...u32(pseudoDescriptors)];
  const lidt: Code = [0x0f, 0x01, 0x1d, ...u32(pseudoDescriptors + 8)];
  const segments: Code = [0xb8, ...u32(CODE_SELECTOR + 8), 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0]; // DS, ES, SS
  const stack: Code = [0xbc, ...u32(STACK_TOP)];
  // PUSH selector; CALL +0; ADD dword [ESP], 5; RETF, which lands behind itself
  const reloadCode: Code = [0x6a, CODE_SELECTOR, 0xe8, ...u32(0), 0x83, 0x04, 0x24, 0x05, 0xcb];
  return [
    0xfa,
    ...word(pseudoDescriptors, GDT.length - 1),
    ...dword(pseudoDescriptors + 2, gdt),
    ...word(pseudoDescriptors + 8, 256 * GATE_BYTES - 1),
    ...dword(pseudoDescriptors + 10, idt),
    ...lgdt,
    ...lidt,
    ...segments,
    ...stack,
    ...reloadCode,
    ...dword(RESULT_POINTER, RESULTS),
    ...INTERRUPT_CONTROLLERS.flatMap(([port, value]) => [0xb0, value, 0xe6, port]),
    0xfb,
  ];
}

/** PUSHA; what the program does; count; end of interrupt; POPA; IRET. */
function handlerOf(vector: number, program: GuestProgram | undefined): Code {
  const counter = COUNTERS + 4 * vector;
  const end: Code =
    vector >= FIRST_MESSAGE_VECTOR ? [0xc7, 0x05, ...u32(APIC_EOI), ...u32(0)] : [0xb0, 0x20, ...(vector >= FIRST_LINE_VECTOR + 8 ? [0xe6, 0xa0] : []), 0xe6, 0x20];
  // An exception is no interrupt: the program has gone wrong, and says so with its exit status.
  if (vector < FIRST_LINE_VECTOR) return [0xb0, 0x80 | vector, 0xe6, EXIT_PORT, 0xf4];
  return [0x60, ...(program?.code ?? []), 0xff, 0x05, ...u32(counter), ...end, 0x61, 0xcf];
}

function interruptGate(handler: Gpa): Code {
  return [...u16(handler), ...u16(CODE_SELECTOR), 0, 0x8e, ...u16(handler >>> 16)];
}

/** MOV AL, 0; OUT exit, AL; CLI; HLT */
function exit(): Code {
  return [0xb0, 0, 0xe6, EXIT_PORT, 0xfa, 0xf4];
}
