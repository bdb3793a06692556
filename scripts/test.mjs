/** `npm test`: sets the checkout up, then type check, lint and tests, all of them even when one fails. Arguments go to vitest. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureDependencies, ROOT, run, say } from './setup.mjs';

const node = await ensureDependencies();
const tool = (...path) => join(ROOT, 'node_modules', ...path);
/** Written by test/support/unfinished.ts. */
const unfinished = tool('.bulkhead-unfinished.json');
process.env.BULKHEAD_UNFINISHED = unfinished;
const steps = [
  ['types', tool('.bin', 'tsc'), ['-b', 'tsconfig.rooms.json', 'tsconfig.json']],
  ['lint', tool('.bin', 'biome'), ['lint']],
  ['tests', node, [tool('vitest', 'vitest.mjs'), 'run', ...process.argv.slice(2)]],
];

/**
 * A process that tests ran in has died, and nothing else went wrong: test/devices.test.ts has seen that now and then, and nobody knows why. Those files
 * run once more, and it is said; what dies again has failed.
 */
async function runAgain(command, [vitest]) {
  const files = existsSync(unfinished) ? JSON.parse(readFileSync(unfinished, 'utf8')) : [];
  if (files.length === 0) return false;
  say(`A TEST PROCESS DIED in ${files.join(', ')}: once more`);
  return (await run(command, [vitest, 'run', ...files])) === 0;
}

rmSync(unfinished, { force: true });
const failed = [];
for (const [name, command, args] of steps) {
  say(`checking ${name}`);
  if ((await run(command, args)) !== 0 && !(name === 'tests' && (await runAgain(command, args)))) failed.push(name);
}
if (failed.length > 0) say(`failed: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
