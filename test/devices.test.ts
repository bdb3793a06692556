/**
 * Devices of the user's own in a running machine, each partition in its Worker: they work, they go wrong in every way there is, and nobody
 * but their own partition notices. The same guest reads port 0x300 for ever; a neighbour counts.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GuestProgram, PROGRAM_BASE } from '../src/testing/index.ts';
import { LiveMachine, machineOf } from './support/live-machine.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-devices-'));
  writeFileSync(join(folder, 'reader.bin'), endless(new GuestProgram().in(0x300)));
  writeFileSync(join(folder, 'neighbour.bin'), endless(new GuestProgram().store(0x20_0000, 1)));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Threads that loop and leak take their time, the more so on a host that is busy. */
const TIMEOUT = 180_000;

/** The program over and over: its result pointer is put back to where it began. */
function endless(program: GuestProgram): Uint8Array {
  const body = [...program.store(0x2f_fff8, 0x30_0000).code];
  const image = program.assemble();
  const start = indexOf(image, body);
  // JMP rel32 in place of the exit that follows.
  const at = start + body.length;
  image.set([0xe9], at);
  new DataView(image.buffer).setInt32(at + 1, start - (at + 5), true);
  return image;
}

function indexOf(image: Uint8Array, body: readonly number[]): number {
  for (let at = 0; at < image.length; at++) if (body.every((byte, i) => image[at + i] === byte)) return at;
  throw new Error('the program is not in its image');
}

const cell = (model: string, more = ''): string => `
version: 1
machine: cell
board: { cores: 4, memory: 64MiB }
partitions:
  reader:
    role: rtos
    cores: [1]
    memory: 8MiB
    boot: { kernel: ${join(folder, 'reader.bin')}, protocol: flat, load: ${PROGRAM_BASE} }
    devices:
      card: { model: ${model} }
    ${more}
  neighbour:
    role: rtos
    cores: [2]
    memory: 8MiB
    boot: { kernel: ${join(folder, 'neighbour.bin')}, protocol: flat, load: ${PROGRAM_BASE} }
`;

const logOf = (machine: LiveMachine, partition: string) =>
  machine.events.flatMap((event) => (event.kind === 'log' && event.partition === partition ? [`${event.severity}: ${event.message}`] : []));

async function neighbourGoesOn(machine: LiveMachine): Promise<void> {
  const { retired } = machine.status('neighbour');
  await machine.until('the neighbour went on', () => machine.status('neighbour').retired > retired + 1_000_000);
  expect([machine.status('neighbour').state, machine.status('neighbour').restarts]).toEqual(['running', 0]);
}

describe('a device that goes wrong', { timeout: TIMEOUT }, () => {
  it('by throwing is stopped, and its guest goes on without it', async () => {
    await using machine = new LiveMachine(machineOf(cell('./test/devices/throws.ts')), 'free');
    machine.running.startAll();
    await machine.until('the device was stopped', () => machine.status('reader').stoppedDevices === 1);
    const { retired } = machine.status('reader');
    await machine.until('the guest went on', () => machine.status('reader').retired > retired + 1_000_000);
    expect(logOf(machine, 'reader')).toEqual([
      expect.stringMatching(
        /^error: device card \(\.\/test\/devices\/throws\.ts\) was stopped: RangeError: register 0 is not there yet \(throws\.ts:12:17\), in read\(0, 1\)$/,
      ),
    ]);
    await neighbourGoesOn(machine);
    // A new life has a new device: as good, or as bad, as the first one was.
    await machine.running.restart('reader');
    await machine.until('it was stopped again', () => logOf(machine, 'reader').length === 2 && machine.status('reader').stoppedDevices === 1);
  });

  it('by not coming back ends its partition by the watchdog, whose policy applies', async () => {
    await using machine = new LiveMachine(machineOf(cell('./test/devices/loops.ts', 'on-crash: { action: restart, limit: 1 }')), 'free');
    machine.running.startAll();
    await machine.until('it was started again', () => machine.kinds('reader').length === 4);
    expect(machine.kinds('reader')).toEqual(['starting', 'started', 'crashed', 'starting']);
    expect(machine.running.lastCrash('reader')).toMatchObject({
      kind: 'device',
      cause: 'device card (./test/devices/loops.ts) has not come back from a call for 5 s: ended by the watchdog',
    });
    await neighbourGoesOn(machine);
  });

  it('by leaking memory ends its partition at the limit of its heap, and is named', async () => {
    await using machine = new LiveMachine(machineOf(cell('./test/devices/leaks.ts')), 'free');
    machine.running.startAll();
    await machine.until('it crashed', () => machine.status('reader').state === 'crashed');
    expect(machine.running.lastCrash('reader')).toMatchObject({
      kind: 'device',
      cause: 'worker died: out of memory, in a call of device card (./test/devices/leaks.ts)',
    });
    await neighbourGoesOn(machine);
  });
});

