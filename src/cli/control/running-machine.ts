/** From a name on the command line to the machine that runs it. */
import { BulkheadError } from '../../base/index.ts';
import { controlSockets, type ControlRequest, requestControl } from '../../host/node/control-socket.ts';
import type { StatusAnswer } from './control-commands.ts';

/** Asks every machine that answers how it is. */
export async function runningMachines(): Promise<readonly (StatusAnswer & { readonly path: string })[]> {
  const asked = [...controlSockets().values()].map(async (path) => {
    try {
      const answer = (await requestControl(path, { command: 'status' })) as Omit<StatusAnswer, 'ports'> & Partial<StatusAnswer>;
      // A machine that was started by a former version says nothing of ports.
      return [{ path, ...answer, ports: answer.ports ?? [] }];
    } catch {
      return []; // its process is gone
    }
  });
  return (await Promise.all(asked)).flat();
}

/**
 * Path of the socket of the machine that has a partition. Throws BH642 when none has, or several have and `machine` does not say which.
 */
export async function machineWith(partition: string, machine: string | undefined): Promise<string> {
  const running = await runningMachines();
  const having = running.filter(
    (one) => one.partitions.some(({ name }) => name === partition) && (machine === undefined || one.machine === machine),
  );
  const [found] = having;
  if (found === undefined || having.length > 1) {
    const what =
      found === undefined
        ? `no running machine has a partition \`${partition}\``
        : `several running machines have a partition \`${partition}\``;
    const names = running.map((one) => `${one.machine} (${one.partitions.map(({ name }) => name).join(', ')})`);
    throw new BulkheadError('BH642', what, {
      hint:
        names.length === 0
          ? 'start one with `bulkhead run`'
          : `${found === undefined ? 'running' : 'choose with --machine'}: ${names.join('; ')}`,
    });
  }
  return found.path;
}

/** Sends a request about a partition to the machine that has it. Throws as {@link machineWith}, and what the machine answers. */
export async function askPartition(partition: string, machine: string | undefined, request: ControlRequest): Promise<unknown> {
  return requestControl(await machineWith(partition, machine), { ...request, partition });
}
