/**
 * Flat images: raw code, loaded as it is. An entry below 1 MiB starts in 16-bit real mode (see entry-state.ts for CS), any other in
 * 32-bit flat protected mode. All general registers are 0; there is no stack.
 */
import { BulkheadError, MiB } from '../base/index.ts';
import type { BootEnvironment, BootPlan } from '../contracts/index.ts';
import { hex } from './bytes.ts';
import { bootGdt, protectedFlat32, realMode } from './entry-state.ts';
import type { BootInput } from './input.ts';
import { Placement } from './placement.ts';

export function loadFlat(input: BootInput, env: BootEnvironment): BootPlan {
  const { kernel, kernelName, load } = input;
  if (load === undefined)
    throw new BulkheadError('BH305', `${kernelName}: a flat image does not say where it belongs`, { hint: 'Set `load:` to its address.' });
  if (kernel.length === 0) throw new BulkheadError('BH305', `${kernelName}: the file is empty`, { hint: 'Build the image again.' });
  const entry = input.entry ?? load;
  if (entry < load || entry >= load + kernel.length) {
    throw new BulkheadError(
      'BH305',
      `${kernelName}: the entry ${hex(entry)} lies outside the image (${hex(load)}–${hex(load + kernel.length)})`,
      { hint: 'Correct `entry:` or `load:`.' },
    );
  }
  const ignored = input.initrd !== undefined ? 'an initrd' : input.cmdline !== '' ? 'a command line' : undefined;
  if (ignored !== undefined)
    throw new BulkheadError('BH306', `${kernelName}: a flat image cannot be given ${ignored}`, {
      hint: 'Leave it out, or build an ELF or multiboot image.',
    });

  const placement = new Placement(env.memoryMap);
  placement.fixed(kernelName, load, kernel);
  if (entry < 1 * MiB) {
    return { description: `flat image at ${hex(load)}, entered in 16-bit real mode`, segments: placement.segments, entry: realMode(entry) };
  }
  const gdt = placement.low('boot GDT', bootGdt('protected'), 8);
  return {
    description: `flat image at ${hex(load)}, entered in 32-bit protected mode`,
    entry: protectedFlat32(entry, gdt, {}),
    segments: placement.segments,
  };
}
