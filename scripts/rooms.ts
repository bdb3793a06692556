/**
 * The rooms of the house and which way imports may point: the table of docs/architecture.md, once, as data.
 * test/architecture.test.ts holds every import to it; the tsconfig.json of every room is generated from it.
 */

export interface Room {
  /** Folder under src/. */
  readonly name: string;
  /**
   * Rooms it may import. `board/memory`: only what lies at src/board/memory.ts or in src/board/memory/;
   * any other room is entered through its index.ts, unless it says `byFile`.
   */
  readonly imports: readonly string[];
  /** Packages it may import. */
  readonly packages?: readonly string[];
  /** `pure`: neither Node nor the DOM. */
  readonly environment: 'pure' | 'node';
  /** A library of independent files rather than one thing with a front door: entered by file. */
  readonly byFile?: true;
}

const FOUNDATION = ['base', 'contracts'];
const MACHINE = [...FOUNDATION, 'x86', 'board', 'shared', 'boot'];
const ENGINE = [...FOUNDATION, 'x86', 'board/memory'];

export const ROOMS: readonly Room[] = [
  { name: 'base', imports: [], environment: 'pure' },
  { name: 'contracts', imports: ['base'], environment: 'pure' },
  { name: 'x86', imports: ['base'], environment: 'pure', byFile: true },
  { name: 'manifest', imports: [...FOUNDATION, 'x86'], packages: ['yaml', 'zod'], environment: 'pure' },
  { name: 'board', imports: [...FOUNDATION, 'x86'], environment: 'pure' },
  { name: 'shared', imports: [...FOUNDATION, 'board'], environment: 'pure' },
  { name: 'boot', imports: [...FOUNDATION, 'x86'], environment: 'pure' },
  { name: 'soft', imports: ENGINE, environment: 'pure' },
  { name: 'host/node', imports: [...FOUNDATION, 'boot'], packages: ['pngjs', 'ws'], environment: 'node', byFile: true },
  { name: 'host/linux', imports: FOUNDATION, packages: ['koffi'], environment: 'node' },
  { name: 'kvm', imports: [...ENGINE, 'host/linux'], environment: 'node' },
  { name: 'observe', imports: [...FOUNDATION, 'x86'], environment: 'pure' },
  { name: 'debug', imports: [...FOUNDATION, 'x86'], environment: 'pure' },
  { name: 'partition', imports: [...MACHINE, 'manifest', 'observe', 'debug'], environment: 'pure' },
  { name: 'hypervisor', imports: [...MACHINE, 'manifest', 'observe', 'debug', 'partition'], environment: 'pure' },
  { name: 'testing', imports: [...MACHINE, 'partition', 'soft'], environment: 'pure' },
  {
    name: 'server',
    imports: [...MACHINE, 'manifest', 'observe', 'debug', 'partition', 'hypervisor', 'host/node'],
    environment: 'node',
  },
  {
    name: 'cli',
    imports: [...MACHINE, 'manifest', 'observe', 'debug', 'partition', 'hypervisor', 'soft', 'kvm', 'host/node', 'host/linux', 'server'],
    packages: ['commander'],
    environment: 'node',
  },
];

/** The room a path under src/ lies in: `src/host/node/files.ts` → `host/node`. */
export function roomOf(path: string): Room | undefined {
  return ROOMS.find((room) => path.startsWith(`src/${room.name}/`));
}

/** A room named in `imports`, without the part of it that is meant. */
export function roomNamed(name: string): Room | undefined {
  return ROOMS.find((room) => room.name === name || name.startsWith(`${room.name}/`));
}
