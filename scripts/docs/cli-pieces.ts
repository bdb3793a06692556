/** The generated pieces of docs/cli.md: commands and their options as commander has them, and the exit codes. */
import { type Argument, Command, type Option } from 'commander';
import type { RunAction } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { EXIT_CODES } from '../../src/cli/exit-codes.ts';
import { PACKAGED_IMAGES } from '../../src/cli/packaged-images.ts';
import { MENU } from '../../src/cli/terminal/menu.ts';
import { code, markdownTable } from './regions.ts';

const NOWHERE = { write: () => undefined, isTTY: false };
const runs: RunAction = () => async () => undefined;

function program(): Command {
  const all = new Command('bulkhead');
  for (const command of COMMANDS) command.register(all, { out: NOWHERE, err: NOWHERE, environment: {} }, runs);
  return all;
}

/** A command that does something itself, under its full name. */
function leaves(command: Command, prefix: string): (readonly [name: string, command: Command])[] {
  return command.commands.flatMap((child) => {
    const name = `${prefix} ${child.name()}`;
    return child.commands.length > 0 ? leaves(child, name) : [[name, child] as const];
  });
}

function argumentText(argument: Argument): string {
  return argument.required ? `<${argument.name()}>` : `[${argument.name()}]`;
}

function optionRow({ flags, description, defaultValue }: Option): string[] {
  // Placeholders in angle brackets are HTML to Markdown.
  return [code(flags), description.replaceAll('<', '&lt;'), defaultValue === undefined ? '' : code(String(defaultValue))];
}

function chapter(name: string, command: Command): string {
  const usage = [name, ...command.registeredArguments.map(argumentText), ...(command.options.length > 0 ? ['[options]'] : [])].join(' ');
  const details = command.registeredArguments.map((argument) => [code(argumentText(argument)), argument.description, '']);
  const rows = [...details, ...command.options.map(optionRow)];
  return `### ${name}\n\n${code(usage)}: ${command.description()}.\n\n${rows.length > 0 ? markdownTable(['', 'meaning', 'default'], rows) : ''}`;
}

export function cliPieces(): Readonly<Record<string, string>> {
  return {
    commands: leaves(program(), 'bulkhead').map(([name, command]) => chapter(name, command)).join('\n'),
    menu: markdownTable(['after `^]`', 'what happens'], MENU.map(menuRow)),
    'exit-codes': markdownTable(['status', 'meaning'], EXIT_CODES.map(({ status, meaning }) => [String(status), meaning])),
    'packaged-images': markdownTable(
      ['name', 'used as', 'what it is'],
      Object.entries(PACKAGED_IMAGES).map(([name, { role, title }]) => [code(`package:${name}`), code(`${role}:`), title]),
    ),
  };
}

/** The help line says the keys first; the rest is the meaning. */
function menuRow({ keys, help }: (typeof MENU)[number]): string[] {
  const names = [...keys].map((key) => (key === '\x1d' ? '^]' : key)).map(code).join(', ');
  return [names, help.replace(/^.*? {2,}/, '')];
}
