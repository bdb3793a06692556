/**
 * Programs for the host CPU and the software engine: 8 to 64 random instructions from the table in one piece, with memory operands,
 * forward branches, loops, calls, repeated strings, and stores into their own code; with SSE, MMX or x87 among them, whose state is saved
 * and restored in all the ways that there are. They end in UD2, or
 * in the first fault, and registers, flags and memory are compared there: so faults must be precise.
 *
 * RBX points at memory, RSI is a small index, RBP counts loops, RSP has a stack of its own: nothing else writes them.
 */
import { x87Instructions } from '../../src/x86/instructions-x87.ts';
import { INSTRUCTIONS_SSE } from '../../src/x86/instructions-sse.ts';
import { INSTRUCTIONS_SSE4 } from '../../src/x86/instructions-sse4.ts';
import { type InstructionRow, parseRow } from '../../src/x86/table.ts';
import { ARITHMETIC_FLAGS, CODE_ADDRESS, DATA_ADDRESS, type FlatBits, FORMS, MEMORY_BYTES, type Random } from './cases.ts';
import { UNDEFINED_FLAGS, unaskable } from './coverage.ts';

export interface Sequence {
  readonly bits: FlatBits;
  /** One or a few instructions each that belong together. */
  readonly parts: readonly (readonly number[])[];
  readonly gpr: readonly bigint[];
  readonly flags: number;
  readonly memory: Uint8Array;
}

export type Flavour = 'integer' | 'sse' | 'mmx' | 'x87';
export const FLAVOURS: readonly Flavour[] = ['integer', 'sse', 'mmx', 'x87'];

/** The stack grows down from here, in the page of the memory. */
const STACK_TOP = DATA_ADDRESS + 0xc00;
const RBX = 3;
const RSP = 4;
const RBP = 5;
const RSI = 6;
const FREE_64 = [0, 1, 2, 7, 8, 9, 10, 11, 12, 13, 14, 15] as const;
const FREE_32 = [0, 1, 2, 7] as const;
/** Without REX 4 to 6 are AH, CH, DH; BH would change RBX. */
const FREE_BYTES = [0, 1, 2, 4, 5, 6] as const;
const NEVER_RUN = 0xcc;
const UD2 = [0x0f, 0x0b] as const;
/**
 * From RBX: beyond what is compared, in the same page. The compacted form has its own: behind XSAVE, which leaves its mark in the header,
 * XRSTOR would initialize MXCSR or not by what the processor calls in use (SDM 1 §13.6 leaves that to it).
 */
const SAVE_AREA = 0x400;
const COMPACTED_AREA = 0x680;
const REX_W = 8;

/** They branch, or use the stack, or address through registers that are not theirs to choose: written out below, or left out. */
const NOT_BY_TABLE = /^(div|idiv|xlat|enter|leave|popf|pushf|lahf|aaa|aas|daa|das|aam|aad|bound|int.*|loop.*|jcxz|jcc|jmp|call|ret.*|ud|.*_far.*|maskmov.*|mov_moffs)$/;

const isUsable = (row: InstructionRow): boolean =>
  row.stack === 0 && !row.attributes.has('end') && !row.attributes.has('string') && !NOT_BY_TABLE.test(row.mnemonic) && !row.operands.some(({ kind }) => kind === 'O');

const INTEGER_FORMS: Readonly<Record<FlatBits, readonly InstructionRow[]>> = {
  64: FORMS.filter(({ row, bits }) => bits === 64 && isUsable(row)).map(({ row }) => row),
  32: FORMS.filter(({ row, bits }) => bits === 32 && isUsable(row)).map(({ row }) => row),
};
const VECTOR_ROWS = [...INSTRUCTIONS_SSE, ...INSTRUCTIONS_SSE4].flatMap(parseRow).filter((row) => isUsable(row) && unaskable(row.mnemonic) === undefined && row.mnemonic !== 'emms');
const SSE_ROWS = VECTOR_ROWS.filter((row) => !row.attributes.has('mmx'));
const MMX_ROWS = VECTOR_ROWS.filter((row) => row.attributes.has('mmx'));
const NOT_X87 = /^(f(ldcw|nstenv|ldenv|nsave|rstor|2xm1|yl2x|yl2xp1|ptan|patan|sin|cos|sincos|ninit|wait)|fu?comip?)$/;
const X87 = [...x87Instructions()].filter(({ instruction }) => !NOT_X87.test(instruction.mnemonic));

