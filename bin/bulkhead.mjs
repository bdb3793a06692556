#!/usr/bin/env node
/**
 * The `bulkhead` command. Plain JavaScript for any Node from 20 on: it finds the pinned Node and the program for it to run (src/cli/main.ts,
 * bundled), passing arguments, terminal, working directory, signals and exit status through.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { program } from '../scripts/program.mjs';
import { machineEnvironment, nodePath, passSignals, ROOT, say } from '../scripts/setup.mjs';

const node = nodePath();
if (node === undefined || !existsSync(join(ROOT, 'node_modules', 'commander'))) {
  say(`dependencies are missing: run \`npm ci\` in ${ROOT} first (or \`npm start\`, which does it for you)`);
  process.exit(1);
}
const environment = { ...machineEnvironment(), ...process.env };
const child = spawn(node, [program(node), ...process.argv.slice(2)], { stdio: 'inherit', env: environment });
passSignals(child);
child.on('error', (error) => {
  say(`cannot run ${node}: ${error.message}`);
  process.exitCode = 1;
});
child.on('exit', (status, signal) => {
  process.exitCode = status ?? 128 + (constants.signals[signal] ?? 0);
});
