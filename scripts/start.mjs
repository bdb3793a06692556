/** `npm start`: sets the checkout up and runs the reference machine. Arguments are passed on to `bulkhead run`. */
import { join } from 'node:path';
import { ensureDependencies, ROOT, run } from './setup.mjs';

const node = await ensureDependencies();
const machine = join('machines', 'packaging-cell.yaml');
process.exitCode = await run(node, [join(ROOT, 'src', 'cli', 'main.ts'), 'run', machine, ...process.argv.slice(2)]);
