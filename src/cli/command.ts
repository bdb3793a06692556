/** What a command of `bulkhead` is, and what it is given to talk with. */
import type { Command } from 'commander';

export interface TextSink {
  write(text: string): void;
  readonly isTTY: boolean;
}

/** The world of one invocation. Tests make their own. */
export interface CliIo {
  /** Results, and nothing else: what `--json` prints can be piped. */
  readonly out: TextSink;
  /** Findings, progress, errors. */
  readonly err: TextSink;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Gives a commander action its way out: what `action` resolves to is the exit status. */
export type RunAction = <Arguments extends unknown[]>(
  action: (...args: Arguments) => number | Promise<number>,
) => (...args: Arguments) => Promise<void>;

export interface CliCommand {
  /** Adds itself, its arguments and options to `program`. */
  register(program: Command, io: CliIo, run: RunAction): void;
}
