/** The program of a broker's Worker: opens what is shared, and serves the ports on it until it is told to stop. */
import { ms } from '../base/index.ts';
import type { Nanos } from '../contracts/index.ts';
import { serveBrokerThread } from '../host/node/broker-thread.ts';
import { keepCompiled } from '../host/node/compile-cache.ts';
import type { BrokerEvents, BrokerStart } from '../hypervisor/index.ts';
import { Broker, BrokerCommand, DiskBroker, runBroker, TimerBroker } from '../shared/index.ts';
import { diskFiles } from './disk-files.ts';
import { serveEthernet } from './ethernet-service.ts';

keepCompiled();

const hostNow = (): Nanos => performance.now() * ms;

async function serve(start: BrokerStart, log: BrokerEvents['log']): Promise<void> {
  const command = new BrokerCommand(start.command);
  switch (start.resource.kind) {
    case 'disk':
      serveDisk(start, command, log);
      break;
    case 'timer':
      serveTimer(start, command);
      break;
    case 'ethernet':
      await serveEthernet(start, command, log);
  }
}

function serveDisk({ resource, ports }: BrokerStart, command: BrokerCommand, log: BrokerEvents['log']): void {
  const { name, disk } = resource;
  if (disk === undefined) throw new TypeError(`${name} has no image`);
  const files = diskFiles((what) => log('warn', what));
  using broker = new DiskBroker({ name, source: disk, ports, files });
  log('info', `${disk.overlay ?? disk.image}: ${broker.image.description}`);
  runBroker(new Broker(broker.ports, hostNow, (now) => broker.idle(now)), command, hostNow);
}

function serveTimer({ ports }: BrokerStart, command: BrokerCommand): void {
  const broker = new TimerBroker(ports, hostNow);
  runBroker(new Broker(broker.ports, hostNow, (now) => broker.idle(now)), command, hostNow);
}

await serveBrokerThread<BrokerStart>(serve);
