// VIRTIO 1.2 §5.1, from the driver's side of both transports.
import { beforeEach, describe, expect, it } from 'vitest';
import { type OverTransport, TRANSPORTS, VirtioDriver } from '../virtio/testing.ts';
import { EthernetBroker } from './ethernet-broker.ts';
import { createNetworkPort, NetworkEnd } from './network-port.ts';
import { counting, EVERYONE, frame, GUEST, ip, offloadHeader, PEER, tcp } from './testing.ts';
import {
  NET_F_CSUM,
  NET_F_CTRL_RX,
  NET_F_CTRL_VQ,
  NET_F_GUEST_CSUM,
  NET_F_GUEST_TSO4,
  NET_F_HOST_TSO4,
  NET_F_MRG_RXBUF,
  NET_F_STATUS,
  VirtioNet,
} from './virtio-net.ts';

const [RX, TX, CTRL] = [0, 1, 2];
const STORM = { broadcast: 1000, multicast: 1000, unknown: 1000 };
const PLAIN = offloadHeader();

describe.each(TRANSPORTS)('virtio-net over %s', (_, over: OverTransport) => {
  let device: VirtioNet;
  let end: NetworkEnd;
  let peer: NetworkEnd;
  let broker: EthernetBroker;
  let driver: VirtioDriver;

  beforeEach(() => {
    const ports = [GUEST, PEER].map((address) => ({
      description: { name: 'x', address, membership: { mode: 'access', vlan: 1 } as const, storm: STORM },
      buffers: createNetworkPort({ address, mtu: 1500 }),
      share: { weight: 1 },
      depth: 64,
      wake: () => undefined,
    }));
    broker = new EthernetBroker({ ports, mtu: 1500, now: () => 0 });
    [end, peer] = ports.map(({ buffers, depth }) => new NetworkEnd(buffers, depth, () => undefined)) as [NetworkEnd, NetworkEnd];
    device = new VirtioNet(end);
    driver = VirtioDriver.on(device, over);
  });

  const settle = (): void => {
    for (let i = 0; i < 2; i++) {
      while (broker.round() === 0);
      end.admit();
      peer.admit();
    }
  };
  const start = (features = 0n, queueSize = 16): void => {
    driver.start(features, queueSize);
    settle();
  };
  /** What the neighbour hears. */
  const heard = (): Uint8Array | undefined => {
    const target = new Uint8Array(70_000);
    const length = peer.receiveRecord(target);
    return length === 0 ? undefined : target.slice(0, length);
  };

  it('shows the address of the grant, the MTU and one pair of queues (§5.1.4)', () => {
    start(NET_F_STATUS);
    const bytes = Array.from({ length: 12 }, (_, offset) => driver.access.readConfig(offset, 1));
    expect(bytes).toEqual([2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0xdc, 0x05]);
    driver.access.writeConfig(0, 1, 0x66);
    expect(driver.access.readConfig(0, 1)).toBe(2);
  });

  it('tells its driver when the link comes up', () => {
    driver.start(NET_F_STATUS);
    expect([driver.access.readConfig(6, 2), driver.access.interrupts()]).toEqual([0, 0]);
    settle();
    expect([driver.access.readConfig(6, 2), driver.access.interrupts() & 2]).toEqual([1, 2]);
  });

  it('sends a frame, however it is split, and gives its buffers back (§5.1.6.2)', () => {
    start();
    const bytes = frame(PEER, GUEST, 0x88b5, counting(100));
    driver.queue(TX).send({ readable: [Uint8Array.from(PLAIN), bytes.subarray(0, 20), bytes.subarray(20)] });
    expect(driver.queue(TX).take()).toHaveLength(1);
    settle();
    expect(heard()?.subarray(12)).toEqual(bytes);
  });

  it('holds a frame for which the network has no room in its queue, and sends it later', () => {
    start(0n, 256);
    const record = Uint8Array.of(...PLAIN, ...frame(PEER, GUEST, 0x88b5, counting(50)));
    for (let i = 0; i < 100; i++) driver.queue(TX).send({ readable: [record] });
    expect(driver.queue(TX).take()).toHaveLength(64);
    settle();
    expect(driver.queue(TX).take()).toHaveLength(36);
  });

  it('drops what is no frame, without harm to the next one', () => {
    start();
    driver.queue(TX).send({ readable: [Uint8Array.from(PLAIN)] });
    driver.queue(TX).send({ writable: [100] });
    driver.queue(TX).send({ readable: [Uint8Array.of(...PLAIN, ...frame(PEER, GUEST, 0x88b5, [1, 2, 3]))] });
    settle();
    expect([driver.queue(TX).take().length, heard()?.length, device.counters.malformed]).toEqual([3, 12 + 17, 2]);
  });

  it('receives a frame with its header (§5.1.6.4)', () => {
    start();
    driver.queue(RX).send({ writable: [12, 1514] });
    const bytes = frame(GUEST, PEER, 0x88b5, counting(80));
    peer.send(bytes);
    settle();
    const [used] = driver.queue(RX).take();
    expect([used?.written, [...used!.data.subarray(0, 12)], used?.data.subarray(12, 12 + bytes.length)]).toEqual([12 + bytes.length, [...PLAIN.slice(0, 10), 1, 0], bytes]);
    expect(driver.access.interrupts() & 1).toBe(1);
  });

  it('keeps a frame until there is a buffer for it', () => {
    start();
    for (const last of [1, 2]) peer.send(frame(GUEST, PEER, 0x88b5, counting(80, last)));
    settle();
    driver.queue(RX).send({ writable: [1526] });
    expect(driver.queue(RX).take().map(({ data }) => data[26])).toEqual([1]);
    driver.queue(RX).send({ writable: [1526] });
    expect(driver.queue(RX).take().map(({ data }) => data[26])).toEqual([2]);
  });

  it('spreads a large packet over as many buffers as it takes (VIRTIO_NET_F_MRG_RXBUF)', () => {
    start(NET_F_MRG_RXBUF | NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_HOST_TSO4 | NET_F_GUEST_TSO4);
    const large = frame(GUEST, PEER, 0x0800, tcp({ from: ip('10.0.0.1'), to: ip('10.0.0.2') }, { fromPort: 1, toPort: 2, sequence: 0, flags: 0x10 }, counting(3000)));
    const header = offloadHeader({ flags: 1, segmentation: 1, segmentSize: 1400, headerLength: 54, start: 34, offset: 16 });
    peer.sendRecord(Uint8Array.of(...header, ...large));
    for (let i = 0; i < 2; i++) driver.queue(RX).send({ writable: [1200] });
    settle();
    expect(driver.queue(RX).take()).toEqual([]); // two are not enough
    driver.queue(RX).send({ writable: [1200] });
    const used = driver.queue(RX).take();
    expect(used.map(({ written }) => written)).toEqual([1200, 1200, 12 + large.length - 2400]);
    const whole = used.flatMap(({ data, written }) => [...data.subarray(0, written)]);
    expect(whole).toEqual([...header.slice(0, 10), 3, 0, ...large]);
  });

  it('gets as many frames as a driver needs that cannot take them as one', () => {
    start();
    const large = frame(GUEST, PEER, 0x0800, tcp({ from: ip('10.0.0.1'), to: ip('10.0.0.2') }, { fromPort: 1, toPort: 2, sequence: 0, flags: 0x10 }, counting(3000)));
    peer.sendRecord(Uint8Array.of(...offloadHeader({ flags: 1, segmentation: 1, segmentSize: 1400, headerLength: 54, start: 34, offset: 16 }), ...large));
    for (let i = 0; i < 4; i++) driver.queue(RX).send({ writable: [1526] });
    settle();
    expect(driver.queue(RX).take().map(({ written, data }) => [written, data[0]])).toEqual([[12 + 1454, 0], [12 + 1454, 0], [12 + 254, 0]]);
  });

  it('loses a frame that fits no buffers there can be, and goes on', () => {
    start(NET_F_MRG_RXBUF, 4);
    for (let i = 0; i < 4; i++) driver.queue(RX).send({ writable: [10] });
    peer.send(frame(GUEST, PEER, 0x88b5, counting(80)));
    settle();
    expect([driver.queue(RX).take().map(({ written }) => written), device.counters.unfit]).toEqual([[0, 0, 0, 0], 1]);
    driver.queue(RX).send({ writable: [1526] });
    peer.send(frame(GUEST, PEER, 0x88b5, counting(80)));
    settle();
    expect(driver.queue(RX).take()).toHaveLength(1);
  });

  it('passes on what its driver asks for (§5.1.6.5)', () => {
    start(NET_F_CTRL_VQ | NET_F_CTRL_RX);
    const command = (...bytes: number[]): number => {
      driver.queue(CTRL).send({ readable: [Uint8Array.from(bytes)], writable: [1] });
      return driver.queue(CTRL).take()[0]!.data[0]!;
    };
    const passes = (bytes: Uint8Array): boolean => {
      driver.queue(RX).send({ writable: [1526] });
      peer.send(bytes);
      settle();
      return driver.queue(RX).take().length > 0;
    };
    const group = 0x0100_5e00_0001;
    expect([passes(frame(GUEST, PEER, 0x88b5, counting(50))), passes(frame(EVERYONE, PEER, 0x88b5, counting(50))), passes(frame(group, PEER, 0x88b5, counting(50)))]).toEqual([true, true, false]);
    // The table of addresses: none of stations, one group.
    expect(command(1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1)).toBe(0);
    expect(passes(frame(group, PEER, 0x88b5, counting(50)))).toBe(true);
    expect([command(0, 5, 1), passes(frame(EVERYONE, PEER, 0x88b5, counting(50)))]).toEqual([0, false]);
    expect([command(0, 0, 1), passes(frame(0x0100_5e00_0009, PEER, 0x88b5, counting(50)))]).toEqual([0, true]);
    // Nonsense is refused: unknown classes, tables that are cut off.
    expect([command(9, 0, 1), command(0, 77, 1), command(1, 0, 255, 255, 255, 255), command(2, 0, 0xff, 0x1f), command(0)]).toEqual([1, 1, 1, 1, 1]);
  });

  it('forgets everything at a reset, at any moment', () => {
    start();
    driver.queue(TX).send({ readable: [Uint8Array.of(...PLAIN, ...frame(PEER, GUEST, 0x88b5, counting(50)))] });
    peer.send(frame(GUEST, PEER, 0x88b5, counting(50)));
    driver.access.setStatus(0);
    settle();
    expect(heard()).toBeUndefined();
    start();
    driver.queue(RX).send({ writable: [1526] });
    settle();
    expect(driver.queue(RX).take()).toEqual([]);
    peer.send(frame(GUEST, PEER, 0x88b5, counting(50)));
    settle();
    expect(driver.queue(RX).take()).toHaveLength(1);
  });

  it('stands still when its driver breaks a chain, and works again after a reset', () => {
    start();
    driver.queue(TX).describe(0, 0xffff_f000, 100, 0);
    driver.queue(TX).offer(0);
    driver.access.notify(TX);
    expect(driver.access.status() & 64).toBe(64);
    start();
    driver.queue(TX).send({ readable: [Uint8Array.of(...PLAIN, ...frame(PEER, GUEST, 0x88b5, counting(50)))] });
    settle();
    expect(heard()).toBeDefined();
  });

  it('comes back from a saved state with its filters', () => {
    start(NET_F_CTRL_VQ | NET_F_CTRL_RX);
    driver.queue(CTRL).send({ readable: [Uint8Array.of(0, 5, 1)], writable: [1] });
    const saved = JSON.parse(JSON.stringify(driver.access.transport.save()));
    driver.access.transport.restore(saved);
    settle();
    driver.queue(RX).send({ writable: [1526] });
    peer.send(frame(EVERYONE, PEER, 0x88b5, counting(50)));
    peer.send(frame(GUEST, PEER, 0x88b5, counting(50)));
    settle();
    expect([driver.queue(RX).take().length, device.counters.filtered]).toEqual([1, 1]);
  });
});
