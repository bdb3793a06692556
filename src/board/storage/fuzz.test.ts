// A guest that writes anything anywhere: registers, memory structures, configuration space. Nothing throws, nothing reaches beyond its
// disk, and one access never costs more than a bounded piece of work. BULKHEAD_FUZZ_SEED repeats a run, BULKHEAD_FUZZ_OPERATIONS makes it
// longer.
import { describe, expect, it } from 'vitest';
import type { AccessSize, BlockBackend, Device, DeviceState, DmaPort, Nanos, PciFunctionDescription, PciFunctionPort } from '../../contracts/index.ts';
import { Ahci } from '../chips/ahci.ts';
import { AtaDisk } from '../chips/ata-disk.ts';
import { AtapiCdrom } from '../chips/atapi-cdrom.ts';
import { Piix3Ide } from '../chips/piix3-ide.ts';
import { type FakeSlot, fakeSlot, RecordingLine } from '../testing.ts';
import { DISK_COMMANDS } from './ata-commands.ts';
import { MOST_BYTES } from './scatter-gather.ts';

const OPERATIONS = Number(process.env['BULKHEAD_FUZZ_OPERATIONS'] ?? 50_000);
const SEED = Number(process.env['BULKHEAD_FUZZ_SEED'] ?? Date.now() % 0x1_0000_0000);
const RAM = 1 << 20;
/** Where descriptor tables and command lists lie, when the guest means well. */
const TABLES = RAM / 2;
/** Per access of the guest or step of the clock: 4 pieces of 512 descriptors for each controller port or channel, and 32 commands. */
const MOST_DMA_CALLS = 16_000;
const MOST_DISK_BYTES = 4 * 4 * MOST_BYTES;
/** Of saved state, as JSON: two channels with a full data buffer each. */
const MOST_STATE = 700_000;

/** xorshift32 (Marsaglia 2003). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** Mostly somewhere in RAM, away from the tables. */
  address(): number {
    return this.below(200) === 0 ? this.value() : this.below(TABLES - 0x1_0000) & ~1;
  }

  /** As guests choose them: small numbers, addresses in RAM, single bits, anything. */
  value(): number {
    switch (this.below(5)) {
      case 0:
        return this.below(16);
      case 1:
        return this.below(RAM) & ~0x3ff;
      case 2:
        return (1 << this.below(32)) >>> 0;
      case 3:
        return this.pick([0, 0xffff_ffff, 0x8000_0000, 0x7fff_ffff, 0xffff, RAM, RAM - 1]);
      default:
        return this.next();
    }
  }
}

/** What one access may cost, counted. */
class Meter {
  dmaCalls = 0;
  diskBytes = 0;
  /** In the whole run. */
  totalBytes = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A disk that holds its adapter to its size, and fails now and then. */
  disk(sectors: number, readOnly: boolean): BlockBackend {
    const check = (sector: number, bytes: number): boolean => {
      if (!(Number.isInteger(sector) && sector >= 0 && sector + bytes / 512 <= sectors && bytes % 512 === 0 && bytes <= MOST_BYTES)) {
        throw new Error(`${bytes} bytes at sector ${sector} of ${sectors}`);
      }
      this.diskBytes += bytes;
      this.totalBytes += bytes;
      return this.#random.below(50) > 0;
    };
    return {
      sectors,
      readOnly,
      read: (sector, target) => check(sector, target.length),
      write: (sector, source) => {
        if (readOnly) throw new Error('written, though it can only be read');
        return check(sector, source.length);
      },
      flush: () => this.#random.below(50) > 0,
      discard: (sector, count) => {
        if (!(sector >= 0 && count > 0 && sector + count <= sectors)) throw new Error(`${count} sectors discarded at ${sector}`);
        return true;
      },
    };
  }

