/**
 * The instruction table's row format and its reading. A row is text in the notation of the SDM's opcode maps (SDM 2D appendix
 * A), because that is how such a table is checked by eye:
 *
 *     'OPCODE' , 'mnemonic', 'operands', 'attributes'
 *
 * OPCODE: optional mandatory prefix (`np` none, `66`, `f3`, `f2`), opcode bytes, `+r` (register in the low 3 bits) or `+c`
 * (condition in the low 4), `/r` (ModRM follows) or `/0`…`/7` (ModRM.reg selects), `mem` or `reg` (ModRM must name memory or a
 * register), `/xc8` (ModRM byte is exactly C8).
 * Operands: first letter E Q W (ModRM.rm: general, MMX, XMM), M (memory only), G P V (ModRM.reg), Z (register in the opcode),
 * A (accumulator), S C D (segment, control, debug register), I J O (immediate, relative, absolute offset), X Y (string source and
 * destination), F (far pointer), then the size: b w d q (1, 2, 4, 8), v (2, 4, 8 by operand size), z (2, 4), y (4, 8), x (16).
 * `L` stands for no encoding: lengths in rAX and rDX, as wide as REX.W says.
 * `Is` is a sign-extended byte, `1` the constant, `CL`, `DX` the registers.
 * Attributes: `lock` (LOCK allowed with a memory destination), `no64`, `only64`, `default64` (64-bit operand size without REX.W
 * in 64-bit mode), `force64` (32- and 16-bit sizes do not exist there), `end` (ends a block), `protected` (#UD in real and virtual-8086 mode),
 * `string` (addresses through rSI and rDI), `nosize` (66 is ignored), `noRexB` (not with REX.B),
 * `cpuid:NAME` (exists when CPUID announces that feature, see features.ts),
 * `registers` (ModRM always names registers, of the mode's width), `stack:N` (pushes N operands; negative: pops).
 */

export interface InstructionRow {
  readonly text: string;
  /** 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A. */
  readonly map: number;
  readonly opcode: number;
  /** 0 none demanded, else 0x66, 0xf3, 0xf2, or 1 for "none of them". */
  readonly prefix: number;
  readonly hasModRm: boolean;
  /** ModRM.reg must be this, or −1. */
  readonly extension: number;
  /** The whole ModRM byte must be this, or −1. */
  readonly exact: number;
  readonly modRm: 'any' | 'memory' | 'register';
  readonly conditional: boolean;
  readonly mnemonic: string;
  readonly operands: readonly OperandCode[];
  /** Roles in order: `rm,reg`, `reg,rm,imm`, `rm,cl`. */
  readonly pattern: string;
  /** log2 of the operand sizes that can occur. */
  readonly sizes: readonly number[];
  /** 0 register, 1 memory. */
  readonly operandKinds: readonly (0 | 1)[];
  readonly attributes: ReadonlySet<string>;
  /** What CPUID must announce for it to exist (x86/features.ts); undefined: the base architecture. */
  readonly feature: string | undefined;
  /** Operands that the instruction pushes (positive) or pops. */
  readonly stack: number;
}

export interface OperandCode {
  readonly role: 'rm' | 'reg' | 'imm' | 'cl' | 'one' | 'dx' | 'implicit';
  /** First letter, or the whole name for fixed registers. */
  readonly kind: string;
  readonly size: string;
}

export type RowText = readonly [opcode: string, mnemonic: string, operands?: string, attributes?: string];

const ROLES: Readonly<Record<string, OperandCode['role']>> = {
  E: 'rm', Q: 'rm', W: 'rm', M: 'rm', R: 'rm', U: 'rm', N: 'rm', Z: 'rm', A: 'rm', O: 'rm',
  G: 'reg', P: 'reg', V: 'reg', S: 'implicit', C: 'implicit', D: 'implicit', X: 'implicit', Y: 'implicit',
  I: 'imm', J: 'imm', F: 'implicit', L: 'implicit',
};

