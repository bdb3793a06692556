import { beforeEach, describe, expect, it } from 'vitest';
import { FakeTerminal, ManualClock, RecordingLine } from '../testing.ts';
import { Uart16550 } from './uart16550.ts';

const THR = 0;
const RBR = 0;
const IER = 1;
const IIR = 2;
const FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

let clock: ManualClock;
let terminal: FakeTerminal;
let intr: RecordingLine;
let uart: Uart16550;

beforeEach(() => {
  clock = new ManualClock();
  terminal = new FakeTerminal();
  intr = new RecordingLine();
  uart = new Uart16550({ clock, line: terminal, pins: { interrupt: (level) => intr.set(level) } });
  uart.write(MCR, 0x08); // OUT2: let the interrupt out, as every PC driver does
  uart.write(LCR, 0x83); // 115200 baud, 8N1
  uart.write(0, 1);
  uart.write(1, 0);
  uart.write(LCR, 0x03);
});

describe('transmitter', () => {
  it('sends what is written to THR and is empty again at once', () => {
    for (const c of 'ok') uart.write(THR, c.charCodeAt(0));
    expect(terminal.printed).toBe('ok');
    expect(uart.read(LSR) & 0x60).toBe(0x60);
  });

  it('raises "transmitter empty" whenever the driver enables it on an empty transmitter', () => {
    for (let i = 0; i < 2; i++) {
      uart.write(IER, 0x02);
      expect([intr.level, uart.read(IIR)]).toEqual([true, 0x02]);
      expect([intr.level, uart.read(IIR)]).toEqual([false, 0x01]);
      uart.write(IER, 0);
    }
  });

  it('gives an edge for every byte written, so that no driver waits for one in vain', () => {
    uart.write(IER, 0x02);
    const before = intr.edges;
    for (let i = 0; i < 3; i++) uart.write(THR, 0x41);
    expect(intr.edges - before).toBe(3);
  });
});

describe('receiver', () => {
  it('takes bytes from the line when the driver polls', () => {
    terminal.type('hi');
    uart.write(FCR, 0x01);
    expect(uart.read(LSR) & 1).toBe(1);
    expect([uart.read(RBR), uart.read(RBR), uart.read(LSR) & 1]).toEqual([0x68, 0x69, 0]);
  });

  it('finds input by itself within 5 ms while its interrupt is enabled', () => {
    uart.write(IER, 0x01);
    clock.advance(50_000_000);
    terminal.type('x');
    clock.advance(5_000_000);
    expect([intr.level, uart.read(IIR)]).toEqual([true, 0x04]);
    uart.read(RBR);
    expect(intr.level).toBe(false);
  });

  it('finds it at once when told to look', () => {
    uart.write(IER, 0x01);
    clock.advance(1_000_000);
    terminal.type('x');
    uart.poll();
    expect(intr.level).toBe(true);
  });

  it('interrupts at the trigger level, and below it after four character times', () => {
    uart.write(FCR, 0x81); // 8 bytes
    uart.write(IER, 0x01);
    clock.advance(1_000_000);
    terminal.type('abc');
    uart.poll();
    expect(intr.level).toBe(false);
    clock.advance(4 * 87_000);
    expect([intr.level, uart.read(IIR)]).toEqual([true, 0xcc]);
    for (let i = 0; i < 3; i++) uart.read(RBR);
    expect(intr.level).toBe(false);
    terminal.type('01234567');
    clock.advance(5_000_000);
    expect(uart.read(IIR)).toBe(0xc4);
  });

  it('loses nothing, however much is typed, and keeps to the line speed', () => {
    const text = Array.from({ length: 1000 }, (_, i) => String.fromCharCode(33 + (i % 90))).join('');
    terminal.type(text);
    uart.write(FCR, 0xc1);
    uart.write(IER, 0x01);
    let got = '';
    for (let i = 0; i < 100_000 && got.length < 1000; i++) {
      clock.advance(50_000);
      if (intr.level) while (uart.read(LSR) & 1) got += String.fromCharCode(uart.read(RBR));
    }
    expect(got).toBe(text);
    expect(uart.read(LSR) & 2).toBe(0);
    expect(clock.now()).toBeGreaterThan(1000 * 86_000);
  });

  it('outranks the transmitter, whose interrupt stays pending behind it', () => {
    terminal.type('A');
    uart.write(IER, 0x03);
    clock.advance(5_000_000);
    expect(uart.read(IIR)).toBe(0x04);
    expect(uart.read(RBR)).toBe(0x41);
    expect(uart.read(IIR)).toBe(0x02);
  });

  it('keeps the interrupt inside the chip while OUT2 is low', () => {
    uart.write(MCR, 0);
    uart.write(IER, 0x02);
    expect(intr.level).toBe(false);
    uart.write(MCR, 0x08);
    expect(intr.level).toBe(true);
  });
});

describe('loopback', () => {
  it('shows the modem outputs at the modem inputs, as 8250 detection checks', () => {
    uart.write(MCR, 0x1a);
    expect(uart.read(MSR) & 0xf0).toBe(0x90);
    uart.write(MCR, 0x15);
    expect(uart.read(MSR) & 0xf0).toBe(0x60);
  });

  it('receives its own bytes, keeps them from the line, and reports an overrun once', () => {
    uart.write(FCR, 0x01);
    uart.write(MCR, 0x10);
    for (let i = 0; i < 17; i++) uart.write(THR, i);
    expect(terminal.printed).toBe('');
    expect([uart.read(LSR) & 3, uart.read(LSR) & 3]).toEqual([3, 1]);
    expect(Array.from({ length: 16 }, () => uart.read(RBR))).toEqual(Array.from({ length: 16 }, (_, i) => i));
  });
});

describe('registers', () => {
  it('answer the probes by which a driver knows a 16550A', () => {
    uart.write(IER, 0xff);
    expect(uart.read(IER)).toBe(0x0f);
    uart.write(IER, 0);
    expect(uart.read(IER)).toBe(0);
    uart.write(FCR, 0x01);
    expect(uart.read(IIR) >> 6).toBe(3);
    uart.write(FCR, 0x21); // a 16750 would show its 64-byte FIFO
    expect(uart.read(IIR) >> 5).toBe(6);
    uart.write(FCR, 0);
    expect(uart.read(IIR) >> 6).toBe(0);
    uart.write(MCR, 0xff);
    expect(uart.read(MCR)).toBe(0x1f);
  });

  it('show the divisor in place of RBR and IER while DLAB is set', () => {
    uart.write(IER, 0x01);
    uart.write(LCR, 0x83);
    uart.write(0, 0x0c);
    expect([uart.read(0), uart.read(1)]).toEqual([0x0c, 0x00]);
    uart.write(LCR, 0x03);
    expect(uart.read(IER)).toBe(0x01);
  });

  it('have a scratch register and nothing beyond it', () => {
    uart.write(SCR, 0xa5);
    expect([uart.read(SCR), uart.read(8)]).toEqual([0xa5, 0xff]);
  });

  it('report modem changes once, as an interrupt when it is enabled', () => {
    uart.write(MCR, 0x18);
    uart.read(MSR);
    uart.write(MCR, 0x10);
    expect([uart.read(MSR) & 0x0f, uart.read(MSR) & 0x0f]).toEqual([0x08, 0]);
  });
});

it('continues after save and restore', () => {
  terminal.type('ab');
  uart.write(FCR, 0x01);
  uart.read(LSR);
  const state = JSON.parse(JSON.stringify(uart.save()));
  uart.reset();
  uart.restore(state);
  expect([uart.read(RBR), uart.read(RBR)]).toEqual([0x61, 0x62]);
});
