/** What a running machine needs of its host, on Node: Workers and timers. */
import { ms } from '../base/index.ts';
import { startBrokerThread } from '../host/node/broker-thread.ts';
import { startPartitionThread } from '../host/node/partition-thread.ts';
import type { BrokerStart, MachineHost, ThreadStart } from '../hypervisor/index.ts';
import type { PartitionEnd } from '../partition/index.ts';

const ENTRY = new URL('./partition-worker.ts', import.meta.url);

const BROKER_ENTRY = new URL('./broker-worker.ts', import.meta.url);

/** A Worker for each life of a partition. */
export function nodeHost(): MachineHost {
  return {
    startThread: (start, events) => startPartitionThread<ThreadStart, PartitionEnd>(ENTRY, start.partition.name, start, events),
    startBroker: (start, events) => startBrokerThread<BrokerStart>(BROKER_ENTRY, `broker ${start.resource.name}`, start, events),
    after(delay, action) {
      const timer = setTimeout(action, delay / ms);
      return { [Symbol.dispose]: () => clearTimeout(timer) };
    },
  };
}
