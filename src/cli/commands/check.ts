/** `bulkhead check FILE`: compiles a manifest, proves who owns what, and says what is wrong. */
import type { Finding } from '../../contracts/index.ts';
import { formatSize, type Proof } from '../../manifest/index.ts';
import type { CliCommand, CliIo } from '../command.ts';
import { exitStatus } from '../exit-codes.ts';
import { renderFindings } from '../findings.ts';
import { type CompiledFile, compileFile } from '../manifest-file.ts';
import { paintFor } from '../style.ts';

export const check: CliCommand = {
  register(program, io, run) {
    program
      .command('check')
      .description('compile a manifest and prove that nothing has two owners')
      .argument('<file>', 'the manifest (YAML or JSON)')
      .option('--json', 'print one JSON document: findings, proof and machine')
      .action(
        run((file: string, options: { readonly json?: true }) => {
          const compiled = compileFile(file);
          if (options.json) io.out.write(`${JSON.stringify(document(compiled), null, 2)}\n`);
          else report(compiled, io);
          return exitStatus(compiled.machine === undefined ? 'manifestInvalid' : 'ok');
        }),
      );
  },
};

function document({ file, machine, findings, proof }: CompiledFile): unknown {
  return { file, valid: machine !== undefined, findings, proof: proof ?? null, machine: machine ?? null };
}

/** Findings are what was asked for here, so they go where results go. */
function report({ file, text, machine, findings, proof }: CompiledFile, io: CliIo): void {
  const paint = paintFor(io.out, io.environment);
  if (findings.length > 0) io.out.write(`${renderFindings(findings, text, paint)}\n`);
  if (machine === undefined) {
    io.out.write(`${paint(['red', 'bold'], 'refused')}: ${file} has ${counted(findings)}\n`);
    return;
  }
  const cores = machine.partitions.reduce((sum, partition) => sum + partition.cores.length, 0);
  const memory = machine.partitions.reduce((sum, partition) => sum + partition.memory.size, 0);
  io.out.write(`${paint(['green', 'bold'], 'sound')}: machine ${machine.name}${findings.length > 0 ? `, with ${counted(findings)}` : ''}\n`);
  io.out.write(
    `  ${plural(machine.partitions.length, 'partition')} on ${cores} of ${plural(machine.board.cores, 'core')}, ${formatSize(memory)} of ${formatSize(machine.board.memory)} RAM\n`,
  );
  if (proof !== undefined) io.out.write(`${proofLines(proof)}`);
}

function proofLines({ claims }: Proof): string {
  return claims.map(({ claim, checked }) => `  proved: ${claim} (${checked} checked)\n`).join('');
}

function counted(findings: readonly Finding[]): string {
  const errors = findings.filter((finding) => finding.severity === 'error').length;
  const warnings = findings.length - errors;
  const parts = [...(errors > 0 ? [plural(errors, 'error')] : []), ...(warnings > 0 ? [plural(warnings, 'warning')] : [])];
  return parts.join(' and ');
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