  /** `port`, with its DMA counted. */
  count(port: PciFunctionPort): PciFunctionPort {
    const call = <T>(result: T): T => {
      this.dmaCalls++;
      return result;
    };
    const { dma } = port;
    const counted: DmaPort = {
      read: (gpa, target, at, size) => call(dma.read(gpa, target, at, size)),
      write: (gpa, source, at, size) => call(dma.write(gpa, source, at, size)),
      read16: (gpa) => call(dma.read16(gpa)),
      read32: (gpa) => call(dma.read32(gpa)),
      read64: (gpa) => call(dma.read64(gpa)),
      write16: (gpa, value) => call(dma.write16(gpa, value)),
      write32: (gpa, value) => call(dma.write32(gpa, value)),
      write64: (gpa, value) => call(dma.write64(gpa, value)),
      window: (gpa, size) => call(dma.window(gpa, size)),
      written: (gpa, size) => dma.written(gpa, size),
      reaches: (gpa, size, access) => call(dma.reaches(gpa, size, access)),
      get violations() {
        return dma.violations;
      },
    };
    return {
      dma: counted,
      setInterrupt: (level) => port.setInterrupt(level),
      get usesMessages() {
        return port.usesMessages;
      },
      get messages() {
        return port.messages;
      },
      signal: (vector) => port.signal(vector),
      config: (register) => port.config(register),
      place: port.place,
      setConfig: (register, value) => port.setConfig(register, value),
      barAddress: (bar) => port.barAddress(bar),
      memoryOf: (bar) => port.memoryOf(bar),
    };
  }
}

type Controller = Required<Pick<Device, 'pause' | 'resume'>> & {
  reset(): void;
  save(): DeviceState;
  restore(state: DeviceState): void;
};

interface Target {
  readonly slot: FakeSlot;
  readonly controller: Controller;
  /** One random access of a driver, good or bad. */
  access(random: Random): void;
}

const names = { model: 'FUZZ', serial: 'F', firmware: '1' };
const SIZES: readonly AccessSize[] = [1, 2, 4];
const COMMANDS = [...DISK_COMMANDS.keys(), 0x08, 0xa0, 0xa1];
const PACKETS = [0x00, 0x03, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x43, 0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xbd, 0xbe];

function ideTarget(meter: Meter, latency: Nanos): Target {
  const slot = fakeSlot('ide');
  const disk = (sectors: number, readOnly = false): AtaDisk =>
    new AtaDisk({ backend: meter.disk(sectors, readOnly), transport: 'parallel', names });
  const drives = [disk(5000), disk(64, true), new AtapiCdrom({ backend: meter.disk(800, true), transport: 'parallel', names }), disk(8)];
  const lines = [new RecordingLine(), new RecordingLine()] as const;
  const metered = { clock: slot.clock, pci: (description: PciFunctionDescription) => meter.count(slot.pci(description)) };
  const controller = new Piix3Ide({ slot: metered, lines, drives, latency });
  return {
    slot,
    controller,
    access(random) {
      const channel = random.below(2);
      const commandBlock = controller.handlers[2 * channel]!;
      const busMaster = (slot.functions[0]!.barAddress(4) ?? 0) + 8 * channel;
      switch (random.below(9)) {
        case 0:
          commandBlock.write(7, 1, random.pick(COMMANDS));
          break;
        case 1:
          commandBlock.write(random.below(8), random.pick(SIZES), random.value() & 0xff);
          break;
        case 2:
          commandBlock.read(random.below(8), random.pick(SIZES));
          break;
        case 3: {
          // A packet, or a run of data.
          const bytes = [random.pick(PACKETS), random.below(4), 0, 0, random.below(4), random.below(256), 0, random.below(2)];
          bytes.push(random.below(256), 0x10, 0, 0);
          for (let i = 0; i < 12; i += 2) commandBlock.write(0, 2, (bytes[i] as number) | ((bytes[i + 1] as number) << 8));
          break;
        }
        case 4: {
          const reading = random.below(2) === 0;
          for (let i = random.below(600); i > 0; i--) {
            if (reading) commandBlock.read(0, 4);
            else commandBlock.write(0, 4, random.next());
          }
          break;
        }
        case 5:
          slot.bus.write('pio', busMaster + random.pick([0, 2]), 1, random.pick([0, 1, 8, 9, random.below(256)]));
          break;
        case 6:
          slot.bus.write('pio', busMaster + 4, 4, random.value());
          break;
        case 7: {
          // As a driver sets up DMA: table, registers, command, start; each of them wrong now and then.
          const table = random.below(20) === 0 ? random.value() : TABLES;
          const small = random.below(10) === 0;
          const regions = small ? 600 : 1 + random.below(60);
          for (let i = 0; i < regions; i++) {
            slot.dma.write32(table + 8 * i, random.address());
            slot.dma.write32(table + 8 * i + 4, ((small ? 2 : random.below(0x1_0000)) | (i === regions - 1 ? 0x8000_0000 : 0)) >>> 0);
          }
          controller.handlers[2 * channel + 1]!.write(0, 1, 4);
          controller.handlers[2 * channel + 1]!.write(0, 1, 0);
          slot.bus.write('pio', busMaster, 1, 0);
          slot.bus.write('pio', busMaster + 4, 4, table);
          commandBlock.write(6, 1, 0x40 | (random.below(2) << 4));
          for (const port of [1, 2, 3, 4, 5]) commandBlock.write(port, 1, port < 4 ? random.below(256) : random.below(10) === 0 ? 1 : 0);
          const code = random.pick([0xc8, 0xca, 0x25, 0x35, 0xa0]);
          commandBlock.write(7, 1, code);
          if (code === 0xa0) for (const word of [0x28, 0, 0, random.below(256) << 8, 0x0100, 0]) commandBlock.write(0, 2, word);
          slot.bus.write('pio', busMaster, 1, code === 0xca || code === 0x35 ? 1 : 9);
          break;
        }
        default:
          controller.handlers[2 * channel + 1]!.write(0, 1, random.pick([0, 2, 4, 0x80, random.below(256)]));
      }
    },
  };
}

