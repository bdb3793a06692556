/** The shell of a guest that runs with a Worker of its own. */
import type { LiveMachine } from './live-machine.ts';

/** Resolves once `holds`. Rejects, with the end of `context`, when that does not happen within `patience` milliseconds. */
export async function eventually(what: string, holds: () => boolean, context: () => string, patience: number): Promise<void> {
  const last = performance.now() + patience;
  while (!holds()) {
    if (performance.now() > last) throw new Error(`never: ${what}\n${context().slice(-2000)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Types `command` and resolves to what it printed, once it has ended. Rejects when its status is not 0. */
export async function shell(live: LiveMachine, name: string, command: string, patience: number): Promise<string> {
  const from = live.console(name).length;
  // The shell echoes what is typed: only what printf makes of it frames the output.
  live.type(name, `printf '\\2'; ${command}; printf '\\3%d\\4' $?\r`);
  const reply = (): RegExpExecArray | null => /\x02([\s\S]*)\x03(\d+)\x04/.exec(live.console(name).slice(from));
  await eventually(`${name}: ${command}`, () => reply() !== null, () => live.console(name).slice(from), patience);
  const [, output = '', status] = reply() ?? [];
  if (status !== '0') throw new Error(`${name}: ${command}: status ${status}\n${output}`);
  return output;
}
