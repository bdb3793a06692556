/** `bulkhead keys` and `bulkhead mouse`: what somebody would do at the keyboard and mouse of a partition that runs. */
import type { ControlRequest } from '../../host/node/control-socket.ts';
import type { CliCommand, CliIo } from '../command.ts';
import { askPartition } from '../control/running-machine.ts';
import { exitStatus } from '../exit-codes.ts';

interface TargetOptions {
  readonly device?: string;
  readonly machine?: string;
}

interface MouseOptions extends TargetOptions {
  readonly move?: string;
  readonly wheel?: string;
  readonly click?: string;
}

export const keys: CliCommand = {
  register(program, io, run) {
    program
      .command('keys')
      .argument('<partition>', 'partition of a machine that runs')
      .argument('<text>', 'what to type; other keys in angle brackets: `ls<enter>`, `<ctrl+alt+delete>`, `<lt>`')
      .description('type on the keyboard of a partition that runs')
      .option('--device <name>', 'a keyboard other than its first one')
      .option('--machine <name>', 'the machine, when several run that have such a partition')
      .action(run((partition: string, text: string, options: TargetOptions) => send(partition, options, { command: 'keys', text }, io)));
  },
};

export const mouse: CliCommand = {
  register(program, io, run) {
    program
      .command('mouse')
      .argument('<partition>', 'partition of a machine that runs')
      .description('move the mouse of a partition that runs, turn its wheel, click')
      .option('--move <dx,dy>', 'counts to the right and upwards')
      .option('--wheel <notches>', 'towards the user')
      .option('--click <button>', 'left, right or middle')
      .option('--device <name>', 'a mouse other than its first one')
      .option('--machine <name>', 'the machine, when several run that have such a partition')
      .action(run((partition: string, options: MouseOptions) => mouseCommand(partition, options, io)));
  },
};

async function mouseCommand(partition: string, options: MouseOptions, io: CliIo): Promise<number> {
  const [dx, dy] = (options.move ?? '0,0').split(',').map(Number);
  const wheel = Number(options.wheel ?? 0);
  if (dx === undefined || dy === undefined || ![dx, dy, wheel].every(Number.isInteger)) {
    io.err.write('bulkhead mouse: --move wants two whole numbers (`--move 10,-3`), --wheel one\n');
    return exitStatus('usage');
  }
  return send(
    partition,
    options,
    { command: 'mouse', dx, dy, wheel, ...(options.click === undefined ? {} : { click: options.click }) },
    io,
  );
}

async function send(partition: string, { device, machine }: TargetOptions, request: ControlRequest, io: CliIo): Promise<number> {
  const answer = await askPartition(partition, machine, { ...request, ...(device === undefined ? {} : { device }) });
  const { sent, of } = answer as { readonly sent: number; readonly of: number };
  if (sent === of) return exitStatus('ok');
  io.err.write(`bulkhead ${request.command}: ${partition} took ${sent} of ${of} events and does not read on\n`);
  return exitStatus('failure');
}