const long = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff];

export function makeSequence(random: Random, bits: FlatBits, flavour: Flavour): Sequence {
  return new Writer(random, bits, flavour).write();
}

class Writer {
  readonly #random: Random;
  readonly #bits: FlatBits;
  readonly #flavour: Flavour;
  readonly #free: readonly number[];
  readonly #parts: number[][] = [];
  /** Bytes before part n. */
  readonly #offsets: number[] = [];
  #length = 0;
  /** Offsets of immediates that a store may change. */
  readonly #patches: number[] = [];

  constructor(random: Random, bits: FlatBits, flavour: Flavour) {
    this.#random = random;
    this.#bits = bits;
    this.#flavour = flavour;
    this.#free = bits === 64 ? FREE_64 : FREE_32;
  }

  write(): Sequence {
    const random = this.#random;
    const memory = Uint8Array.from({ length: MEMORY_BYTES }, () => (random.oneIn(4) ? random.pick([0, 0x80, 0xff, 0x7f]) : random.next()));
    // MXCSR: rounding, flush to zero, denormals are zeros; nothing unmasked
    new DataView(memory.buffer).setUint32(0, 0x1f80 | (random.next() & 0xe040), true);
    this.#prologue();
    const count = 8 + random.below(57);
    while (this.#parts.length < count) this.#something();
    this.#epilogue();
    const wide = (): bigint => (BigInt(random.next()) << 32n) | BigInt(random.next());
    const gpr = Array.from({ length: 16 }, () => (random.oneIn(3) ? BigInt(random.below(256)) : wide()));
    gpr[RBX] = BigInt(DATA_ADDRESS);
    gpr[RSP] = BigInt(STACK_TOP);
    gpr[RBP] = BigInt(1 + random.below(6));
    gpr[RSI] = BigInt(random.below(4));
    return {
      bits: this.#bits, parts: this.#parts, memory,
      gpr: gpr.map((value, n) => (this.#bits === 64 ? value : n < 8 ? value & 0xffff_ffffn : 0n)),
      flags: (random.next() & ARITHMETIC_FLAGS) | 2,
    };
  }

  #add(code: readonly number[]): void {
    this.#offsets.push(this.#length);
    this.#parts.push([...code]);
    this.#length += code.length;
  }

  #something(): void {
    const random = this.#random;
    if (this.#flavour !== 'integer' && random.oneIn(2)) this.#floating();
    else if (random.oneIn(2)) this.#instruction();
    else random.pick(this.#others)();
  }

  /** Forward branches as often as any two others. */
  readonly #others: readonly (() => void)[] = [
    () => this.#forwardBranch(), () => this.#forwardBranch(), () => this.#loop(), () => this.#pushPop(), () => this.#repeated(),
    () => this.#patched(), () => this.#patch(), () => this.#call(),
  ];

  #prologue(): void {
    // conversions between XMM and MMX are among the MMX rows
    if (this.#flavour === 'sse' || this.#flavour === 'mmx') {
      this.#add([0x0f, 0xae, 0x13]); // ldmxcsr [rbx]
      for (let n = 0; n < 4; n++) this.#add([0xf3, 0x0f, 0x6f, 0x43 | (n << 3), 16 * n + 16]);
    }
    if (this.#flavour === 'mmx' || this.#flavour === 'x87') {
      for (let n = 0; n < 8; n++) this.#add([0x0f, 0x6f, 0x43 | (n << 3), 8 * n + 8]);
      if (this.#flavour === 'x87') this.#add([0xdb, 0xe3]); // fninit
    }
  }

  #epilogue(): void {
    if (this.#flavour === 'sse') {
      for (let n = 0; n < 4; n++) this.#add([0xf3, 0x0f, 0x7f, 0x43 | (n << 3), 16 * n + 16]);
      this.#add([0x0f, 0xae, 0x1b]);
    } else if (this.#flavour === 'mmx') {
      for (let n = 0; n < 8; n++) this.#add([0x0f, 0x7f, 0x43 | (n << 3), 8 * n + 8]);
      this.#add([0x0f, 0x77]);
    } else if (this.#flavour === 'x87') {
      this.#add([0xdd, 0x7b, 0x04]); // fnstsw [rbx + 4]
      for (let n = 0; n < 8; n++) this.#add([0xdb, 0x7b, 12 * n + 8]); // fstp tbyte
    }
    this.#add(UD2);
  }

  /** Flags that the SDM leaves undefined must not decide anything: CMP defines them all. */
  #defineFlags(): void {
    this.#add([0x39, 0xc0 | (this.#random.pick([0, 1, 2]) << 3) | this.#random.pick([0, 1, 2])]);
  }

