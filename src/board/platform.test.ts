import { beforeEach, describe, expect, it } from 'vitest';
import type { CpuidModel, DeviceSpec, VcpuEvent } from '../contracts/index.ts';
import { DEVICE_CATALOGUE } from './catalogue.ts';
import { Telemetry } from './chips/telemetry.ts';
import { Uart16550 } from './chips/uart16550.ts';
import { Vga } from './chips/vga.ts';
import { screenText } from './display/index.ts';
import { createPhysicalMemory, pcRamRegions } from './memory.ts';
import { createPlatform, type Platform, type PlatformOptions } from './platform.ts';
import { FakePower, FakeTerminal, ManualClock, silent } from './testing.ts';

const APIC = 0xfee00000;
const IOAPIC = 0xfec00000;

/** x2APIC and TSC deadline announced; family 6. */
const cpuid: CpuidModel = {
  lookup(leaf, _subleaf, out) {
    out.fill(0);
    if (leaf === 1) out.set([0x6f0, 0, (1 << 21) | (1 << 24), 0x0781abff]);
  },
};

/** A core that only has pins. */
class Pins {
  intr = false;
  readonly events: string[] = [];

  setInterruptPin(level: boolean): void {
    this.intr = level;
  }

  inject(event: VcpuEvent): void {
    this.events.push(event.kind === 'sipi' ? `sipi ${event.vector}` : event.kind);
  }
}

function spec(name: string, model: string, changes: Partial<DeviceSpec> = {}): DeviceSpec {
  const place = DEVICE_CATALOGUE[model]?.places[0] ?? { ranges: [], irqs: [] };
  return { name, model, ranges: place.ranges, irqs: place.irqs, options: {}, ...changes };
}

let clock: ManualClock;
let power: FakePower;
let terminal: FakeTerminal;
let cores: [Pins, Pins];
let platform: Platform;

function build(changes: Partial<PlatformOptions> = {}): Platform {
  clock = new ManualClock();
  power = new FakePower();
  terminal = new FakeTerminal();
  cores = [new Pins(), new Pins()];
  platform = createPlatform({
    partition: 'test',
    vcpus: 2,
    devices: [
      spec('com1', 'uart16550'),
      spec('keyboard', 'i8042'),
      spec('screen', 'vga-text'),
      spec('exit', 'debug-exit'),
      spec('telemetry', 'telemetry'),
    ],
    memory: createPhysicalMemory(pcRamRegions(16 << 20), 0),
    clock,
    log: silent,
    power,
    character: () => terminal,
    cpuid,
    wallTime: 0,
    ...changes,
  });
  for (const [id, core] of cores.entries()) platform.connect(id, core);
  return platform;
}

beforeEach(() => {
  build();
});

const out = (port: number, value: number, size: 1 | 2 | 4 = 1) => platform.wiring(0).io.write('pio', port, size, value);
const inp = (port: number, size: 1 | 2 | 4 = 1) => platform.wiring(0).io.read('pio', port, size);
const store = (address: number, value: number, id = 0) => platform.wiring(id).io.write('mmio', address, 4, value);
const load = (address: number, id = 0) => platform.wiring(id).io.read('mmio', address, 4);
const acknowledge = (id = 0) => platform.wiring(id).acknowledgeInterrupt();

function redirect(pin: number, low: number, destination = 0): void {
  store(IOAPIC, 0x11 + 2 * pin);
  store(IOAPIC + 0x10, destination << 24);
  store(IOAPIC, 0x10 + 2 * pin);
  store(IOAPIC + 0x10, low);
}

function initializePics(): void {
  for (const [port, value] of [
    [0x21, 0xff],
    [0xa1, 0xff],
    [0x20, 0x11],
    [0x21, 0x30],
    [0x21, 0x04],
    [0x21, 0x01],
    [0xa0, 0x11],
    [0xa1, 0x38],
    [0xa1, 0x02],
    [0xa1, 0x01],
    [0x21, 0xff],
    [0xa1, 0xff],
  ] as const)
    out(port, value);
}

function startPit(hertz: number): void {
  const count = Math.round(1193182 / hertz);
  out(0x43, 0x34);
  out(0x40, count & 0xff);
  out(0x40, count >> 8);
}

