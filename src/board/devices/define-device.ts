/**
 * How users describe a device of their own: title, usual places, options with their types, and one function that wires it to its slot.
 * The result is an entry of the device catalogue like any built-in one.
 */
import type { DeviceSlot, DeviceSpec, IoRange } from '../../contracts/index.ts';
import { AttachedChip, type Wired } from '../attached-chip.ts';
import { type DeviceModel, type DeviceOption, type DevicePlace, optionValue } from '../catalogue.ts';

/** What a module can offer as options: those of the catalogue that need nothing of the host. */
export type DefinedOption = Exclude<DeviceOption, { readonly type: 'file' }>;
export type DefinedOptions = Readonly<Record<string, DefinedOption>>;

/** The values of options, each of its own type. */
export type OptionValues<Options extends DefinedOptions> = {
  readonly [Name in keyof Options]: Options[Name]['type'] extends 'number' ? number : Options[Name]['type'] extends 'boolean' ? boolean : string;
};

/** One device of a machine, as the manifest describes it. */
export interface DeviceDetails<Options extends DefinedOptions> {
  readonly name: string;
  readonly options: OptionValues<Options>;
  /** Where its registers are, one for each range of its places; handlers go in the same order. */
  readonly ranges: readonly IoRange[];
  readonly irqs: readonly number[];
}

export interface DeviceDefinition<Options extends DefinedOptions> {
  /** What it is, in a few words. */
  readonly title: string;
  /** The usual places, in the order in which devices of this model take them. Left out: it is on PCI only. */
  readonly places?: readonly [DevicePlace, ...DevicePlace[]];
  /** May lie elsewhere; the default. False: its drivers expect it in its usual places. */
  readonly relocatable?: boolean;
  readonly options?: Options;
  /** Makes the device and connects it. What it returns is its handlers, and what it does when it is reset, saved and so on. */
  attach(slot: DeviceSlot, details: DeviceDetails<Options>): Wired;
}

const ON_PCI: readonly [DevicePlace] = [{ ranges: [], irqs: [] }];

/** @example export const device = defineDevice({ title: 'A switch', places: […], attach: (slot) => ({ chip, handlers: [registers] }) }); */
export function defineDevice<const Options extends DefinedOptions = Readonly<Record<never, never>>>(
  definition: DeviceDefinition<Options>,
): DeviceModel {
  const { title, places = ON_PCI, relocatable = true, options = {} as Options } = definition;
  return {
    title,
    places,
    relocatable,
    console: false,
    options,
    create: (spec) => new AttachedChip(spec, (slot) => definition.attach(slot, detailsOf(spec, options))),
  };
}

/** Throws BH215 when an option has a value it cannot take. */
function detailsOf<Options extends DefinedOptions>(spec: DeviceSpec, options: Options): DeviceDetails<Options> {
  const values = Object.entries(options).map(([name, option]) => [name, optionValue(`${spec.name}.${name}`, option, spec.options[name])]);
  const { name, ranges, irqs } = spec;
  return { name, ranges, irqs, options: Object.fromEntries(values) as OptionValues<Options> };
}
