/** docs/cpu.md: every instruction of the table, where it is implemented, what announces it, and what silicon says of it. */
import { SEMANTICS } from '../../src/soft/semantics/index.ts';
import { SYSTEM_MNEMONICS } from '../../src/soft/system-operations.ts';
import { CPU_FEATURES, CPU_LEVELS, featuresOf } from '../../src/x86/features.ts';
import { INSTRUCTIONS } from '../../src/x86/instructions.ts';
import type { InstructionRow } from '../../src/x86/table.ts';
import { flagNames, UNDEFINED_FLAGS, unaskable } from '../../test/silicon/coverage.ts';
import { TRANSCENDENTAL_FORMS } from '../../test/silicon/fpu/x87.ts';
import { readResults } from '../../test/silicon/results.ts';
import { GENERATED } from './notice.ts';

const isX87 = (row: InstructionRow): boolean => row.map === 0 && row.opcode >= 0xd8 && row.opcode <= 0xdf;
const isVector = (row: InstructionRow): boolean => row.attributes.has('mmx') || row.attributes.has('sse');

const CHAPTERS: readonly (readonly [title: string, contains: (row: InstructionRow) => boolean])[] = [
  ['General-purpose and system instructions', (row) => !isX87(row) && !isVector(row)],
  ['x87', isX87],
  ['MMX and SSE', isVector],
];

const system = new Set(SYSTEM_MNEMONICS);
const approximated = new Set(TRANSCENDENTAL_FORMS.map(({ mnemonic }) => mnemonic));

/** Longer lists of encodings say nothing more: the x87's are one for each register. */
const MOST_ENCODINGS = 6;

function implementation(mnemonic: string): string {
  const semantics = SEMANTICS[mnemonic];
  if (semantics === undefined) return system.has(mnemonic) ? 'TypeScript' : 'none (#UD)';
  const generated = semantics.hot ? 'generated, main loop' : 'generated';
  return system.has(mnemonic) ? `${generated}; rare cases TypeScript` : generated;
}

const results = readResults();

/** Cases that agreed, in 64-bit, 32-bit and 16-bit code: to three digits, so that a minute more does not change the page. */
function casesOf(mnemonic: string): string {
  const found = results.cases[mnemonic];
  if (found === undefined) return 'yes';
  const rounded = (count: number): string => Number(count.toPrecision(3)).toLocaleString('en');
  return ([64, 32, 16] as const).flatMap((bits) => (found[bits] === undefined ? [] : [`${rounded(found[bits])} (${bits})`])).join(', ');
}

function verdict(mnemonic: string): string {
  const reason = unaskable(mnemonic);
  if (reason !== undefined) return `no: ${reason}`;
  if (approximated.has(mnemonic)) return `${casesOf(mnemonic)} within one unit in the last place`;
  const flags = UNDEFINED_FLAGS[mnemonic];
  return flags === undefined ? casesOf(mnemonic) : `${casesOf(mnemonic)} but undefined ${flagNames(flags)}`;
}

function line(mnemonic: string, rows: readonly InstructionRow[]): string {
  const encodings = [...new Set(rows.map((row) => `\`${row.text}\``))];
  const shown = encodings.length > MOST_ENCODINGS ? [...encodings.slice(0, MOST_ENCODINGS - 1), `and ${encodings.length - MOST_ENCODINGS + 1} more`] : encodings;
  const features = [...new Set(rows.map((row) => row.feature))];
  const feature = features.map((name) => (name === undefined ? 'base' : `\`${name}\``)).join(', ');
  return `| \`${mnemonic}\` | ${shown.join(' ')} | ${implementation(mnemonic)} | ${feature} | ${verdict(mnemonic)} |\n`;
}

export function cpuPage(): string {
  let page = `# The software engine's processor\n\n<!-- ${GENERATED} -->\n\n`;
  page += 'Every instruction of the table (`src/x86/instructions*.ts`), in its notation. What stands nowhere here raises #UD, and so does\n';
  page += 'what a partition’s CPUID does not announce.\n\n';
  page += '*Implemented*: generated WebAssembly, in the interpreter’s main loop or in its second function, or TypeScript.\n';
  const total = Object.values(results.cases).reduce((sum, counts) => sum + Object.values(counts).reduce((a, b) => a + b), 0);
  page += '*Silicon*: compared with a real CPU by `test/silicon`, in 64-bit and 32-bit code, integers in 16-bit code with limited segments too:\n';
  page += 'registers, flags, memory, RIP, x87 and SSE state, exceptions, addresses of page faults. The numbers are cases that agreed in long\n';
  page += 'runs (`node test/silicon/long-run.ts`) on an ';
  page += `${results.cpu}: ${Number(total.toPrecision(3)).toLocaleString('en')} together, none of which differed. The tests run some anew each\n`;
  page += 'time; `BULKHEAD_CASES` and `BULKHEAD_SEED` scale and repeat that. Whole programs are compared, too (`test/silicon/sequence.test.ts`).\n';
  page += 'Flags that the SDM leaves undefined are not compared, and named.\n\n';
  page += `## Features\n\n\`cpu:\` in the manifest chooses a level, \`cpuid:\` puts single features in or leaves them out.\n\n| feature | CPUID | ${CPU_LEVELS.map((level) => `\`${level}\``).join(' | ')} | may be chosen |\n|---|---|---|---|---|\n`;
  const levels = CPU_LEVELS.map((level) => featuresOf(level));
  for (const [name, { leaf, subleaf, register, bit, kind }] of CPU_FEATURES) {
    const place = `${leaf.toString(16).toUpperCase()}h${subleaf === undefined ? '' : `.${subleaf}`} ${register.toUpperCase()}[${bit}]`;
    page += `| \`${name}\` | ${place} | ${levels.map((level) => (level.has(name) ? 'yes' : 'no')).join(' | ')} | ${kind === 'base' ? 'no' : 'yes'} |\n`;
  }
  for (const [title, contains] of CHAPTERS) {
    const rows = new Map<string, InstructionRow[]>();
    for (const row of INSTRUCTIONS) if (contains(row)) rows.set(row.mnemonic, [...(rows.get(row.mnemonic) ?? []), row]);
    page += `\n## ${title}\n\n| instruction | encodings | implemented | feature | silicon |\n|---|---|---|---|---|\n`;
    for (const [mnemonic, encodings] of [...rows].sort(([a], [b]) => a.localeCompare(b))) page += line(mnemonic, encodings);
  }
  return page;
}
