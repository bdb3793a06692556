/** The loop of a partition's thread: slices, input, commands, status, sleep. */
import { ms, Sleeper } from '../base/index.ts';
import type { Nanos } from '../contracts/index.ts';
import type { PartitionLink } from './link.ts';
import type { PartitionEnd, RunningPartition } from './partition.ts';

/** Slices between two looks at the mailbox: a slice that PAUSE cut short must not cost more in bookkeeping than in guest work. */
const SLICES_PER_ROUND = 16;
/** Reading registers costs microseconds; a report on a thread that died may be this old. */
const REGISTERS_EVERY: Nanos = 100 * ms;

/**
 * Runs the partition until it ends, of itself or because the link asks it to. Blocks the calling thread; never throws.
 * `hostNow` is monotonic host time.
 */
export function servePartition(partition: RunningPartition, link: PartitionLink, hostNow: () => Nanos): PartitionEnd {
  for (;;) {
    const end = serveUntilReload(partition, link, hostNow);
    if (end !== undefined) return end;
  }
}

/** The same, but undefined when the link asks for devices to be loaded anew: that is the caller's, and so is calling this again. */
export function serveUntilReload(partition: RunningPartition, link: PartitionLink, hostNow: () => Nanos): PartitionEnd | undefined {
  let registersDue = hostNow();
  const sleeper = new Sleeper(link.alarm, hostNow);
  for (;;) {
    const signals = link.signals;
    link.beat();
    if (link.killRequested) partition.kill('killed by the operator');
    else if (link.stopRequested) partition.stop();
    partition.admitInput();
    let sleep = 0;
    // Whatever has come in meanwhile (a frame, a key, a command) is looked at after this slice, not after the round.
    for (let slice = 0; slice < SLICES_PER_ROUND && sleep === 0 && link.signals === signals; slice++) sleep = partition.advance();
    link.publish(partition.retired, partition.clock.now(), partition.resets, partition.telemetry);
    link.publishFaults(partition.deviceFaults);
    const end = partition.end;
    if (end !== undefined) return end;
    if (link.takeReload()) return undefined;
    if (hostNow() >= registersDue) {
      link.publishRegisters(partition.registers());
      registersDue = hostNow() + REGISTERS_EVERY;
    }
    if (sleep > 0) sleeper.sleep(signals, sleep);
  }
}
