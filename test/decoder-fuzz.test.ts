/**
 * Our decoder against objdump and ndisasm on random bytes, in 16-, 32- and 64-bit code: the same length, or (objdump) both say that it is
 * no instruction. Where they differ, a rule says why the SDM is with us; what no rule explains fails. `BULKHEAD_CASES` per mode (default
 * 8,000) and `BULKHEAD_SEED` (default: random, printed) choose the run.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Decoder } from '../src/x86/decoder.ts';
import { Random } from './silicon/cases.ts';

type Bits = 16 | 32 | 64;
const count = Number(process.env['BULKHEAD_CASES'] ?? 8000);
const seed = Number(process.env['BULKHEAD_SEED'] ?? Date.now() & 0x7fff_ffff);
/** Random bytes of a case, and what it takes in the file: whatever begins in the random part ends before the next case. */
const RANDOM_BYTES = 16;
const SLOT = 32;
const LONGEST = 15;
const NOP = 0x90;
const UNDEFINED = -1;
const MOST_SHOWN = 20;

const PREFIXES: ReadonlySet<number> = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);
const isRex = (byte: number | undefined, bits: Bits): boolean => bits === 64 && byte !== undefined && (byte & 0xf0) === 0x40;

/** One case as a disassembler reads it. */
interface Reading {
  /** Or UNDEFINED. */
  readonly length: number;
  readonly text: string;
}

interface Difference {
  readonly bytes: readonly number[];
  readonly bits: Bits;
  readonly ours: number;
  /** Ours, where there is one. */
  readonly mnemonic: string;
  readonly theirs: Reading;
  /** Legacy and REX prefixes, in order, and what follows. */
  readonly prefixes: readonly number[];
  readonly opcode: readonly number[];
}

interface Rule {
  readonly reason: string;
  readonly holds: (difference: Difference) => boolean;
}

const opcodeIs = ({ opcode }: Difference, ...values: readonly number[]): boolean => values.every((value, i) => opcode[i] === value);
const modRm = ({ opcode }: Difference): number => opcode[opcode[1] === 0x38 || opcode[1] === 0x3a ? 3 : opcode[0] === 0x0f ? 2 : 1] ?? 0;

