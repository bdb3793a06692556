import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceSlot, DeviceSpec, PciFunctionPort } from '../../contracts/index.ts';
import type { Wired } from '../attached-chip.ts';
import type { DeviceEnvironment } from '../catalogue.ts';
import { type FakeSlot, fakeSlot } from '../testing.ts';
import { defineDevice } from './define-device.ts';
import { CALL_COUNT, CALL_DEVICE, GuardedDevice } from './guarded-device.ts';

const spec: DeviceSpec = {
  name: 'card',
  model: './card.ts',
  module: '/devices/card.ts',
  ranges: [{ space: 'pio', base: 0x300, size: 8 }],
  irqs: [5],
  options: {},
};
const environment = {} as DeviceEnvironment; // what our own models need beside their slot; defined ones never see it

let slot: FakeSlot;
let calls: Int32Array;
let causes: string[];

beforeEach(() => {
  slot = fakeSlot('card');
  calls = new Int32Array(2);
  causes = [];
});

const model = (attach: (slot: DeviceSlot) => Wired, onPci = false) =>
  defineDevice({ title: 'a card', ...(onPci ? {} : { places: [{ ranges: spec.ranges, irqs: spec.irqs }] }), attach });

function guarded(first: ReturnType<typeof model>, changes: Partial<DeviceSpec> = {}): GuardedDevice {
  const device = new GuardedDevice((present = first) => present.create({ ...spec, ...changes }, environment), {
    name: 'card',
    number: 3,
    calls,
    stopped: (cause) => causes.push(cause),
  });
  device.attach(slot);
  device.reset('cold');
  return device;
}

const read = (port: number, size: 1 | 2 | 4 = 1) => slot.bus.read('pio', port, size);

describe('a model that works', () => {
  it('is reached as if nothing stood between', () => {
    const writes: number[][] = [];
    const device = guarded(
      model((own) => {
        const line = own.irq(5);
        return {
          chip: { save: () => ({ version: 1, value: 7 }) },
          handlers: [
            {
              read: (offset, size) => offset * 16 + size,
              write: (offset, size, value) => {
                writes.push([offset, size, value]);
                line.set(value === 1);
              },
            },
          ],
        };
      }),
    );
    expect([read(0x302), read(0x304, 4)]).toEqual([0x21, 0x44]);
    slot.bus.write('pio', 0x306, 2, 1);
    expect([writes, slot.lines.get(5)?.level, device.save(), causes]).toEqual([[[6, 2, 1]], true, { version: 1, value: 7 }, []]);
  });

  it('shows the watchdog where it is, while it is there', () => {
    let during = 0;
    guarded(
      model((own) => {
        own.clock.at(10, () => {
          during += calls[CALL_DEVICE] ?? 0;
        });
        return {
          chip: {},
          handlers: [
            {
              read: () => {
                during += calls[CALL_DEVICE] ?? 0;
                return 0;
              },
              write: () => undefined,
            },
          ],
        };
      }),
    );
    const before = calls[CALL_COUNT] ?? 0;
    read(0x300);
    slot.clock.advance(10);
    expect([during, calls[CALL_DEVICE], (calls[CALL_COUNT] ?? 0) - before]).toEqual([6, 0, 2]);
  });
});

