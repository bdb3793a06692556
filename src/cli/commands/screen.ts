/** `bulkhead screen`: what is on the screen of a partition that runs, in the terminal or as a PNG file. */
import { writeFileSync } from 'node:fs';
import { BulkheadError } from '../../base/index.ts';
import { decodePng } from '../../host/node/png.ts';
import type { CliCommand, CliIo } from '../command.ts';
import type { ScreenAnswer } from '../control/control-commands.ts';
import { askPartition } from '../control/running-machine.ts';
import { exitStatus } from '../exit-codes.ts';
import { halfBlocks } from '../terminal/picture.ts';

interface ScreenOptions {
  readonly png?: string;
  readonly device?: string;
  readonly machine?: string;
}

/** Where nobody says how large the terminal is. */
const COLUMNS = 80;
const ROWS = 24;

export const screen: CliCommand = {
  register(program, io, run) {
    program
      .command('screen')
      .argument('<partition>', 'partition of a machine that runs')
      .description('show the screen of a partition that runs: text as text, graphics in half blocks with 24-bit colour')
      .option('--png <file>', 'write the picture to a file instead')
      .option('--device <name>', 'a screen other than its first one')
      .option('--machine <name>', 'the machine, when several run that have such a partition')
      .action(run((partition: string, options: ScreenOptions) => show(partition, options, io)));
  },
};

async function show(partition: string, options: ScreenOptions, io: CliIo): Promise<number> {
  const request = { command: 'screen', ...(options.device === undefined ? {} : { device: options.device }) };
  const answer = (await askPartition(partition, options.machine, request)) as ScreenAnswer;
  const png = Buffer.from(answer.png, 'base64');
  if (options.png !== undefined) {
    try {
      writeFileSync(options.png, png);
    } catch (cause) {
      throw new BulkheadError('BH621', `cannot write ${options.png}: ${(cause as Error).message}`, { cause });
    }
    io.err.write(`${options.png}: ${answer.width}×${answer.height}\n`);
  } else {
    const { columns = COLUMNS, rows = ROWS } = process.stdout;
    const lines = answer.text ?? halfBlocks(decodePng(png), columns, rows - 1);
    io.out.write(`${lines.join('\n')}\n`);
  }
  return exitStatus('ok');
}
