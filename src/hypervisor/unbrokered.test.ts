import { describe, expect, it } from 'vitest';
import type { Grant, LinkedPort, Partition } from '../contracts/index.ts';
import type { Cell } from './cell.ts';
import { connectUnbrokered } from './unbrokered.ts';

interface FakeCell {
  readonly spec: Pick<Partition, 'name' | 'devices'>;
  readonly link: { readonly alarm: Int32Array; share(device: string, port: LinkedPort): void };
  readonly ports: Record<string, LinkedPort>;
}

function cell(name: string, devices: Readonly<Record<string, string>>, options: Readonly<Record<string, number>> = {}): FakeCell {
  const ports: Record<string, LinkedPort> = {};
  const specs = Object.entries(devices).map(([device, shared]) => ({ name: device, model: 'ivshmem', ranges: [], irqs: [], options, shared }));
  return {
    spec: { name, devices: specs },
    link: { alarm: new Int32Array(new SharedArrayBuffer(4)), share: (device, port) => void (ports[device] = port) },
    ports,
  };
}

const rw = (partition: string): Grant => ({ partition, access: 'rw' });

describe('memory that partitions share', () => {
  it('is one piece for all who were granted it, numbered in the order of the grants', () => {
    const [a, b] = [cell('a', { mem: 'state' }), cell('b', { m: 'state' }, { vectors: 2 })];
    const grants: Grant[] = [{ partition: 'b', access: 'ro', doorbellsPerSecond: 50 }, rw('a')];
    connectUnbrokered({ shared: [{ name: 'state', kind: 'memory', size: 4096, grants }] }, [a, b] as unknown as Cell[]);
    const [atA, atB] = [a.ports['mem'], b.ports['m']];
    expect([atA?.channel?.id, atB?.channel?.id]).toEqual([1, 0]);
    expect(atA?.port.lanes['memory']).toBe(atB?.port.lanes['memory']);
    expect(atA?.port.lanes['memory']?.byteLength).toBe(4096);
    expect(atA?.channel?.members).toEqual([
      { writable: false, vectors: 2, doorbellsPerSecond: 50 },
      { writable: true, vectors: 4, doorbellsPerSecond: 10_000 },
    ]);
    expect(atA?.channel?.alarms).toEqual([b.link.alarm, a.link.alarm]);
  });

  it('counts who was granted it and has no device: he has a number and hears nothing', () => {
    const [a, b] = [cell('a', { mem: 'state' }), cell('b', {})];
    connectUnbrokered({ shared: [{ name: 'state', kind: 'memory', size: 4096, grants: [rw('b'), rw('a')] }] }, [a, b] as unknown as Cell[]);
    expect([a.ports['mem']?.channel?.id, a.ports['mem']?.channel?.members[0]?.vectors, b.ports]).toEqual([1, 0, {}]);
  });

  it('reaches nobody who was not granted it', () => {
    const [a, b] = [cell('a', { mem: 'state' }), cell('b', { mem: 'state' })];
    connectUnbrokered({ shared: [{ name: 'state', kind: 'memory', size: 4096, grants: [rw('a')] }] }, [a, b] as unknown as Cell[]);
    expect(b.ports).toEqual({});
  });
});

describe('random numbers', () => {
  it('come to each device by its own grant', () => {
    const a = cell('a', { rng: 'random' });
    const grant: Grant = { ...rw('a'), rate: { bytesPerSecond: 100 } };
    connectUnbrokered({ shared: [{ name: 'random', kind: 'entropy', grants: [grant] }] }, [a] as unknown as Cell[]);
    expect([a.ports['rng']?.kind, a.ports['rng']?.grant]).toEqual(['entropy', grant]);
  });
});