describe('a device under development', { timeout: TIMEOUT }, () => {
  const source = (value: string, imports = '') => `${imports}
import { defineDevice } from 'bulkhead/device';
export const device = defineDevice({
  title: 'A card that is being written',
  places: [{ ranges: [{ space: 'pio', base: 0x300, size: 4 }], irqs: [] }],
  attach: (slot) => {
    let told = false;
    return {
      chip: { reset: (kind) => slot.log.log('info', \`reset \${kind}\`) },
      handlers: [{
        read: () => {
          if (!told) slot.log.log('info', \`gives \${${value}}\`);
          told = true;
          return ${value};
        },
        write: () => undefined,
      }],
    };
  },
});
`;

  it('is loaded anew while its guest runs, with what it imports; what cannot be loaded changes nothing', async () => {
    const path = join(folder, 'card.ts');
    writeFileSync(join(folder, 'part.ts'), 'export const VALUE: number = 1;\n');
    writeFileSync(path, source('VALUE', "import { VALUE } from './part.ts';"));
    await using machine = new LiveMachine(machineOf(cell(path)), 'free');
    machine.running.startAll();
    const said = (what: string) => machine.until(what, () => logOf(machine, 'reader').includes(`info: card: ${what}`));
    await said('gives 1');

    writeFileSync(join(folder, 'part.ts'), 'export const VALUE: number = 2;\n');
    expect(machine.running.reloadDevices('reader')).toBe(true);
    await said('gives 2');
    const resets = logOf(machine, 'reader').filter((line) => line.includes('reset'));
    expect(resets.slice(-2)).toEqual(['info: card: reset cold', `info: device card (${path}) was loaded anew and reset`]);

    writeFileSync(path, source('3 +'));
    machine.running.reloadDevices('reader');
    await machine.until('the mistake was reported', () => logOf(machine, 'reader').some((line) => line.startsWith('error: ')));
    expect(logOf(machine, 'reader').at(-1)).toMatch(/^error: cannot load the device .*card\.ts: .*; it stays as it was$/);

    writeFileSync(path, source('4'));
    machine.running.reloadDevices('reader');
    await said('gives 4');
    expect([machine.status('reader').restarts, machine.kinds('reader')]).toEqual([0, ['starting', 'started']]);
    expect(machine.running.reloadDevices('neighbour')).toBe(false);
  });
});

describe('check', { timeout: TIMEOUT }, () => {
  const problemOf = (text: string | undefined) => {
    const path = join(folder, 'wrong.ts');
    rmSync(path, { force: true });
    if (text !== undefined) writeFileSync(path, text);
    try {
      machineOf(cell(path));
      return 'nothing';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it.each([
    ['a file that is not there', undefined, /Cannot find module/],
    ['a syntax error', 'export const device = {;', /SyntaxError/],
    ['a module that throws', "throw new Error('no licence');", /Error: no licence \(wrong\.ts:1\)/],
    ['a module without a device', 'export const card = 1;', /it exports no `device`, but `card`/],
    ['a module that ends the process', 'process.exit(3);', /it ended the thread that loaded it/],
    ['an import that does not exist', "import './nowhere.ts';", /Cannot find module .*nowhere\.ts/],
  ])('says what is wrong with %s, at the line of the manifest', (_, text, problem) => {
    const message = problemOf(text);
    expect(message).toMatch(/^12: BH123: .* cannot be used as a device: /);
    expect(message).toMatch(problem);
  });
});
