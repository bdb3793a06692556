/** `npm start`: sets the checkout up and runs the reference machine. Arguments are passed on to `bulkhead run`. */
import { join } from 'node:path';
import { program } from './program.mjs';
import { ensureDependencies, run } from './setup.mjs';

const node = await ensureDependencies();
const machine = join('machines', 'packaging-cell.yaml');
process.exitCode = await run(node, [program(node), 'run', machine, ...process.argv.slice(2)]);
