/** Video BIOSes: the package that has SeaBIOS has them beside it, so firmware that runs finds the one for its screen without being told. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Partition } from '../contracts/index.ts';

/** File beside the firmware, by device model. */
const ROM_BY_MODEL: Readonly<Record<string, string>> = { stdvga: 'vgabios-stdvga.bin' };

/** Expansion ROMs by device, for a partition that starts from firmware; devices with a ROM of their own go without. */
export function romsBesideFirmware({ boot, devices }: Pick<Partition, 'boot' | 'devices'>): Record<string, Uint8Array> {
  if (boot.protocol !== 'firmware') return {};
  return Object.fromEntries(
    devices.flatMap(({ name, model }) => {
      const file = join(dirname(boot.kernel), ROM_BY_MODEL[model] ?? '');
      return ROM_BY_MODEL[model] !== undefined && existsSync(file) ? [[name, new Uint8Array(readFileSync(file))]] : [];
    }),
  );
}
