/** Every command, in the order `--help` shows them. One file each. */
import type { CliCommand } from '../command.ts';
import { check } from './check.ts';
import { inspect } from './inspect.ts';
import { schema } from './schema.ts';

export const COMMANDS: readonly CliCommand[] = [check, inspect, schema];
