// RFC 9293 and its companions, from a guest's side of the gateway.
import { describe, expect, it } from 'vitest';
import { ascii, bytesOf, counting, frame, GUEST, ip, offloadHeader, PEER, tcp } from '../testing.ts';
import { type FakeStream, GATEWAY, GATEWAY_IP, GUEST_IP, type Heard, NatLab, SERVER_IP } from './testing.ts';

const [FIN, SYN, RST, PSH, ACK] = [1, 2, 4, 8, 16];
const WITH_OPTIONS = [2, 4, 5, 180, 1, 3, 3, 7];
const START = 1_000_000;

const text = (bytes: readonly number[]): string => String.fromCharCode(...bytes);

/** A connection of a guest to a server, seen from the guest. */
class Client {
  readonly lab: NatLab;
  readonly stream: FakeStream;
  sequence = START + 1;
  acknowledgement: number;
  readonly synAck: Heard;

  constructor(lab = new NatLab(), options: readonly number[] = WITH_OPTIONS) {
    this.lab = lab;
    expect(lab.tcp({ sequence: START, flags: SYN, options })).toEqual([]);
    this.stream = lab.host.streams.at(-1)!;
    this.stream.events.opened();
    this.synAck = lab.heard.at(-1)!;
    this.acknowledgement = (this.synAck.sequence + 1) >>> 0;
    this.send(ACK);
  }

  send(flags: number, data: readonly number[] = [], window = 0xffff): Heard[] {
    const said = this.lab.tcp({ sequence: this.sequence, acknowledgement: this.acknowledgement, flags, window }, data);
    this.sequence = (this.sequence + data.length + (flags & FIN ? 1 : 0)) >>> 0;
    return said;
  }

  /** What the server sends; what the guest hears of it. */
  serve(bytes: readonly number[]): Heard[] {
    const first = this.lab.heard.length;
    this.stream.events.data(Uint8Array.from(bytes));
    return this.lab.heard.slice(first);
  }

  /** Acknowledges everything up to the end of `heard`. */
  take(heard: Heard): Heard[] {
    this.acknowledgement = (heard.sequence + heard.data.length + (heard.flags.includes('F') ? 1 : 0)) >>> 0;
    return this.send(ACK);
  }
}

describe('opening', () => {
  it('is answered once the host’s connection stands, with our options (RFC 7323: scaling only if it was offered)', () => {
    const { synAck, stream } = new Client();
    expect(stream.to).toEqual({ address: SERVER_IP, port: 80 });
    expect([synAck.flags, synAck.acknowledgement, synAck.from, synAck.fromPort]).toEqual(['SA', START + 1, SERVER_IP, 80]);
    expect([...synAck.bytes.subarray(54)]).toEqual([2, 4, 5, 180, 1, 3, 3, 3]);
    expect([...new Client(new NatLab(), []).synAck.bytes.subarray(54)]).toEqual([2, 4, 5, 180]);
  });

  it('that nobody answers is refused', () => {
    const lab = new NatLab();
    lab.tcp({ sequence: START, flags: SYN });
    lab.host.streams[0]?.events.closed('refused');
    expect([lab.heard[0]?.flags, lab.heard[0]?.acknowledgement, lab.nat.flows]).toEqual(['RA', START + 1, 0]);
  });

  it('is one connection, however often the SYN comes', () => {
    const lab = new NatLab();
    for (let i = 0; i < 5; i++) lab.tcp({ sequence: START, flags: SYN });
    expect([lab.host.streams.length, lab.nat.flows]).toEqual([1, 1]);
    lab.host.streams[0]?.events.opened();
    const [again] = lab.tcp({ sequence: START, flags: SYN });
    expect(again?.flags).toBe('SA');
  });

  it('is given up when the guest does not answer', () => {
    const lab = new NatLab();
    lab.tcp({ sequence: START, flags: SYN });
    lab.host.streams[0]?.events.opened();
    for (let i = 0; i < 200; i++) lab.pass(1e9);
    // Six times the SYN, twice as long after each (RFC 6298 §5.5), and a farewell.
    expect(lab.heard.map(({ flags }) => flags)).toEqual(['SA', 'SA', 'SA', 'SA', 'SA', 'SA', 'RA']);
    expect([lab.nat.flows, lab.host.streams[0]?.destroyed]).toEqual([0, true]);
  });

  it.each([
    ['the host’s loopback by its own address', ip('127.0.0.1')],
    ['a port of the gateway that is not open', GATEWAY_IP],
  ])('to %s is refused at once', (_, to) => {
    const lab = new NatLab({ loopback: [8080] });
    const [reply] = lab.tcp({ sequence: START, flags: SYN }, [], to);
    expect([reply?.flags, lab.host.streams.length]).toEqual(['RA', 0]);
  });

  it('to a port of the gateway that is open reaches the host’s loopback', () => {
    const lab = new NatLab({ loopback: [80] });
    lab.tcp({ sequence: START, flags: SYN }, [], GATEWAY_IP);
    expect(lab.host.streams[0]?.to).toEqual({ address: ip('127.0.0.1'), port: 80 });
  });

  it('is bounded per guest', () => {
    const lab = new NatLab({ stations: [{ name: 'a', station: GUEST, owner: 0 }, { name: 'b', station: PEER, owner: 1 }] });
    const replies = Array.from({ length: 300 }, (_, i) => lab.tcp({ sequence: START, flags: SYN, fromPort: 1000 + i })[0]?.flags);
    expect([lab.nat.flows, replies[255], replies[256], lab.nat.counters.exhausted]).toEqual([256, undefined, 'RA', 44]);
    lab.send(frame(GATEWAY, PEER, 0x0800, tcp({ from: GUEST_IP + 1, to: SERVER_IP }, { fromPort: 1, toPort: 80, sequence: 1, flags: SYN })), offloadHeader(), 1);
    expect(lab.nat.flows).toBe(257);
    lab.nat.unplug(0);
    expect([lab.nat.flows, lab.host.streams[0]?.destroyed, lab.host.streams.at(-1)?.destroyed]).toEqual([1, true, false]);
  });
});

