import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../testing.ts';
import { I82093aa } from './i82093aa.ts';
import { InterruptMessages } from './interrupt-messages.ts';
import { LocalApic } from './local-apic.ts';

const BASE = 0xfee00000;
const ID = 0x20;
const VERSION = 0x30;
const TPR = 0x80;
const PPR = 0xa0;
const EOI = 0xb0;
const LDR = 0xd0;
const DFR = 0xe0;
const SVR = 0xf0;
const TMR = 0x180;
const IRR = 0x200;
const ESR = 0x280;
const ICR = 0x300;
const ICR_HIGH = 0x310;
const LVT_TIMER = 0x320;
const LINT0 = 0x350;
const LINT1 = 0x360;
const LVT_ERROR = 0x370;
const INITIAL = 0x380;
const CURRENT = 0x390;
const DIVIDE = 0x3e0;

/** A core as its local APIC sees it. */
interface Core {
  readonly apic: LocalApic;
  intr: boolean;
  readonly events: string[];
}

let clock: ManualClock;
let messages: InterruptMessages;
let ioapic: I82093aa;
let externalVector: number;
let cores: Core[];

function core(id: number): Core {
  const events: string[] = [];
  const apic: LocalApic = new LocalApic({
    id,
    bootstrap: id === 0,
    x2apicCapable: true,
    clock,
    pins: {
      interrupt: (level) => {
        self.intr = level;
      },
      nmi: () => events.push('nmi'),
      init: () => events.push('init'),
      startUp: (vector) => events.push(`sipi ${vector}`),
      endOfInterrupt: (vector) => {
        events.push(`eoi ${vector}`);
        ioapic.endOfInterrupt(vector);
      },
      interProcessor: (command) => messages.interProcessor(apic, command),
      acknowledgeExternal: () => externalVector,
    },
  });
  const self: Core = { apic, intr: false, events };
  messages.connect(apic);
  return self;
}

const get = (c: Core, offset: number) => c.apic.read(BASE + offset, 4);
const set = (c: Core, offset: number, value: number) => c.apic.write(BASE + offset, 4, value);

let bsp: Core;
let ap: Core;

beforeEach(() => {
  clock = new ManualClock();
  messages = new InterruptMessages();
  ioapic = new I82093aa({ id: 2, pins: messages });
  externalVector = 0x20;
  cores = [core(0), core(1)];
  [bsp, ap] = cores as [Core, Core];
  for (const c of cores) set(c, SVR, 0x1ff);
});

describe('after reset', () => {
  it('is software-disabled with everything masked', () => {
    bsp.apic.reset();
    expect([get(bsp, SVR), get(bsp, LVT_TIMER), get(bsp, LINT0), get(bsp, DFR)]).toEqual([0xff, 0x10000, 0x10000, 0xffffffff]);
    expect(get(bsp, VERSION)).toBe(0x50014);
    expect(get(ap, ID)).toBe(0x01000000);
  });

  it('keeps LVT entries masked until it is software-enabled', () => {
    bsp.apic.reset();
    set(bsp, LVT_TIMER, 0x40);
    expect(get(bsp, LVT_TIMER)).toBe(0x10040);
  });

  it('says in IA32_APIC_BASE who the bootstrap processor is', () => {
    expect([bsp.apic.readBase(), ap.apic.readBase()]).toEqual([0xfee00900n, 0xfee00800n]);
  });
});

describe('priorities', () => {
  it('deliver the highest vector first and hold the lower back until its EOI', () => {
    for (const vector of [0x41, 0x62]) bsp.apic.receive(0, vector, false);
    expect(bsp.apic.acknowledge()).toBe(0x62);
    expect([bsp.intr, bsp.apic.acknowledge(), get(bsp, PPR)]).toEqual([false, -1, 0x60]);
    set(bsp, EOI, 0);
    expect([bsp.intr, bsp.apic.acknowledge()]).toEqual([true, 0x41]);
  });

  it('let a higher class interrupt a lower one', () => {
    bsp.apic.receive(0, 0x41, false);
    bsp.apic.acknowledge();
    bsp.apic.receive(0, 0x4f, false);
    expect(bsp.intr).toBe(false);
    bsp.apic.receive(0, 0x51, false);
    expect([bsp.intr, bsp.apic.acknowledge()]).toEqual([true, 0x51]);
  });

  it('respect the task priority, also through CR8', () => {
    bsp.apic.taskPriority = 5;
    bsp.apic.receive(0, 0x5f, false);
    expect([bsp.intr, get(bsp, TPR), get(bsp, PPR)]).toEqual([false, 0x50, 0x50]);
    set(bsp, TPR, 0x40);
    expect([bsp.intr, bsp.apic.taskPriority]).toEqual([true, 4]);
  });
});

