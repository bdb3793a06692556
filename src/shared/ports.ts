/** Ports by the kind of what is shared: made by the machine, opened in the partition's thread. */
import { ring } from '../base/index.ts';
import type { Clock, Grant, LinkedPort, PortBuffers, SharedEnd, SharedResource } from '../contracts/index.ts';
import { ChannelEnd } from './channels/index.ts';
import { createDiskPort, DiskEnd } from './disk/index.ts';
import { EntropyEnd } from './entropy/index.ts';
import { createGrantedPort, DEFAULT_NETWORK_DEPTH, NetworkEnd } from './ethernet/index.ts';
import { TimerEnd, TimerPort } from './timer/index.ts';

/** The port of a grant. undefined: there is no broker for this kind. */
export function createPort(resource: Pick<SharedResource, 'kind' | 'name' | 'network'>, grant: Grant): PortBuffers | undefined {
  if (resource.kind === 'ethernet') return createGrantedPort(resource, grant);
  if (resource.kind === 'timer') return TimerPort.create();
  return resource.kind === 'disk' ? createDiskPort(grant.depth) : undefined;
}

/** What ends need of their partition's thread. */
export interface EndSurroundings {
  readonly clock: Clock;
  /** Fills its argument with random numbers of the host. */
  random(target: Uint8Array): void;
}

/** A device's end of its port. undefined: of a kind that has none. Throws what the kind's own end throws. */
export function openSharedEnd(port: LinkedPort, { clock, random }: EndSurroundings): SharedEnd | undefined {
  if (port.kind === 'entropy') return new EntropyEnd(port, random);
  if (port.channel !== undefined) return new ChannelEnd({ port: port.port, channel: port.channel }, clock, ring);
  if (port.kind === 'ethernet') return new NetworkEnd(port.port, port.grant.depth ?? DEFAULT_NETWORK_DEPTH, () => ring(port.alarm));
  if (port.kind === 'timer') return new TimerEnd(port, clock);
  return port.kind === 'disk' ? new DiskEnd(port).awaitBroker() : undefined;
}