/** Extensions that no level announces: undefined here, known to disassemblers. */
const EXTENSIONS =
  /^(v[a-z0-9]+|k[a-z]+[bwdq]|p?clmul\w*|pclmul\w+|aes\w+|sha\d\w+|gf2p8\w+|ad[co]x|a(add|and|or|xor)|rd(rand|seed|pkru|pru|pid|ssp\w*)|wrpkru|wru?ss\w*|incssp\w*|saveprevssp|rstorssp|(set|clr)ssbsy|endbr\w*|movdir\w+|enqcmds?|clwb|clflushopt|cldemote|pconfig|wbnoinvd|t?pause|umonitor|umwait|x(beginw?|end|abort|test|susldtrk|resldtrk)|xsaves(64)?|xrstors(64)?|encl[suv]|getsec|inv(ept|vpid|lpg[ab])|tlbsync|rmp\w+|psmash|skinit|stgi|clgi|montmul|xsha\w+|xstore\S*|serialize|xcrypt\S+|ccs_\w+|femms|pf\w+|p[fi]2\w+|pswapd|pavgusb|pmulhrw|extrq|insertq|movnts[sd]|monitorx|mwaitx|clzero|mcommit|cl?ui|stui|testui|uiret|senduipi|hreset|seam\w+|tdcall|ptwrite|lwpins|lwpval|bextr|blc\w+|bls\w+|t1mskc|tzmsk|[sl]lwpcb|tz?cnt|lzcnt|andn|[sm]ulx|pdep|pext|rorx|s[ah][rl]x|bndmk|bnd\w+|jmpe|loadall\w*|rsm|svdc|rsdc|svldt|rsldt|svts|rsts|smint|dmint|rdm|umov|ibts|xbts|cmpxchg486|rdshr|wrshr|cpu_\w+|emms|prefetch\w*|loadiwkey|encodekey\w+|fxsave|fnsetpm|frstpm|frstpm\(287|fndisi|altinst|salc|bb[01]_reset|getsec|f?neni|crc32|movbe|popcnt|ud[01]b?|rdmsrlist|wrmsrlist|wrmsrns|cmp\w+xadd|prefetchit\w|eretu|erets|lkgs)$/;

const firstWord = (text: string): string =>
  text
    .toLowerCase()
    .replace(/\{.*?\}/g, '')
    .split(/[\s,]+/)
    .find((word) => !/^(rep\w*|lock|data(16|32)|addr(16|32)|rex(\.\w+)?|[cdefgs]s|xacquire|xrelease|bnd|notrack|[oa](16|32|64)|)$/.test(word)) ?? '';

const RULES: readonly Rule[] = [
  {
    reason: 'LOCK is allowed before few instructions with a memory destination, #UD before all others (SDM 2A, LOCK): neither looks at it',
    holds: ({ ours, prefixes }) => ours === UNDEFINED && prefixes.includes(0xf0),
  },
  { reason: 'an extension that CPUID does not announce', holds: ({ ours, theirs }) => ours === UNDEFINED && EXTENSIONS.test(firstWord(theirs.text)) },
  {
    reason: 'SYSCALL, SYSRET, SWAPGS and RDFSBASE to WRGSBASE are undefined outside 64-bit mode (SDM 2B, Intel)',
    holds: ({ bits, opcode: [first, second = 0, third], ours }) =>
      bits !== 64 && first === 0x0f && ours === UNDEFINED && ([0x05, 0x07, 0xae].includes(second) || (second === 0x01 && third === 0xf8)),
  },
  { reason: 'the test registers of the 386 and 486 are gone (SDM 3B §23.23.6)', holds: (difference) => opcodeIs(difference, 0x0f, 0x24) || opcodeIs(difference, 0x0f, 0x26) },
  {
    reason: 'a REX prefix that is not directly before the opcode is ignored (SDM 2A §2.2.1): both show it, and what came before, as an instruction',
    holds: ({ prefixes, bits }) => prefixes.some((byte, i) => isRex(byte, bits) && i !== prefixes.length - 1),
  },
  {
    reason: 'near branches in 64-bit mode have 32-bit displacements whatever 66 says (SDM 2A, Jcc, JMP, CALL: Intel); objdump is with AMD',
    holds: (difference) =>
      difference.bits === 64 && difference.prefixes.includes(0x66) && /^(jcc|jmp_rel|call_rel|loop\w*|jcxz|jmp|call|ret\w*)$/.test(difference.mnemonic),
  },
  { reason: 'FWAIT is an instruction of its own, not part of the x87 instruction behind it (SDM 2A, WAIT)', holds: (difference) => opcodeIs(difference, 0x9b) },
  {
    reason: 'x87 encodings that alias documented ones and run on every processor (SDM 2D table A-7 ff. leaves them empty)',
    holds: ({ opcode: [first = 0], theirs }) => first >= 0xd8 && first <= 0xdf && theirs.length === UNDEFINED,
  },
  {
    reason: 'the 287 and 8087 control instructions that later units ignore (SDM 3B §23.18.7); processors raise #UD for DB E5',
    holds: ({ opcode: [first = 0, second = 0] }) => first === 0xdb && second >= 0xe0 && second <= 0xe7,
  },
  { reason: 'SALC exists on every processor (SDM 3B lists it as undocumented no longer); objdump has it not', holds: (difference) => opcodeIs(difference, 0xd6) },
  {
    reason: '0F 18–1F without a meaning of their own are NOPs with ModRM (SDM 2D, table A-3): MPX, CET and prefetches are not announced',
    holds: ({ opcode: [first = 0, second = 0] }) => first === 0x0f && second >= 0x18 && second <= 0x1f,
  },
  {
    reason: 'a REP or operand-size prefix without meaning is ignored (SDM 2A §2.1.1), as silicon does; the disassemblers look for another instruction',
    holds: ({ opcode: [first = 0, second = 0], prefixes, ours, theirs }) =>
      first === 0x0f && ours > 0 && theirs.length === UNDEFINED && prefixes.some((byte) => byte === 0xf2 || byte === 0xf3 || byte === 0x66) &&
      [0x09, 0x38, 0xa6, 0xa7, 0xbc, 0xbd, 0xb8, 0xc7, 0xae].includes(second),
  },
  {
    reason: 'what has no form with 66, F2 or F3 is undefined behind them (SDM 2A §3.1.1.1, "NP"), on silicon too: FXSAVE, LDMXCSR, XSAVEC, XGETBV, MOVBE, PMOVMSKB',
    holds: ({ opcode: [first, second = 0, third = 0], prefixes, ours }) =>
      first === 0x0f && ours === UNDEFINED && prefixes.some((byte) => byte === 0x66 || byte === 0xf2 || byte === 0xf3) &&
      (second === 0xae || second === 0xc7 || second === 0xd7 || (second === 0x38 && third >= 0xf0) || (second === 0x01 && (third & 0xfe) === 0xd0)),
  },
  { reason: 'UD0 and UD1 have a ModRM byte (SDM 2B, UD); what they raise is the same', holds: ({ mnemonic }) => mnemonic === 'ud' },
  {
    reason: 'fences name no register: all eight encodings are one instruction (SDM 2A, LFENCE: 0F AE E8–EF)',
    holds: (difference) => opcodeIs(difference, 0x0f, 0xae) && modRm(difference) >= 0xe8,
  },
];

/** Bytes that reach all maps: prefixes in half the cases, then anything, or 0F, 0F 38, 0F 3A, or an x87 opcode. */
function makeBytes(random: Random): number[] {
  const bytes: number[] = [];
  for (let n = random.below(4); n > 0; n--) if (random.oneIn(2)) bytes.push(random.oneIn(3) ? 0x40 | random.below(16) : random.pick([...PREFIXES]));
  const map = random.below(6);
  if (map === 2) bytes.push(0xd8 | random.below(8));
  if (map >= 3) bytes.push(0x0f);
  if (map === 4) bytes.push(0x38);
  if (map === 5 && random.oneIn(2)) bytes.push(0x3a);
  while (bytes.length < RANDOM_BYTES) bytes.push(random.below(256));
  return bytes;
}

function disassemble(command: string, args: readonly string[]): string {
  return spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 30 }).stdout;
}

