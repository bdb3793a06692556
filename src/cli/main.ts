/** `bulkhead`: the command line. Commands stand one to a file in commands/; the table of them in commands/index.ts. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { BulkheadError } from '../base/index.ts';
import { keepCompiled } from '../host/node/compile-cache.ts';
import { tuneV8 } from '../host/node/v8-flags.ts';
import type { CliIo, RunAction } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { EXIT_CODES, exitStatus } from './exit-codes.ts';
import { paintFor } from './style.ts';
import { table } from './table.ts';

/** Runs one invocation to its end. Never throws: the result is the exit status. */
export async function main(args: readonly string[], io: CliIo): Promise<number> {
  let status = exitStatus('ok');
  const run: RunAction = (action) => async (...given) => {
    status = await action(...given);
  };
  const program = new Command('bulkhead')
    .description('Divides one x86 platform among several virtual machines, each owning its cores, memory, devices and interrupts.')
    .version(version())
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out.write(text), writeErr: (text) => io.err.write(text) })
    .showHelpAfterError('(`bulkhead --help` shows what can be asked)')
    .addHelpText('after', `\nExit status:\n${indent(table([{ title: 'status', align: 'right' }, { title: 'meaning' }], EXIT_CODES.map((code) => [String(code.status), code.meaning])))}`);
  for (const command of COMMANDS) command.register(program, io, run);

  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    return report(error, io);
  }
  return status;
}

function report(error: unknown, io: CliIo): number {
  const paint = paintFor(io.err, io.environment);
  // Commander has said what was wrong already. It ends with 0 for --help and --version, and with 1 for wrong arguments.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus('ok') : exitStatus('usage');
  if (error instanceof BulkheadError) {
    io.err.write(`bulkhead: ${paint(['red', 'bold'], `error ${error.code}`)}: ${error.message}\n`);
    if (error.hint !== undefined) io.err.write(`  ${paint('bold', 'help:')} ${error.hint}\n`);
    return exitStatus('failure');
  }
  // Not one of ours: a defect, and its place is what helps to find it.
  io.err.write(`bulkhead: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return exitStatus('failure');
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}

function version(): string {
  const file = fileURLToPath(new URL('../../package.json', import.meta.url));
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
}

if (import.meta.main) {
  tuneV8();
  keepCompiled();
  // `bulkhead inspect … | head`: the reader has seen enough, which is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? exitStatus('ok') : exitStatus('failure')));
  const sink = (stream: NodeJS.WriteStream) => ({ write: (text: string) => void stream.write(text), isTTY: stream.isTTY === true });
  process.exitCode = await main(process.argv.slice(2), { out: sink(process.stdout), err: sink(process.stderr), environment: process.env });
}
