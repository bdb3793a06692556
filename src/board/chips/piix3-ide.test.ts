// Rules of ATA/ATAPI-6 ("ATA6"), "Programming Interface for Bus Master IDE Controller" ("BM") and the PIIX3 datasheet ("PIIX3"), through
// the ports a driver uses.
import { beforeEach, describe, expect, it } from 'vitest';
import { us } from '../../base/index.ts';
import type { AccessSize } from '../../contracts/index.ts';
import { MemoryDisk } from '../storage/memory-disk.ts';
import { type FakeSlot, fakeSlot, RecordingLine } from '../testing.ts';
import { AtaDisk } from './ata-disk.ts';
import { AtapiCdrom } from './atapi-cdrom.ts';
import { Piix3Ide } from './piix3-ide.ts';

const DATA = 0, ERROR = 1, FEATURE = 1, COUNT = 2, LBA_LOW = 3, LBA_MID = 4, LBA_HIGH = 5, DEVICE = 6, STATUS = 7, COMMAND = 7;
const IDLE = 0x50, DRQ = 0x58, BUSY = 0xd0, FAILED = 0x51;
const READ_SECTORS = 0x20, READ_SECTORS_EXT = 0x24, READ_DMA_EXT = 0x25, WRITE_SECTORS = 0x30, DIAGNOSTIC = 0x90, PACKET = 0xa0;
const READ_MULTIPLE = 0xc4, SET_MULTIPLE = 0xc6, READ_DMA = 0xc8, WRITE_DMA = 0xca, IDENTIFY = 0xec, DEVICE_RESET = 0x08;
const SECTORS = 4096;
const TABLE = 0x8000;
const BUFFER = 0x2_0000;

let slot: FakeSlot;
let disk: MemoryDisk;
let disc: MemoryDisk;
let lines: readonly [RecordingLine, RecordingLine];
let ide: Piix3Ide;

function connect(latency = 0): void {
  slot = fakeSlot('ide');
  lines = [new RecordingLine(), new RecordingLine()];
  const names = { model: 'TEST', serial: 'S', firmware: '1' };
  ide = new Piix3Ide({
    slot,
    lines,
    latency,
    drives: [
      new AtaDisk({ backend: disk, transport: 'parallel', names }),
      undefined,
      new AtapiCdrom({ backend: disc, transport: 'parallel', names }),
      new AtaDisk({ backend: new MemoryDisk(8), transport: 'parallel', names }),
    ],
  });
  ide.reset();
}

beforeEach(() => {
  disk = new MemoryDisk(SECTORS);
  for (let sector = 0; sector < SECTORS; sector++) disk.bytes.fill(sector & 0xff, sector * 512, sector * 512 + 512);
  disc = new MemoryDisk(64, true);
  disc.bytes.fill(0xcd);
  connect();
});

/** Channel 0 or 1; `control` is 0x3F6 or 0x376. */
const inp = (port: number, channel = 0, size: AccessSize = 1): number => ide.handlers[2 * channel]!.read(port, size);
const out = (port: number, value: number, channel = 0, size: AccessSize = 1): void => ide.handlers[2 * channel]!.write(port, size, value);
const alternate = (channel = 0): number => ide.handlers[2 * channel + 1]!.read(0, 1);
const control = (value: number, channel = 0): void => ide.handlers[2 * channel + 1]!.write(0, 1, value);

function command(code: number, lba: number, count: number, device = 0x40, channel = 0): void {
  out(DEVICE, device | ((lba >>> 24) & 0xf), channel);
  out(COUNT, count & 0xff, channel);
  out(LBA_LOW, lba & 0xff, channel);
  out(LBA_MID, (lba >> 8) & 0xff, channel);
  out(LBA_HIGH, (lba >> 16) & 0xff, channel);
  out(COMMAND, code, channel);
}

function words(count: number, channel = 0): number[] {
  return Array.from({ length: count }, () => inp(DATA, channel, 2));
}