  #instruction(): void {
    const row = this.#random.pick(INTEGER_FORMS[this.#bits]);
    const code = this.#encode(row);
    if (code === undefined) return;
    this.#add(code);
    if (((UNDEFINED_FLAGS[row.mnemonic] ?? 0) & ~0x10) !== 0) this.#defineFlags();
  }

  /** FXSAVE, XSAVE, XSAVEOPT or XSAVEC of some components, something else, and what brings them back, or their initial state. */
  #saveAndRestore(): void {
    const random = this.#random;
    const rex = this.#bits === 64 && random.oneIn(2) ? [0x48] : [];
    const isFx = random.oneIn(3);
    const isCompacted = !isFx && random.oneIn(3);
    const area = (extension: number): number[] => [0x83 | (extension << 3), ...long(isCompacted ? COMPACTED_AREA : SAVE_AREA)];
    const components = (): number[] => [0xb8, ...long(random.oneIn(3) ? 1 + random.below(3) : 3), 0x31, 0xd2];
    const save = isFx ? [0x0f, 0xae, ...area(0)] : isCompacted ? [0x0f, 0xc7, ...area(4)] : [0x0f, 0xae, ...area(random.oneIn(2) ? 4 : 6)];
    this.#add([...components(), ...rex, ...save]);
    for (let n = random.below(3); n > 0; n--) this.#floating();
    this.#add([...components(), ...rex, 0x0f, 0xae, ...area(isFx ? 1 : 5)]);
  }

  #floating(): void {
    const random = this.#random;
    if (random.oneIn(16)) {
      this.#saveAndRestore();
      return;
    }
    if (this.#flavour === 'x87') {
      const { opcode, modrm, instruction } = random.pick(X87);
      if (modrm >= 0xc0) this.#add([opcode, modrm]);
      else this.#add([opcode, modrm | 0x40, (instruction.mnemonic === 'fbld' ? 2 : 1) * random.below(48)]);
      return;
    }
    const row = random.pick(this.#flavour === 'sse' ? SSE_ROWS : MMX_ROWS);
    if (this.#bits === 32 && row.attributes.has('only64')) return;
    const code = this.#encode(row);
    if (code !== undefined) this.#add(code);
  }

  /** One instruction of the row, or undefined where it would write a register that it must not. */
  #encode(row: InstructionRow): number[] | undefined {
    const random = this.#random;
    const is64 = this.#bits === 64;
    const operandPrefix = random.oneIn(5) && row.prefix === 0;
    let rex = is64 && random.oneIn(2) ? 0x40 | random.below(16) : 0;
    if (row.attributes.has('noRexB')) rex &= ~1;
    const body: number[] = row.map === 0 ? [row.opcode] : row.map === 1 ? [0x0f, row.opcode] : [0x0f, row.map === 2 ? 0x38 : 0x3a, row.opcode];
    let relative: { readonly at: number; readonly target: number } | undefined;
    const rm = row.operands.find(({ role, kind }) => role === 'rm' && kind !== 'A' && kind !== 'Z');
    const reg = row.operands.find(({ role }) => role === 'reg');
    const inOpcode = row.operands.find(({ kind }) => kind === 'Z');
    const names = (kind: string, size: string, extension: number): number | undefined => {
      if (kind === 'V' || kind === 'W' || kind === 'U') return random.below(4);
      if (kind === 'P' || kind === 'Q' || kind === 'N') return random.below(8);
      const registers = size === 'b' && rex === 0 ? FREE_BYTES : this.#free.filter((n) => n >> 3 === extension).map((n) => n & 7);
      return registers.length === 0 ? undefined : random.pick(registers);
    };
    if (inOpcode !== undefined) {
      const number = (row.opcode & 7) | ((rex & 1) << 3);
      const allowed = inOpcode.size === 'b' && rex === 0 ? FREE_BYTES.includes(number as 0) : this.#free.includes(number);
      if (!allowed) return undefined;
    }
    if (row.hasModRm) {
      if (row.exact >= 0) body.push(row.exact);
      else {
        const isVector = (kind: string | undefined): boolean => kind !== undefined && 'VWUPQN'.includes(kind);
        if (isVector(reg?.kind)) rex &= ~4;
        if (isVector(rm?.kind)) rex &= ~1;
        const field = row.extension >= 0 ? row.extension : reg === undefined ? 0 : names(reg.kind, reg.size, (rex >> 2) & 1);
        if (field === undefined) return undefined;
        const isBitIndex = /^bt[src]?$/.test(row.mnemonic) && reg !== undefined;
        const isMemory = !isBitIndex && row.modRm !== 'register' && (row.modRm === 'memory' || random.oneIn(2));
        if (isBitIndex && row.modRm === 'memory') return undefined;
        if (!isMemory) {
          const number = names(rm?.kind ?? 'E', rm?.size ?? 'v', rex & 1);
          if (number === undefined) return undefined;
          body.push(0xc0 | (field << 3) | number);
        } else {
          rex &= ~3; // RBX and RSI
          const wantsAlignment = row.attributes.has('sse') || row.mnemonic === 'cmpxchg8b';
          const displacement = wantsAlignment && !random.oneIn(16) ? 16 * (1 + random.below(5)) : 8 + random.below(MEMORY_BYTES - 40);
          const form = random.below(4);
          if (form === 0) body.push(0x43 | (field << 3), displacement);
          else if (form === 1) body.push(0x83 | (field << 3), ...long(displacement));
          else if (form === 2 && !row.attributes.has('sse')) body.push(0x44 | (field << 3), (random.below(4) << 6) | (RSI << 3) | RBX, displacement);
          else if (is64) {
            body.push(5 | (field << 3));
            relative = { at: body.length, target: DATA_ADDRESS + displacement };
            body.push(0, 0, 0, 0);
          } else body.push(5 | (field << 3), ...long(DATA_ADDRESS + displacement));
        }
      }
    }
    for (const { kind, size } of row.operands) {
      if (kind !== 'I') continue;
      const isWide = (rex & REX_W) !== 0;
      const bytes = size === 'b' || size === 's' ? 1 : size === 'w' ? 2 : size === 'v' && isWide ? 8 : operandPrefix && !isWide ? 2 : 4;
      for (let n = 0; n < bytes; n++) body.push(random.next() & 0xff);
    }
    const prefixes = [...(operandPrefix ? [0x66] : []), ...(row.prefix > 1 ? [row.prefix] : []), ...(rex === 0 ? [] : [rex])];
    const code = [...prefixes, ...body];
    if (relative !== undefined) {
      const displacement = long(relative.target - (CODE_ADDRESS + this.#length + code.length));
      for (const [n, byte] of displacement.entries()) code[prefixes.length + relative.at + n] = byte;
    }
    return code;
  }

  /** Over the next one or two instructions, short or near. */
  #forwardBranch(): void {
    const random = this.#random;
    const at = this.#parts.length;
    const isNear = random.oneIn(3);
    const condition = random.below(17);
    const head = condition === 16 ? [isNear ? 0xe9 : 0xeb] : isNear ? [0x0f, 0x80 | condition] : [0x70 | condition];
    this.#add([...head, ...(isNear ? [0, 0, 0, 0] : [0])]);
    const start = this.#length;
    for (let n = 1 + random.below(3); n > 0; n--) this.#instruction();
    const distance = this.#length - start;
    const part = this.#parts[at] as number[];
    part[head.length] = distance;
    this.#parts[at] = part;
  }

  /** Backwards over some instructions while RBP lasts. */
  #loop(): void {
    const random = this.#random;
    const start = this.#length;
    for (let n = 1 + random.below(4); n > 0; n--) {
      if (this.#flavour !== 'integer' && random.oneIn(3)) this.#floating();
      else this.#instruction();
    }
    // lea rbp, [rbp − 1]; test ebp, ebp; jg: RBP ends at 0, or below it for later loops, which then run once
    const tail = [0x8d, 0x6d, 0xff, 0x85, 0xed, 0x0f, 0x8f];
    this.#add([...tail, ...long(start - (this.#length + tail.length + 4))]);
  }

  #pushPop(): void {
    const random = this.#random;
    const is64 = this.#bits === 64;
    const from = random.below(8);
    const to = random.pick([0, 1, 2, 7]);
    const forms = [
      [0x50 | from, 0x58 | to],
      [0x66, 0x50 | from, 0x66, 0x58 | to],
      [0xff, 0x73, 8 + random.below(80), 0x58 | to],
      ...(is64 ? [[0x41, 0x50 | from, 0x41, 0x58 | random.below(8)]] : []),
    ];
    this.#add(random.pick(forms));
  }

  /** REP MOVS, STOS, CMPS, SCAS, LODS of a few elements, upwards or downwards; RSI comes back. */
  #repeated(): void {
    const random = this.#random;
    const place = (): number[] => long(DATA_ADDRESS + 48 + random.below(24));
    const operation = random.pick([0xa4, 0xa5, 0xaa, 0xab, 0xa6, 0xa7, 0xae, 0xaf, 0xac, 0xad]);
    const isDown = random.oneIn(4);
    const prefixes = [random.pick([0xf3, 0xf3, 0xf2]), ...(operation & 1 && random.oneIn(3) ? [0x66] : [])];
    if (prefixes[0] === 0xf2 && ![0xa6, 0xa7, 0xae, 0xaf].includes(operation)) prefixes[0] = 0xf3;
    this.#add([
      0x56, ...(isDown ? [0xfd] : []), 0xbf, ...place(), 0xbe, ...place(), 0xb9, ...long(random.below(6)), ...prefixes, operation,
      ...(isDown ? [0xfc] : []), 0x5e,
    ]);
  }

  /** MOV with an immediate that stores may change. */
  #patched(): void {
    const register = this.#random.pick([0, 1, 2, 7]);
    this.#add([0xb8 | register, ...long(this.#random.next())]);
    this.#patches.push(this.#length - 4 + this.#random.below(4));
    if (this.#random.oneIn(2)) this.#add([0x01, 0xc0 | (register << 3) | this.#random.pick([0, 1, 2, 7])]);
  }

  /** A store into such an immediate: behind (which matters in a loop), or into the instruction that follows at once. */
  #patch(): void {
    const random = this.#random;
    const is64 = this.#bits === 64;
    const absolute = (at: number): number[] => (is64 ? [0x04, 0x25, ...long(at)] : [0x05, ...long(at)]);
    if (this.#patches.length > 0 && random.oneIn(2)) {
      this.#add([0xc6, ...absolute(CODE_ADDRESS + random.pick(this.#patches)), random.next() & 0xff]);
      return;
    }
    const length = is64 ? 8 : 7;
    // mov byte [imm], imm8; mov reg, imm32
    this.#add([0xc6, ...absolute(CODE_ADDRESS + this.#length + length + 1 + random.below(4)), random.next() & 0xff]);
    this.#add([0xb8 | random.pick([0, 1, 2, 7]), ...long(random.next())]);
  }

  /** Past a few bytes that are never run, and the return address into a register; or there and back. */
  #call(): void {
    const random = this.#random;
    if (random.oneIn(2)) this.#add([0xe8, 1, 0, 0, 0, NEVER_RUN, 0x58 | random.pick([0, 1, 2, 7])]);
    // call f; jmp over; f: inc byte [rbx + 9]; ret
    else this.#add([0xe8, 2, 0, 0, 0, 0xeb, 4, 0xfe, 0x43, 9, 0xc3]);
  }
}

export const codeOf = ({ parts }: Sequence): number[] => parts.flat();