export function parseRow([opcodeText, mnemonic, operandText = '', attributeText = '']: RowText): InstructionRow[] {
  const tokens = opcodeText.split(' ');
  const attributes = new Set(attributeText.split(' ').filter((a) => a !== ''));
  let prefix = 0;
  if (tokens[0] === 'np') prefix = 1;
  if (tokens.length > 1 && (tokens[0] === '66' || tokens[0] === 'f2' || tokens[0] === 'f3')) prefix = Number.parseInt(tokens[0], 16);
  if (prefix !== 0) tokens.shift();
  let map = 0;
  if (tokens[0] === '0f' && tokens.length > 1 && !tokens[1]?.startsWith('/')) {
    tokens.shift();
    map = 1;
    const second = tokens[0] as string;
    if ((second === '38' || second === '3a') && tokens.length > 1 && !tokens[1]?.startsWith('/')) {
      tokens.shift();
      map = second === '38' ? 2 : 3;
    }
  }
  const byteToken = tokens.shift() as string;
  const [hex, plus] = byteToken.split('+');
  const first = Number.parseInt(hex as string, 16);
  const modToken = tokens.find((t) => t.startsWith('/'));
  const exact = modToken?.startsWith('/x') ? Number.parseInt(modToken.slice(2), 16) : -1;
  const extension = modToken !== undefined && /^\/[0-7]$/.test(modToken) ? Number(modToken[1]) : -1;
  const modRm = tokens.includes('mem') ? 'memory' : tokens.includes('reg') ? 'register' : 'any';
  const operands = operandText.split(',').filter((o) => o !== '').map(parseOperand);
  const count = plus === 'r' ? 8 : plus === 'c' ? 16 : 1;
  const stackAttribute = [...attributes].find((a) => a.startsWith('stack:'));
  const row = {
    text: opcodeText,
    map,
    prefix,
    hasModRm: modToken !== undefined,
    extension,
    exact,
    modRm: modRm as InstructionRow['modRm'],
    conditional: plus === 'c',
    mnemonic,
    operands,
    pattern: operands.map((o) => (o.role === 'one' ? 'imm' : o.role)).filter((r) => r !== 'implicit' && r !== 'dx').join(','),
    sizes: operandSizes(operands, attributes),
    operandKinds: operandKinds(operands, modRm),
    attributes,
    feature: [...attributes].find((a) => a.startsWith('cpuid:'))?.slice(6),
    stack: stackAttribute === undefined ? 0 : Number(stackAttribute.slice(6)),
  };
  return Array.from({ length: count }, (_, i) => ({ ...row, opcode: first + i }));
}

function parseOperand(text: string): OperandCode {
  if (text === '1') return { role: 'one', kind: '1', size: '' };
  if (text === 'CL') return { role: 'cl', kind: 'CL', size: 'b' };
  if (text === 'DX') return { role: 'dx', kind: 'DX', size: 'w' };
  const kind = text[0] as string;
  const role = ROLES[kind];
  if (role === undefined) throw new Error(`unknown operand ${text}`);
  return { role, kind, size: text.slice(1) };
}

const LOG2_SIZES: Readonly<Record<string, readonly number[]>> = {
  b: [0], w: [1], d: [2], q: [3], v: [1, 2, 3], z: [1, 2], y: [2, 3], x: [4], '': [1, 2, 3], s: [1, 2, 3], p: [1, 2, 3],
};

function operandSizes(operands: readonly OperandCode[], attributes: ReadonlySet<string>): readonly number[] {
  if (attributes.has('force64')) return [1, 2, 3];
  const first = operands[0];
  const size = first === undefined || first.role === 'imm' || first.role === 'cl' || first.role === 'dx' ? 'v' : first.size;
  const sizes = LOG2_SIZES[size];
  if (sizes === undefined) throw new Error(`unknown operand size ${size}`);
  return sizes;
}

function operandKinds(operands: readonly OperandCode[], modRm: string): readonly (0 | 1)[] {
  const rm = operands.find((o) => o.role === 'rm');
  if (!rm || 'ZAUNR'.includes(rm.kind)) return [0];
  if (rm.kind === 'M' || rm.kind === 'O' || modRm === 'memory') return [1];
  return modRm === 'register' ? [0] : [0, 1];
}