describe('data', () => {
  it('of the guest is written to the host, acknowledged, and never twice', () => {
    const client = new Client();
    const [reply] = client.send(ACK | PSH, ascii('GET / '));
    expect([reply?.flags, reply?.acknowledgement]).toEqual(['A', START + 7]);
    client.sequence -= 3; // sent again, with something new behind
    client.send(ACK, ascii(' / HTTP/1.0'));
    expect(text(client.stream.written)).toBe('GET / HTTP/1.0');
  });

  it('of the guest that comes out of order is asked for again', () => {
    const client = new Client();
    client.sequence += 100;
    const [reply] = client.send(ACK, ascii('later'));
    expect([reply?.flags, reply?.acknowledgement, client.stream.written]).toEqual(['A', START + 1, []]);
  });

  it('of the server goes to the guest in segments it takes (RFC 9293 §3.7.1)', () => {
    const client = new Client(new NatLab(), [2, 4, ...bytesOf(1000, 2)]);
    const heard = client.serve(counting(2500));
    expect(heard.map(({ data }) => data.length)).toEqual([1000, 1000, 500]);
    expect(heard.flatMap(({ data }) => data)).toEqual(counting(2500));
    expect(heard.at(-1)?.flags).toBe('PA');
  });

  it('of the server waits for the guest’s window, and goes on when it opens', () => {
    const client = new Client();
    client.send(ACK, [], 10); // scaled by 2^7: 1,280 bytes
    const heard = client.serve(counting(5000));
    expect(heard.reduce((sum, { data }) => sum + data.length, 0)).toBe(1280);
    client.acknowledgement += 1280;
    const more = client.send(ACK, [], 100);
    expect(more.flatMap(({ data }) => data)).toEqual(counting(3720, 1280));
  });

  it('meets a window that shut: it is probed until it opens (§3.8.6.1)', () => {
    const client = new Client();
    client.send(ACK, [], 0);
    expect(client.serve(ascii('waiting'))).toEqual([]);
    const probe = client.lab.pass(2e9).at(-1)!;
    expect(text(probe.data)).toBe('w');
    for (let i = 0; i < 40; i++) {
      client.lab.pass(31e9);
      client.send(ACK, [], 0);
    }
    expect(client.stream.destroyed).toBe(false);
    const opened = client.send(ACK, [], 100);
    expect(text(opened.flatMap(({ data }) => data))).toBe('waiting');
  });

  it('pauses the host when the guest takes nothing, and lets it go on', () => {
    const client = new Client();
    for (let i = 0; i < 5 && !client.stream.paused; i++) client.serve(counting(65_536));
    expect(client.stream.paused).toBe(true);
    for (let i = 0; i < 400 && client.stream.paused; i++) client.take(client.lab.heard.at(-1)!);
    expect(client.stream.paused).toBe(false);
  });

  it('shuts the guest’s window when the host takes nothing, and tells when it does', () => {
    const client = new Client();
    client.stream.waiting = 250_000;
    const [reply] = client.send(ACK, counting(100));
    const edge = (reply!.window << 3) + reply!.acknowledgement;
    client.stream.waiting = 262_144;
    const [later] = client.send(ACK, counting(100));
    // The right edge never moves back (§3.8.6).
    expect((later!.window << 3) + later!.acknowledgement).toBeGreaterThanOrEqual(edge - 8);
    client.stream.waiting = 0;
    client.stream.events.drained();
    expect((client.lab.heard.at(-1)!.window << 3)).toBeGreaterThan(200_000);
  });

  it('from a guest is checked', () => {
    const client = new Client();
    const packet = tcp({ from: GUEST_IP, to: SERVER_IP }, { fromPort: 40_000, toPort: 80, sequence: client.sequence, acknowledgement: client.acknowledgement, flags: ACK }, ascii('x'));
    client.lab.ip(packet.with(40, 0x79));
    expect([client.lab.nat.counters.malformed, client.stream.written]).toEqual([1, []]);
    // Left to compute by the sender, it needs no check.
    client.lab.send(frame(GATEWAY, GUEST, 0x0800, packet.with(40, 0x79)), offloadHeader({ flags: 1, start: 34, offset: 16 }));
    expect(text(client.stream.written)).toBe('y');
  });
});

