/**
 * What is counted for each port of what partitions share, by the kind of resource: names, units, and where the numbers lie. They are words
 * of shared memory that whoever does the work writes on its way; reading them asks nobody and stops nobody.
 */
import type { LinkedPort, PortBuffers, SharedResource } from '../contracts/index.ts';
import { waitingDoorbells } from './channels/index.ts';
import { readCounters, SWITCH_METRICS, waitingFrames } from './ethernet/index.ts';
import type { PortMetric } from './metric.ts';
import { PORT_NUMBERS, PortControl, type PortNumber, waitingSlots } from './port.ts';

const numbers = (...names: readonly PortNumber[]): readonly PortMetric[] => PORT_NUMBERS.filter(({ name }) => names.includes(name));
const WAITING: PortMetric = { name: 'waiting', unit: 'requests', column: 'waiting', what: 'asked for and not begun, now' };

/** Consoles are not here: what passes through them is in their logs. */
export const PORT_METRICS: Readonly<Record<SharedResource['kind'], readonly PortMetric[]>> = {
  disk: [
    ...numbers(
      'served',
      'bytesIn',
      'bytesOut',
      'refusedAccess',
      'refusedWindow',
      'refusedForm',
      'refusedByDevice',
      'failed',
      'dropped',
      'heldBack',
    ),
    WAITING,
  ],
  ethernet: [
    ...SWITCH_METRICS,
    ...numbers('dropped', 'heldBack').map((metric): PortMetric => (metric.unit === 'requests' ? { ...metric, unit: 'frames' } : metric)),
    { ...WAITING, unit: 'frames', what: 'sent by the partition and not taken by the switch, now' },
    { name: 'undelivered', unit: 'frames', column: 'waiting', what: 'given to the partition and not taken by its driver, now' },
  ],
  memory: [...numbers('served', 'refusedByDevice'), { ...WAITING, what: 'rung and not heard, now: those beyond the rate are heard later' }],
  entropy: numbers('served', 'bytesOut'),
  timer: numbers('served', 'heldBack'),
  console: [],
};

/** Values by the names of {@link PORT_METRICS}. */
export type PortReading = Readonly<Record<string, number>>;

/** What was counted for a port so far, from any thread. */
export function readPort({ kind, port, channel }: Pick<LinkedPort, 'kind' | 'port' | 'channel'>): PortReading {
  return named(kind, {
    ...new PortControl(port).statistics,
    ...(port.lanes['counters'] === undefined ? {} : readCounters(port.lanes['counters'])),
    ...waitingAt(kind, port, channel),
  });
}

/** The same for the port by which a network leads out, which no partition owns. */
export function readUplink(counters: SharedArrayBuffer): PortReading {
  return named('ethernet', readCounters(counters));
}

function waitingAt(kind: SharedResource['kind'], port: PortBuffers, channel: LinkedPort['channel']): PortReading {
  if (channel !== undefined) return { waiting: waitingDoorbells({ port, channel }) };
  if (kind !== 'ethernet') return { waiting: waitingSlots(port) };
  const [waiting, undelivered] = waitingFrames(port);
  return { waiting, undelivered };
}

/** Those that the kind has, in its order. */
function named(kind: SharedResource['kind'], values: PortReading): PortReading {
  return Object.fromEntries(PORT_METRICS[kind].flatMap(({ name }) => (values[name] === undefined ? [] : [[name, values[name]]])));
}
