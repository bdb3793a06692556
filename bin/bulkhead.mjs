#!/usr/bin/env node
/**
 * The `bulkhead` command. Plain JavaScript for any Node from 20 on: it finds the pinned Node and hands over to src/cli/main.ts,
 * passing arguments, terminal, working directory, signals and exit status through.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { machineEnvironment, nodePath, passSignals, ROOT, say } from '../scripts/setup.mjs';

const node = nodePath();
if (node === undefined || !existsSync(join(ROOT, 'node_modules', 'commander'))) {
  say(`dependencies are missing: run \`npm ci\` in ${ROOT} first (or \`npm start\`, which does it for you)`);
  process.exit(1);
}
const environment = { ...machineEnvironment(), ...process.env };
const child = spawn(node, [join(ROOT, 'src', 'cli', 'main.ts'), ...process.argv.slice(2)], { stdio: 'inherit', env: environment });
passSignals(child);
child.on('error', (error) => {
  say(`cannot run ${node}: ${error.message}`);
  process.exitCode = 1;
});
child.on('exit', (status, signal) => {
  process.exitCode = status ?? 128 + (constants.signals[signal] ?? 0);
});
