/**
 * What a running machine does for other processes: one row per command. The commands of the command line that talk to a machine, and
 * whoever writes JSON to its socket, go through this table.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BulkheadError } from '../../base/index.ts';
import { keystrokes } from '../../board/index.ts';
import type { KeyEvent, PartitionStatus, PointerEvent } from '../../contracts/index.ts';
import type { ControlRequest } from '../../host/node/control-socket.ts';
import { encodePng } from '../../host/node/png.ts';
import type { InputEnd, PortReport, RunningMachine, Screen } from '../../hypervisor/index.ts';

/** What a value of a request has to be. */
type ArgumentKind = 'string' | 'number';

interface ControlCommand {
  readonly what: string;
  readonly arguments: Readonly<Record<string, { readonly kind: ArgumentKind; readonly optional?: boolean; readonly what: string }>>;
  run(machine: RunningMachine, argument: (name: string) => string | number | undefined): unknown;
}

/** Answer to `status`. */
export interface StatusAnswer {
  readonly machine: string;
  readonly partitions: readonly PartitionStatus[];
  readonly ports: readonly PortReport[];
}

/** Answer to `screen`. */
export interface ScreenAnswer {
  readonly device: string;
  readonly width: number;
  readonly height: number;
  /** The picture as a PNG file, in base64. */
  readonly png: string;
  /** Lines of a text mode. */
  readonly text?: readonly string[];
  readonly cursor?: { readonly row: number; readonly column: number };
}

const PARTITION = { kind: 'string', what: 'name of the partition' } as const;
const DEVICE = { kind: 'string', optional: true, what: 'name of the device; its first one when left out' } as const;
/** A guest that does not read its keyboard for this long will not read it soon. */
const INPUT_PATIENCE_MS = 10_000;
const INPUT_RETRY_MS = 20;
const BUTTON_BITS: Readonly<Record<string, number>> = { left: 1, right: 2, middle: 4 };

export const CONTROL_COMMANDS: Readonly<Record<string, ControlCommand>> = {
  status: {
    what: 'state, restarts and instructions of every partition, and what was done at the ports of what is shared',
    arguments: {},
    run: (machine): StatusAnswer => ({ machine: machine.machine.name, partitions: machine.status(), ports: machine.ports() }),
  },

  screen: {
    what: 'picture and text of a screen',
    arguments: { partition: PARTITION, device: DEVICE },
    run(machine, argument): ScreenAnswer {
      const screen = screenOf(machine, argument('partition') as string, argument('device') as string | undefined);
      const picture = screen.picture();
      const text = screen.text();
      const cursor = screen.cursor();
      return {
        device: screen.device,
        width: picture.width,
        height: picture.height,
        png: Buffer.from(encodePng(picture)).toString('base64'),
        ...(text === undefined ? {} : { text }),
        ...(cursor === undefined ? {} : { cursor }),
      };
    },
  },

  keys: {
    what: 'type on a keyboard',
    arguments: {
      partition: PARTITION,
      device: DEVICE,
      text: { kind: 'string', what: 'what to type; keys in angle brackets: `ls<enter>`, `<ctrl+alt+delete>`' },
    },
    async run(machine, argument) {
      const input = inputOf(machine, argument('partition') as string, argument('device') as string | undefined);
      const events: readonly KeyEvent[] = keystrokes(argument('text') as string);
      return { device: input.device, ...(await sendAll(events, (rest) => input.keys(rest))) };
    },
  },

  mouse: {
    what: 'move a mouse, turn its wheel, click',
    arguments: {
      partition: PARTITION,
      device: DEVICE,
      dx: { kind: 'number', optional: true, what: 'counts to the right' },
      dy: { kind: 'number', optional: true, what: 'counts upwards' },
      wheel: { kind: 'number', optional: true, what: 'notches towards the user' },
      click: { kind: 'string', optional: true, what: `button: ${Object.keys(BUTTON_BITS).join(', ')}` },
    },
    async run(machine, argument) {
      const input = inputOf(machine, argument('partition') as string, argument('device') as string | undefined);
      const number = (name: string): number => (argument(name) as number | undefined) ?? 0;
      const events: PointerEvent[] = [{ dx: number('dx'), dy: number('dy'), wheel: number('wheel'), buttons: 0 }];
      const click = argument('click') as string | undefined;
      if (click !== undefined) {
        const buttons = BUTTON_BITS[click];
        if (buttons === undefined)
          throw new BulkheadError('BH643', `a mouse has no button \`${click}\``, { hint: Object.keys(BUTTON_BITS).join(', ') });
        events.push({ dx: 0, dy: 0, wheel: 0, buttons }, { dx: 0, dy: 0, wheel: 0, buttons: 0 });
      }
      return { device: input.device, ...(await sendAll(events, (rest) => input.pointer(rest))) };
    },
  },
};

/**
 * Answers a request. Throws BH643 when it is no command or lacks an argument, BH503 for a partition there is not, and what the command
 * throws.
 */
export async function runControlCommand(machine: RunningMachine, request: ControlRequest): Promise<unknown> {
  const command = Object.hasOwn(CONTROL_COMMANDS, request.command) ? CONTROL_COMMANDS[request.command] : undefined;
  if (command === undefined) {
    throw new BulkheadError('BH643', `there is no command \`${request.command}\``, {
      hint: `known: ${Object.keys(CONTROL_COMMANDS).join(', ')}`,
    });
  }
  for (const [name, { kind, optional, what }] of Object.entries(command.arguments)) {
    const given = request[name];
    if (given === undefined ? optional !== true : typeof given !== kind) {
      throw new BulkheadError('BH643', `\`${request.command}\` wants \`${name}\`: ${what}`, { hint: `a ${kind}` });
    }
  }
  return await command.run(machine, (name) => request[name] as string | number | undefined);
}

function screenOf(machine: RunningMachine, partition: string, device: string | undefined): Screen {
  return chosen(machine.screens(partition), device, partition, 'screen');
}

function inputOf(machine: RunningMachine, partition: string, device: string | undefined): InputEnd {
  return chosen(machine.inputs(partition), device, partition, 'keyboard');
}

function chosen<T extends { readonly device: string }>(all: readonly T[], device: string | undefined, partition: string, what: string): T {
  const found = device === undefined ? all[0] : all.find((one) => one.device === device);
  if (found !== undefined) return found;
  throw new BulkheadError('BH644', `${partition} has no ${what}${device === undefined ? '' : ` \`${device}\``}`, {
    hint:
      all.length > 0
        ? `it has ${all.map((one) => one.device).join(', ')}`
        : `give it a device with a ${what}: \`model: stdvga\` or \`i8042\``,
  });
}

/** As many as the guest takes in time. */
async function sendAll<Event>(events: readonly Event[], send: (rest: readonly Event[]) => number): Promise<{ sent: number; of: number }> {
  let sent = send(events);
  for (let waited = 0; sent < events.length && waited < INPUT_PATIENCE_MS; waited += INPUT_RETRY_MS) {
    await delay(INPUT_RETRY_MS);
    sent += send(events.slice(sent));
  }
  return { sent, of: events.length };
}