/** Instructions by address. A prefix that stands alone belongs to what follows. */
type Listing = ReadonlyMap<number, Reading>;

const OBJDUMP_LINE = /^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t?(.*)$/gm;
const OBJDUMP_MODES: Readonly<Record<Bits, string>> = { 16: 'i8086', 32: 'i386', 64: 'x86-64' };
const OBJDUMP_PREFIX = /^((rep[nz]*|lock|data16|data32|addr16|addr32|rex(\.\w+)?|[cdefgs]s|xacquire|xrelease|bnd|notrack)\s*)+$/;
function objdump(file: string, bits: Bits): Listing {
  const text = disassemble('objdump', ['-D', '-w', '-b', 'binary', '-m', 'i386', '-M', `${OBJDUMP_MODES[bits]},intel`, `--insn-width=${LONGEST + 1}`, file]);
  const lines = new Map<number, Reading>();
  for (const [, at = '', hex = '', instruction = ''] of text.matchAll(OBJDUMP_LINE)) {
    lines.set(Number.parseInt(at, 16), { length: hex.trim().split(' ').length, text: instruction.trim() });
  }
  return joinPrefixes(lines, OBJDUMP_PREFIX, (line) => line.includes('(bad)'));
}

const NDISASM_PREFIX = /^(o16|o32|o64|a16|a32|a64|rep\w*|lock|rex\S*|[cdefgs]s|db 0x(66|67|f[023]|[23][6e]|6[45]|4[0-9a-f]))$/i;
function ndisasm(file: string, bits: Bits): Listing {
  const lines = new Map<number, Reading>();
  let last = 0;
  for (const line of disassemble('ndisasm', ['-b', String(bits), file]).split('\n')) {
    const [, at, hex = '', instruction = ''] = /^([0-9A-F]{8}) {2}([0-9A-F]+)\s+(.*)$/.exec(line) ?? [];
    const [, more = ''] = /^\s+-([0-9A-F]+)/.exec(line) ?? [];
    const before = lines.get(last);
    if (at !== undefined) lines.set((last = Number.parseInt(at, 16)), { length: hex.length / 2, text: instruction });
    else if (before !== undefined) lines.set(last, { ...before, length: before.length + more.length / 2 });
  }
  return joinPrefixes(lines, NDISASM_PREFIX, (line) => line.startsWith('db '));
}