describe('errors', () => {
  it('of illegal vectors show in ESR after it is written, and interrupt once', () => {
    set(bsp, LVT_ERROR, 0xfe);
    bsp.apic.receive(0, 5, false);
    expect(get(bsp, ESR)).toBe(0);
    set(bsp, ESR, 0);
    expect(get(bsp, ESR)).toBe(0x40);
    expect(bsp.apic.acknowledge()).toBe(0xfe);
    set(bsp, ICR, 0x40003);
    set(bsp, ESR, 0);
    expect(get(bsp, ESR)).toBe(0x20);
  });

  it('of registers that do not exist neither throw nor recurse', () => {
    set(bsp, LVT_ERROR, 0x02);
    expect(get(bsp, 0x400)).toBe(0);
    set(bsp, VERSION, 1);
    set(bsp, ESR, 0);
    expect(get(bsp, ESR)).toBe(0xc0);
  });
});

describe('timer', () => {
  it('counts nanoseconds divided by the divide configuration', () => {
    set(bsp, DIVIDE, 0x3); // by 16
    set(bsp, LVT_TIMER, 0x10030);
    set(bsp, INITIAL, 0xffffffff);
    clock.advance(1_600_000);
    expect(0xffffffff - get(bsp, CURRENT)).toBe(100_000);
    expect(bsp.intr).toBe(false);
  });

  it('interrupts once in one-shot mode', () => {
    set(bsp, DIVIDE, 0xb); // by 1
    set(bsp, LVT_TIMER, 0x30);
    set(bsp, INITIAL, 1000);
    clock.advance(999);
    expect(bsp.intr).toBe(false);
    clock.advance(1);
    expect(bsp.apic.acknowledge()).toBe(0x30);
    set(bsp, EOI, 0);
    clock.advance(1_000_000);
    expect([bsp.intr, get(bsp, CURRENT)]).toEqual([false, 0]);
  });

  it('interrupts every period in periodic mode', () => {
    set(bsp, DIVIDE, 0xb);
    set(bsp, LVT_TIMER, 0x20030);
    set(bsp, INITIAL, 1_000_000);
    let ticks = 0;
    for (let i = 0; i < 100; i++) {
      clock.advance(100_000);
      while (bsp.intr && bsp.apic.acknowledge() === 0x30) {
        ticks++;
        set(bsp, EOI, 0);
      }
    }
    expect(ticks).toBe(10);
  });

  it('fires at the deadline in TSC-deadline mode and disarms itself', () => {
    set(bsp, LVT_TIMER, 0x40030);
    bsp.apic.writeDeadline(5000n);
    expect(bsp.apic.readDeadline()).toBe(5000n);
    clock.advance(5000);
    expect([bsp.intr, bsp.apic.readDeadline()]).toEqual([true, 0n]);
  });

  it('does not store a TSC deadline in the other modes', () => {
    bsp.apic.writeDeadline(5000n);
    expect(bsp.apic.readDeadline()).toBe(0n);
  });

  it('survives a period of one nanosecond and a deadline that never comes', () => {
    set(bsp, DIVIDE, 0xb);
    set(bsp, LVT_TIMER, 0x20030);
    set(bsp, INITIAL, 1);
    clock.advance(10_000);
    expect(bsp.intr).toBe(true);
    set(bsp, LVT_TIMER, 0x40030);
    bsp.apic.writeDeadline(0xffff_ffff_ffff_ffffn);
    expect(clock.next).toBeUndefined();
  });
});