describe('PIO', () => {
  it('offers a sector at a time, each with an interrupt (ATA6 §9.5)', () => {
    command(READ_SECTORS, 5, 2);
    expect([alternate(), lines[0].level]).toEqual([DRQ, true]);
    expect(inp(STATUS)).toBe(DRQ);
    expect(lines[0].level).toBe(false); // reading the status acknowledges
    expect(new Set(words(256))).toEqual(new Set([0x0505]));
    expect([lines[0].level, inp(STATUS)]).toEqual([true, DRQ]);
    expect(new Set(words(256))).toEqual(new Set([0x0606]));
    expect([lines[0].level, alternate(), lines[0].edges]).toEqual([false, IDLE, 2]);
  });

  it('passes 32 bits at once where the host asks for them', () => {
    command(READ_SECTORS, 0x11, 1);
    expect(Array.from({ length: 128 }, () => inp(DATA, 0, 4)).every((value) => value === 0x1111_1111)).toBe(true);
    expect(alternate()).toBe(IDLE);
  });

  it('moves READ MULTIPLE in blocks, with an interrupt for each (ATA6 §8.26)', () => {
    command(SET_MULTIPLE, 0, 4);
    inp(STATUS);
    command(READ_MULTIPLE, 8, 6);
    inp(STATUS);
    words(4 * 256);
    expect(inp(STATUS)).toBe(DRQ);
    expect(words(2 * 256)[0]).toBe(0x0c0c);
    expect([alternate(), lines[0].edges]).toEqual([IDLE, 3]);
  });

  it('asks for the first block of a write without an interrupt, and interrupts after each (ATA6 §9.6)', () => {
    command(WRITE_SECTORS, 9, 2);
    expect([alternate(), lines[0].level]).toEqual([DRQ, false]);
    for (let i = 0; i < 256; i++) out(DATA, 0x2211, 0, 2);
    expect([alternate(), lines[0].level]).toEqual([DRQ, true]);
    inp(STATUS);
    for (let i = 0; i < 256; i++) out(DATA, 0x4433, 0, 2);
    expect([inp(STATUS), lines[0].edges]).toEqual([IDLE, 2]);
    expect([...disk.bytes.slice(9 * 512, 9 * 512 + 2), ...disk.bytes.slice(10 * 512, 10 * 512 + 2)]).toEqual([0x11, 0x22, 0x33, 0x44]);
  });

  it('reads 48-bit addresses from what was in the registers before (ATA6 §6.20), and shows it behind HOB', () => {
    out(DEVICE, 0x40);
    for (const [port, previous, current] of [[COUNT, 0, 1], [LBA_LOW, 0x00, 0x34], [LBA_MID, 0, 0x02], [LBA_HIGH, 0, 0]] as const) {
      out(port, previous);
      out(port, current);
    }
    control(0x80);
    expect([inp(LBA_LOW), inp(COUNT)]).toEqual([0x00, 0x00]);
    control(0);
    expect([inp(LBA_LOW), inp(COUNT)]).toEqual([0x34, 0x01]);
    out(COMMAND, READ_SECTORS_EXT);
    expect(words(1)).toEqual([0x3434]);
  });

  it('ends with an error status where there is no such sector', () => {
    command(READ_SECTORS, SECTORS, 1);
    expect([inp(STATUS), inp(ERROR), inp(DATA, 0, 2)]).toEqual([FAILED, 0x10, 0]);
  });
});

