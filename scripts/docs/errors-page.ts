/** docs/errors.md: every code of the table of errors, with the rules behind it. */
import { ERRORS } from '../../src/base/index.ts';
import { EXIT_CODES } from '../../src/cli/exit-codes.ts';
import { RULES } from '../../src/manifest/index.ts';
import { GENERATED } from './notice.ts';

/** The first two digits of a code say what it is about. */
const CHAPTERS: readonly (readonly [prefix: string, title: string])[] = [
  ['BH1', "The manifest's text and schema"],
  ['BH2', 'Ownership and the board'],
  ['BH3', 'Boot images'],
  ['BH4', 'Engines'],
  ['BH5', 'Partitions and machines at run time'],
  ['BH6', 'Host, packages and command line'],
];

export function errorsPage(): string {
  let page = `# Errors and findings\n\n<!-- ${GENERATED} -->\n\n`;
  page += 'Every code is stable: it keeps its meaning, and is not used again when it goes away.\n';
  page += 'Findings of `bulkhead check` marked as rules check one property each of a manifest.\n';
  for (const [prefix, title] of CHAPTERS) {
    const codes = Object.entries(ERRORS).filter(([code]) => code.startsWith(prefix));
    if (codes.length === 0) continue;
    page += `\n## ${prefix}xx: ${title}\n`;
    for (const [code, { title: name, remedy }] of codes.sort(([a], [b]) => a.localeCompare(b))) {
      page += `\n### ${code}: ${name}\n\n${remedy}\n`;
      for (const rule of RULES) if (rule.code === code) page += `\nRule (${rule.severity}): ${rule.title}.\n`;
    }
  }
  page += '\n## Exit status\n\n| status | meaning |\n|---:|---|\n';
  return page + EXIT_CODES.map(({ status, meaning }) => `| ${status} | ${meaning} |\n`).join('');
}
