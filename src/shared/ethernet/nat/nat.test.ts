import { describe, expect, it } from 'vitest';
import { ascii, bytesOf, counting, EVERYONE, frame, GUEST, icmp, ip, ipv4, PEER, udp } from '../testing.ts';
import { GATEWAY, GATEWAY_IP, GUEST_IP, NatLab, RESOLVER_IP, SERVER_IP } from './testing.ts';

const arp = (operation: number, station: number, address: number, target: number): number[] => [0, 1, 8, 0, 6, 4, 0, operation, ...bytesOf(station, 6), ...bytesOf(address, 4), 0, 0, 0, 0, 0, 0, ...bytesOf(target, 4)];

describe('ARP (RFC 826)', () => {
  it.each([['the gateway', GATEWAY_IP], ['the resolver', RESOLVER_IP]])('says where %s is', (_, address) => {
    const [reply] = new NatLab().send(frame(EVERYONE, GUEST, 0x0806, arp(1, GUEST, GUEST_IP, address)));
    expect([...reply!.bytes]).toEqual([...frame(GUEST, GATEWAY, 0x0806, [0, 1, 8, 0, 6, 4, 0, 2, ...bytesOf(GATEWAY, 6), ...bytesOf(address, 4), ...bytesOf(GUEST, 6), ...bytesOf(GUEST_IP, 4)])]);
  });

  it('says nothing of other stations, nor to who lies about itself', () => {
    const lab = new NatLab();
    expect(lab.send(frame(EVERYONE, GUEST, 0x0806, arp(1, GUEST, GUEST_IP, ip('10.0.2.16'))))).toEqual([]);
    expect(lab.send(frame(EVERYONE, GUEST, 0x0806, arp(1, PEER, GUEST_IP, GATEWAY_IP)))).toEqual([]);
    expect(lab.send(frame(EVERYONE, GUEST, 0x0806, arp(1, GUEST, GATEWAY_IP, GATEWAY_IP)))).toEqual([]);
    expect([lab.nat.counters.malformed, lab.nat.counters.spoofed]).toEqual([1, 1]);
  });
});

describe('ICMP (RFC 792)', () => {
  const echo = [0x12, 0x34, 0, 1, ...ascii('are you there?')];

  it('answers pings to itself', () => {
    const [reply] = new NatLab().ip(icmp({ from: GUEST_IP, to: GATEWAY_IP }, 8, 0, echo));
    expect([reply!.from, reply!.to, reply!.bytes[34], reply!.bytes[35]]).toEqual([GATEWAY_IP, GUEST_IP, 0, 0]);
    expect([...reply!.bytes.subarray(38)]).toEqual(echo);
  });

  it('does not answer for others', () => {
    const lab = new NatLab();
    expect(lab.ip(icmp({ from: GUEST_IP, to: SERVER_IP }, 8, 0, echo))).toEqual([]);
    expect(lab.nat.counters.ignored).toBe(1);
  });

  it('says that a packet’s time is over, where it is to go on', () => {
    const [error] = new NatLab().ip(udp({ from: GUEST_IP, to: SERVER_IP, ttl: 1 }, 5, 33_434, [1]));
    expect([error!.protocol, error!.bytes[34], error!.from]).toEqual([1, 11, GATEWAY_IP]);
  });

  it('names protocols it does not pass on', () => {
    const [error] = new NatLab().ip(ipv4({ from: GUEST_IP, to: SERVER_IP, protocol: 47 }, counting(20)));
    expect([error!.bytes[34], error!.bytes[35]]).toEqual([3, 2]);
  });
});

describe('who a guest may be', () => {
  it('is itself: not a neighbour, not the gateway, not from another network', () => {
    const lab = new NatLab({ stations: [{ name: 'a', station: GUEST, owner: 0 }, { name: 'b', station: PEER, owner: 1 }] });
    const from = (address: string, station = GUEST) => lab.ip(udp({ from: ip(address), to: SERVER_IP }, 5, 6, [1]), GATEWAY, station);
    for (const address of ['10.0.2.16', '10.0.2.2', '10.0.2.255', '192.0.2.1']) from(address);
    expect([lab.nat.counters.spoofed, lab.host.datagrams.length]).toEqual([4, 0]);
    from('10.0.2.16', PEER);
    from('10.0.2.77');
    expect(lab.host.datagrams).toHaveLength(2);
    from('10.0.2.77', PEER);
    expect(lab.nat.counters.spoofed).toBe(5);
    // An address nobody granted is free again once its user is silent.
    lab.now += 61e9;
    from('10.0.2.77', PEER);
    expect(lab.nat.counters.spoofed).toBe(5);
  });

  it('cannot use up all addresses', () => {
    const lab = new NatLab();
    for (let i = 0; i < 100; i++) lab.ip(udp({ from: ip('10.0.2.100') + i, to: SERVER_IP }, 5, 6, [1]));
    expect(lab.host.datagrams).toHaveLength(16);
  });
});