describe('channel', () => {
  it('keeps the interrupt inside the device while nIEN is set (ATA6 §7.8)', () => {
    control(2);
    command(READ_SECTORS, 0, 1);
    expect(lines[0].level).toBe(false);
    control(0);
    expect(lines[0].level).toBe(true);
  });

  it('is busy while the drive takes its time, and hears no other command', () => {
    connect(50 * us);
    command(READ_SECTORS, 3, 1);
    expect([alternate(), lines[0].level]).toEqual([BUSY, false]);
    out(COMMAND, IDENTIFY);
    slot.clock.advance(50 * us - 1);
    expect(alternate()).toBe(BUSY);
    slot.clock.advance(1);
    expect([alternate(), lines[0].level, inp(DATA, 0, 2)]).toEqual([DRQ, true, 0x0303]);
  });

  it('answers 0 for a device 1 that is not there, and floats where nothing is (ATA6 §9.16.1)', () => {
    out(DEVICE, 0x10);
    expect([inp(STATUS), inp(COUNT)]).toEqual([0, 0]);
    out(COMMAND, IDENTIFY);
    expect(inp(STATUS)).toBe(0);
    ide = new Piix3Ide({ slot: fakeSlot('empty'), lines, drives: [], latency: 0 });
    expect([inp(STATUS), alternate(), inp(COUNT)]).toEqual([0x7f, 0x7f, 0x7f]);
  });

  it('tells a disk from a packet device by the registers after a software reset (ATA6 §9.12)', () => {
    control(4, 1);
    expect(alternate(1)).toBe(0x80);
    control(0, 1);
    expect([inp(STATUS, 1), inp(LBA_MID, 1), inp(LBA_HIGH, 1)]).toEqual([0, 0x14, 0xeb]);
    out(DEVICE, 0x10, 1);
    expect([inp(STATUS, 1), inp(LBA_MID, 1), inp(LBA_HIGH, 1), inp(ERROR, 1)]).toEqual([IDLE, 0, 0, 1]);
  });

  it('diagnoses both devices at once and leaves device 0 selected (ATA6 §8.9)', () => {
    out(DEVICE, 0x10, 1);
    out(COMMAND, DIAGNOSTIC, 1);
    expect([inp(DEVICE, 1) & 0x10, inp(ERROR, 1), lines[1].level]).toEqual([0, 1, true]);
  });

  it('a reset in the middle of a transfer ends it', () => {
    command(READ_SECTORS, 0, 8);
    words(100);
    control(4);
    control(0);
    expect([alternate(), lines[0].level]).toEqual([IDLE, false]);
    command(READ_SECTORS, 6, 1);
    expect(words(256)[0]).toBe(0x0606);
  });

  it('answers at its ports only while the function decodes I/O and the channel is enabled (PIIX3 §2.3.9)', () => {
    const [pci] = slot.functions;
    pci!.writeConfig(0x41, 1, 0);
    expect([inp(STATUS), inp(STATUS, 1)]).toEqual([0xff, 0]);
    pci!.writeConfig(0x41, 1, 0x80);
    pci!.writeConfig(0x04, 2, 0);
    expect([inp(STATUS), inp(DATA, 0, 2)]).toEqual([0xff, 0xffff]);
  });
});