function ahciTarget(meter: Meter, latency: Nanos): Target {
  const slot = fakeSlot('ahci');
  const controller = new Ahci({
    slot: { clock: slot.clock, pci: (description) => meter.count(slot.pci(description)) },
    latency,
    drives: [
      new AtaDisk({ backend: meter.disk(5000, false), transport: 'serial', names }),
      undefined,
      new AtapiCdrom({ backend: meter.disk(800, true), transport: 'serial', names }),
    ],
  });
  const setPort = (port: number, register: number, value: number): void => controller.write(0x100 + 0x80 * port + register, 4, value >>> 0);
  return {
    slot,
    controller,
    access(random) {
      const port = random.below(3);
      const list = TABLES + 0x1_0000 * port;
      switch (random.below(14)) {
        case 0:
          controller.write(random.below(0x140) * 4, random.pick(SIZES), random.value());
          break;
        case 1:
          controller.read(random.below(0x800), random.pick(SIZES));
          break;
        case 2:
          setPort(port, random.below(0x20) * 4, random.value());
          break;
        case 3:
        case 4:
        case 5: // as a driver starts a port
          setPort(port, 0x18, 0);
          setPort(port, 0x2c, 1);
          setPort(port, 0x2c, 0);
          setPort(port, 0x04, 0);
          setPort(port, 0x0c, 0);
          setPort(port, 0x00, list);
          setPort(port, 0x08, list + 0x800);
          setPort(port, 0x30, 0xffff_ffff);
          setPort(port, 0x10, 0xffff_ffff);
          setPort(port, 0x18, 0x11);
          break;
        default: {
          const index = random.below(32);
          const table = list + 0x1000 + 0x400 * index;
          const code = random.pick(COMMANDS);
          const small = random.below(10) === 0;
          const regions = small ? 600 : random.below(50);
          const fis = Array.from({ length: 20 }, (_, i) => (random.below(i === 4 || i === 12 ? 1 : 30) === 0 ? random.below(256) : 0));
          fis[0] = random.below(50) === 0 ? random.below(256) : 0x27;
          fis[1] = random.below(20) === 0 ? 0 : 0x80;
          fis[2] = code;
          fis[3] = random.below(40);
          fis[7] = 0x40;
          if (code === 0x60 || code === 0x61) fis[12] = index << 3;
          slot.dma.write32(list + 32 * index, ((random.below(20) === 0 ? 0xffff : regions) << 16) | (random.below(2) << 5) | 5);
          slot.dma.write32(list + 32 * index + 8, random.below(200) === 0 ? random.value() : table);
          slot.dma.write32(list + 32 * index + 12, random.below(50) === 0 ? random.value() : 0);
          slot.memory.write(table, Uint8Array.from(fis));
          const packet = [random.pick(PACKETS), 0, 0, 0, random.below(256), random.below(256), 0, 0, random.below(256), 0x10];
          slot.memory.write(table + 0x40, Uint8Array.from(packet));
          for (let i = 0; i < regions; i++) {
            slot.dma.write32(table + 0x80 + 16 * i, random.address());
            slot.dma.write32(table + 0x80 + 16 * i + 4, random.below(50) === 0 ? random.value() : 0);
            slot.dma.write32(table + 0x80 + 16 * i + 12, small ? 1 : random.below(0x8000));
          }
          if (code === 0x60 || code === 0x61) setPort(port, 0x34, 1 << index);
          setPort(port, 0x38, 1 << index);
        }
      }
    },
  };
}

