import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../testing.ts';
import { ACPI_DISABLE, ACPI_ENABLE, AcpiPm, PM_TIMER_HERTZ } from './acpi-pm.ts';

const STS = 0;
const EN = 2;
const CNT = 4;
const TMR = 8;

let clock: ManualClock;
let sci: boolean;
let off: number;
let pm: AcpiPm;

beforeEach(() => {
  clock = new ManualClock();
  sci = false;
  off = 0;
  pm = new AcpiPm({
    clock,
    sci: (level) => {
      sci = level;
    },
    powerOff: () => {
      off++;
    },
  });
  pm.reset();
});

it('enters and leaves ACPI mode through SMI_CMD', () => {
  pm.smiCommand.write(0, 1, ACPI_ENABLE);
  expect(pm.registers.read(CNT, 2) & 1).toBe(1);
  pm.registers.write(CNT, 2, 0);
  expect(pm.registers.read(CNT, 2) & 1).toBe(1);
  pm.smiCommand.write(0, 1, ACPI_DISABLE);
  expect(pm.registers.read(CNT, 2) & 1).toBe(0);
});

it('switches off when sleep type 5 is entered, and only then', () => {
  pm.registers.write(CNT, 2, (5 << 10) | 0);
  pm.registers.write(CNT, 2, (3 << 10) | (1 << 13));
  expect(off).toBe(0);
  pm.registers.write(CNT, 2, (5 << 10) | (1 << 13));
  expect(off).toBe(1);
});

describe('PM timer', () => {
  it('counts 3,579,545 ticks a second, exactly', () => {
    clock.advance(1_000_000_000);
    expect(pm.registers.read(TMR, 4)).toBe(PM_TIMER_HERTZ);
    clock.advance(10 * 3_600_000_000_000);
    expect(pm.registers.read(TMR, 4)).toBe((36_001 * PM_TIMER_HERTZ) % 2 ** 32);
  });

  it('interrupts when its top bit changes', () => {
    pm.smiCommand.write(0, 1, ACPI_ENABLE);
    pm.registers.write(EN, 2, 1);
    clock.advance(599_000_000_000);
    expect(sci).toBe(false);
    clock.advance(1_000_000_000);
    expect(sci).toBe(true);
    pm.registers.write(STS, 2, 1);
    expect([sci, pm.registers.read(STS, 2) & 1]).toEqual([false, 0]);
  });
});

it('holds SCI while an enabled event is pending, and clears it by writing ones', () => {
  pm.registers.write(EN, 2, 0x100);
  expect(pm.pressPowerButton()).toBe(false);
  expect(sci).toBe(false);
  pm.smiCommand.write(0, 1, ACPI_ENABLE);
  expect(sci).toBe(true);
  pm.registers.write(STS, 2, 0x100);
  expect(sci).toBe(false);
  expect(pm.pressPowerButton()).toBe(true);
});