describe('interrupts through the 8259 pair', () => {
  beforeEach(() => {
    initializePics();
    out(0x21, 0xfe);
    startPit(1000);
  });

  it('reach the bootstrap processor of a board with firmware from its first instruction on (MP 1.4 §3.6.2)', () => {
    const image = new Uint8Array(64 * 1024);
    build({ devices: [], memory: createPhysicalMemory(pcRamRegions(16 << 20), 0, 1 << 20), rom: { image, order: ['disk'] } });
    const { bus } = platform;
    for (const [port, value] of [[0x20, 0x11], [0x21, 0x08], [0x21, 0x04], [0x21, 0x01], [0x21, 0xfe], [0x43, 0x34], [0x40, 0], [0x40, 0]] as const) {
      bus.write('pio', port, 1, value);
    }
    clock.advance(60_000_000);
    expect(cores[0].intr).toBe(true);
    expect(cores[1].intr).toBe(false);
    expect(platform.wiring(0).acknowledgeInterrupt()).toBe(0x08);
  });

  it('reach the bootstrap processor in virtual-wire mode', () => {
    platform.enterVirtualWire();
    clock.advance(1_100_000);
    expect([cores[0].intr, cores[1].intr]).toEqual([true, false]);
    expect(acknowledge()).toBe(0x30);
    out(0x20, 0x20);
    expect(cores[0].intr).toBe(false);
  });

  it('do not pass an APIC in its reset state', () => {
    clock.advance(1_100_000);
    expect(cores[0].intr).toBe(false);
  });

  it('pass a globally disabled APIC', () => {
    expect(platform.wiring(0).writeMsr(0x1b, 0xfee00100n)).toBe(true);
    clock.advance(1_100_000);
    expect([cores[0].intr, acknowledge()]).toEqual([true, 0x30]);
  });

  it('are given to a core that is connected late', () => {
    platform.enterVirtualWire();
    clock.advance(1_100_000);
    const late = new Pins();
    platform.connect(0, late);
    expect(late.intr).toBe(true);
  });
});

describe('interrupts through the APICs', () => {
  beforeEach(() => {
    initializePics();
    for (const id of [0, 1]) store(APIC + 0xf0, 0x1ff, id);
  });

  it('bring the timer on pin 2, as the tables say', () => {
    redirect(2, 0x30, 1);
    startPit(100);
    let ticks = 0;
    for (let i = 0; i < 100; i++) {
      clock.advance(1_000_000);
      if (!cores[1].intr) continue;
      expect(acknowledge(1)).toBe(0x30);
      store(APIC + 0xb0, 0, 1);
      ticks++;
    }
    expect(ticks).toBe(9); // 11932 clocks are a little more than 10 ms
  });

  it('start the second processor', () => {
    store(APIC + 0x310, 1 << 24);
    for (const icr of [0xc500, 0x8500, 0x0699, 0x0699]) store(APIC + 0x300, icr);
    expect(cores[1].events).toEqual(['init', 'sipi 153', 'sipi 153']);
  });

  it('let each core see its own local APIC in the same window', () => {
    expect([load(APIC + 0x20, 0), load(APIC + 0x20, 1)]).toEqual([0, 0x01000000]);
  });

  it('repeat the level-triggered SCI until its cause is gone', () => {
    redirect(9, 0x8039);
    out(0xb2, 0xf1);
    out(0x602, 0x0100, 2);
    expect(platform.pressPowerButton()).toBe(true);
    expect(acknowledge()).toBe(0x39);
    store(APIC + 0xb0, 0);
    expect(acknowledge()).toBe(0x39);
    out(0x600, 0x0100, 2);
    store(APIC + 0xb0, 0);
    expect(cores[0].intr).toBe(false);
  });

  it('calibrate: the APIC timer, the TSC, the PM timer and counter 2 agree on how long 50 ms are', () => {
    store(APIC + 0x3e0, 0xb);
    store(APIC + 0x320, 0x10030);
    store(APIC + 0x380, 0xffffffff);
    out(0x61, (inp(0x61) & ~2) | 1);
    out(0x43, 0xb0);
    out(0x42, 59659 & 0xff);
    out(0x42, 59659 >> 8);
    const tsc = platform.wiring(0).timestamp();
    const pm = inp(0x608, 4);
    while (!(inp(0x61) & 0x20)) clock.advance(10_000);
    const elapsed = platform.wiring(0).timestamp() - tsc;
    expect(Math.abs(elapsed - 50_000_000)).toBeLessThan(20_000);
    expect(0xffffffff - load(APIC + 0x390)).toBe(elapsed);
    expect(Math.abs(inp(0x608, 4) - pm - (elapsed * 3_579_545) / 1e9)).toBeLessThan(2);
  });
});

