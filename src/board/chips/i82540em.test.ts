// Sections and tables are those of the manual (Intel 317453, "SDM"). The driver below does what a driver does: rings in RAM, tail pointers.
import { beforeEach, describe, expect, it } from 'vitest';
import { frameCheckSequence } from '../ethernet.ts';
import { checkReceived } from '../internet-checksum.ts';
import { type FakeSlot, FakeWire, fakeSlot } from '../testing.ts';
import { I82540em } from './i82540em.ts';

const CTRL = 0x00, STATUS = 0x08, EECD = 0x10, EERD = 0x14, MDIC = 0x20;
const ICR = 0xc0, ITR = 0xc4, ICS = 0xc8, IMS = 0xd0, IMC = 0xd8;
const RCTL = 0x100, TCTL = 0x400;
const RDBAL = 0x2800, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820, RADV = 0x282c;
const TDBAL = 0x3800, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820, TADV = 0x382c;
const RXCSUM = 0x5000, MTA = 0x5200, RAL = 0x5400, VFTA = 0x5600;
const MPC = 0x4010, GPRC = 0x4074, GPTC = 0x4080, GORCL = 0x4088, GORCH = 0x408c, RNBC = 0x40a0, PRC64 = 0x405c, PTC1522 = 0x40ec, TSCTC = 0x40f8;
const TXDW = 1 << 0, TXQE = 1 << 1, LSC = 1 << 2, RXDMT0 = 1 << 4, RXO = 1 << 6, RXT0 = 1 << 7;
const EOP = 1 << 24, IFCS = 1 << 25, IC = 1 << 26, TSE = 1 << 26, RS = 1 << 27, DEXT = 1 << 29, VLE = 1 << 30, IDE = 0x8000_0000;
const DATA = 1 << 20;
const RCTL_EN = 1 << 1, UPE = 1 << 3, MPE = 1 << 4, LPE = 1 << 5, BAM = 1 << 15, VFE = 1 << 18, SECRC = 1 << 26;

const ME = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
const PEER = Uint8Array.of(0x02, 0, 0, 0, 0, 9);
const ALL = new Uint8Array(6).fill(0xff);

const TX_RING = 0x1000, RX_RING = 0x2000, TX_DATA = 0x1_0000, RX_DATA = 0x4_0000;
const RING = 16;

let slot: FakeSlot;
let wire: FakeWire;
let chip: I82540em;

beforeEach(() => {
  slot = fakeSlot('eth0');
  wire = new FakeWire();
  chip = new I82540em({ clock: slot.clock, wire, address: ME, pci: (description) => slot.pci(description) });
});

const read = (register: number): number => chip.window.read(register, 4);
const write = (register: number, value: number): void => chip.window.write(register, 4, value >>> 0);
const intx = (): boolean => slot.functions[0]!.interruptAsserted;

function put(address: number, bytes: Uint8Array): void {
  slot.memory.write(address, bytes);
}

function get(address: number, size: number): Uint8Array {
  return slot.memory.read(address, size)!;
}

function word(address: number): number {
  return new DataView(get(address, 4).buffer).getUint32(0, true);
}

function frame(to: Uint8Array, from: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  return Uint8Array.of(...to, ...from, type >> 8, type & 0xff, ...payload);
}

const counting = (length: number, from = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (from + i) & 0xff);

// ── transmitting, as a driver does it ──

let tail: number;

function startTransmitter(): void {
  tail = 0;
  write(TDBAL, TX_RING);
  write(TDLEN, RING * 16);
  write(TDH, 0);
  write(TDT, 0);
  write(TCTL, (1 << 1) | (1 << 3));
}

function descriptor(low: number, high: number, command: number, options: number): void {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, low, true);
  view.setUint32(4, high, true);
  view.setUint32(8, command >>> 0, true);
  view.setUint32(12, options >>> 0, true);
  put(TX_RING + tail * 16, new Uint8Array(view.buffer));
  tail = (tail + 1) % RING;
}

function legacy(data: Uint8Array, flags = 0, options = 0, at = TX_DATA): void {
  put(at, data);
  descriptor(at, 0, data.length | EOP | IFCS | RS | flags, options);
}

