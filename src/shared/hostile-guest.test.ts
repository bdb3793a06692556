/**
 * Drivers that write whatever they like, at any moment, to the consoles, the entropy device and the registers of shared memory: nothing
 * throws, nothing loops, nothing grows without bound, RAM outside the queues' own buffers is not touched, and after a reset each device
 * works as on the first day. `FUZZ_OPERATIONS` asks for more, `FUZZ_SEED` repeats a run.
 */
import { describe, expect, it } from 'vitest';
import { ms } from '../base/index.ts';
import { FakeTerminal, fakeSlot, ManualClock } from '../board/index.ts';
import type { AccessSize } from '../contracts/index.ts';
import { ChannelEnd, createChannel, Ivshmem } from './channels/index.ts';
import { VirtioConsole } from './console/index.ts';
import { EntropyEnd, VirtioRng } from './entropy/index.ts';
import { PortControl } from './port.ts';
import { type DriverQueue, TRANSPORTS, VirtioDriver } from './virtio/testing.ts';

const env = (globalThis as { process?: { env: Readonly<Record<string, string | undefined>> } }).process?.env ?? {};
const OPERATIONS = Number(env['FUZZ_OPERATIONS'] ?? 30_000);
const SEED = Number(env['FUZZ_SEED'] ?? Date.now() % 1_000_000);

