/** `bulkhead status`: the machines that run, and how their partitions are. */
import type { CliCommand, CliIo } from '../command.ts';
import { runningMachines } from '../control/running-machine.ts';
import { exitStatus } from '../exit-codes.ts';
import { portTable } from '../port-view.ts';
import { table } from '../table.ts';

export const status: CliCommand = {
  register(program, io, run) {
    program
      .command('status')
      .description('list the machines that run under this user, with the state of their partitions and what was done at the ports of what they share')
      .option('--json', 'as one JSON document')
      .action(run((options: { readonly json?: boolean }) => list(options.json === true, io)));
  },
};

async function list(json: boolean, io: CliIo): Promise<number> {
  const machines = await runningMachines();
  if (json) {
    io.out.write(`${JSON.stringify(machines)}\n`);
  } else {
    const rows = machines.flatMap(({ machine, partitions }) =>
      partitions.map(({ name, state, restarts, retired }) => [machine, name, state, String(restarts), (retired * 1e-6).toFixed(0)]),
    );
    const columns = [
      { title: 'machine' },
      { title: 'partition' },
      { title: 'state' },
      { title: 'restarts', align: 'right' },
      { title: 'M instructions', align: 'right' },
    ] as const;
    io.out.write(rows.length === 0 ? 'no machine runs\n' : table(columns, rows));
    for (const { machine, ports } of machines) {
      const view = portTable(ports);
      if (view !== '') io.out.write(`\n${machines.length > 1 ? `${machine}\n` : ''}${view}`);
    }
  }
  return exitStatus('ok');
}