describe('packets', () => {
  const packet = (bytes: readonly number[], limit = 0xfffe): void => {
    out(DEVICE, 0, 1);
    out(FEATURE, 0, 1);
    out(LBA_MID, limit & 0xff, 1);
    out(LBA_HIGH, limit >> 8, 1);
    out(COMMAND, PACKET, 1);
    expect([alternate(1), inp(COUNT, 1), lines[1].level]).toEqual([DRQ, 1, false]);
    for (let i = 0; i < 12; i += 2) out(DATA, (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8), 1, 2);
  };
  beforeEach(() => {
    packet([0]);
    inp(STATUS, 1);
  });

  it('come in through the data port; the answer tells its length, and the status comes last (ATA6 §9.8)', () => {
    packet([0x25]);
    expect([inp(STATUS, 1), inp(COUNT, 1), inp(LBA_MID, 1), inp(LBA_HIGH, 1)]).toEqual([DRQ, 2, 8, 0]);
    expect(words(4, 1)).toEqual([0, 0x0f00, 0, 0x0008]);
    expect([lines[1].level, inp(STATUS, 1), inp(COUNT, 1)]).toEqual([true, IDLE, 3]);
  });

  it('bring data in blocks of no more than the byte count allows', () => {
    packet([0x28, 0, 0, 0, 0, 0, 0, 0, 2], 3000);
    const blocks: number[] = [];
    while (inp(STATUS, 1) === DRQ) {
      const bytes = inp(LBA_MID, 1) | (inp(LBA_HIGH, 1) << 8);
      blocks.push(bytes);
      expect(words(bytes / 2, 1).every((word) => word === 0xcdcd)).toBe(true);
    }
    expect(blocks).toEqual([3000, 1096]);
  });

  it('are heard no more after DEVICE RESET, which needs no interrupt', () => {
    packet([0x28, 0, 0, 0, 0, 0, 0, 0, 2]);
    inp(STATUS, 1);
    out(COMMAND, DEVICE_RESET, 1);
    expect([inp(STATUS, 1), inp(LBA_HIGH, 1), lines[1].level]).toEqual([0, 0xeb, false]);
  });
});

