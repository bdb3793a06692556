// IEEE 802.1Q-2018, from the ports of a switch.
import { describe, expect, it } from 'vitest';
import type { VlanMembership } from '../../contracts/index.ts';
import { Packet, type StationAddress } from './packet.ts';
import { EthernetSwitch, type SwitchPortDescription } from './switch.ts';
import { counting, EVERYONE, frame, GUEST, offloadHeader, PEER, tagged, THIRD } from './testing.ts';

const ACCESS_1: VlanMembership = { mode: 'access', vlan: 1 };
const STORM = { broadcast: 1000, multicast: 1000, unknown: 1000 };

function port(name: string, address?: StationAddress, membership = ACCESS_1): SwitchPortDescription {
  return { name, membership, storm: STORM, ...(address === undefined ? {} : { address }) };
}

/** A switch, and what left it. */
class Lab {
  readonly left: { port: string; bytes: Uint8Array }[] = [];
  readonly full = new Set<string>();
  readonly switch: EthernetSwitch;
  readonly #ports: readonly SwitchPortDescription[];
  readonly #packet = new Packet();
  now = 0;

  constructor(...ports: readonly SwitchPortDescription[]) {
    this.#ports = ports;
    const outletOf = (name: string) => ({
      deliver: (packet: Packet): boolean => {
        if (this.full.has(name)) return false;
        this.left.push({ port: name, bytes: Uint8Array.from(packet.frameBytes()) });
        return true;
      },
    });
    this.switch = new EthernetSwitch(ports.map((description) => ({ description, outlet: outletOf(description.name) })), { mtu: 1500 });
  }

