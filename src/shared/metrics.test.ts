import { describe, expect, it } from 'vitest';
import { KiB, s } from '../base/index.ts';
import { ManualClock } from '../board/index.ts';
import type { LinkedPort } from '../contracts/index.ts';
import { ChannelEnd, createChannel } from './channels/index.ts';
import { FLAGS, OP_DISCARD, OP_READ, OP_WRITE, OPERATION, putSector, SECTORS } from './disk/disk-request.ts';
import { TestDisk } from './disk/testing.ts';
import { EntropyEnd } from './entropy/index.ts';
import { EthernetBroker, type EthernetPort } from './ethernet/ethernet-broker.ts';
import { createNetworkPort, NetworkEnd } from './ethernet/network-port.ts';
import { counting, EVERYONE, frame, GUEST, PEER } from './ethernet/testing.ts';
import { PORT_METRICS, readPort } from './metrics.ts';
import { PortControl } from './port.ts';

describe('what is counted for a port', () => {
  it('has a name of its own for each thing, and a unit', () => {
    for (const metrics of Object.values(PORT_METRICS)) expect(new Set(metrics.map(({ name }) => name)).size).toBe(metrics.length);
  });

  it('of a disk: requests and bytes each way, and what the grant refused, by reason', () => {
    const disk = new TestDisk([{ window: { offset: 0, size: 64 * KiB } }, { access: 'ro' }]);
    disk.serve();
    const ask = (port: number, operation: number, sector: number, sectors: number): void => {
      const { slots } = disk.ends[port]!;
      const slot = slots.acquire()!;
      const words = slots.words(slot);
      words[OPERATION] = operation;
      words[FLAGS] = 0;
      putSector(words, sector);
      words[SECTORS] = sectors;
      slots.submit(slot);
    };
    const reading = (port: number) => readPort({ kind: 'disk', port: disk.ports[port]!.port });
    for (let sector = 0; sector < 3; sector++) ask(0, OP_WRITE, sector * 8, 8);
    ask(0, OP_READ, 0, 16);
    ask(0, OP_READ, 127, 2);
    ask(0, OP_DISCARD, 1e6, 1);
    ask(0, OP_READ, 0, 1000);
    ask(0, 77, 0, 1);
    ask(1, OP_WRITE, 0, 1);
    expect(reading(0)).toMatchObject({ served: 0, waiting: 8 });
    disk.serve();
    expect(reading(0)).toEqual({
      served: 4,
      bytesIn: 12 * KiB,
      bytesOut: 8 * KiB,
      refusedAccess: 0,
      refusedWindow: 2,
      refusedForm: 2,
      refusedByDevice: 0,
      failed: 0,
      dropped: 0,
      heldBack: 0,
      waiting: 0,
    });
    expect(reading(1)).toMatchObject({ served: 0, refusedAccess: 1 });
    disk.files.failing = true;
    ask(0, OP_WRITE, 0, 8);
    disk.serve();
    expect(reading(0)).toMatchObject({ served: 4, failed: 1, bytesIn: 12 * KiB });
  });

  it('of a network: frames and bytes each way, what the switch dropped, and what waits on either side', () => {
    const membership = { mode: 'access', vlan: 1 } as const;
    const storm = { broadcast: 10, multicast: 10, unknown: 10 };
    const [one, other] = [GUEST, PEER].map((address, number) => ({
      description: { name: `p${number}`, address, membership, storm },
      buffers: createNetworkPort({ address, mtu: 1500 }),
      share: { weight: 1 },
      depth: 64,
      wake: () => undefined,
    })) as [EthernetPort, EthernetPort];
    using broker = new EthernetBroker({ ports: [one, other], mtu: 1500, now: () => 0 });
    const ends = [one, other].map(({ buffers }) => new NetworkEnd(buffers, 64, () => undefined)) as [NetworkEnd, NetworkEnd];
    const reading = ({ buffers: port }: EthernetPort) => readPort({ kind: 'ethernet', port });
    const round = (): void => {
      while (broker.round() === 0);
      for (const end of ends) end.admit();
    };
    round();
    const send = (to: number, from: number): boolean => ends[0].send(frame(to, from, 0x88b5, counting(86)));
    for (let count = 0; count < 3; count++) send(PEER, GUEST);
    send(PEER, PEER);
    for (let count = 0; count < 5; count++) send(EVERYONE, GUEST);
    expect(reading(one)).toMatchObject({ framesIn: 0, waiting: 9, undelivered: 0 });
    round();
    // Of a limit of ten a second, a tenth passes at once.
    expect(reading(one)).toMatchObject({
      framesIn: 9,
      bytesIn: 900,
      framesOut: 0,
      spoofed: 1,
      broadcastStorm: 4,
      lost: 0,
      dropped: 0,
      waiting: 0,
    });
    expect(reading(other)).toMatchObject({ framesIn: 0, framesOut: 4, bytesOut: 400, missed: 0, undelivered: 4 });
  });

  it('of memory: doorbells rung, those to nobody, and those that were not heard yet', () => {
    const alarm = new Int32Array(new SharedArrayBuffer(4));
    const member = { writable: true, vectors: 2, doorbellsPerSecond: 1000, alarm };
    const [left, right] = createChannel(4096, [member, member]).map((buffers) => ({
      buffers,
      end: new ChannelEnd(buffers, new ManualClock(), () => undefined),
    }));
    for (const vector of [0, 1, 1, 2]) left!.end.ring(1, vector);
    left!.end.ring(7, 0);
    const reading = () => readPort({ kind: 'memory', ...left!.buffers });
    expect(reading()).toEqual({ served: 3, refusedByDevice: 2, waiting: 2 });
    right!.end.admit();
    expect(reading()).toMatchObject({ waiting: 0 });
  });

  it('of random numbers: draws and bytes', () => {
    const port: LinkedPort['port'] = { control: PortControl.create(), lanes: {} };
    const end = new EntropyEnd({ grant: { partition: 'hmi', access: 'rw' }, port }, (target) => target.fill(1));
    for (const size of [16, 100]) end.fill(new Uint8Array(size));
    expect(readPort({ kind: 'entropy', port })).toEqual({ served: 2, bytesOut: 116 });
  });

  it('that the rate held something back is time', () => {
    const disk = new TestDisk([{ rate: { operationsPerSecond: 1 } }]);
    disk.serve();
    const { slots } = disk.ends[0]!;
    for (let count = 0; count < 3; count++) {
      const slot = slots.acquire()!;
      slots.words(slot).set([OP_READ, 0, 0, 0, 1]);
      slots.submit(slot);
    }
    disk.serve();
    disk.now += s / 2;
    disk.serve();
    expect(slots.control.statistics.heldBack).toBeGreaterThan(0.4 * s);
  });
});