describe('MSRs', () => {
  it('of the local APIC are here, others are not', () => {
    const { readMsr, writeMsr } = platform.wiring(1);
    expect([readMsr(0x1b), readMsr(0x10), readMsr(0x802)]).toEqual([0xfee00800n, undefined, undefined]);
    expect(writeMsr(0x1b, 0xfee00c00n)).toBe(true);
    expect(readMsr(0x802)).toBe(1n);
    expect(platform.wiring(1).io.read('mmio', APIC + 0x30, 4)).toBe(0xffffffff);
    expect([writeMsr(0x10, 0n), writeMsr(0x83f, 0x1_00n)]).toEqual([false, false]);
  });

  it('fire the TSC deadline at the time-stamp counter it names', () => {
    store(APIC + 0xf0, 0x1ff);
    store(APIC + 0x320, 0x40030);
    expect(platform.wiring(0).writeMsr(0x6e0, BigInt(platform.wiring(0).timestamp() + 5000))).toBe(true);
    clock.advance(4999);
    expect(cores[0].intr).toBe(false);
    clock.advance(1);
    expect(acknowledge()).toBe(0x30);
  });

  it('do not exist where CPUID does not announce them', () => {
    build({ cpuid: () => ({ lookup: (_leaf, _subleaf, registers) => void registers.fill(0) }) });
    const { readMsr, writeMsr } = platform.wiring(0);
    expect([readMsr(0x6e0), writeMsr(0x6e0, 1n), writeMsr(0x1b, 0xfee00d00n)]).toEqual([undefined, false, false]);
  });

  it('show the task priority as CR8', () => {
    const wiring = platform.wiring(0);
    wiring.writeTaskPriority(9);
    expect([wiring.readTaskPriority(), load(APIC + 0x80)]).toEqual([9, 0x90]);
  });
});

describe('devices', () => {
  it('print, show and report', () => {
    out(0x3f8, 0x41);
    expect(terminal.printed).toBe('A');
    out(0x510, 42, 4);
    expect(platform.chip('telemetry', Telemetry)?.report.periods).toBe(42);
    platform.wiring(1).io.write('mmio', 0xb8000, 4, 0x07690748);
    expect(screenText(platform.chip('screen', Vga)!.buffers)?.[0]).toBe('Hi');
    expect(platform.chip('screen', Telemetry)).toBeUndefined();
    expect(platform.chips(Uart16550).map(({ name }) => name)).toEqual(['com1']);
  });

  it('interrupt on their lines', () => {
    store(APIC + 0xf0, 0x1ff);
    redirect(4, 0x34);
    out(0x3fc, 0x08);
    out(0x3f9, 0x01);
    terminal.type('x');
    clock.advance(1_000_000);
    platform.pollInput();
    expect(acknowledge()).toBe(0x34);
  });

  it.each([
    ['reset 0', 0x64, 0xfe],
    ['reset 0', 0xcf9, 0x06],
    ['reset 0', 0x92, 0x03],
    ['debug-exit 33', 0xf4, 0x10],
  ])('ask for %s through port %i', (request, port, value) => {
    out(port, value);
    expect(power.requests).toEqual([request]);
  });

  it('ask for power-off through PM1 control', () => {
    out(0x604, 0x3400, 2);
    expect(power.requests).toEqual(['power-off 0']);
  });

  it('answer on no port but theirs: the rest floats and is counted', () => {
    const before = platform.bus.unclaimed.reads;
    expect([inp(0x2f8), inp(0x170), inp(0x388)]).toEqual([0xff, 0xff, 0xff]);
    expect(platform.bus.unclaimed.reads - before).toBe(3);
  });
});