/** Numbers that repeat with their seed (mulberry32). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  word(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return (value ^ (value >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return this.word() % limit;
  }

  /** Small numbers, round numbers, and any. */
  odd(): number {
    const pick = this.below(4);
    return pick === 0 ? this.below(8) : pick === 1 ? 2 ** this.below(32) : pick === 2 ? (0x1_0000_0000 - this.below(4096)) >>> 0 : this.word();
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

const SIZES: readonly AccessSize[] = [1, 2, 4];
/** Where the driver's queues and buffers lie, and nothing else. */
const QUEUES_FROM = 0x1_0000;
/** Must not change, whatever a descriptor says: the device writes only where it was given room, and the fuzzer gives none here. */
const FENCE = 0x1000;
const FENCE_BYTES = 0x800;

interface Rig {
  readonly driver: VirtioDriver;
  readonly clock: ManualClock;
  /** Input comes from outside. */
  type?(bytes: number): void;
  /** Everything it holds of what comes and goes. */
  held?(): number;
  works(driver: VirtioDriver): void;
}

/** One thing a driver may do, right or wrong. */
function act(random: Random, { driver, clock, type }: Rig): void {
  const { access, slot } = driver;
  const queue = driver.queues[random.below(driver.queues.length)] as DriverQueue;
  switch (random.below(12)) {
    case 0:
      access.notify(random.below(2) === 0 ? queue.index : random.odd() & 0xffff);
      break;
    case 1:
      access.writeConfig(random.below(80), SIZES[random.below(3)] as AccessSize, random.odd() & 0xff);
      break;
    case 2:
      access.readConfig(random.odd() & 0xfff, SIZES[random.below(3)] as AccessSize);
      break;
    case 3: {
      // A descriptor, mostly within RAM, never over the fence.
      const address = random.below(4) === 0 ? random.odd() : QUEUES_FROM + random.below(0x4_0000);
      if (address < FENCE + FENCE_BYTES && address + 0x1_0000 > FENCE) break;
      queue.describe(random.below(queue.size), address, random.below(3) === 0 ? random.odd() : random.below(5000), random.odd() & 7, random.odd() & 0xffff);
      break;
    }
    case 4:
      queue.offer(random.below(3) === 0 ? random.odd() & 0xffff : random.below(queue.size));
      break;
    case 5:
      slot.memory.write(queue.available + random.below(6 + 2 * queue.size), random.bytes(1 + random.below(4)));
      break;
    case 6:
      queue.send({ readable: [random.bytes(random.below(64))], writable: random.below(2) === 0 ? [random.below(64)] : [] });
      break;
    case 7: {
      const message = new DataView(new ArrayBuffer(8));
      message.setUint32(0, random.below(4) === 0 ? random.odd() : random.below(3), true);
      message.setUint16(4, random.below(9), true);
      message.setUint16(6, random.below(3), true);
      queue.send({ readable: [new Uint8Array(message.buffer)] });
      break;
    }
    case 8:
      queue.send({ writable: [random.below(200)] });
      break;
    case 9:
      clock.advance(random.below(5) * ms);
      break;
    case 10:
      type?.(random.below(40));
      break;
    case 11:
      if (random.below(20) === 0) access.setStatus(random.below(256));
      else queue.take();
      break;
  }
}

function consoleRig(over: (typeof TRANSPORTS)[number][1]): Rig {
  const clock = new ManualClock();
  const lines = [new FakeTerminal(), new FakeTerminal()] as const;
  const device = new VirtioConsole({ streams: [{ line: lines[0] }, { name: 'org.cell.log', line: lines[1] }], clock });
  const driver = VirtioDriver.on(device, over).start(3n);
  return {
    driver,
    clock,
    type(bytes) {
      for (const line of lines) {
        line.printed = '';
        if (line.waiting < 4096) line.type('x'.repeat(bytes));
      }
      device.pollInput();
    },
    held: () => (device.save()['messages'] as readonly number[]).length,
    works(fresh) {
      fresh.start(0n);
      lines[0].printed = '';
      fresh.queue(1).send({ readable: [Uint8Array.of(0x6f, 0x6b)] });
      clock.advance(1000 * ms);
      expect(lines[0].printed).toBe('ok');
    },
  };
}

function entropyRig(over: (typeof TRANSPORTS)[number][1]): Rig {
  const clock = new ManualClock();
  const source = new EntropyEnd({ grant: { partition: 'guest', access: 'rw', rate: { bytesPerSecond: 100_000 } }, port: { control: PortControl.create(), lanes: {} } }, (target) => target.fill(0x5a));
  const driver = VirtioDriver.on(new VirtioRng(source, clock), over).start();
  return {
    driver,
    clock,
    works(fresh) {
      fresh.start();
      clock.advance(1000 * ms);
      fresh.queue(0).send({ writable: [32] });
      clock.advance(1000 * ms);
      expect(fresh.queue(0).take()[0]?.data).toEqual(new Uint8Array(32).fill(0x5a));
    },
  };
}

describe.each(TRANSPORTS)(`a hostile driver over %s (seed ${SEED})`, (_, over) => {
  it.each([
    ['a console', consoleRig],
    ['an entropy device', entropyRig],
  ])('of %s', (_name, make) => {
    const random = new Random(SEED);
    let rig = make(over);
    for (let count = 0; count < OPERATIONS; count++) {
      // A machine of its own now and then: what one has broken must not hide what another would.
      if (count % 2000 === 0) {
        rig = make(over);
        rig.driver.slot.memory.write(FENCE, new Uint8Array(FENCE_BYTES).fill(0xa5));
      }
      act(random, rig);
      if (count % 250 === 249) {
        expect(rig.held?.() ?? 0).toBeLessThanOrEqual(64);
        if (random.below(2) === 0) rig.driver.start(BigInt(random.below(8)));
      }
      if (count % 2000 === 1999) {
        expect(rig.driver.slot.memory.read(FENCE, FENCE_BYTES)).toEqual(new Uint8Array(FENCE_BYTES).fill(0xa5));
        expect(rig.driver.slot.messages.length).toBeLessThan(2000);
        rig.works(rig.driver);
      }
    }
  });
});

describe(`a hostile driver of shared memory (seed ${SEED})`, () => {
  it.each([0, 4])('with %d vectors', (vectors) => {
    const random = new Random(SEED);
    const slot = fakeSlot();
    const members = [0, 1, 2].map(() => ({ writable: true, vectors: Math.max(1, vectors), doorbellsPerSecond: 1000, alarm: new Int32Array(new SharedArrayBuffer(4)) }));
    const buffers = createChannel(4096, members);
    let wakes = 0;
    const [own, peer] = buffers.slice(0, 2).map((end) => new ChannelEnd(end, slot.clock, () => wakes++)) as [ChannelEnd, ChannelEnd];
    let heard = 0;
    peer.listen(() => heard++);
    const chip = new Ivshmem({ channel: own, vectors, pci: (description) => slot.pci(description) });
    const [pci] = slot.functions;
    const bases = [0x10, 0x14, 0x18].map((register) => ((pci?.readConfig(register, 4) ?? 0) & ~0xf) >>> 0);
    const before = slot.clock.now();
    let admissions = 0;
    for (let count = 0; count < OPERATIONS; count++) {
      const base = bases[random.below(3)] as number;
      const size = SIZES[random.below(3)] as AccessSize;
      const at = base + random.below(random.below(8) === 0 ? 0x2000 : 0x20);
      switch (random.below(6)) {
        case 0:
          slot.bus.read('mmio', at, size);
          break;
        case 1:
          slot.bus.write('mmio', at, size, random.odd() % 2 ** (8 * size));
          break;
        case 2:
          slot.bus.write('mmio', (bases[0] as number) + 12, 4, (random.below(4) << 16) | random.below(8));
          break;
        case 3:
          own.admit();
          peer.admit();
          admissions++;
          break;
        case 4:
          slot.clock.advance(random.below(1000));
          break;
        case 5:
          if (random.below(100) === 0) chip.reset();
          else pci?.writeConfig(random.odd() & 0xff & ~3, 4, random.below(3) === 0 ? random.odd() : (pci.readConfig(4, 4) | 6) >>> 0);
          // Wherever the BARs went: back to where the next round looks.
          for (const [index, address] of bases.entries()) pci?.writeConfig(0x10 + 4 * index, 4, address);
          pci?.writeConfig(0x1c, 4, 0);
          pci?.writeConfig(4, 2, 6);
          break;
      }
    }
    const seconds = (slot.clock.now() - before) / 1e9;
    expect(heard).toBeLessThanOrEqual(1000 * seconds + 21);
    // A wake-up for a doorbell that was not waiting already: no more than were admitted, vector by vector.
    expect(wakes).toBeLessThanOrEqual((admissions + 2) * 3 * Math.max(1, vectors));
    peer.memory.write(0, 4, 0x1234_5678);
    expect(slot.bus.read('mmio', bases[2] as number, 4)).toBe(0x1234_5678);
  });
});