describe('bus master', () => {
  const bar = (): number => slot.functions[0]!.barAddress(4) as number;
  const read = (offset: number, size: AccessSize = 1): number => slot.bus.read('pio', bar() + offset, size);
  const write = (offset: number, value: number, size: AccessSize = 1): void => slot.bus.write('pio', bar() + offset, size, value);
  const TO_MEMORY = 8;
  const START = 1;
  const ACTIVE = 1, BUS_ERROR = 2, INTERRUPT = 4;

  function table(...regions: readonly (readonly [address: number, bytes: number])[]): void {
    for (const [index, [address, bytes]] of regions.entries()) {
      slot.dma.write32(TABLE + 8 * index, address);
      slot.dma.write32(TABLE + 8 * index + 4, ((bytes & 0xffff) | (index === regions.length - 1 ? 0x8000_0000 : 0)) >>> 0);
    }
    write(4, TABLE, 4);
  }

  const memory = (gpa: number, size = 1): number[] => [...(slot.memory.read(gpa, size) as Uint8Array)];

  it('scatters a read over regions of any even length (BM §1.2)', () => {
    table([BUFFER, 2], [BUFFER + 0x1000, 1020], [BUFFER + 0x2000, 2]);
    command(READ_DMA, 1, 2);
    expect(lines[0].level).toBe(false);
    write(0, TO_MEMORY | START);
    expect([read(2), inp(STATUS), lines[0].edges]).toEqual([INTERRUPT, IDLE, 1]);
    expect([...memory(BUFFER, 3), ...memory(BUFFER + 0x1000 + 509, 2), ...memory(BUFFER + 0x2000, 3)]).toEqual([1, 1, 0, 1, 2, 2, 2, 0]);
  });

  it('may be started before the command is given', () => {
    table([BUFFER, 512]);
    write(0, TO_MEMORY | START);
    expect(read(2)).toBe(ACTIVE);
    command(READ_DMA, 7, 1);
    expect([read(2), memory(BUFFER + 511)]).toEqual([INTERRUPT, [7]]);
  });

  it('gathers a write', () => {
    slot.memory.write(BUFFER, new Uint8Array(512).fill(0xaa));
    slot.memory.write(BUFFER + 0x4000, new Uint8Array(512).fill(0xbb));
    table([BUFFER, 512], [BUFFER + 0x4000, 512]);
    command(WRITE_DMA, 20, 2);
    write(0, START);
    expect([disk.bytes[20 * 512], disk.bytes[21 * 512], disk.bytes[22 * 512], read(2)]).toEqual([0xaa, 0xbb, 22, INTERRUPT]);
  });

  it('stays active when its table is longer than the transfer (BM §2.1)', () => {
    table([BUFFER, 0x1000]);
    command(READ_DMA, 0, 1);
    write(0, TO_MEMORY | START);
    expect(read(2)).toBe(ACTIVE | INTERRUPT);
    write(0, 0);
    write(2, INTERRUPT);
    expect(read(2)).toBe(0);
  });

  it('stops without an interrupt when its table is too short; a reset gets the drive back', () => {
    table([BUFFER, 512]);
    command(READ_DMA, 0, 2);
    write(0, TO_MEMORY | START);
    expect([read(2), alternate() & 0x80, lines[0].edges]).toEqual([0, 0x80, 0]);
    control(4);
    control(0);
    expect(alternate()).toBe(IDLE);
  });

  it.each([
    ['a region outside RAM', () => table([0xfff0_0000, 512])],
    ['a region that ends outside RAM', () => table([(1 << 20) - 256, 512])],
    ['a table outside RAM', () => write(4, 0x7fff_fff0, 4)],
  ])('fails at %s: the error bit is set and the drive aborts', (_, arrange) => {
    arrange();
    command(READ_DMA, 0, 1);
    write(0, TO_MEMORY | START);
    expect([read(2), inp(STATUS), inp(ERROR) & 4, slot.functions[0]!.dma.violations > 0]).toEqual([BUS_ERROR | INTERRUPT, FAILED, 4, true]);
  });

  it('fails when it is started in the wrong direction', () => {
    table([BUFFER, 512]);
    command(READ_DMA, 0, 1);
    write(0, START);
    expect([read(2), inp(STATUS)]).toEqual([BUS_ERROR | INTERRUPT, FAILED]);
  });

  it('moves a long transfer in steps, between which the guest runs', () => {
    table(...Array.from({ length: 32 }, (): [number, number] => [BUFFER, 0]));
    out(COUNT, 2048 >> 8);
    out(COUNT, 0);
    for (const port of [LBA_LOW, LBA_MID, LBA_HIGH]) {
      out(port, 0);
      out(port, 0);
    }
    out(DEVICE, 0x40);
    out(COMMAND, READ_DMA_EXT);
    write(0, TO_MEMORY | START);
    expect([alternate(), read(2)]).toEqual([BUSY, ACTIVE]);
    slot.clock.advance(1_000_000);
    expect([alternate(), read(2)]).toEqual([IDLE, ACTIVE | INTERRUPT]);
  });

  it('goes on after save and restore in the middle of a transfer', () => {
    table(...Array.from({ length: 32 }, (): [number, number] => [BUFFER, 0]));
    out(DEVICE, 0x40);
    for (const [port, high] of [[COUNT, 4], [LBA_LOW, 0], [LBA_MID, 0], [LBA_HIGH, 0]] as const) {
      out(port, high);
      out(port, 0);
    }
    out(COMMAND, READ_DMA_EXT);
    write(0, TO_MEMORY | START);
    const state = JSON.parse(JSON.stringify(ide.save())) as ReturnType<Piix3Ide['save']>;
    const now = slot.clock.now();
    const ram = slot.memory.read(0, 1 << 20) as Uint8Array;
    connect();
    slot.memory.write(0, ram);
    slot.clock.advance(now);
    ide.restore(state);
    expect(alternate()).toBe(BUSY);
    slot.clock.advance(1_000_000);
    expect([alternate(), read(2) & INTERRUPT, memory(BUFFER + 0xffff)]).toEqual([IDLE, INTERRUPT, [0xff]]);
  });

  it('holds its work while it is paused', () => {
    ide.pause();
    table([BUFFER, 512]);
    command(READ_DMA, 1, 1);
    write(0, TO_MEMORY | START);
    slot.clock.advance(1_000_000);
    expect([alternate(), memory(BUFFER)]).toEqual([BUSY, [0]]);
    ide.resume();
    expect([alternate(), memory(BUFFER), lines[0].level]).toEqual([IDLE, [1], true]);
  });
});