describe('loss', () => {
  it('is made good after a time-out, slowly at first (RFC 6298, RFC 5681 §3.1)', () => {
    const client = new Client();
    const lost = client.serve(counting(5000));
    const again = client.lab.pass(1.1e9);
    expect(again.map(({ sequence, data }) => [sequence, data.length])).toEqual([[lost[0]!.sequence, 1460]]);
    const rest: Heard[] = [];
    for (let heard = again; heard.length > 0; heard = client.take(heard.at(-1)!)) rest.push(...heard);
    expect(rest.flatMap(({ data }) => data)).toEqual(counting(5000));
  });

  it('is made good at once after three duplicate acknowledgements (RFC 5681 §3.2)', () => {
    const client = new Client();
    const [first] = client.serve(counting(10_000));
    const said = [client.send(ACK), client.send(ACK), client.send(ACK)];
    expect(said[1]).toEqual([]);
    expect(said[2]?.[0]?.sequence).toBe(first?.sequence);
    expect(said[2]?.[0]?.data).toEqual(first?.data);
  });

  it('of everything ends the connection in the end, and tells both sides', () => {
    const client = new Client();
    client.serve(ascii('anybody?'));
    for (let i = 0; i < 400; i++) client.lab.pass(1e9);
    expect([client.lab.heard.at(-1)?.flags, client.stream.destroyed, client.lab.nat.flows]).toEqual(['RA', true, 0]);
  });

  it('of the last segment and its FIN brings both back', () => {
    const client = new Client();
    client.serve(counting(3000));
    client.stream.events.ended();
    const lost = client.lab.heard.at(-1)!;
    expect(lost.flags).toContain('F');
    const rest: Heard[] = [];
    for (let heard = client.lab.pass(1.1e9); heard.length > 0; heard = client.take(heard.at(-1)!)) rest.push(...heard);
    expect(rest.flatMap(({ data }) => data)).toEqual(counting(3000));
    expect(rest.at(-1)?.flags).toContain('F');
  });

  it.each([0.02, 0.2])('of %f of all segments, each way, changes nothing of what arrives', (rate) => {
    const client = new Client();
    let random = 4711;
    const isLost = (): boolean => (random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32 < rate;
    const sent = counting(300_000);
    const received: number[] = [];
    let heard = client.lab.heard.length;
    let expected = client.acknowledgement;
    let offset = 0;
    for (let step = 0; step < 4000 && received.length < sent.length; step++) {
      if (!client.stream.paused && offset < sent.length) client.serve(sent.slice(offset, (offset += 50_000)));
      for (; heard < client.lab.heard.length && heard < 100_000; heard++) {
        const segment = client.lab.heard[heard]!;
        if (isLost()) continue;
        const skip = (expected - segment.sequence) | 0;
        if (skip >= 0 && skip < segment.data.length) {
          received.push(...segment.data.slice(skip));
          expected = (segment.sequence + segment.data.length) >>> 0;
        }
        client.acknowledgement = expected;
        if (!isLost()) client.send(ACK);
      }
      client.lab.pass(50e6);
    }
    expect(received.length).toBe(sent.length);
    expect(Buffer.compare(Buffer.from(received), Buffer.from(sent))).toBe(0);
  });
});

describe('closing', () => {
  it('by the guest first: its data arrives, the server may go on, then it is over', () => {
    const client = new Client();
    const [reply] = client.send(FIN | ACK, ascii('last words'));
    expect([reply?.acknowledgement, text(client.stream.written), client.stream.ended]).toEqual([START + 12, 'last words', true]);
    const [answer] = client.serve(ascii('answer'));
    client.take(answer!);
    client.stream.events.ended();
    const fin = client.lab.heard.at(-1)!;
    expect(fin.flags).toBe('FA');
    client.stream.events.closed('done');
    client.take(fin);
    client.lab.pass(6e9);
    expect([client.lab.nat.flows, client.stream.destroyed]).toEqual([0, false]);
  });

  it('by the server first: a FIN that comes again is acknowledged again (TIME-WAIT)', () => {
    const client = new Client();
    client.stream.events.ended();
    client.take(client.lab.heard.at(-1)!);
    client.send(FIN | ACK);
    client.stream.events.closed('done');
    client.sequence--;
    const [again] = client.send(FIN | ACK);
    expect([again?.flags, again?.acknowledgement]).toEqual(['A', START + 2]);
    for (let i = 0; i < 6; i++) client.lab.pass(1e9);
    expect(client.lab.nat.flows).toBe(0);
  });

  it('waits for what the host has not taken yet', () => {
    const client = new Client();
    client.stream.events.ended();
    client.take(client.lab.heard.at(-1)!);
    client.stream.waiting = 1000;
    client.send(FIN | ACK, ascii('precious'));
    for (let i = 0; i < 30; i++) client.lab.pass(1e9);
    expect(client.stream.destroyed).toBe(false);
    client.stream.events.closed('done');
    for (let i = 0; i < 6; i++) client.lab.pass(1e9);
    expect(client.lab.nat.flows).toBe(0);
  });

  it('by a reset goes through to the other side, both ways', () => {
    const one = new Client();
    expect([one.send(RST), one.stream.destroyed, one.lab.nat.flows]).toEqual([[], true, 0]);
    const other = new Client();
    other.stream.events.closed('reset');
    expect([other.lab.heard.at(-1)?.flags, other.lab.nat.flows]).toEqual(['RA', 0]);
  });

  it('is not brought about by a guess (RFC 5961): resets and SYNs beside the mark are only answered', () => {
    const client = new Client();
    client.sequence += 1000;
    expect(client.send(RST)[0]?.flags).toBe('A');
    client.sequence -= 1000;
    expect(client.send(SYN)[0]?.flags).toBe('A');
    client.sequence -= 70_000;
    expect(client.send(RST)).toEqual([]);
    expect(client.stream.destroyed).toBe(false);
  });

  it('is what a segment for no connection gets (RFC 9293 §3.10.7.1)', () => {
    const lab = new NatLab();
    const [reset] = lab.tcp({ sequence: 5, acknowledgement: 77, flags: ACK });
    expect([reset?.flags, reset?.sequence]).toEqual(['R', 77]);
    expect(lab.tcp({ sequence: 5, flags: RST })).toEqual([]);
  });

  it('comes to those who say nothing for two hours (RFC 5382 REQ-5)', () => {
    const client = new Client();
    client.lab.pass(7400e9);
    expect(client.lab.nat.flows).toBe(1);
    client.lab.pass(100e9);
    expect([client.lab.nat.flows, client.lab.heard.at(-1)?.flags]).toEqual([0, 'RA']);
  });
});

describe('a forwarded port', () => {
  it('opens a connection to the guest, from the gateway', () => {
    const lab = new NatLab({ forwards: [{ hostPort: 2222, station: 0, guestPort: 22, protocol: 'tcp' }] });
    const written: number[] = [];
    let isPaused = false;
    const stream = { write: (bytes: Uint8Array) => written.push(...bytes), waiting: 0, pause: () => (isPaused = true), resume: () => (isPaused = false), end: () => undefined, destroy: () => undefined };
    const events = lab.host.listeners.get(2222)!(stream)!;
    const syn = lab.heard[0]!;
    expect([syn.flags, syn.from, syn.to, syn.toPort, isPaused]).toEqual(['S', GATEWAY_IP, GUEST_IP, 22, true]);
    const ends = { fromPort: 22, toPort: syn.fromPort };
    const [ack] = lab.tcp({ ...ends, sequence: 500, acknowledgement: syn.sequence + 1, flags: SYN | ACK, options: WITH_OPTIONS }, [], GATEWAY_IP);
    expect([ack?.flags, ack?.acknowledgement, isPaused]).toEqual(['A', 501, false]);
    events.data(Uint8Array.from(ascii('SSH-2.0')));
    expect(text(lab.heard.at(-1)!.data)).toBe('SSH-2.0');
    lab.tcp({ ...ends, sequence: 501, acknowledgement: syn.sequence + 8, flags: ACK }, ascii('hi'), GATEWAY_IP);
    expect(text(written)).toBe('hi');
  });
});
