// Rules of AHCI 1.3.1 ("AHCI") and Serial ATA 2.6 ("SATA"), through the registers and memory structures a driver uses.
import { beforeEach, describe, expect, it } from 'vitest';
import { us } from '../../base/index.ts';
import type { AccessSize } from '../../contracts/index.ts';
import { MemoryDisk } from '../storage/memory-disk.ts';
import { type FakeSlot, fakeSlot } from '../testing.ts';
import { Ahci } from './ahci.ts';
import { AtaDisk } from './ata-disk.ts';
import { AtapiCdrom } from './atapi-cdrom.ts';

const CAP = 0x00, GHC = 0x04, IS = 0x08, PI = 0x0c, VS = 0x10;
const CLB = 0x00, FB = 0x08, PIS = 0x10, PIE = 0x14, CMD = 0x18, TFD = 0x20, SIG = 0x24, SSTS = 0x28, SCTL = 0x2c, SERR = 0x30;
const SACT = 0x34, CI = 0x38;
const DHRS = 1, PSS = 2, SDBS = 8, DPS = 0x20, OFS = 1 << 24, IFS = 1 << 27, HBDS = 1 << 28, HBFS = 1 << 29, TFES = 1 << 30;
const ST = 1, FRE = 0x10;
const READ_DMA_EXT = 0x25, WRITE_DMA_EXT = 0x35, READ_LOG_EXT = 0x2f, READ_FPDMA = 0x60, WRITE_FPDMA = 0x61, PACKET = 0xa0, IDENTIFY = 0xec;
const SECTORS = 4096;
/** Memory structures of port n lie at n × 64 KiB. */
const LIST = 0x0000, FIS = 0x1000, TABLES = 0x2000, TABLE_BYTES = 0x400, BUFFER = 0x4_0000;

let slot: FakeSlot;
let disk: MemoryDisk;
let ahci: Ahci;

function connect(latency = 0): void {
  slot = fakeSlot('ahci');
  const names = { model: 'TEST', serial: 'S', firmware: '1' };
  const disc = new MemoryDisk(64, true);
  disc.bytes.fill(0xcd);
  ahci = new Ahci({
    slot,
    latency,
    drives: [
      new AtaDisk({ backend: disk, transport: 'serial', names }),
      undefined,
      new AtapiCdrom({ backend: disc, transport: 'serial', names }),
    ],
  });
  ahci.reset();
  for (const port of [0, 2]) {
    set(port, CLB, port * 0x1_0000 + LIST);
    set(port, FB, port * 0x1_0000 + FIS);
    set(port, CMD, FRE);
    set(port, CMD, FRE | ST);
    set(port, SERR, 0xffff_ffff);
    set(port, PIE, 0xffff_ffff);
  }
}

beforeEach(() => {
  disk = new MemoryDisk(SECTORS);
  for (let sector = 0; sector < SECTORS; sector++) disk.bytes.fill(sector & 0xff, sector * 512, sector * 512 + 512);
  connect();
  ahci.write(GHC, 4, 2);
});

const at = (port: number, register: number): number => 0x100 + 0x80 * port + register;
const get = (port: number, register: number): number => ahci.read(at(port, register), 4);
const set = (port: number, register: number, value: number): void => ahci.write(at(port, register), 4, value >>> 0);
const memory = (gpa: number, size = 1): number[] => [...(slot.memory.read(gpa, size) as Uint8Array)];
const interrupting = (): boolean => slot.functions[0]!.interruptAsserted;

interface Request {
  readonly lba?: number;
  readonly count?: number;
  readonly feature?: number;
  readonly write?: boolean;
  readonly regions?: readonly (readonly [address: number, bytes: number, interrupt?: boolean])[];
  readonly packet?: readonly number[];
  readonly fis?: readonly number[];
  readonly tag?: number;
}

