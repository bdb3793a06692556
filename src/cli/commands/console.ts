/** `bulkhead console`: the console of a partition that runs, in another terminal. */
import { userInfo } from 'node:os';
import { upgradeControl } from '../../host/node/control-socket.ts';
import { TELNET_BINARY, TELNET_BREAK, TelnetStripper, telnetData, telnetWindowSize } from '../../host/node/telnet.ts';
import { Terminal } from '../../host/node/terminal.ts';
import type { CliCommand, CliIo } from '../command.ts';
import { machineWith } from '../control/running-machine.ts';
import { exitStatus } from '../exit-codes.ts';
import { MENU_KEY } from '../terminal/menu.ts';

interface ConsoleOptions {
  readonly device?: string;
  readonly machine?: string;
  readonly write?: true;
}

const HELP = '── ^] w writes, ^] q leaves, ^] ^] sends ^] ──';

export const consoleCommand: CliCommand = {
  register(program, io, run) {
    program
      .command('console')
      .argument('<partition>', 'partition of a machine that runs')
      .description('show the console of a partition that runs; many can look at it, one writes')
      .option('--write', 'write to it as well, whoever does now')
      .option('--device <name>', 'a console other than its first one')
      .option('--machine <name>', 'the machine, when several run that have such a partition')
      .action(run((partition: string, options: ConsoleOptions) => show(partition, options, io)));
  },
};

/** Until the machine ends, or whoever looks has seen enough. */
async function show(partition: string, { device, machine, write }: ConsoleOptions, io: CliIo): Promise<number> {
  const path = await machineWith(partition, machine);
  const who = `bulkhead console of ${userInfo().username} (process ${process.pid})`;
  const { socket, first } = await upgradeControl(path, { command: 'console', partition, who, ...(device === undefined ? {} : { device }) });
  const stripper = new TelnetStripper();
  let writes = false;
  let escaped = false;
  const takePen = (): void => {
    writes = true;
    socket.write(TELNET_BREAK);
    if (terminal.interactive) socket.write(telnetWindowSize(terminal));
  };
  const send = (bytes: Uint8Array): void => {
    if (writes && bytes.length > 0) socket.write(telnetData(bytes));
  };
  const choose = (key: number): void => {
    if (key === MENU_KEY) send(Uint8Array.of(key));
    else if ((key | 0x20) === 0x77) takePen();
    else if ((key | 0x20) === 0x71) socket.end();
    else io.err.write(`\r\n${HELP}\r\n`);
  };
  const typed = (bytes: Uint8Array): void => {
    if (!terminal.interactive) {
      send(bytes);
      return;
    }
    let start = 0;
    for (const [index, byte] of bytes.entries()) {
      if (escaped) {
        escaped = false;
        choose(byte);
        start = index + 1;
      } else if (byte === MENU_KEY) {
        send(bytes.subarray(start, index));
        escaped = true;
        start = index + 1;
      }
    }
    if (!escaped) send(bytes.subarray(start));
  };
  using terminal = new Terminal({
    input: typed,
    inputEnded: () => undefined,
    resized: () => socket.write(telnetWindowSize(terminal)),
  });
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
    socket.on('error', () => socket.destroy());
  });
  socket.write(TELNET_BINARY);
  if (terminal.interactive) io.err.write(`${HELP}\r\n`);
  if (write === true) takePen();
  const received = (bytes: Uint8Array): void => terminal.write(stripper.feed(bytes));
  socket.on('data', received);
  received(first);
  await closed;
  if (terminal.interactive) io.err.write('\r\n');
  return exitStatus('ok');
}