const go = (): void => write(TDT, tail);

// ── receiving ──

function startReceiver(control = 0, descriptors = RING - 1): void {
  write(RDBAL, RX_RING);
  write(RDLEN, RING * 16);
  for (let i = 0; i < RING; i++) {
    const view = new DataView(new ArrayBuffer(16));
    view.setUint32(0, RX_DATA + i * 2048, true);
    put(RX_RING + i * 16, new Uint8Array(view.buffer));
  }
  write(RDH, 0);
  write(RDT, descriptors);
  write(RCTL, RCTL_EN | BAM | control);
}

interface Received {
  readonly data: Uint8Array;
  readonly status: number;
  readonly errors: number;
  readonly special: number;
}

function received(index: number): Received | undefined {
  const view = new DataView(get(RX_RING + index * 16, 16).buffer);
  const status = view.getUint8(12);
  if (!(status & 1)) return undefined;
  return { data: get(view.getUint32(0, true), view.getUint16(8, true)), status, errors: view.getUint8(13), special: view.getUint16(14, true) };
}

describe('a function on the bus', () => {
  it('is 8086:100e, with 128 KiB of registers, 64 ports, INTA# and MSI (§4.1)', () => {
    const [fn] = slot.functions;
    expect(fn!.readConfig(0, 4)).toBe(0x100e_8086);
    expect(fn!.readConfig(8, 4) >>> 8).toBe(0x02_0000);
    expect(fn!.readConfig(0x3d, 1)).toBe(1);
    expect(fn!.barAddress(0)! % 0x2_0000).toBe(0);
    slot.bus.write('mmio', fn!.barAddress(0)! + RDTR, 4, 7);
    expect(read(RDTR)).toBe(7);
  });

  it('shows every register through its two ports: address, then data (§13.2.2)', () => {
    const ports = slot.functions[0]!.barAddress(2)!;
    slot.bus.write('pio', ports, 4, TADV);
    slot.bus.write('pio', ports + 4, 4, 0x1234);
    expect([read(TADV), slot.bus.read('pio', ports + 4, 4), slot.bus.read('pio', ports, 4)]).toEqual([0x1234, 0x1234, TADV]);
  });

  it('takes 32-bit writes only, and reads any part (§13.2.1)', () => {
    chip.window.write(TADV, 2, 0x55aa);
    expect(read(TADV)).toBe(0);
    write(TADV, 0x55aa);
    expect([chip.window.read(TADV, 2), chip.window.read(TADV + 1, 1), chip.window.read(0x1_fffc, 4)]).toEqual([0x55aa, 0x55, 0]);
  });
});

describe('the EEPROM', () => {
  const SK = 1, CS = 2, DI = 4, DO = 8, REQ = 0x40, GNT = 0x80;
  const clock = (bit: number): number => {
    write(EECD, REQ | CS | (bit ? DI : 0));
    write(EECD, REQ | CS | SK | (bit ? DI : 0));
    return read(EECD) & DO ? 1 : 0;
  };
  const shift = (value: number, bits: number): void => {
    for (let i = bits - 1; i >= 0; i--) clock((value >> i) & 1);
  };
  const shiftOut = (): number => {
    let word = 0;
    for (let i = 0; i < 16; i++) word = (word << 1) | clock(0);
    return word;
  };
  const select = (): void => {
    write(EECD, REQ);
    write(EECD, REQ | CS);
  };
  const readWord = (address: number): number => {
    select();
    shift(0b110, 3);
    shift(address, 6);
    return shiftOut();
  };

  it('is granted on request (§5.3.1)', () => {
    expect(read(EECD) & GNT).toBe(0);
    write(EECD, REQ);
    expect(read(EECD) & GNT).toBe(GNT);
  });

  it('gives its words bit by bit: the station address first, and all of them add up to 0xBABA (§5.6)', () => {
    expect([readWord(0), readWord(1), readWord(2)]).toEqual([0x5452, 0x0100, 0x0302]);
    let sum = 0;
    for (let i = 0; i < 64; i++) sum += readWord(i);
    expect(sum & 0xffff).toBe(0xbaba);
  });

  it('gives the same words through EERD (§13.4.4)', () => {
    write(EERD, (2 << 8) | 1);
    expect(read(EERD)).toBe(0x0302_0210);
  });

  it('is written only after it was unlocked, and keeps that over a reset', () => {
    const writeWord = (address: number, value: number): void => {
      select();
      shift(0b101, 3);
      shift(address, 6);
      shift(value, 16);
    };
    writeWord(0x20, 0x1234);
    expect(readWord(0x20)).toBe(0);
    select();
    shift(0b100_110000, 9); // EWEN
    writeWord(0x20, 0x1234);
    write(CTRL, 1 << 26);
    expect(readWord(0x20)).toBe(0x1234);
  });

  it('loads the first receive address after a reset (§13.5.2)', () => {
    write(RAL, 0);
    write(CTRL, 1 << 26);
    expect([read(RAL), read(RAL + 4)]).toEqual([0x0100_5452, 0x8000_0302]);
  });
});

