/** The `^]` menu: which key does what, once. The menu line, the help and the multiplexer are derived from it. */

/** Ctrl-], as telnet and virsh have it: hardly a program wants it, and the menu sends it on when it is pressed twice. */
export const MENU_KEY = 0x1d;

export type MenuAction = 'all' | 'status' | 'screen' | 'pen' | 'restart' | 'kill' | 'stop' | 'quit' | 'help' | 'send';

interface MenuEntry {
  readonly keys: string;
  readonly action: MenuAction;
  readonly short: string;
  readonly help: string;
}

export const MENU: readonly MenuEntry[] = [
  { keys: 'a0', action: 'all', short: 'a all', help: 'a or 0   show the consoles of all partitions, each line with its name' },
  { keys: 's', action: 'status', short: 's status', help: 's        show the status of all partitions' },
  { keys: 'v', action: 'screen', short: 'v screen', help: 'v        show the screen (video) of the focused partition' },
  { keys: 'w', action: 'pen', short: 'w write', help: 'w        write to the focused partition, when somebody else has its pen' },
  { keys: 'r', action: 'restart', short: 'r restart', help: 'r        restart the focused partition, cold; starts it when it does not run' },
  { keys: 'k', action: 'kill', short: 'k kill', help: 'k        make the focused partition crash; its on-crash policy applies' },
  { keys: 'p', action: 'stop', short: 'p stop', help: 'p        stop the focused partition' },
  { keys: 'q', action: 'quit', short: 'q quit', help: 'q        stop all partitions and leave' },
  { keys: '?h', action: 'help', short: '? help', help: '?        this help' },
  { keys: '\x1d', action: 'send', short: '^] sends ^]', help: '^]       send ^] to the focused partition' },
];

/** What a key means in the open menu: a partition's index from 0, an action, or nothing. */
export function menuChoice(key: string, partitions: number): number | MenuAction | undefined {
  if (key >= '1' && key <= '9') {
    const index = Number(key) - 1;
    return index < partitions ? index : undefined;
  }
  return MENU.find((entry) => entry.keys.includes(key.toLowerCase()))?.action;
}

export function menuLine(names: readonly string[], focus: number): string {
  const partitions = names.slice(0, 9).map((name, index) => `${index + 1}${index === focus ? '*' : ''} ${name}`);
  return [...partitions, ...MENU.map((entry) => entry.short)].join('  ');
}

export function menuHelp(names: readonly string[]): string[] {
  const partitions = names.slice(0, 9).map((name, index) => `^] ${index + 1}        focus ${name}: its console alone, every key to it`);
  return [...partitions, ...MENU.map((entry) => `^] ${entry.help}`)];
}