describe('a model that goes wrong', () => {
  const failing = (how: () => unknown) =>
    model((own) => {
      own.irq(5).set(true);
      own.clock.at(1000, () => causes.push('a deadline that should have been cut'));
      return {
        chip: { reset: () => undefined, save: () => ({ version: 1 }) },
        handlers: [{ read: () => how() as number, write: () => void how() }],
      };
    });

  it('is stopped when it throws: its ranges float, its deadlines are cut, its lines are let go', () => {
    const device = guarded(
      failing(() => {
        throw new RangeError('no such register');
      }),
    );
    expect(slot.lines.get(5)?.level).toBe(true);
    expect(read(0x303, 2)).toBe(0xffff);
    expect(device.cause).toMatch(/^RangeError: no such register \(guarded-device\.test\.ts:\d+:\d+\), in read\(3, 2\)$/);
    expect(slot.lines.get(5)?.level).toBe(false);
    slot.clock.advance(5000);
    slot.bus.write('pio', 0x300, 1, 1);
    expect([read(0x300), [...slot.bus.ranges()], causes.length]).toEqual([0xff, [], 1]);
  });

  it.each([
    ['undefined', undefined],
    ['an object', Promise.resolve(1)],
    ['a string', '7'],
    ['a bigint', 7n],
    ['null', null],
  ])('is stopped when a register gives %s', (words, value) => {
    const device = guarded(failing(() => value));
    expect([read(0x301), device.cause]).toEqual([0xff, `read(1, 1) gave ${words}, which is no number`]);
  });

  it('has its numbers cut to the width of the access', () => {
    let value = 0;
    guarded(failing(() => value));
    const seen = [-1, 0x1_2345, 3.9, Number.NaN, Number.POSITIVE_INFINITY].map((given) => {
      value = given;
      return read(0x300);
    });
    expect([seen, causes]).toEqual([[0xff, 0x45, 3, 0, 0], []]);
  });

  it('stays stopped: resets and snapshots pass it by', () => {
    let resets = 0;
    const device = guarded(
      model(() => ({
        chip: {
          reset: () => {
            if (resets++ > 0) throw new Error('again');
          },
        },
        handlers: [{ read: () => 0, write: () => undefined }],
      })),
    );
    for (let i = 0; i < 3; i++) device.reset('warm');
    device.pause();
    device.resume();
    device.restore({ version: 1 });
    expect([resets, device.save(), causes.length]).toEqual([2, { version: 1 }, 1]);
  });

  it('can go wrong anywhere: when it is made, wired, in a deadline, told of its configuration, thrown a text', () => {
    guarded({ ...model(() => ({ chip: {}, handlers: [] })), create: () => JSON.parse('{') });
    guarded(
      model(() => {
        throw 'no card today';
      }),
    );
    slot = fakeSlot();
    guarded(
      model((own) => {
        own.clock.at(5, () => {
          throw new Error('late');
        });
        return { chip: {}, handlers: [{ read: () => 0, write: () => undefined }] };
      }),
    );
    slot.clock.advance(5);
    guarded(
      model((own) => {
        own.pci({
          identity: { vendor: 1, device: 1, classCode: 0 },
          bars: [],
          configured: (register) => {
            if (register === 0x40) throw new Error('that register');
          },
        });
        return { chip: {}, handlers: [] };
      }, true),
      { ranges: [] },
    );
    slot.functions[0]?.writeConfig(0x40, 1, 0);
    expect(causes.map((cause) => cause.replace(/ \([^)]*:\d+:\d+\)/, '').replace(/^SyntaxError.*, in/, 'SyntaxError, in'))).toEqual([
      'SyntaxError, in create',
      'it threw a string, in attach',
      'Error: late, in a deadline',
      'Error: that register, in configured(0x40)',
    ]);
  });

  it('lets errors of the configuration pass: there the machine is described wrongly', () => {
    slot.bus.claim({ space: 'pio', base: 0x304, size: 1 }, 'other', { read: () => 0, write: () => undefined });
    expect(() => guarded(model(() => ({ chip: {}, handlers: [{ read: () => 0, write: () => undefined }] })))).toThrow(
      expect.objectContaining({ code: 'BH210' }),
    );
  });
});

describe('a model exchanged while its guest runs', () => {
  const answering = (value: number) => model(() => ({ chip: {}, handlers: [{ read: () => value, write: () => undefined }] }));

  it('answers in the place of the one before, reset, and nothing of that is left', () => {
    const order: string[] = [];
    const first = model((own) => {
      own.clock.at(100, () => order.push('old deadline'));
      own.irq(5).set(true);
      return { chip: { dispose: () => order.push('old gone') }, handlers: [{ read: () => 1, write: () => undefined }] };
    });
    const second = model(() => ({ chip: { reset: (kind) => order.push(`new reset ${kind}`) }, handlers: [{ read: () => 2, write: () => undefined }] }));
    const device = guarded(first);
    expect(read(0x300)).toBe(1);
    device.exchange(second);
    slot.clock.advance(1000);
    expect([read(0x300), order, slot.lines.get(5)?.level]).toEqual([2, ['old gone', 'new reset cold'], false]);
  });

  it('mends one that was stopped', () => {
    const device = guarded(
      model(() => {
        throw new Error('not yet');
      }),
    );
    device.exchange(answering(9));
    expect([device.cause, read(0x300)]).toEqual([undefined, 9]);
  });

  it('keeps its functions on PCI where the guest configured them', () => {
    const port: PciFunctionPort[] = [];
    const onPci = (value: number, vectors = 2) =>
      model((own) => {
        port.push(
          own.pci({
            identity: { vendor: 0x1234, device: 1, classCode: 0 },
            bars: [{ kind: 'mmio', size: 4096, handler: { read: () => value, write: () => undefined } }],
            msix: { vectors, bar: 1 },
          }),
        );
        return { chip: {}, handlers: [] };
      }, true);
    const device = guarded(onPci(1), { ranges: [] });
    slot.functions[0]?.writeConfig(0x10, 4, 0xd000_0000);
    device.exchange(onPci(2));
    expect([port[0] === port[1], slot.functions.length, slot.bus.read('mmio', 0xd000_0000, 4)]).toEqual([true, 1, 2]);

    expect(() => device.exchange(onPci(3, 8))).toThrow(expect.objectContaining({ code: 'BH217' }));
    expect([device.cause, slot.bus.read('mmio', 0xd000_0000, 4)]).toEqual([expect.stringContaining('another function'), 0xffff_ffff]);
    device.exchange(onPci(4));
    expect([device.cause, slot.bus.read('mmio', 0xd000_0000, 4)]).toEqual([undefined, 4]);
    expect(() => device.exchange(model(() => ({ chip: {}, handlers: [] }), true))).toThrow(expect.objectContaining({ code: 'BH217' }));
  });
});