describe('inter-processor interrupts', () => {
  it('reach a processor by its ID', () => {
    set(bsp, ICR_HIGH, 1 << 24);
    set(bsp, ICR, 0x4051);
    expect([bsp.intr, ap.intr, ap.apic.acknowledge()]).toEqual([false, true, 0x51]);
  });

  it.each([
    ['self', 0x40051, [true, false]],
    ['all including self', 0x80051, [true, true]],
    ['all excluding self', 0xc0051, [false, true]],
  ])('follow the shorthand %s', (_, icr, reached) => {
    set(bsp, ICR, icr);
    expect([bsp.intr, ap.intr]).toEqual(reached);
  });

  it('start the other processor with INIT and SIPI; the INIT de-assert is nothing', () => {
    set(bsp, ICR_HIGH, 1 << 24);
    for (const icr of [0xc500, 0x8500, 0x0609]) set(bsp, ICR, icr);
    expect(ap.events).toEqual(['init', 'sipi 9']);
    expect(get(ap, SVR)).toBe(0xff);
  });

  it('match logical destinations in the flat model', () => {
    set(bsp, LDR, 0x01000000);
    set(ap, LDR, 0x02000000);
    set(bsp, ICR_HIGH, 0x02000000);
    set(bsp, ICR, 0x0851);
    expect([bsp.intr, ap.intr]).toEqual([false, true]);
  });

  it('match logical destinations in the cluster model', () => {
    for (const [c, ldr] of [
      [bsp, 0x11],
      [ap, 0x21],
    ] as const) {
      set(c, DFR, 0x0fffffff);
      set(c, LDR, ldr << 24);
    }
    set(bsp, ICR_HIGH, 0x21000000);
    set(bsp, ICR, 0x0851);
    expect([bsp.intr, ap.intr]).toEqual([false, true]);
  });

  it('go to the least busy processor in lowest-priority mode', () => {
    bsp.apic.taskPriority = 3;
    set(ap, ICR_HIGH, 0xff000000);
    set(ap, ICR, 0x0151);
    expect([bsp.intr, ap.intr]).toEqual([false, true]);
  });
});

describe('local pins', () => {
  it('pass the 8259 pair through while LINT0 says ExtINT', () => {
    bsp.apic.enterVirtualWire();
    bsp.apic.setLint(0, true);
    expect([bsp.intr, bsp.apic.acknowledge()]).toEqual([true, 0x20]);
    bsp.apic.setLint(0, false);
    expect(bsp.intr).toBe(false);
    bsp.apic.setLint(0, true);
    set(bsp, LINT0, 0x10700);
    expect(bsp.intr).toBe(false);
  });

  it('are INTR and NMI themselves while the APIC is globally disabled', () => {
    expect(bsp.apic.writeBase(0xfee00000n)).toBe(true);
    bsp.apic.setLint(0, true);
    bsp.apic.setLint(1, true);
    expect([bsp.intr, bsp.apic.acknowledge(), bsp.events]).toEqual([true, 0x20, ['nmi']]);
  });

  it('raise an NMI on each rising edge of LINT1', () => {
    set(bsp, LINT1, 0x400);
    for (const level of [true, true, false, true]) bsp.apic.setLint(1, level);
    expect(bsp.events).toEqual(['nmi', 'nmi']);
  });

  it('deliver a fixed vector per edge when LINT0 says so', () => {
    set(bsp, LINT0, 0x31);
    bsp.apic.setLint(0, true);
    expect(bsp.apic.acknowledge()).toBe(0x31);
  });
});

describe('x2APIC mode', () => {
  beforeEach(() => {
    for (const c of cores) expect(c.apic.writeBase(c.apic.readBase() | 0x400n)).toBe(true);
  });

  it('turns the memory window off and the MSRs on', () => {
    expect(bsp.apic.ownsAddress(BASE)).toBe(false);
    expect([ap.apic.readMsr(0x02), ap.apic.readMsr(0x0d)]).toEqual([1n, 2n]);
  });

  it('sends with one 64-bit write, and to itself with SELF IPI', () => {
    expect(bsp.apic.writeMsr(0x30, (1n << 32n) | 0x51n)).toBe(true);
    expect(ap.apic.acknowledge()).toBe(0x51);
    expect(bsp.apic.writeMsr(0x3f, 0x44n)).toBe(true);
    expect(bsp.apic.acknowledge()).toBe(0x44);
  });

  it('faults on reserved bits, missing registers and a step back to xAPIC', () => {
    const refused = [
      bsp.apic.writeMsr(0x0b, 1n),
      bsp.apic.writeMsr(0x08, 0x100n),
      bsp.apic.writeMsr(0x0e, 0n),
      bsp.apic.writeMsr(0x02, 0n),
      bsp.apic.writeMsr(0x38, 1n << 32n),
      bsp.apic.writeBase(0xfee00900n),
    ];
    expect(refused).toEqual([false, false, false, false, false, false]);
    expect([bsp.apic.readMsr(0x0e), bsp.apic.readMsr(0x31), bsp.apic.readMsr(0x3d)]).toEqual([undefined, undefined, undefined]);
  });

  it('is left through "disabled" only', () => {
    expect(bsp.apic.writeBase(0xfee00000n)).toBe(true);
    expect(bsp.apic.writeBase(0xfee00c00n)).toBe(false);
    expect(bsp.apic.writeBase(0xfee00800n)).toBe(true);
    expect(get(bsp, SVR)).toBe(0xff);
  });
});

