// Intel 82441FX datasheet §3.2, through configuration accesses as firmware makes them.
import { beforeEach, describe, expect, it } from 'vitest';
import { ShadowRam } from '../chipset/shadow-ram.ts';
import { createPhysicalMemory, type GuestMemory } from '../memory.ts';
import { HostBridge } from './host-bridge.ts';
import { Piix4Pm } from './piix4-pm.ts';

const KiB = 1024;
const ROM_BYTES = 256 * KiB;
const PAM0 = 0x59;

let memory: GuestMemory;
let bridge: HostBridge;

beforeEach(() => {
  memory = createPhysicalMemory([{ base: 0, size: 1024 * KiB, access: 'rw' }], 0, 512 * KiB);
  bridge = new HostBridge({ shadow: new ShadowRam(memory, { offset: memory.reserve(ROM_BYTES, 'ROM'), size: ROM_BYTES }) });
});

const accessAt = (gpa: number) => memory.map.find(({ base, end }) => gpa >= base && gpa < end)?.access;

describe('the host bridge of a board with firmware', () => {
  it('is an 82441FX, with the subsystem by which firmware knows that there is a configuration device', () => {
    expect([bridge.readConfig(0, 4), bridge.readConfig(0x2c, 4)]).toEqual([0x1237_8086, 0x1100_1af4]);
  });

  it('switches shadow RAM with bytes as with dwords that hold several PAM registers', () => {
    bridge.writeConfig(PAM0, 1, 0x30);
    bridge.writeConfig(0x5c, 4, 0x1133_3333);
    expect(bridge.readConfig(0x58, 4)).toBe(0x0000_3000);
    expect(bridge.readConfig(0x5c, 4)).toBe(0x1133_3333);
    expect([accessAt(0xf0000), accessAt(0xc0000), accessAt(0xe7fff), accessAt(0xe8000)]).toEqual(['rw', 'ro', 'rw', 'ro']);
  });
});

describe('the host bridge of a board without', () => {
  it('has nothing to switch, and no subsystem', () => {
    const plain = new HostBridge();
    plain.writeConfig(PAM0, 1, 0x30);
    expect([plain.readConfig(PAM0, 1), plain.readConfig(0x2c, 4)]).toEqual([0, 0]);
  });
});

describe('the power management function', () => {
  it('says where the registers are, that they answer, and that nothing is left to do for system management mode', () => {
    const pm = new Piix4Pm();
    expect([pm.readConfig(0, 4), pm.readConfig(0x40, 4), pm.readConfig(0x80, 1), pm.readConfig(0x5b, 1)]).toEqual([
      0x7113_8086, 0x601, 1, 2,
    ]);
  });

  it('does not move them', () => {
    const pm = new Piix4Pm();
    pm.writeConfig(0x40, 4, 0xb001);
    pm.writeConfig(0x80, 1, 0);
    expect([pm.readConfig(0x40, 4), pm.readConfig(0x80, 1)]).toEqual([0x601, 1]);
  });
});