describe('DHCP (RFC 2131)', () => {
  const OPTIONS = [99, 130, 83, 99];
  function message(type: number, { station = GUEST, client = 0, flags = 0, options = [] as readonly number[] } = {}): number[] {
    const fixed = [1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, ...bytesOf(flags, 2), ...bytesOf(client, 4), ...new Array(12).fill(0), ...bytesOf(station, 6), ...new Array(10).fill(0)];
    return udp({ from: client, to: 0xffff_ffff }, 68, 67, [...fixed, ...new Array(192).fill(0), ...OPTIONS, 53, 1, type, ...options, 255]);
  }
  const optionOf = (payload: number[], code: number): number[] | undefined => {
    for (let at = 240; at < payload.length && payload[at] !== 255; at += 2 + payload[at + 1]!) if (payload[at] === code) return payload.slice(at + 2, at + 2 + payload[at + 1]!);
    return undefined;
  };

  it('offers a station the address that is its own, with all it needs', () => {
    const [offer] = new NatLab().broadcast(message(1));
    const { payload } = offer!;
    expect([offer!.fromPort, offer!.toPort, offer!.from, offer!.to]).toEqual([67, 68, GATEWAY_IP, GUEST_IP]);
    expect(payload.slice(4, 8)).toEqual([0xde, 0xad, 0xbe, 0xef]);
    expect(payload.slice(16, 20)).toEqual([10, 0, 2, 15]);
    expect([53, 54, 1, 3, 6, 28, 26, 51].map((code) => optionOf(payload, code))).toEqual([
      [2], [10, 0, 2, 2], [255, 255, 255, 0], [10, 0, 2, 2], [10, 0, 2, 3], [10, 0, 2, 255], [5, 220], [0, 1, 81, 128],
    ]);
    expect(String.fromCharCode(...optionOf(payload, 12)!)).toBe('hmi');
  });

  it('confirms it, and refuses any other', () => {
    const lab = new NatLab();
    const [confirmed] = lab.broadcast(message(3, { options: [50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2] }));
    expect(optionOf(confirmed!.payload, 53)).toEqual([5]);
    const [refused] = lab.broadcast(message(3, { options: [50, 4, 10, 0, 2, 99] }));
    expect([optionOf(refused!.payload, 53), refused!.to]).toEqual([[6], 0xffff_ffff]);
    // Another server was chosen.
    expect(lab.broadcast(message(3, { options: [50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 9] }))).toEqual([]);
  });

  it('answers to everybody when asked to (§4.1)', () => {
    const [offer] = new NatLab().broadcast(message(1, { flags: 0x8000 }));
    expect([offer!.to, [...offer!.bytes.subarray(0, 6)]]).toEqual([0xffff_ffff, bytesOf(EVERYONE, 6)]);
  });

  it('gives strangers addresses of a pool, as long as there are some, and nobody another’s', () => {
    const lab = new NatLab();
    const offers = Array.from({ length: 70 }, (_, i) => {
      const station = 0x0600_0000_0000 + i;
      return lab.send(frame(EVERYONE, station, 0x0800, message(1, { station })))[0]?.payload.slice(16, 20).join('.');
    });
    expect(offers.slice(0, 2)).toEqual(['10.0.2.100', '10.0.2.101']);
    expect(new Set(offers.filter((offer) => offer !== undefined)).size).toBe(64);
    expect(offers[69]).toBeUndefined();
    expect(lab.broadcast(message(1, { station: PEER }))).toEqual([]);
  });

  it('is not led astray by options that do not end', () => {
    const lab = new NatLab();
    expect(lab.broadcast(message(1, { options: [50, 200] }))).toHaveLength(1);
    expect(lab.broadcast(udp({ from: 0, to: 0xffff_ffff }, 68, 67, counting(100)))).toEqual([]);
  });
});

