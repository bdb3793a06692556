/**
 * Visitors that come through the control socket: `{"command":"console","partition":"hmi"}`, and from the answer on telnet, in both
 * directions. A break takes the pen; the window's size comes as NAWS.
 */
import type { Socket } from 'node:net';
import { BulkheadError } from '../../base/index.ts';
import type { ControlRequest } from '../../host/node/control-socket.ts';
import { serveTelnet } from '../../host/node/console-ways.ts';
import type { ConsoleWays } from './console-ways.ts';

/** What becomes of the connection once the request was answered; undefined: this request is no visit. Throws BH643 and BH644. */
export function consoleVisit(ways: ConsoleWays, { command, partition, device, who }: ControlRequest): ((socket: Socket) => void) | undefined {
  if (command !== 'console') return undefined;
  if (typeof partition !== 'string' || !(device === undefined || typeof device === 'string')) {
    throw new BulkheadError('BH643', '`console` wants the name of a `partition`, and may have that of a `device`');
  }
  ways.refuseUnknown(partition, device);
  const label = typeof who === 'string' ? who.slice(0, 80) : 'somebody';
  return (socket) => serveTelnet(socket, label, (visitor) => ways.visit(partition, device, true, visitor));
}