/** Builds command header, command FIS and PRD table of a slot (AHCI §4.2). */
function build(port: number, index: number, code: number, request: Request = {}): void {
  const { lba = 0, count = 1, feature = 0, regions = [[BUFFER, 0x1_0000]], packet, tag } = request;
  const table = port * 0x1_0000 + TABLES + index * TABLE_BYTES;
  const header = port * 0x1_0000 + LIST + 32 * index;
  slot.dma.write32(header, ((regions.length << 16) | (packet === undefined ? 0 : 1 << 5) | 5) >>> 0);
  slot.dma.write32(header + 4, 0);
  slot.dma.write32(header + 8, table);
  slot.dma.write32(header + 12, 0);
  const queued = tag !== undefined;
  const fis = request.fis ?? [
    0x27, 0x80, code, queued ? count & 0xff : feature,
    lba & 0xff, (lba >> 8) & 0xff, (lba >> 16) & 0xff, 0x40,
    0, 0, 0, queued ? count >> 8 : 0,
    queued ? tag << 3 : count & 0xff, queued ? 0 : count >> 8, 0, 0, 0, 0, 0, 0,
  ];
  slot.memory.write(table, Uint8Array.from(fis));
  slot.memory.write(table + 0x40, Uint8Array.from({ length: 16 }, (_, i) => packet?.[i] ?? 0));
  for (const [i, [address, bytes, interrupt]] of regions.entries()) {
    const entry = table + 0x80 + 16 * i;
    slot.dma.write32(entry, address);
    slot.dma.write32(entry + 4, 0);
    slot.dma.write32(entry + 12, ((bytes - 1) | (interrupt === true ? 0x8000_0000 : 0)) >>> 0);
  }
}

function issue(port: number, index: number, code: number, request: Request = {}): void {
  build(port, index, code, request);
  set(port, CI, 1 << index);
}

function queue(index: number, code: number, request: Request = {}): void {
  build(0, index, code, { ...request, tag: index });
  set(0, SACT, 1 << index);
  set(0, CI, 1 << index);
}

/** As a driver recovers from an error: stop, reset the link, start. */
function recover(port: number): void {
  set(port, CMD, FRE);
  set(port, SCTL, 1);
  set(port, SCTL, 0);
  set(port, SERR, 0xffff_ffff);
  set(port, PIS, 0xffff_ffff);
  set(port, CMD, FRE | ST);
}

describe('controller', () => {
  it('tells what it can: 32 slots, queues, 64-bit addresses, AHCI 1.3.1 and nothing else', () => {
    const cap = ahci.read(CAP, 4);
    expect([cap & 0x1f, (cap >> 8) & 0x1f, cap >>> 30, (cap >> 18) & 1]).toEqual([2, 31, 3, 1]);
    expect([ahci.read(VS, 4), ahci.read(GHC, 4) >>> 31, ahci.read(PI, 4)]).toEqual([0x0001_0301, 1, 0b111]);
  });

  it('lets narrower reads see their part of a register', () => {
    const sizes: readonly AccessSize[] = [1, 2];
    expect(sizes.map((size) => ahci.read(VS + 2, size))).toEqual([0x01, 0x0001]);
  });

  it('comes out of its reset with the interrupts off and every link trained (AHCI §10.4.3)', () => {
    ahci.write(GHC, 4, 3);
    expect([ahci.read(GHC, 4), get(0, CLB), get(0, CMD) & (ST | FRE), get(0, SSTS)]).toEqual([0x8000_0000, 0, 0, 0x123]);
  });
});

describe('port', () => {
  it('shows who is there by link status and signature (AHCI §3.3.9)', () => {
    expect([get(0, SSTS), get(1, SSTS), get(2, SSTS)]).toEqual([0x123, 0, 0x123]);
    expect([get(0, SIG), get(1, SIG), get(2, SIG)]).toEqual([0x101, 0xffff_ffff, 0xeb14_0101]);
    expect([get(0, TFD), get(1, TFD), get(2, TFD)]).toEqual([0x150, 0x7f, 0x100]);
  });

  it('trains the link anew at COMRESET and says so in PxSERR (AHCI §10.4.2)', () => {
    set(0, CMD, FRE);
    set(0, SCTL, 1);
    expect([get(0, SSTS), get(0, TFD)]).toEqual([0, 0x7f]);
    set(0, SCTL, 0);
    expect([get(0, SSTS), get(0, TFD), get(0, SERR), get(0, PIS) & 0x40]).toEqual([0x123, 0x150, 1 << 26, 0x40]);
    set(0, SERR, 1 << 26);
    expect(get(0, PIS) & 0x40).toBe(0);
    expect(memory(FIS + 0x40, 4)).toEqual([0x34, 0x40, 0x50, 0x01]);
  });

  it('accepts no commands while it is stopped, and forgets those that were issued (AHCI §3.3.14)', () => {
    connect(100 * us);
    issue(0, 3, READ_DMA_EXT);
    expect(get(0, CI)).toBe(8);
    set(0, CMD, FRE);
    expect([get(0, CI), get(0, SACT), get(0, CMD) & 0x8000]).toEqual([0, 0, 0]);
    set(0, CI, 1);
    expect(get(0, CI)).toBe(0);
    slot.clock.advance(1_000_000);
    expect(memory(BUFFER)).toEqual([0]);
  });

  it('resets the drive by a pair of control frames, without an interrupt (AHCI §10.4.1)', () => {
    const controlFis = (control: number): number[] => [0x27, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, control, 0, 0, 0, 0];
    issue(2, 0, 0, { fis: controlFis(4) });
    issue(2, 0, 0, { fis: controlFis(0) });
    expect([get(2, CI), get(2, TFD), get(2, SIG), get(2, PIS) & DHRS]).toEqual([0, 0x100, 0xeb14_0101, 0]);
  });
});