describe('the link', () => {
  const mii = (register: number): number => {
    write(MDIC, (2 << 26) | (1 << 21) | (register << 16));
    return read(MDIC);
  };

  it('is up at 1000 Mb/s, full duplex, when somebody is at the other end (table 13-4)', () => {
    expect(read(STATUS) & 0xc3).toBe(0x83);
    wire.plug(false);
    expect(read(STATUS) & 2).toBe(0);
    expect(read(ICR) & LSC).toBe(LSC);
  });

  it('needs SLU as well: the driver can keep it down (table 13-3)', () => {
    write(CTRL, 0x201);
    expect(read(STATUS) & 2).toBe(0);
    write(CTRL, 0x241);
    expect(read(STATUS) & 2).toBe(2);
  });

  it('shows a Marvell PHY at address 1, and an error at any other (table 13-11)', () => {
    expect(mii(2)).toBe(((2 << 26) | (1 << 21) | (2 << 16) | (1 << 28) | 0x0141) >>> 0);
    expect(mii(3) & 0xfff0).toBe(0x0c20);
    write(MDIC, (2 << 26) | (5 << 21));
    expect(read(MDIC) & (1 << 30)).not.toBe(0);
  });

  it('latches a lost link in the PHY until it is read (IEEE 802.3 §22.2.4.2.13)', () => {
    wire.plug(false);
    wire.plug(true);
    expect([mii(1) & 4, mii(1) & 4]).toEqual([0, 4]);
  });

  it('sends nothing while it is down', () => {
    startTransmitter();
    wire.plug(false);
    legacy(counting(60));
    go();
    expect([wire.sent.length, read(TDH)]).toEqual([0, 1]);
  });
});