describe('I/O APIC', () => {
  const write = (register: number, value: number) => {
    ioapic.write(0, 4, register);
    ioapic.write(0x10, 4, value);
  };
  const read = (register: number) => {
    ioapic.write(0, 4, register);
    return ioapic.read(0x10, 4);
  };
  const redirect = (pin: number, low: number, destination = 0) => {
    write(0x11 + 2 * pin, destination << 24);
    write(0x10 + 2 * pin, low);
  };

  it('has 24 pins, all masked', () => {
    expect([read(0), read(1), read(0x10), read(0x3e)]).toEqual([0x02000000, 0x170011, 0x10000, 0x10000]);
  });

  it('sends one message per rising edge, none while masked', () => {
    redirect(4, 0x34);
    ioapic.setPin(4, true);
    expect(bsp.apic.acknowledge()).toBe(0x34);
    set(bsp, EOI, 0);
    redirect(4, 0x10034);
    for (const level of [false, true]) ioapic.setPin(4, level);
    redirect(4, 0x34);
    expect(bsp.intr).toBe(false);
  });

  it('repeats a level interrupt after its EOI for as long as the pin asks', () => {
    redirect(9, 0x8039, 1);
    ioapic.setPin(9, true);
    expect(ap.apic.acknowledge()).toBe(0x39);
    expect(read(0x10 + 18) & 0x4000).toBe(0x4000);
    expect(get(ap, TMR + 0x10)).toBe(1 << 25);
    set(ap, EOI, 0);
    expect(ap.apic.acknowledge()).toBe(0x39);
    ioapic.setPin(9, false);
    set(ap, EOI, 0);
    expect([ap.intr, read(0x10 + 18) & 0x4000]).toEqual([false, 0]);
  });

  it('takes a switch to edge as the end of a level interrupt', () => {
    redirect(9, 0x8039);
    ioapic.setPin(9, true);
    write(0x10 + 18, 0x10039);
    expect(read(0x10 + 18)).toBe(0x10039);
  });

  it('sees PCI pins idle high, so that an active-low entry is quiet until a device pulls', () => {
    redirect(17, 0xa051);
    expect(bsp.intr).toBe(false);
    ioapic.setPin(17, false);
    expect(bsp.apic.acknowledge()).toBe(0x51);
  });

  it('delivers NMI where an entry says so', () => {
    redirect(1, 0x400);
    ioapic.setPin(1, true);
    expect(bsp.events).toEqual(['nmi']);
  });
});

it('delivers message-signalled interrupts by physical and logical destination', () => {
  messages.send(0xfee01000, 0x0061);
  expect(ap.apic.acknowledge()).toBe(0x61);
  set(bsp, LDR, 0x01000000);
  set(ap, LDR, 0x02000000);
  messages.send(0xfee0300c, 0x0062);
  expect([bsp.intr, ap.intr]).toEqual([true, false]);
  messages.send(0x1000, 0x0063);
  expect(get(ap, IRR + 0x30)).toBe(0);
});

it('continues after save and restore', () => {
  set(bsp, LVT_TIMER, 0x40030);
  bsp.apic.writeDeadline(1000n);
  bsp.apic.receive(0, 0x62, false);
  const state = JSON.parse(JSON.stringify(bsp.apic.save()));
  bsp.apic.reset();
  bsp.apic.restore(state);
  expect(bsp.apic.acknowledge()).toBe(0x62);
  set(bsp, EOI, 0);
  clock.advance(1000);
  expect(bsp.apic.acknowledge()).toBe(0x30);
});