describe('wiring mistakes', () => {
  it.each([
    ['BH214', [spec('tape', 'qic-80')]],
    ['BH210', [spec('a', 'telemetry'), spec('b', 'telemetry')]],
    ['BH211', [spec('a', 'uart16550'), spec('b', 'uart16550', { ranges: [{ space: 'pio', base: 0x2f8, size: 8 }] })]],
    ['BH211', [spec('a', 'uart16550', { irqs: [8] })]],
    ['BH212', [spec('a', 'uart16550', { irqs: [2] })]],
    ['BH215', [spec('a', 'uart16550', { irqs: [] })]],
    ['BH215', [spec('a', 'i8042', { options: { mouse: 'fast' } })]],
    ['BH215', [spec('a', 'i8042', { ranges: [] })]],
  ] as const)('are named: %s', (code, devices) => {
    expect(() => build({ devices })).toThrow(expect.objectContaining({ code }));
  });

  it('include RAM under a device', () => {
    const memory = createPhysicalMemory([{ base: 0, size: 1 << 20, access: 'rw' }], 0);
    expect(() => build({ memory })).toThrow(expect.objectContaining({ code: 'BH213' }));
    expect(() => build({ memory, devices: [] })).not.toThrow();
  });
});

it('takes device models of its user', () => {
  const seen: number[] = [];
  build({
    devices: [{ name: 'card', model: 'my-card', ranges: [{ space: 'pio', base: 0x220, size: 1 }], irqs: [5], options: {} }],
    models: {
      'my-card': {
        title: 'a card',
        places: [{ ranges: [], irqs: [] }],
        relocatable: true,
        console: false,
        options: {},
        create: ({ name }) => ({
          name,
          attach(slot) {
            const irq = slot.irq(5);
            slot.bus.claim({ space: 'pio', base: 0x220, size: 1 }, name, {
              read: () => 0x5a,
              write: (_offset, _size, value) => {
                seen.push(value);
                irq.pulse();
              },
            });
          },
          reset: () => undefined,
          [Symbol.dispose]: () => undefined,
        }),
      },
    },
  });
  store(APIC + 0xf0, 0x1ff);
  redirect(5, 0x35);
  out(0x220, 7);
  expect([inp(0x220), seen, acknowledge()]).toEqual([0x5a, [7], 0x35]);
});

it('comes out of reset as it went in', () => {
  store(APIC + 0xf0, 0x1ff);
  startPit(1000);
  redirect(2, 0x30);
  clock.advance(5_000_000);
  platform.reset('warm');
  clock.advance(50_000_000);
  expect([cores[0].intr, load(APIC + 0xf0), acknowledge()]).toEqual([false, 0xff, -1]);
  store(IOAPIC, 0x14);
  expect(load(IOAPIC + 0x10)).toBe(0x10000);
});

it('continues after save and restore into a new board', () => {
  store(APIC + 0xf0, 0x1ff);
  redirect(2, 0x30);
  startPit(1000);
  clock.advance(500_000);
  const state = JSON.parse(JSON.stringify(platform.save()));
  build();
  clock.advance(500_000);
  platform.restore(state);
  expect(cores[0].intr).toBe(false);
  clock.advance(600_000);
  expect(acknowledge()).toBe(0x30);
});

it('offers its tables and memory map to the loader', () => {
  expect(platform.rsdp).toBe(0xe0000);
  expect(platform.firmware.map(({ name }) => name)).toContain('ACPI tables');
  expect(platform.memoryMap.at(-1)).toEqual({ base: 0x100000, size: 15 << 20, kind: 'ram' });
});

it('survives whatever a guest writes wherever', () => {
  let seed = 12345;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const ranges = [...platform.bus.ranges()];
  const sizes = [1, 2, 4] as const;
  for (let i = 0; i < 60_000; i++) {
    const range = ranges[random(ranges.length)] ?? { space: 'pio' as const, base: 0, size: 1 };
    const size = sizes[random(3)] ?? 1;
    const address = range.base + random(range.size);
    const { io, readMsr, writeMsr, acknowledgeInterrupt } = platform.wiring(random(2));
    const kind = random(8);
    if (kind < 3) io.write(range.space, address, size, random(2 ** (8 * size)));
    else if (kind < 6) {
      const value = io.read(range.space, address, size);
      expect(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size)).toBe(true);
    } else if (kind === 6) writeMsr(0x800 + random(0x40), BigInt(random(2 ** 32)));
    else readMsr(0x800 + random(0x40));
    if (random(4) === 0) acknowledgeInterrupt();
    if (random(16) === 0) clock.advance(random(100_000));
  }
  platform.reset('cold');
  expect(load(APIC + 0xf0)).toBe(0xff);
});