describe('sending', () => {
  beforeEach(startTransmitter);

  it('sends what a legacy descriptor points at, reports it and raises TXDW and TXQE (§3.3.3)', () => {
    const data = frame(PEER, ME, 0x88b5, counting(100));
    legacy(data);
    go();
    expect(wire.sent).toEqual([data]);
    expect(get(TX_RING + 12, 1)).toEqual(Uint8Array.of(1));
    expect([read(TDH), read(ICR) & (TXDW | TXQE), read(GPTC)]).toEqual([1, TXDW | TXQE, 1]);
  });

  it('pads short packets with zeros when TCTL.PSP says so', () => {
    legacy(counting(20, 1));
    go();
    expect(wire.sent[0]).toHaveLength(60);
    expect(wire.sent[0]!.subarray(18, 22)).toEqual(Uint8Array.of(19, 20, 0, 0));
  });

  it('gathers a packet from several descriptors, also over the end of the ring', () => {
    tail = RING - 2;
    write(TDH, tail);
    write(TDT, tail);
    put(TX_DATA, counting(300));
    descriptor(TX_DATA, 0, 100 | IFCS, 0);
    descriptor(TX_DATA + 100, 0, 150 | IFCS, 0);
    descriptor(TX_DATA + 250, 0, 50 | IFCS | EOP | RS, 0);
    go();
    expect(wire.sent).toEqual([counting(300)]);
    expect(read(TDH)).toBe(1);
  });

  it('inserts a checksum from CSS to the end at CSO (§3.3.3)', () => {
    const data = counting(64);
    data[40] = 0;
    data[41] = 0;
    legacy(data, IC | (40 << 16), 14 << 8);
    go();
    let sum = 0;
    for (let i = 14; i < 64; i += 2) sum += (data[i]! << 8) | data[i + 1]!;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    expect((wire.sent[0]![40]! << 8) | wire.sent[0]![41]!).toBe(~sum & 0xffff);
  });

  it('checks the frame check sequence of a driver that brings its own (IFCS off)', () => {
    const data = counting(80);
    const fcs = frameCheckSequence(data, 80);
    const whole = Uint8Array.of(...data, fcs, fcs >>> 8, fcs >>> 16, fcs >>> 24);
    put(TX_DATA, whole);
    descriptor(TX_DATA, 0, 84 | EOP | RS, 0);
    whole[83]! ^= 1;
    put(TX_DATA + 0x100, whole);
    descriptor(TX_DATA + 0x100, 0, 84 | EOP | RS, 0);
    go();
    expect(wire.sent).toEqual([data]);
  });

  it('inserts the VLAN tag of the descriptor when CTRL.VME is set (§9.2)', () => {
    write(CTRL, read(CTRL) | (1 << 30));
    const data = frame(PEER, ME, 0x0800, counting(50));
    legacy(data, VLE, 0x2005 << 16);
    go();
    expect(wire.sent[0]).toEqual(Uint8Array.of(...data.subarray(0, 12), 0x81, 0x00, 0x20, 0x05, ...data.subarray(12)));
  });

  it('holds the report back by TIDV when the descriptor has IDE, and by no more than TADV (§13.4.44)', () => {
    write(TIDV, 10);
    write(TADV, 15);
    write(IMS, TXDW);
    legacy(counting(60), IDE);
    go();
    slot.clock.advance(9 * 1024);
    expect(intx()).toBe(false);
    legacy(counting(60), IDE);
    go();
    slot.clock.advance(6 * 1024 - 1);
    expect(intx()).toBe(false);
    slot.clock.advance(1);
    expect(intx()).toBe(true);
  });

  it('waits while the wire is full, for the longest pause there is; then the frame is dropped', () => {
    wire.full = true;
    legacy(counting(60, 1));
    legacy(counting(60, 2), 0, 0, TX_DATA + 0x100);
    go();
    slot.clock.advance(1_000_000);
    expect([wire.sent.length, read(TDH)]).toEqual([0, 0]);
    wire.full = false;
    slot.clock.advance(20_000);
    expect(wire.sent).toEqual([counting(60, 1), counting(60, 2)]);
    wire.full = true;
    legacy(counting(60, 3));
    go();
    slot.clock.advance(34_000_000);
    expect([wire.sent.length, read(TDH), wire.dropped]).toEqual([2, 3, 1]);
  });
});