describe.each([
  ['ide', 0, ideTarget],
  ['ide', 50_000, ideTarget],
  ['ahci', 0, ahciTarget],
  ['ahci', 50_000, ahciTarget],
] as const)(`%s with a latency of %i ns, fuzzed with seed ${SEED}`, (_, latency, create) => {
  it(`bears ${OPERATIONS / 4} operations`, { timeout: 60_000 + OPERATIONS * 5 }, () => {
    const random = new Random(SEED);
    const meter = new Meter(random);
    const { slot, controller, access } = create(meter, latency);
    controller.reset();
    const pci = slot.functions[0]!;
    const configuration = pci.save();
    let mostDma = 0;
    for (let operation = 0; operation < OPERATIONS / 4; operation++) {
      meter.dmaCalls = 0;
      meter.diskBytes = 0;
      switch (random.below(40)) {
        case 0:
          pci.writeConfig(random.below(64) * 4, 4, random.value());
          // Mostly back as it was: what cannot be reached cannot be tried.
          if (random.below(4) > 0) pci.restore(configuration);
          break;
        case 1:
          slot.memory.write(random.below(RAM - 64), Uint8Array.from({ length: 64 }, () => random.below(256)));
          break;
        case 2:
        case 3:
          // One deadline after the other: each is a step of its own.
          for (let i = 0; i < 8 && slot.clock.next !== undefined; i++) {
            slot.clock.advance(Math.max(0, slot.clock.next - slot.clock.now()));
            expect(meter.dmaCalls).toBeLessThan(MOST_DMA_CALLS);
            mostDma = Math.max(mostDma, meter.dmaCalls);
            meter.dmaCalls = 0;
            meter.diskBytes = 0;
          }
          break;
        case 4:
          if (random.below(10) === 0) controller.pause();
          else controller.resume();
          break;
        case 5: {
          if (random.below(20) > 0) break;
          const text = JSON.stringify(controller.save());
          expect(text.length).toBeLessThan(MOST_STATE);
          controller.restore(JSON.parse(text) as DeviceState);
          expect(JSON.stringify(controller.save()).length).toBeLessThan(MOST_STATE);
          break;
        }
        case 6:
          if (random.below(50) === 0) controller.reset();
          break;
        default:
          access(random);
      }
      mostDma = Math.max(mostDma, meter.dmaCalls);
      if (meter.dmaCalls >= MOST_DMA_CALLS || meter.diskBytes > MOST_DISK_BYTES) {
        expect.fail(`operation ${operation} cost ${meter.dmaCalls} DMA accesses and ${meter.diskBytes} bytes of disk`);
      }
    }
    // It did get as far as transfers, and to tables of the smallest pieces.
    expect(meter.totalBytes).toBeGreaterThan(20 * OPERATIONS);
    expect(mostDma).toBeGreaterThan(100);
    console.info(`seed ${SEED}: ${meter.totalBytes} bytes moved, at most ${mostDma} DMA accesses in one operation`);
  });
});
