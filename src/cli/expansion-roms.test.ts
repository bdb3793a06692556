import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { DeviceSpec, Partition } from '../contracts/index.ts';
import { romsBesideFirmware } from './expansion-roms.ts';

it('finds the video BIOS that lies beside the firmware, for the screens that have one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'roms-'));
  writeFileSync(join(folder, 'vgabios-stdvga.bin'), Uint8Array.of(0x55, 0xaa, 1));
  const device = (name: string, model: string): DeviceSpec => ({ name, model, ranges: [], irqs: [], options: {} });
  const devices = [device('screen', 'stdvga'), device('other', 'vga-text'), device('com1', 'uart16550')];
  const boot = { kernel: join(folder, 'bios.bin'), cmdline: '', decompress: true };
  const roms = (protocol: Partition['boot']['protocol']) => romsBesideFirmware({ boot: { ...boot, protocol }, devices });
  expect(roms('firmware')).toEqual({ screen: Uint8Array.of(0x55, 0xaa, 1) });
  expect(roms('auto')).toEqual({});
  rmSync(folder, { recursive: true });
  expect(roms('firmware')).toEqual({});
});