describe('segmentation and checksums of context descriptors', () => {
  beforeEach(startTransmitter);

  const HEADERS = 14 + 20 + 20;
  const CONTEXT_TCP4 = DEXT | TSE | RS | (1 << 25) | (1 << 24);

  /** Headers of a TCP packet over IPv4, as a driver leaves them: no length, no IP checksum, the pseudo-header's sum in the TCP checksum. */
  function headers(flags: number): Uint8Array {
    const bytes = new Uint8Array(HEADERS);
    const view = new DataView(bytes.buffer);
    bytes.set(frame(PEER, ME, 0x0800, new Uint8Array(0)));
    bytes.set([0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 14);
    view.setUint16(34, 4660);
    view.setUint16(36, 80);
    view.setUint32(38, 0xffff_fff0);
    bytes[46] = 0x50;
    bytes[47] = flags;
    let sum = 6 + 0x0a00 + 1 + 0x0a00 + 2;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    view.setUint16(50, sum);
    return bytes;
  }

  function context(segment: number, total: number): void {
    const ip = 14 | (24 << 8) | (33 << 16);
    const tcp = 34 | (50 << 8);
    descriptor(ip, tcp, CONTEXT_TCP4 | total, (HEADERS << 8) | (segment << 16));
  }

  it('cuts a packet into segments with right headers and checksums (§3.5)', () => {
    const payload = counting(2500);
    put(TX_DATA, Uint8Array.of(...headers(0x19), ...payload)); // ACK, PSH, FIN
    context(1000, payload.length);
    descriptor(TX_DATA, 0, HEADERS | DEXT | DATA | TSE | IFCS, 0x300);
    descriptor(TX_DATA + HEADERS, 0, 2500 | DEXT | DATA | TSE | IFCS | EOP | RS, 0);
    go();
    expect(wire.sent.map(({ length }) => length)).toEqual([HEADERS + 1000, HEADERS + 1000, HEADERS + 500]);
    const view = wire.sent.map((sent) => new DataView(sent.buffer));
    expect(view.map((v) => v.getUint16(16))).toEqual([1040, 1040, 540]);
    expect(view.map((v) => v.getUint16(18))).toEqual([0x1234, 0x1235, 0x1236]);
    expect(view.map((v) => v.getUint32(38))).toEqual([0xffff_fff0, 984, 1984]);
    expect(view.map((v) => v.getUint8(47))).toEqual([0x10, 0x10, 0x19]);
    expect(wire.sent.map((sent) => checkReceived(sent, sent.length))).toEqual(new Array(3).fill({ ip: 'good', transport: 'good' }));
    expect(Uint8Array.from(wire.sent.flatMap((sent) => [...sent.subarray(HEADERS)]))).toEqual(payload);
    expect([read(TSCTC), read(GPTC)]).toEqual([1, 3]);
  });

  it('inserts both checksums into a single packet (§3.3.7)', () => {
    const whole = Uint8Array.of(...headers(0x18), ...counting(10));
    new DataView(whole.buffer).setUint16(16, 50);
    // The pseudo-header's sum with the length, as drivers leave it without segmentation.
    const view = new DataView(whole.buffer);
    view.setUint16(50, view.getUint16(50) + 30);
    put(TX_DATA, whole);
    descriptor(14 | (24 << 8) | (33 << 16), 34 | (50 << 8), DEXT, 0);
    descriptor(TX_DATA, 0, whole.length | DEXT | DATA | IFCS | EOP | RS, 0x300);
    go();
    expect(checkReceived(wire.sent[0]!, whole.length)).toEqual({ ip: 'good', transport: 'good' });
  });

  it('takes a megabyte in one-byte segments a share at a time, at the speed of the line', () => {
    put(TX_DATA, headers(0x10));
    context(1, 0xf_ffff);
    descriptor(TX_DATA, 0, HEADERS | DEXT | DATA | TSE | IFCS, 0x300);
    descriptor(TX_DATA, 0, 0xf_ffff | DEXT | DATA | TSE | IFCS | EOP, 0);
    go();
    const first = wire.sent.length;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(300);
    slot.clock.advance(1_000_000);
    // A gigabit carries 1,488 frames of the least size in a millisecond.
    expect(wire.sent.length).toBeGreaterThan(1000);
    expect(wire.sent.length).toBeLessThan(1488 + 2 * first);
  });
});

describe('receiving', () => {
  it('stores a frame with its check sequence, reports it and raises RXT0 (§3.2.3)', () => {
    startReceiver();
    const data = frame(ME, PEER, 0x88b5, counting(80));
    wire.deliver(data);
    const { data: stored, status, errors } = received(0)!;
    const fcs = frameCheckSequence(data, data.length);
    expect(stored).toEqual(Uint8Array.of(...data, fcs, fcs >>> 8, fcs >>> 16, fcs >>> 24));
    expect([status & 3, errors, read(RDH), read(ICR) & RXT0]).toEqual([3, 0, 1, RXT0]);
  });

  it('strips the check sequence on request (SECRC) and pads what software left short', () => {
    startReceiver(SECRC);
    wire.deliver(frame(ME, PEER, 0x88b5, counting(4, 1)));
    expect(received(0)!.data).toHaveLength(60);
  });

  it('spreads a long frame over several buffers; only the last has EOP (§3.2.2)', () => {
    startReceiver(SECRC | LPE | (3 << 16)); // 256 bytes each
    const data = frame(ME, PEER, 0x88b5, counting(500));
    wire.deliver(data);
    expect([0, 1, 2].map((i) => received(i)!.data.length)).toEqual([256, 256, 2]);
    expect([0, 1, 2].map((i) => received(i)!.status & 2)).toEqual([0, 0, 2]);
  });

  it.each([
    ['its own address', ME, 0, true],
    ['another station', PEER, 0, false],
    ['another station, promiscuous', PEER, UPE, true],
    ['broadcast', ALL, 0, true],
    ['multicast', Uint8Array.of(1, 0, 0x5e, 0, 0, 1), 0, false],
    ['multicast, all of it', Uint8Array.of(1, 0, 0x5e, 0, 0, 1), MPE, true],
  ])('filters by address: %s (§10.3)', (_, to, control, accepted) => {
    startReceiver(control);
    wire.deliver(frame(to, PEER, 0x88b5, counting(60)));
    expect(received(0) !== undefined).toBe(accepted);
  });

  it('hashes multicast addresses into 4,096 bits by RCTL.MO, and marks what passed only so (§13.5.1)', () => {
    // Of 0xBC9A, the last two bytes as the registers hold them.
    const to = Uint8Array.of(0x13, 0x34, 0x56, 0x78, 0x9a, 0xbc);
    const hashes = [0xbc9, 0x793, 0xf26, 0xc9a];
    for (const [mode, hash] of hashes.entries()) {
      chip.reset();
      startReceiver(mode << 12);
      wire.deliver(frame(to, PEER, 0x88b5, counting(60)));
      expect(received(0)).toBeUndefined();
      write(MTA + 4 * (hash >> 5), 2 ** (hash & 31));
      wire.deliver(frame(to, PEER, 0x88b5, counting(60)));
      expect(received(0)!.status & 0x80).toBe(0x80);
    }
  });

  it('filters by VLAN with VFE, and strips the tag with VME (§9.3)', () => {
    startReceiver(VFE | SECRC);
    write(CTRL, read(CTRL) | (1 << 30));
    const tagged = frame(ME, PEER, 0x8100, Uint8Array.of(0x20, 0x25, 8, 0, ...counting(60)));
    wire.deliver(tagged);
    expect(received(0)).toBeUndefined();
    write(VFTA + 4, 1 << 5);
    wire.deliver(tagged);
    expect(received(0)).toMatchObject({ special: 0x2025, data: frame(ME, PEER, 0x0800, counting(60)) });
    expect(received(0)!.status & 8).toBe(8);
  });

  it('drops frames beyond 1,522 bytes unless LPE is set', () => {
    startReceiver();
    wire.deliver(frame(ME, PEER, 0x88b5, counting(1600)));
    expect(received(0)).toBeUndefined();
    write(RCTL, RCTL_EN | LPE);
    wire.deliver(frame(ME, PEER, 0x88b5, counting(1600)));
    expect(received(0)!.data).toHaveLength(1618);
  });

  it('checks checksums when RXCSUM says so, and reports damage (§3.2.9)', () => {
    startReceiver(SECRC);
    const udp = Uint8Array.from('4500001e00010000401166cc0a0000010a00000212340035000a71056869'.match(/../g)!, (b) => Number.parseInt(b, 16));
    wire.deliver(frame(ME, PEER, 0x0800, udp));
    expect(received(0)!.status & 0x64).toBe(4); // IXSM: nothing was checked
    write(RXCSUM, 0x300);
    wire.deliver(frame(ME, PEER, 0x0800, udp));
    expect([received(1)!.status & 0x64, received(1)!.errors]).toEqual([0x60, 0]);
    udp[29]! ^= 1;
    wire.deliver(frame(ME, PEER, 0x0800, udp));
    expect(received(2)!.errors).toBe(1 << 5);
  });

  it('keeps frames on the wire while there is no descriptor, and goes on when there is one (§3.2.6)', () => {
    startReceiver(0, 2);
    wire.deliver(...[1, 2, 3, 4].map((n) => frame(ME, PEER, 0x88b5, counting(60, n))));
    expect([read(RDH), wire.waiting, read(RNBC)]).toEqual([2, 1, 1]);
    write(RDT, 8);
    expect([read(RDH), wire.waiting]).toEqual([4, 0]);
    expect(received(3)!.data[14]).toBe(4);
  });

  it('counts what the wire lost in the meantime, and raises RXO', () => {
    startReceiver();
    wire.missed = 3;
    wire.deliver();
    expect([read(ICR) & RXO, read(MPC), read(MPC)]).toEqual([RXO, 3, 0]);
  });

  it('warns when the ring runs low (RDMTS)', () => {
    startReceiver(0, 9); // a half of 16
    wire.deliver(frame(ME, PEER, 0x88b5, counting(60)));
    expect(read(ICR) & RXDMT0).toBe(RXDMT0);
  });

  it('delays RXT0 by RDTR, restarted by each frame, but never beyond RADV (§13.4.30)', () => {
    startReceiver();
    write(RDTR, 10);
    write(RADV, 15);
    write(IMS, RXT0);
    const data = frame(ME, PEER, 0x88b5, counting(60));
    wire.deliver(data);
    slot.clock.advance(9 * 1024);
    wire.deliver(data);
    slot.clock.advance(6 * 1024 - 1);
    expect(intx()).toBe(false);
    slot.clock.advance(1);
    expect(intx()).toBe(true);
  });

  it('hears nothing while it is off', () => {
    startReceiver();
    write(RCTL, 0);
    wire.deliver(frame(ME, PEER, 0x88b5, counting(60)));
    write(RCTL, RCTL_EN);
    expect(received(0)).toBeUndefined();
  });

  it('receives its own frames in loopback, and the wire sees none of it (RCTL.LBM)', () => {
    startTransmitter();
    startReceiver(SECRC | (1 << 6));
    const data = frame(ME, ME, 0x88b5, counting(80));
    legacy(data);
    go();
    expect([received(0)!.data, wire.sent.length]).toEqual([data, 0]);
  });
});

describe('interrupts', () => {
  it('come on INTA# for causes that are not masked, and go when the cause register is read (§13.4.17)', () => {
    write(ICS, RXT0);
    expect(intx()).toBe(false);
    write(IMS, RXT0 | LSC);
    expect([intx(), read(IMS)]).toEqual([true, RXT0 | LSC]);
    expect(read(ICR)).toBe(RXT0);
    expect([intx(), read(ICR)]).toEqual([false, 0]);
    write(IMC, RXT0);
    expect(read(IMS)).toBe(LSC);
  });

  it('are acknowledged by writing ones as well', () => {
    write(IMS, RXT0 | TXDW);
    write(ICS, RXT0 | TXDW);
    write(ICR, RXT0);
    expect([intx(), read(ICR)]).toEqual([true, TXDW]);
  });

  it('keep the distance ITR asks for, in units of 256 ns (§13.4.18)', () => {
    write(ITR, 100);
    write(IMS, RXT0);
    write(ICS, RXT0);
    read(ICR);
    slot.clock.advance(10_000);
    write(ICS, RXT0);
    expect(intx()).toBe(false);
    slot.clock.advance(15_599);
    expect(intx()).toBe(false);
    slot.clock.advance(1);
    expect(intx()).toBe(true);
  });

  it('are messages once the driver has turned them on', () => {
    const [fn] = slot.functions;
    let at = fn!.readConfig(0x34, 1);
    while (fn!.readConfig(at, 1) !== 5) at = fn!.readConfig(at + 1, 1);
    fn!.writeConfig(at + 4, 4, 0xfee0_0000);
    fn!.writeConfig(at + 12, 2, 0x41);
    fn!.writeConfig(at + 2, 2, 1);
    write(IMS, RXT0);
    write(ICS, RXT0);
    write(ICS, RXT0);
    expect([slot.msis, intx()]).toEqual([[[0xfee0_0000, 0x41]], false]);
    read(ICR);
    write(ICS, RXT0);
    expect(slot.msis).toHaveLength(2);
  });
});

describe('statistics', () => {
  it('count by length and bytes with the check sequence, and are cleared by reading (§13.7)', () => {
    startReceiver();
    startTransmitter();
    wire.deliver(frame(ME, PEER, 0x88b5, counting(40)), frame(ME, PEER, 0x88b5, counting(46)));
    legacy(counting(1514));
    go();
    expect([read(GPRC), read(GPRC)]).toEqual([2, 0]);
    expect([read(PRC64), read(PTC1522)]).toEqual([2, 1]);
    expect([read(GORCL), read(GORCL), read(GORCH), read(GORCL)]).toEqual([128, 128, 0, 0]);
  });
});

describe('what a hostile driver cannot do', () => {
  beforeEach(startTransmitter);

  it('send from outside RAM: the packet carries zeros, and the attempt is counted', () => {
    descriptor(0xfff0_0000, 0xffff_ffff, 100 | EOP | IFCS | RS, 0);
    go();
    expect(wire.sent[0]).toEqual(new Uint8Array(100));
    expect(slot.functions[0]!.dma.violations).toBeGreaterThan(0);
  });

  it('keep it busy with a ring outside RAM, or a tail beyond the ring', () => {
    write(TDBAL, 0x8000_0000);
    write(TDT, 5);
    expect(read(TDH)).toBe(5);
    startTransmitter();
    write(TDT, RING + 3);
    write(TDLEN, 0);
    write(TDT, 1);
    slot.clock.advance(10_000_000);
    expect([wire.sent.length, slot.clock.next]).toEqual([0, undefined]);
  });

  it('send a packet that never ends', () => {
    put(TX_DATA, counting(4096));
    for (let i = 0; i < RING - 1; i++) descriptor(TX_DATA, 0, 4000 | IFCS | (i === RING - 2 ? EOP : 0), 0);
    go();
    slot.clock.advance(1_000_000);
    legacy(counting(60));
    go();
    expect(wire.sent).toEqual([counting(60)]);
  });

  it('receive into anything but its RAM', () => {
    startReceiver();
    const view = new DataView(new ArrayBuffer(16));
    view.setUint32(4, 0xdead, true);
    put(RX_RING, new Uint8Array(view.buffer));
    wire.deliver(frame(ME, PEER, 0x88b5, counting(60)), frame(ME, PEER, 0x88b5, counting(60)));
    expect([read(RDH), received(1) !== undefined]).toEqual([2, true]);
    expect(slot.functions[0]!.dma.violations).toBe(1);
  });
});

describe('life', () => {
  it('is as new after CTRL.RST: rings stopped, interrupts masked', () => {
    startTransmitter();
    write(IMS, RXT0);
    write(ICS, RXT0);
    write(CTRL, 1 << 26);
    expect([read(TCTL), read(TDBAL), read(IMS), read(ICR), intx(), read(CTRL) & (1 << 26)]).toEqual([0, 0, 0, 0, false, 0]);
  });

  it('goes on where it was saved: in the middle of a segmented packet, with an interrupt pending', () => {
    startTransmitter();
    wire.full = true;
    put(TX_DATA, counting(300));
    descriptor(TX_DATA, 0, 100 | IFCS, 0);
    descriptor(TX_DATA + 100, 0, 200 | IFCS | EOP | RS, 0);
    go();
    write(IMS, RXT0);
    write(ICS, RXT0);
    const state = JSON.parse(JSON.stringify(chip.save()));
    const other = fakeSlot('eth0');
    const otherWire = new FakeWire();
    const twin = new I82540em({ clock: other.clock, wire: otherWire, address: PEER, pci: (description) => other.pci(description) });
    other.memory.write(0, get(0, 0x10_0000));
    twin.restore(state);
    other.clock.advance(1000);
    expect(otherWire.sent).toEqual([counting(300)]);
    expect(twin.window.read(RAL, 4)).toBe(0x0100_5452);
    expect(twin.window.read(ICR, 4) & RXT0).toBe(RXT0);
    expect(word(TX_RING)).toBe(TX_DATA);
  });
});
