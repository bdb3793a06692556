import { describe, expect, it } from 'vitest';
import { keystrokes } from '../../board/index.ts';
import type { Machine, Partition } from '../../contracts/index.ts';
import { decodePng } from '../../host/node/png.ts';
import { type MachineHost, RunningMachine, type ThreadEvents, type ThreadStart } from '../../hypervisor/index.ts';
import { InputPort } from '../../partition/index.ts';
import { Vga } from '../../board/index.ts';
import { runControlCommand, type ScreenAnswer } from './control-commands.ts';

function partition(name: string, devices: readonly string[]): Partition {
  return {
    name,
    role: 'gpos',
    engine: 'soft',
    cores: [0],
    memory: { base: 0, size: 1 },
    boot: { kernel: '/k', cmdline: '', protocol: 'auto', decompress: true },
    devices: devices.map((model) => ({ name: model, model, ranges: [], irqs: [], options: {} })),
    onCrash: { action: 'halt', limit: 0 },
    instructionsPerMicrosecond: 100,
    allowance: { cores: [0], memory: [], ports: [], mmio: [], irqs: [] },
  };
}

/** A machine whose partition `desktop` shows a text screen; what is typed comes out of `input`. */
function machine(): { running: RunningMachine; vga: Vga; input: InputPort } {
  const vga = new Vga({
    clock: { now: () => 0, at: () => ({ [Symbol.dispose]() {} }) },
    memory: new Uint8Array(new SharedArrayBuffer(0x40000)),
  });
  let start: ThreadStart | undefined;
  const host: MachineHost = {
    startThread(given: ThreadStart, events: ThreadEvents) {
      start ??= given;
      queueMicrotask(() => events.started('image', given.partition.name === 'desktop' ? { screen: vga.buffers } : {}));
      return { terminate: () => events.exited() };
    },
    after: () => ({ [Symbol.dispose]() {} }),
  };
  const description = {
    name: 'cell',
    board: { cores: 2, memory: 2 },
    partitions: [partition('desktop', ['vga-text', 'i8042']), partition('control', [])],
  };
  const running = new RunningMachine(description as Machine, host, { pace: 'free' });
  running.startAll();
  return { running, vga, input: new InputPort(start!.link.inputs['i8042']!) };
}

describe('a running machine is asked', () => {
  it('how it is', async () => {
    const { running } = machine();
    expect(await runControlCommand(running, { command: 'status' })).toMatchObject({
      machine: 'cell',
      partitions: [{ name: 'desktop' }, { name: 'control' }],
      ports: [],
    });
  });

  it('for a screen: its text, its cursor and a picture', async () => {
    const { running, vga } = machine();
    for (const [i, c] of [...'Hi'].entries()) vga.window.write(0x18000 + 2 * i, 2, 0x0f00 | c.charCodeAt(0));
    await Promise.resolve();
    const answer = (await runControlCommand(running, { command: 'screen', partition: 'desktop' })) as ScreenAnswer;
    expect(answer).toMatchObject({ device: 'screen', width: 720, height: 400, cursor: { row: 0, column: 0 } });
    expect(answer.text?.[0]).toBe('Hi');
    const { width, height, pixels } = decodePng(Buffer.from(answer.png, 'base64'));
    expect([width, height, pixels.some((byte, at) => at % 4 !== 3 && byte === 255)]).toEqual([720, 400, true]);
  });

  it('to type: the guest gets presses and releases in order', async () => {
    const { running, input } = machine();
    expect(await runControlCommand(running, { command: 'keys', partition: 'desktop', text: 'Ab<enter>' })).toEqual({
      device: 'i8042',
      sent: 8,
      of: 8,
    });
    input.admit();
    const got = Array.from({ length: 9 }, () => input.key());
    expect(got).toEqual([...keystrokes('Ab<enter>'), undefined]);
  });

  it('to move the mouse and click', async () => {
    const { running, input } = machine();
    await runControlCommand(running, { command: 'mouse', partition: 'desktop', dx: -5, dy: 300, wheel: 1, click: 'right' });
    input.admit();
    expect([input.pointer(), input.pointer(), input.pointer(), input.pointer()]).toEqual([
      { dx: -5, dy: 300, wheel: 1, buttons: 0 },
      { dx: 0, dy: 0, wheel: 0, buttons: 2 },
      { dx: 0, dy: 0, wheel: 0, buttons: 0 },
      undefined,
    ]);
  });

  it.each([
    [{ command: 'dance' }, 'BH643'],
    [{ command: 'screen' }, 'BH643'],
    [{ command: 'keys', partition: 'desktop', text: 7 }, 'BH643'],
    [{ command: 'mouse', partition: 'desktop', click: 'tail' }, 'BH643'],
    [{ command: 'screen', partition: 'ghost' }, 'BH503'],
    [{ command: 'screen', partition: 'control' }, 'BH644'],
    [{ command: 'keys', partition: 'desktop', text: 'x', device: 'other' }, 'BH644'],
    [{ command: 'keys', partition: 'desktop', text: '<any>' }, 'BH640'],
    [{ command: 'constructor' }, 'BH643'],
  ])('what it cannot do: %j', async (request, code) => {
    const { running } = machine();
    await Promise.resolve();
    await expect(runControlCommand(running, request)).rejects.toMatchObject({ code });
  });
});
