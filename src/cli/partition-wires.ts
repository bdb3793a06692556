/** What a partition's network cables lead to: another partition, the host, a recording, or nowhere. Made in the partition's own thread. */
import { ring } from '../base/index.ts';
import { WireEnd } from '../board/index.ts';
import type { AttachedWire, Clock, Logger, Partition, WireSpec } from '../contracts/index.ts';
import { openTap } from '../host/linux/index.ts';
import { CapturedWire, OPEN_END, PlayedWire } from '../host/node/recorded-wire.ts';
import type { LinkedWire } from '../partition/index.ts';

export interface WireSurroundings {
  /** Wires to other partitions, by controller. */
  readonly linked: Readonly<Record<string, LinkedWire>>;
  /** Rung when something for this partition arrives from outside. */
  readonly alarm: Int32Array;
  readonly clock: Clock;
  /** Seconds since 1970 at time 0 of the clock. */
  readonly epoch: number;
  /** Counts the lives of the partition from 1: only the first begins a recording anew. */
  readonly life: number;
  readonly log: Logger;
}

/** By controller. Throws BH630 and BH631; what was opened until then is closed. */
export function openWires({ devices }: Pick<Partition, 'devices'>, surroundings: WireSurroundings): ReadonlyMap<string, AttachedWire> {
  const wires = new Map<string, AttachedWire>();
  try {
    for (const { name, wire } of devices) if (wire !== undefined) wires.set(name, openWire(name, wire, surroundings));
    return wires;
  } catch (error) {
    for (const wire of wires.values()) wire[Symbol.dispose]();
    throw error;
  }
}

function openWire(device: string, spec: WireSpec, surroundings: WireSurroundings): AttachedWire {
  const { clock, epoch, life, log } = surroundings;
  const wire = farEnd(device, spec, surroundings);
  if (spec.capture === undefined) return wire;
  try {
    return new CapturedWire(wire, { path: spec.capture, mode: life === 1 ? 'new' : 'append', clock, epoch, log });
  } catch (error) {
    wire[Symbol.dispose]();
    throw error;
  }
}

function farEnd(device: string, { tap, replay }: WireSpec, { linked, alarm, clock }: WireSurroundings): AttachedWire {
  const link = linked[device];
  if (link !== undefined) return new WireEnd(link.end, () => ring(link.peer));
  if (tap !== undefined) return openTap(tap, alarm);
  return replay === undefined ? OPEN_END : new PlayedWire(replay, clock);
}