describe('commands', () => {
  it('scatters a read over the PRD table and reports how much it moved (AHCI §5.4.1)', () => {
    issue(0, 5, READ_DMA_EXT, { lba: 0x107, count: 2, regions: [[BUFFER, 2], [BUFFER + 0x1000, 1022]] });
    expect([memory(BUFFER, 3), memory(BUFFER + 0x1000 + 509, 2)]).toEqual([[7, 7, 0], [7, 8]]);
    expect([get(0, CI), get(0, TFD), get(0, PIS), slot.dma.read32(LIST + 32 * 5 + 4)]).toEqual([0, 0x50, DHRS, 1024]);
    expect(memory(FIS + 0x40, 3)).toEqual([0x34, 0x40, 0x50]);
  });

  it('gathers a write', () => {
    slot.memory.write(BUFFER, new Uint8Array(1024).fill(0x77));
    issue(0, 0, WRITE_DMA_EXT, { lba: 30, count: 2 });
    expect([disk.bytes[30 * 512], disk.bytes[32 * 512 - 1], disk.bytes[32 * 512]]).toEqual([0x77, 0x77, 32]);
  });

  it('ends PIO input with a PIO Setup frame (AHCI §5.3.11)', () => {
    issue(0, 0, IDENTIFY);
    expect([get(0, CI), get(0, PIS), get(0, TFD), memory(BUFFER, 2)]).toEqual([0, PSS, 0x50, [0x40, 0]]);
    const frame = memory(FIS + 0x20, 20);
    expect([frame[0], frame[2], frame[15], (frame[16] as number) | ((frame[17] as number) << 8)]).toEqual([0x5f, 0x58, 0x50, 512]);
  });

  it('tells of a PRD entry with its I bit when it is used up', () => {
    issue(0, 0, READ_DMA_EXT, { count: 2, regions: [[BUFFER, 512, true], [BUFFER, 512]] });
    expect(get(0, PIS)).toBe(DHRS | DPS);
  });

  it('sends packets, with the data through the PRD table', () => {
    issue(2, 0, PACKET, { feature: 1, packet: [0] });
    expect([get(2, PIS) >>> 30, get(2, TFD)]).toEqual([1, 0x6051]); // unit attention after power-on
    recover(2);
    issue(2, 0, PACKET, { packet: [0x03, 0, 0, 0, 18] });
    expect([memory(BUFFER + 2), memory(BUFFER + 12)]).toEqual([[6], [0x29]]);
    issue(2, 0, PACKET, { feature: 1, packet: [0x28, 0, 0, 0, 0, 1, 0, 0, 2] });
    expect([get(2, TFD), memory(BUFFER + 4095), slot.dma.read32(2 * 0x1_0000 + LIST + 4)]).toEqual([0x50, [0xcd], 4096]);
  });

  it('stops at an error, with the failed slot in PxCI and PxCMD, until software starts it again (AHCI §6.2.2.1)', () => {
    issue(0, 4, READ_DMA_EXT, { lba: SECTORS });
    expect([get(0, CI), (get(0, CMD) >> 8) & 0x1f, get(0, PIS), get(0, TFD)]).toEqual([1 << 4, 4, DHRS | TFES, 0x1051]);
    issue(0, 6, READ_DMA_EXT);
    expect(get(0, CI)).toBe((1 << 4) | (1 << 6));
    recover(0);
    issue(0, 6, READ_DMA_EXT, { lba: 9 });
    expect([get(0, CI), memory(BUFFER)]).toEqual([0, [9]]);
  });

  const outsideRam: readonly (readonly [what: string, bit: number, arrange: () => unknown, request: Request])[] = [
    ['a command list', HBFS, () => set(0, CLB, 0x7000_0000), {}],
    ['a command table', HBFS, () => slot.dma.write32(LIST + 8, 0xfff0_0000), {}],
    ['a data region', HBDS, () => undefined, { regions: [[0x7000_0000, 0x1000]] }],
    ['a data region that ends', HBDS, () => undefined, { regions: [[0xf_ff00, 512]] }],
  ];
  it.each(outsideRam)('refuses %s outside RAM with a host bus error (AHCI §6.1.1)', (_, bit, arrange, request) => {
    build(0, 0, READ_DMA_EXT, request);
    arrange();
    set(0, CI, 1);
    expect([get(0, PIS) & bit, get(0, CI), slot.functions[0]!.dma.violations > 0]).toEqual([bit, 1, true]);
  });

  it('takes addresses above 4 GiB as they are, not folded into RAM', () => {
    build(0, 0, READ_DMA_EXT);
    slot.dma.write32(TABLES + 0x80 + 4, 1);
    set(0, CI, 1);
    expect([get(0, PIS) & HBDS, memory(BUFFER)]).toEqual([HBDS, [0]]);
  });

  it('reports an overflow when the table is too short for the transfer (AHCI §6.1.6)', () => {
    issue(0, 0, READ_DMA_EXT, { count: 3, regions: [[BUFFER, 1000]] });
    expect([get(0, PIS) & (OFS | IFS), memory(BUFFER + 512)]).toEqual([OFS | IFS, [0]]);
  });

  it('refuses what is no frame to a device', () => {
    issue(0, 0, 0, { fis: [0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] });
    expect([get(0, PIS) & IFS, get(0, SERR) & (1 << 10)]).toEqual([IFS, 1 << 10]);
  });

  it('moves a long transfer in steps, between which the guest runs', () => {
    issue(0, 0, READ_DMA_EXT, { count: 2048, regions: Array.from({ length: 16 }, (): [number, number] => [BUFFER, 0x1_0000]) });
    expect([get(0, CI), get(0, TFD) & 0x80]).toEqual([1, 0x80]);
    slot.clock.advance(300_000);
    expect([get(0, CI), get(0, TFD)]).toEqual([0, 0x50]);
  });

  it('works a bounded piece at a time through a table of the smallest regions', () => {
    const regions = Array.from({ length: 56 }, (_, i): [number, number] => [BUFFER + 2 * i, 2]);
    build(0, 0, READ_DMA_EXT, { count: 64, regions });
    slot.dma.write32(LIST, 0xffff_0005); // says 65,535 of them: what follows the table is taken for more
    set(0, CI, 1);
    for (let i = 0; i < 100 && get(0, CI) !== 0 && (get(0, PIS) & (HBDS | OFS)) === 0; i++) slot.clock.advance(100_000);
    expect(get(0, PIS) & (DHRS | HBDS | OFS)).not.toBe(0);
  });
});

