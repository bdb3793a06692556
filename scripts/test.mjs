/** `npm test`: sets the checkout up, then type check, lint and tests, all of them even when one fails. Arguments go to vitest. */
import { join } from 'node:path';
import { ensureDependencies, ROOT, run, say } from './setup.mjs';

const node = await ensureDependencies();
const tool = (...path) => join(ROOT, 'node_modules', ...path);
const steps = [
  ['types', tool('.bin', 'tsc'), ['-b', 'tsconfig.rooms.json', 'tsconfig.json']],
  ['lint', tool('.bin', 'biome'), ['lint']],
  ['tests', node, [tool('vitest', 'vitest.mjs'), 'run', ...process.argv.slice(2)]],
];

const failed = [];
for (const [name, command, args] of steps) {
  say(`checking ${name}`);
  if ((await run(command, args)) !== 0) failed.push(name);
}
if (failed.length > 0) say(`failed: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