function joinPrefixes(lines: ReadonlyMap<number, Reading>, prefix: RegExp, isBad: (text: string) => boolean): Listing {
  const joined = new Map<number, Reading>();
  for (let slot = 0; slot < count * SLOT; slot += SLOT) {
    let length = 0;
    const texts: string[] = [];
    for (let line = lines.get(slot); line !== undefined; line = lines.get(slot + length)) {
      length += line.length;
      texts.push(line.text);
      if (!prefix.test(line.text)) break;
    }
    const text = texts.join(' ');
    joined.set(slot, { length: isBad(texts.at(-1) ?? '') || length > LONGEST ? UNDEFINED : length, text });
  }
  return joined;
}

const isInstalled = (command: string): boolean => spawnSync(command, ['-v']).error === undefined;

describe(`the decoder on random bytes, ${count} in each mode, seed ${seed}`, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-decoder-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  for (const [name, read, debianPackage] of [['objdump', objdump, 'binutils'], ['ndisasm', ndisasm, 'nasm']] as const) {
    const reason = isInstalled(name) ? '' : ` (skipped: ${name} is not installed; it is in the Debian package ${debianPackage})`;
    it.skipIf(reason !== '').each([16, 32, 64] as const)(`agrees with ${name} on every length in %i-bit code${reason}`, (bits) => {
      const random = new Random(seed ^ bits);
      const bytes = new Uint8Array(count * SLOT).fill(NOP);
      for (let i = 0; i < count; i++) bytes.set(makeBytes(random), i * SLOT);
      const file = join(folder, `random-${bits}`);
      writeFileSync(file, bytes);
      const listing = read(file, bits);
      const decoder = new Decoder();
      const unexplained: string[] = [];
      let agreed = 0;
      for (const [slot, theirs] of listing) {
        const ours = Math.max(decoder.decode(bytes, slot, RANDOM_BYTES, bits, true), UNDEFINED);
        if ((ours > 0 ? ours : UNDEFINED) === theirs.length) {
          agreed++;
          continue;
        }
        // ndisasm knows instructions that never were, and not the encodings that processors take as others: it is asked for lengths only
        if (name === 'ndisasm' && (ours <= 0 || theirs.length === UNDEFINED)) continue;
        const code = [...bytes.subarray(slot, slot + LONGEST)];
        const start = code.findIndex((byte) => !PREFIXES.has(byte) && !isRex(byte, bits));
        const difference: Difference = {
          bytes: code, bits, ours: ours > 0 ? ours : UNDEFINED, mnemonic: ours > 0 ? decoder.out.row.mnemonic : '', theirs,
          prefixes: code.slice(0, start), opcode: code.slice(start),
        };
        if (RULES.some((rule) => rule.holds(difference))) continue;
        const hex = code.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
        unexplained.push(`${hex}: ${ours > 0 ? `${difference.mnemonic}, ${ours} bytes` : 'undefined'}; ${name} has ${theirs.length} bytes of ${theirs.text}`);
      }
      expect(unexplained.slice(0, MOST_SHOWN)).toEqual([]);
      expect(agreed / count).toBeGreaterThan(0.75);
    }, 60_000);
  }
});