describe('queued commands', () => {
  it('leave PxCI when accepted and PxSACT when done, told by Set Device Bits (SATA §13.6)', () => {
    queue(7, READ_FPDMA, { lba: 0x15, count: 2 });
    expect([get(0, CI), get(0, SACT), get(0, PIS), get(0, TFD) & 0xff]).toEqual([0, 0, SDBS, 0x50]);
    expect(memory(FIS + 0x58, 8)).toEqual([0xa1, 0x40, 0x50, 0, 1 << 7, 0, 0, 0]);
    expect([memory(BUFFER), memory(BUFFER + 512)]).toEqual([[0x15], [0x16]]);
  });

  it('overlap in their latency and end in the order they came', () => {
    connect(100 * us);
    for (const index of [3, 1, 2]) queue(index, READ_FPDMA, { lba: index, regions: [[BUFFER + 0x1000 * index, 512]] });
    expect([get(0, CI), get(0, SACT)]).toEqual([0, 0b1110]);
    slot.clock.advance(100 * us);
    expect([get(0, SACT), memory(BUFFER + 0x1000), memory(BUFFER + 0x2000), memory(BUFFER + 0x3000)]).toEqual([0, [1], [2], [3]]);
    expect(memory(FIS + 0x5c)).toEqual([1 << 2]);
  });

  it('end together when one fails, and the log says which (SATA §13.6.4.3)', () => {
    connect(100 * us);
    disk.badSector = 0x44;
    queue(5, WRITE_FPDMA, { lba: 0x44 });
    queue(6, WRITE_FPDMA, { lba: 0x50 });
    slot.clock.advance(100 * us);
    expect([get(0, SACT), get(0, PIS) & (SDBS | TFES), get(0, TFD) & 1]).toEqual([0b110_0000, SDBS | TFES, 1]);
    expect(disk.bytes[0x50 * 512]).toBe(0x50);
    set(0, CMD, FRE);
    set(0, CMD, FRE | ST);
    expect(get(0, SACT)).toBe(0);
    issue(0, 0, READ_LOG_EXT, { lba: 0x10 });
    slot.clock.advance(100 * us);
    expect([memory(BUFFER), memory(BUFFER + 4)]).toEqual([[5], [0x44]]);
  });

  it('are ended by a command that is not queued, or by one whose tag is taken', () => {
    for (const intrude of [() => issue(0, 9, READ_DMA_EXT), () => queue(1, READ_FPDMA)]) {
      connect(100 * us);
      queue(1, READ_FPDMA);
      intrude();
      slot.clock.advance(1_000_000);
      expect([get(0, PIS) & TFES, get(0, TFD) & 1, memory(BUFFER)]).toEqual([TFES, 1, [0]]);
    }
  });

  it('write', () => {
    slot.memory.write(BUFFER, new Uint8Array(512).fill(0x99));
    queue(0, WRITE_FPDMA, { lba: 77 });
    expect([disk.bytes[77 * 512], disk.bytes[78 * 512]]).toEqual([0x99, 78]);
  });
});

