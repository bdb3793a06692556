import { describe, expect, expectTypeOf, it } from 'vitest';
import { fakeSlot } from '../testing.ts';
import { defineDevice } from './define-device.ts';
import { deviceOfModule, factsOf } from './device-module.ts';

const attach = () => ({ chip: {}, handlers: [] });
const PLACE = { ranges: [{ space: 'pio', base: 0x300, size: 4 }], irqs: [5] } as const;

describe('defineDevice', () => {
  it('makes an entry of the catalogue; a device without places is on PCI', () => {
    const device = defineDevice({ title: 'A card', attach });
    expect(factsOf(device)).toEqual({ title: 'A card', places: [{ ranges: [], irqs: [] }], relocatable: true, console: false, options: {} });
  });

  it('hands options to the device with their types, defaults filled in, and refuses others', () => {
    const seen: unknown[] = [];
    const device = defineDevice({
      title: 'A card',
      options: {
        rpm: { type: 'number', default: 90, maximum: 1000, description: 'speed' },
        reversed: { type: 'boolean', default: false, description: 'direction' },
        label: { type: 'string', default: 'shaft', description: 'a name' },
      },
      attach: (_slot, { name, options }) => {
        expectTypeOf(options.rpm).toEqualTypeOf<number>();
        expectTypeOf(options.reversed).toEqualTypeOf<boolean>();
        expectTypeOf(options.label).toEqualTypeOf<string>();
        seen.push(name, options);
        return attach();
      },
    });
    const spec = { name: 'card', model: './card.ts', ranges: [], irqs: [] };
    const environment = {} as Parameters<typeof device.create>[1];
    device.create({ ...spec, options: { rpm: 7 } }, environment).attach(fakeSlot());
    expect(seen).toEqual(['card', { rpm: 7, reversed: false, label: 'shaft' }]);
    expect(() => device.create({ ...spec, options: { rpm: 7000 } }, environment).attach(fakeSlot())).toThrow(
      expect.objectContaining({ code: 'BH215' }),
    );
  });
});

describe('a module', () => {
  it('gives the device it exports', () => {
    const device = defineDevice({ title: 'A card', places: [PLACE], attach });
    expect(deviceOfModule({ device, more: 1 })).toBe(device);
  });

  const whole = { ...defineDevice({ title: 'A card', attach }) };
  it.each<[string, Record<string, unknown>, string]>([
    ['nothing', {}, 'it exports no `device`'],
    ['something else', { card: whole }, 'it exports no `device`, but `card`'],
    ['a class', { device: class {} }, 'it exports no `device`, but `device`'],
    ['a plain object', { device: { title: 'x' } }, '`device` was not made by `defineDevice`'],
    ['no title', { device: { ...whole, title: ' ' } }, 'its title is no text'],
    ['no places', { device: { ...whole, places: [] } }, 'its places are no list'],
    ['a place of numbers', { device: { ...whole, places: [{ ranges: 0x300, irqs: [] }] } }, 'place 1 has no lists of ranges and lines'],
    ['ports beyond the last', { device: { ...whole, places: [{ ranges: [{ space: 'pio', base: 0xffff, size: 2 }], irqs: [] }] } }, 'place 1 has a range that is none'],
    ['a line too far', { device: { ...whole, places: [{ ranges: [], irqs: [24] }] } }, 'place 1 has interrupt line 24, which there is not'],
    ['unequal places', { device: { ...whole, places: [PLACE, { ranges: [], irqs: [] }] } }, 'place 2 has other ranges or lines than the first'],
    ['an option without type', { device: { ...whole, options: { rpm: { default: 1, description: '' } } } }, 'option `rpm` has no type that is known'],
    ['an option without default', { device: { ...whole, options: { rpm: { type: 'number', description: '' } } } }, 'option `rpm` has no default of type number'],
    ['an option without words', { device: { ...whole, options: { rpm: { type: 'number', default: 1 } } } }, 'option `rpm` has no description'],
  ])('that exports %s is refused in words', (_, exports, problem) => {
    expect(deviceOfModule(exports)).toEqual({ problem: expect.stringContaining(problem), hint: expect.any(String) });
  });
});