describe('UDP (RFC 768, RFC 4787)', () => {
  const ask = (lab: NatLab, to: number, port: number, from = 5000) => lab.ip(udp({ from: GUEST_IP, to }, from, port, ascii('question')));

  it('goes out by a socket for each pair of endpoints, and answers come back', () => {
    const lab = new NatLab();
    ask(lab, SERVER_IP, 123);
    ask(lab, SERVER_IP, 123);
    expect(lab.host.datagrams.map(({ to, sent }) => [to, sent.length])).toEqual([[{ address: SERVER_IP, port: 123 }, 2]]);
    lab.host.datagrams[0]?.events.data(Uint8Array.from(ascii('answer')));
    const answer = lab.heard.at(-1)!;
    expect([answer.from, answer.fromPort, answer.to, answer.toPort, String.fromCharCode(...answer.payload)]).toEqual([SERVER_IP, 123, GUEST_IP, 5000, 'answer']);
  });

  it('to the resolver goes to where the host asks', () => {
    const lab = new NatLab();
    ask(lab, RESOLVER_IP, 53);
    expect(lab.host.datagrams[0]?.to).toEqual(lab.host.resolver);
    expect(ask(lab, RESOLVER_IP, 54)[0]?.bytes.slice(34, 36)).toEqual(Uint8Array.of(3, 3));
  });

  it('reaches the host’s loopback at the gateway, at ports that are open to it, and nowhere else', () => {
    const lab = new NatLab({ loopback: [5353] });
    ask(lab, GATEWAY_IP, 5353);
    expect(lab.host.datagrams.map(({ to }) => to)).toEqual([{ address: ip('127.0.0.1'), port: 5353 }]);
    expect(ask(lab, GATEWAY_IP, 5354)[0]?.bytes.slice(34, 36)).toEqual(Uint8Array.of(3, 3));
    for (const address of ['127.0.0.1', '0.0.0.0', '169.254.169.254', '224.0.0.251', '255.255.255.254']) {
      expect(ask(lab, ip(address), 5353)[0]?.bytes.slice(34, 36)).toEqual(Uint8Array.of(3, 13));
    }
    expect(lab.host.datagrams).toHaveLength(1);
    expect(lab.nat.counters.refused).toBe(6);
  });

  it('that nobody takes is said to be', () => {
    const lab = new NatLab();
    ask(lab, SERVER_IP, 9);
    lab.host.datagrams[0]?.events.refused();
    const error = lab.heard.at(-1)!;
    expect([error.bytes[34], error.bytes[35], error.from]).toEqual([3, 3, SERVER_IP]);
    // It quotes the guest's header (RFC 792): addresses and ports.
    expect([...error.bytes.subarray(54, 66)]).toEqual([...bytesOf(GUEST_IP, 4), ...bytesOf(SERVER_IP, 4), ...bytesOf(5000, 2), ...bytesOf(9, 2)]);
  });

  it('ends when it is silent for two minutes (RFC 4787 REQ-5)', () => {
    const lab = new NatLab();
    ask(lab, SERVER_IP, 123);
    lab.pass(119e9);
    expect(lab.host.datagrams[0]?.closed).toBe(false);
    lab.pass(2e9);
    expect([lab.host.datagrams[0]?.closed, lab.nat.flows]).toEqual([true, 0]);
  });

  it('is bounded: a guest that wants more loses what it used longest ago', () => {
    const lab = new NatLab({ stations: [{ name: 'a', station: GUEST, owner: 0 }, { name: 'b', station: PEER, owner: 1 }] });
    lab.send(frame(GATEWAY, PEER, 0x0800, udp({ from: GUEST_IP + 1, to: SERVER_IP }, 5, 6, [1])), undefined, 1);
    for (let port = 1; port <= 300; port++) {
      lab.now += 1000;
      ask(lab, SERVER_IP, 123, port);
    }
    expect(lab.nat.flows).toBe(257);
    expect(lab.host.datagrams[0]?.closed).toBe(false); // the neighbour's
    expect([lab.host.datagrams[1]?.closed, lab.host.datagrams.at(-1)?.closed]).toEqual([true, false]);
    lab.nat.unplug(0);
    expect([lab.nat.flows, lab.host.datagrams[0]?.closed]).toEqual([1, false]);
  });

  it('comes in by a forwarded port, and goes back to who asked', () => {
    const lab = new NatLab({ forwards: [{ hostPort: 7777, station: 0, guestPort: 7, protocol: 'udp' }] });
    const listener = lab.host.datagramListeners.get(7777)!;
    const somebody = { address: ip('127.0.0.1'), port: 33_333 };
    listener.data(Uint8Array.from(ascii('hello')), somebody);
    const question = lab.heard.at(-1)!;
    expect([question.from, question.to, question.toPort, String.fromCharCode(...question.payload)]).toEqual([GATEWAY_IP, GUEST_IP, 7, 'hello']);
    lab.ip(udp({ from: GUEST_IP, to: GATEWAY_IP }, 7, question.fromPort, ascii('back')));
    expect(listener.sent).toEqual([{ bytes: ascii('back'), to: somebody }]);
  });

  it('with a wrong checksum or length is dropped', () => {
    const lab = new NatLab();
    const good = udp({ from: GUEST_IP, to: SERVER_IP }, 5, 6, [1, 2, 3, 4]);
    lab.ip(good.with(27, good[27]! ^ 1));
    lab.ip(good.with(24, 9));
    lab.ip(good.slice(0, 24));
    expect([lab.nat.counters.malformed, lab.host.datagrams.length]).toEqual([3, 0]);
  });
});

it('drops what it does not know, and counts it', () => {
  const lab = new NatLab();
  lab.send(frame(GATEWAY, GUEST, 0x86dd, counting(40)));
  lab.send(frame(GATEWAY, GUEST, 0x88b5, counting(40)));
  lab.ip(ipv4({ from: GUEST_IP, to: SERVER_IP, protocol: 17, fragment: 0x2000 }, counting(20)));
  expect(lab.nat.counters).toMatchObject({ ipv6: 1, ignored: 1, fragments: 1 });
  expect(lab.heard).toEqual([]);
});
