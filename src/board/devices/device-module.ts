/**
 * What a module that describes a device must export, checked by hand, because nobody compiled it against our types: `device`, made by
 * `defineDevice`. What is wrong is said in words for whoever wrote it.
 */
import type { IoRange } from '../../contracts/index.ts';
import type { DeviceModel, DeviceOption, DevicePlace } from '../catalogue.ts';

/** The part of a model that is plain data: it can be posted from one thread to another. */
export type DeviceModelFacts = Pick<DeviceModel, 'title' | 'places' | 'relocatable' | 'console' | 'options'>;

/** What is wrong with a module, and how to put it right. */
export interface ModuleProblem {
  readonly problem: string;
  readonly hint: string;
}

const EXPORT_HINT = "write `export const device = defineDevice({ … })`, with `import { defineDevice } from 'bulkhead/device'`";
const PORTS = 0x1_0000;
const MOST_ADDRESSES = 2 ** 48;
const LINES = 24;

export function deviceOfModule(exports: Readonly<Record<string, unknown>>): DeviceModel | ModuleProblem {
  const { device } = exports;
  if (typeof device !== 'object' || device === null) {
    const others = Object.keys(exports).filter((name) => name !== 'default');
    return { problem: `it exports no \`device\`${others.length > 0 ? `, but ${others.map((name) => `\`${name}\``).join(', ')}` : ''}`, hint: EXPORT_HINT };
  }
  const model = device as Readonly<Record<keyof DeviceModel, unknown>>;
  if (typeof model.create !== 'function') return { problem: '`device` was not made by `defineDevice`', hint: EXPORT_HINT };
  if (typeof model.title !== 'string' || model.title.trim() === '') return { problem: 'its title is no text', hint: 'say in a few words what it is' };
  const problem = placesProblem(model.places) ?? optionsProblem(model.options);
  return problem ?? (device as DeviceModel);
}

export function factsOf({ title, places, relocatable, options }: DeviceModel): DeviceModelFacts {
  return { title, places, relocatable, console: false, options };
}

function placesProblem(places: unknown): ModuleProblem | undefined {
  if (!Array.isArray(places) || places.length === 0) return { problem: 'its places are no list', hint: 'leave `places` out for a device on PCI' };
  for (const [index, place] of (places as Partial<DevicePlace>[]).entries()) {
    const { ranges, irqs } = place;
    if (!Array.isArray(ranges) || !Array.isArray(irqs)) {
      return { problem: `place ${index + 1} has no lists of ranges and lines`, hint: "as in `{ ranges: [{ space: 'pio', base: 0x300, size: 4 }], irqs: [5] }`" };
    }
    const range = ranges.find((candidate) => !isRange(candidate));
    if (range !== undefined) {
      return { problem: `place ${index + 1} has a range that is none: ${JSON.stringify(range)}`, hint: "as in `{ space: 'pio', base: 0x300, size: 4 }`" };
    }
    const irq = irqs.find((candidate) => !Number.isInteger(candidate) || candidate < 0 || candidate >= LINES);
    if (irq !== undefined) return { problem: `place ${index + 1} has interrupt line ${String(irq)}, which there is not`, hint: `lines are 0 to ${LINES - 1}` };
    const first = (places as DevicePlace[])[0] as DevicePlace;
    if (ranges.length !== first.ranges.length || irqs.length !== first.irqs.length) {
      return { problem: `place ${index + 1} has other ranges or lines than the first`, hint: 'every place needs as many, in the same order' };
    }
  }
  return undefined;
}

function isRange(value: unknown): value is IoRange {
  if (typeof value !== 'object' || value === null) return false;
  const { space, base, size } = value as Partial<IoRange>;
  const end = space === 'pio' ? PORTS : space === 'mmio' ? MOST_ADDRESSES : 0;
  return Number.isInteger(base) && Number.isInteger(size) && (base as number) >= 0 && (size as number) > 0 && (base as number) + (size as number) <= end;
}

function optionsProblem(options: unknown): ModuleProblem | undefined {
  if (typeof options !== 'object' || options === null) return { problem: 'its options are no table', hint: 'leave `options` out if there are none' };
  for (const [name, option] of Object.entries(options as Record<string, Partial<DeviceOption> | null>)) {
    const type = option?.type;
    if (option === null || (type !== 'number' && type !== 'boolean' && type !== 'string')) {
      return { problem: `option \`${name}\` has no type that is known`, hint: '`number`, `boolean` or `string`' };
    }
    if (typeof option?.default !== type) return { problem: `option \`${name}\` has no default of type ${type}`, hint: 'give it one: it is used where the manifest says nothing' };
    if (typeof option?.description !== 'string') return { problem: `option \`${name}\` has no description`, hint: 'say what it means and in which unit' };
  }
  return undefined;
}
