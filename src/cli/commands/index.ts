/** Every command, in the order `--help` shows them. One file each. */
import type { CliCommand } from '../command.ts';
import { check } from './check.ts';
import { consoleCommand } from './console.ts';
import { inspect } from './inspect.ts';
import { keys, mouse } from './keys.ts';
import { run } from './run.ts';
import { schema } from './schema.ts';
import { screen } from './screen.ts';
import { status } from './status.ts';

export const COMMANDS: readonly CliCommand[] = [run, check, inspect, schema, status, consoleCommand, screen, keys, mouse];