  /** Where a frame that comes in at a port goes. */
  send(name: string, bytes: Uint8Array): string {
    const first = this.left.length;
    this.#packet.incoming.set(Uint8Array.of(...offloadHeader(), ...bytes));
    this.#packet.taken(12 + bytes.length);
    this.switch.receive(this.#ports.findIndex((description) => description.name === name), this.#packet, this.now);
    return this.left.slice(first).map((entry) => entry.port).join(' ');
  }

  counters(name: string) {
    return this.switch.counters(this.#ports.findIndex((description) => description.name === name));
  }
}

const DATA = counting(50);

describe('forwarding', () => {
  it('takes a frame to the station it is for, and a broadcast to all others', () => {
    const lab = new Lab(port('a', GUEST), port('b', PEER), port('c', THIRD));
    const bytes = frame(PEER, GUEST, 0x88b5, DATA);
    expect(lab.send('a', bytes)).toBe('b');
    expect(lab.left[0]?.bytes).toEqual(bytes);
    expect(lab.send('a', frame(EVERYONE, GUEST, 0x88b5, DATA))).toBe('b c');
    expect(lab.counters('a')).toMatchObject({ framesIn: 2, bytesIn: 128, framesOut: 0 });
    expect(lab.counters('b')).toMatchObject({ framesIn: 0, framesOut: 2, bytesOut: 128 });
  });

  it('learns who is behind an uplink, and floods what it does not know (§8.7)', () => {
    const lab = new Lab(port('a', GUEST), port('b', PEER), port('up'));
    const far = 0x0200_0000_00ff;
    expect(lab.send('a', frame(far, GUEST, 0x88b5, DATA))).toBe('b up');
    expect(lab.send('up', frame(GUEST, far, 0x88b5, DATA))).toBe('a');
    expect(lab.send('a', frame(far, GUEST, 0x88b5, DATA))).toBe('up');
    lab.switch.unplug(2);
    expect(lab.send('a', frame(far, GUEST, 0x88b5, DATA))).toBe('b up');
  });

  it('never sends a frame back to where it came from', () => {
    const lab = new Lab(port('a', GUEST), port('up'));
    lab.send('up', frame(GUEST, 0x0200_0000_00ff, 0x88b5, DATA));
    expect(lab.send('up', frame(0x0200_0000_00ff, 0x0200_0000_00fe, 0x88b5, DATA))).toBe('');
  });

  it('keeps to the link what belongs to the link (§8.6.3)', () => {
    const lab = new Lab(port('a', GUEST), port('b', PEER));
    for (const last of [0x00, 0x01, 0x0e]) expect(lab.send('a', frame(0x0180_c200_0000 + last, GUEST, 0x88cc, DATA))).toBe('');
    expect(lab.counters('a').linkLocal).toBe(3);
    expect(lab.send('a', frame(0x0180_c200_0010, GUEST, 0x88cc, DATA))).toBe('b');
  });

  it('counts what a receiver has no room for, at both ends', () => {
    const lab = new Lab(port('a', GUEST), port('b', PEER), port('c', THIRD));
    lab.full.add('b');
    expect(lab.send('a', frame(EVERYONE, GUEST, 0x88b5, DATA))).toBe('c');
    expect([lab.counters('a').lost, lab.counters('b').missed, lab.counters('c').framesOut]).toEqual([1, 1, 1]);
  });
});

describe('a port believes nobody', () => {
  it.each([
    ['a neighbour’s address', PEER],
    ['an address nobody has', 0x0200_0000_00aa],
  ])('%s as source is dropped and counted', (_, source) => {
    const lab = new Lab(port('a', GUEST), port('b', PEER), port('c', THIRD));
    expect(lab.send('a', frame(THIRD, source, 0x88b5, DATA))).toBe('');
    expect(lab.counters('a').spoofed).toBe(1);
    expect(lab.send('c', frame(PEER, THIRD, 0x88b5, DATA))).toBe('b');
  });

  it('an uplink cannot take over a granted address', () => {
    const lab = new Lab(port('a', GUEST), port('b', PEER), port('up'));
    expect(lab.send('up', frame(PEER, GUEST, 0x88b5, DATA))).toBe('');
    expect([lab.counters('up').spoofed, lab.send('b', frame(GUEST, PEER, 0x88b5, DATA))]).toEqual([1, 'a']);
  });

  it.each([
    ['shorter than a header', Uint8Array.of(1, 2, 3)],
    ['from a group of stations', frame(PEER, 0x0300_0000_0001, 0x88b5, DATA)],
    ['longer than the MTU', frame(PEER, GUEST, 0x88b5, counting(1501))],
  ])('a frame %s is dropped and counted', (_, bytes) => {
    const lab = new Lab(port('a', GUEST), port('b', PEER));
    expect(lab.send('a', bytes)).toBe('');
    expect(lab.counters('a').malformed).toBe(1);
  });

  it('limits what goes to everybody, per second and kind, and nothing else', () => {
    const lab = new Lab({ ...port('a', GUEST), storm: { broadcast: 100, multicast: 20, unknown: 50 } }, port('b', PEER), port('c', THIRD));
    const passed = (to: StationAddress): number => {
      let count = 0;
      for (let i = 0; i < 1000; i++) if (lab.send('a', frame(to, GUEST, 0x88b5, DATA)) !== '') count++;
      return count;
    };
    // A tenth of a second's worth at once …
    expect([passed(EVERYONE), passed(0x0100_5e00_0001), passed(0x0200_0000_0077), passed(PEER)]).toEqual([10, 2, 5, 1000]);
    // … and as much again later.
    lab.now += 50e6;
    expect([passed(EVERYONE), passed(0x0100_5e00_0001)]).toEqual([5, 1]);
    expect(lab.counters('a')).toMatchObject({ broadcastStorm: 1985, multicastStorm: 1997, unknownStorm: 995 });
    expect(lab.send('b', frame(EVERYONE, PEER, 0x88b5, DATA))).toBe('a c');
  });
});

describe('VLANs', () => {
  const vlan = (id: number): VlanMembership => ({ mode: 'access', vlan: id });
  const trunk = (allowed?: number[], native = 1): VlanMembership => ({ mode: 'trunk', native, ...(allowed === undefined ? {} : { allowed }) });

  it('keep stations apart, broadcasts and known addresses included', () => {
    const lab = new Lab(port('a', GUEST, vlan(10)), port('b', PEER, vlan(20)), port('c', THIRD, vlan(10)));
    expect(lab.send('a', frame(EVERYONE, GUEST, 0x88b5, DATA))).toBe('c');
    expect(lab.send('a', frame(PEER, GUEST, 0x88b5, DATA))).toBe('c'); // unknown here: flooded in its VLAN
    expect(lab.send('b', frame(EVERYONE, PEER, 0x88b5, DATA))).toBe('');
  });

  it('are tagged where they meet, and untagged where they end (§6.9, §9.6)', () => {
    const lab = new Lab(port('a', GUEST, vlan(10)), port('t', PEER, trunk([10, 20])));
    lab.send('a', frame(PEER, GUEST, 0x88b5, DATA));
    expect(lab.left.pop()).toEqual({ port: 't', bytes: tagged(PEER, GUEST, 10, 0x88b5, DATA) });
    expect(lab.send('t', tagged(GUEST, PEER, 0xa00a, 0x88b5, DATA))).toBe('a');
    expect(lab.left.pop()?.bytes).toEqual(frame(GUEST, PEER, 0x88b5, DATA));
  });

  it('leave a trunk untagged when they are its native one', () => {
    const lab = new Lab(port('a', GUEST, vlan(7)), port('t', PEER, trunk([8], 7)));
    lab.send('a', frame(PEER, GUEST, 0x88b5, DATA));
    expect(lab.left.pop()?.bytes).toEqual(frame(PEER, GUEST, 0x88b5, DATA));
    expect(lab.send('t', frame(GUEST, PEER, 0x88b5, DATA))).toBe('a');
  });

  it.each([
    ['a tag at an access port', vlan(10), tagged(EVERYONE, GUEST, 10, 0x88b5, DATA)],
    ['a VLAN that the trunk is no member of', trunk([20]), tagged(EVERYONE, GUEST, 10, 0x88b5, DATA)],
    ['a second tag behind the native one: the way into another VLAN', trunk([20]), tagged(EVERYONE, GUEST, 1, 0x8100, [0, 10, 0x88, 0xb5, ...DATA])],
    ['a second tag behind a priority', vlan(10), tagged(EVERYONE, GUEST, 0, 0x8100, [0, 20, 0x88, 0xb5, ...DATA])],
    ['a tag that is cut off', trunk(), frame(EVERYONE, GUEST, 0x8100, [0])],
  ])('%s is refused', (_, membership, bytes) => {
    const lab = new Lab(port('a', GUEST, membership), port('b', PEER, vlan(10)), port('t', THIRD, trunk()));
    expect(lab.send('a', bytes)).toBe('');
    expect(lab.counters('a').vlanRefused).toBe(1);
  });

  it('take a priority tag for what it is (§6.9.1)', () => {
    const lab = new Lab(port('a', GUEST, vlan(10)), port('b', PEER, vlan(10)), port('t', THIRD, trunk()));
    expect(lab.send('a', tagged(EVERYONE, GUEST, 0xa000, 0x88b5, DATA))).toBe('b t');
    expect(lab.left[0]?.bytes).toEqual(frame(EVERYONE, GUEST, 0x88b5, DATA));
    expect(lab.left[1]?.bytes).toEqual(tagged(EVERYONE, GUEST, 0xa00a, 0x88b5, DATA));
  });
});