describe('interrupts', () => {
  it('reach the line while enabled, and are acknowledged first in the port, then in IS (AHCI §10.7.2.1)', () => {
    issue(0, 0, IDENTIFY);
    expect([ahci.read(IS, 4), interrupting()]).toEqual([1, true]);
    ahci.write(IS, 4, 1);
    expect([ahci.read(IS, 4), interrupting()]).toEqual([1, true]); // the port still asks
    set(0, PIS, 0xffff_ffff);
    ahci.write(IS, 4, 1);
    expect([ahci.read(IS, 4), interrupting()]).toEqual([0, false]);
  });

  it('stay inside while the port or the controller has them disabled', () => {
    set(0, PIE, 0);
    issue(0, 0, IDENTIFY);
    expect([ahci.read(IS, 4), interrupting()]).toEqual([0, false]);
    ahci.write(GHC, 4, 0);
    set(0, PIE, PSS);
    expect([ahci.read(IS, 4), interrupting()]).toEqual([1, false]);
    ahci.write(GHC, 4, 2);
    expect(interrupting()).toBe(true);
  });

  it('go out as messages when the driver turned MSI on: one for each new bit in IS (AHCI §10.7.2.3)', () => {
    const [pci] = slot.functions;
    const capability = pci!.readConfig(0x34, 1);
    pci!.writeConfig(capability + 4, 4, 0xfee0_0000);
    pci!.writeConfig(capability + 12, 2, 0x41);
    pci!.writeConfig(capability + 2, 2, 1);
    issue(0, 0, IDENTIFY);
    expect([slot.msis, interrupting()]).toEqual([[[0xfee0_0000, 0x41]], false]);
    issue(0, 0, IDENTIFY);
    expect(slot.msis).toHaveLength(1); // not acknowledged yet
    set(0, PIS, 0xffff_ffff);
    ahci.write(IS, 4, 1);
    issue(0, 0, IDENTIFY);
    expect(slot.msis).toHaveLength(2);
  });
});

describe('life', () => {
  it('goes on after save and restore, with a transfer and a queue under way', () => {
    connect(100 * us);
    queue(2, READ_FPDMA, { lba: 0, count: 2048, regions: Array.from({ length: 16 }, (): [number, number] => [BUFFER, 0x1_0000]) });
    queue(3, READ_FPDMA, { lba: 0x33, regions: [[BUFFER + 0x2_0000, 512]] });
    slot.clock.advance(150 * us);
    expect(get(0, SACT)).toBe(0b1100);
    const state = JSON.parse(JSON.stringify(ahci.save())) as ReturnType<Ahci['save']>;
    const ram = slot.memory.read(0, 1 << 20) as Uint8Array;
    const now = slot.clock.now();
    connect(100 * us);
    slot.memory.write(0, ram);
    slot.clock.advance(now);
    ahci.restore(state);
    slot.clock.advance(1_000_000);
    expect([get(0, SACT), memory(BUFFER + 0xffff), memory(BUFFER + 0x2_0000), get(0, PIS)]).toEqual([0, [0xff], [0x33], SDBS]);
  });

  it('holds its work while it is paused', () => {
    ahci.pause();
    issue(0, 0, READ_DMA_EXT, { lba: 5 });
    slot.clock.advance(1_000_000);
    expect([get(0, CI), memory(BUFFER)]).toEqual([1, [0]]);
    ahci.resume();
    expect([get(0, CI), memory(BUFFER)]).toEqual([0, [5]]);
  });
});
