import { beforeEach, describe, expect, it } from 'vitest';
import { I8259Pair } from './i8259.ts';

const COMMAND = 0;
const DATA = 1;

let intr: boolean;
let pic: I8259Pair;

/** As every PC system programs it: edge, cascade, vectors 0x30 and 0x38. */
function initialize(icw4 = 0x01): void {
  pic.master.write(COMMAND, 0x11);
  for (const word of [0x30, 0x04, icw4]) pic.master.write(DATA, word);
  pic.slave.write(COMMAND, 0x11);
  for (const word of [0x38, 0x02, icw4 & ~0x10]) pic.slave.write(DATA, word);
}

beforeEach(() => {
  intr = false;
  pic = new I8259Pair((level) => {
    intr = level;
  });
  initialize();
});

describe('requests', () => {
  it('raise INTR and give base + level at INTA', () => {
    pic.setLine(4, true);
    expect(intr).toBe(true);
    expect(pic.acknowledge()).toBe(0x34);
    expect(intr).toBe(false);
  });

  it('are held back by the mask and delivered when it opens', () => {
    pic.master.write(DATA, 0x10);
    pic.setLine(4, true);
    expect(intr).toBe(false);
    pic.master.write(DATA, 0);
    expect(intr).toBe(true);
  });

  it('need an edge: a line that stays high interrupts once', () => {
    pic.setLine(4, true);
    pic.acknowledge();
    pic.master.write(COMMAND, 0x20);
    pic.setLine(4, true);
    expect(intr).toBe(false);
    pic.setLine(4, false);
    pic.setLine(4, true);
    expect(intr).toBe(true);
  });

  it('repeat while the line is high once ELCR says level', () => {
    pic.writeElcr(1, 0xff);
    expect(pic.readElcr(1)).toBe(0xde);
    pic.setLine(11, true);
    expect(pic.acknowledge()).toBe(0x3b);
    pic.slave.write(COMMAND, 0x20);
    pic.master.write(COMMAND, 0x20);
    expect(intr).toBe(true);
    pic.setLine(11, false);
    expect(intr).toBe(false);
  });

  it('that are gone at INTA read as level 7, with nothing in service', () => {
    expect(pic.acknowledge()).toBe(0x37);
    pic.master.write(COMMAND, 0x0b);
    expect(pic.master.read(COMMAND)).toBe(0);
  });

  it('from before ICW1 are forgotten until the line moves', () => {
    pic.setLine(4, true);
    initialize();
    expect(intr).toBe(false);
  });
});

describe('priority', () => {
  it('lets a lower number interrupt a higher one, not the reverse', () => {
    pic.setLine(4, true);
    pic.acknowledge();
    pic.setLine(5, true);
    expect(intr).toBe(false);
    pic.setLine(1, true);
    expect([intr, pic.acknowledge()]).toEqual([true, 0x31]);
  });

  it('rotates on a rotating EOI', () => {
    pic.setLine(0, true);
    pic.acknowledge();
    pic.master.write(COMMAND, 0xa0);
    pic.setLine(0, false);
    pic.setLine(0, true);
    pic.setLine(5, true);
    expect(pic.acknowledge()).toBe(0x35);
  });

  it('follows "set priority"', () => {
    pic.master.write(COMMAND, 0xc0 | 4);
    pic.setLine(4, true);
    pic.setLine(5, true);
    expect(pic.acknowledge()).toBe(0x35);
  });

  it('ignores masked levels in service while special mask mode is on', () => {
    pic.setLine(1, true);
    pic.acknowledge();
    pic.setLine(5, true);
    pic.master.write(DATA, 0x02);
    expect(intr).toBe(false);
    pic.master.write(COMMAND, 0x68);
    expect(intr).toBe(true);
  });
});

describe('end of interrupt', () => {
  it('non-specific ends the highest level in service, specific the one named', () => {
    pic.setLine(4, true);
    pic.acknowledge();
    pic.setLine(1, true);
    pic.acknowledge();
    pic.master.write(COMMAND, 0x0b);
    expect(pic.master.read(COMMAND)).toBe(0x12);
    pic.master.write(COMMAND, 0x64);
    expect(pic.master.read(COMMAND)).toBe(0x02);
    pic.master.write(COMMAND, 0x20);
    expect(pic.master.read(COMMAND)).toBe(0);
  });

  it('is automatic in AEOI mode', () => {
    initialize(0x03);
    pic.setLine(4, true);
    pic.acknowledge();
    pic.setLine(5, true);
    expect(intr).toBe(true);
  });
});

describe('cascade', () => {
  it('takes the vector from the slave', () => {
    pic.setLine(12, true);
    expect(pic.acknowledge()).toBe(0x3c);
    pic.master.write(COMMAND, 0x0b);
    expect(pic.master.read(COMMAND)).toBe(0x04);
  });

  it('keeps a second slave request behind the first one, and delivers it after both EOIs', () => {
    pic.setLine(12, true);
    pic.setLine(14, true);
    expect(pic.acknowledge()).toBe(0x3c);
    pic.slave.write(COMMAND, 0x20);
    pic.master.write(COMMAND, 0x20);
    expect(pic.acknowledge()).toBe(0x3e);
  });

  it('lets a higher slave request in only in special fully nested mode', () => {
    pic.setLine(14, true);
    pic.acknowledge();
    pic.setLine(8, true);
    expect(intr).toBe(false);
    initialize(0x11);
    for (const irq of [8, 14]) pic.setLine(irq, false);
    pic.setLine(14, true);
    pic.acknowledge();
    pic.setLine(8, true);
    expect([intr, pic.acknowledge()]).toEqual([true, 0x38]);
  });
});

it('answers a poll with the level, and takes it as the acknowledgement', () => {
  pic.setLine(3, true);
  pic.master.write(COMMAND, 0x0c);
  expect(pic.master.read(COMMAND)).toBe(0x83);
  pic.master.write(COMMAND, 0x0c);
  expect(pic.master.read(COMMAND)).toBe(0);
});

it('continues after save and restore where it stood', () => {
  pic.setLine(4, true);
  const state = JSON.parse(JSON.stringify(pic.save()));
  pic.acknowledge();
  pic.restore(state);
  expect([intr, pic.acknowledge()]).toEqual([true, 0x34]);
});
