/** A program of ours in a process of its own, killed at a moment that depends on what it has said. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface KilledProcess {
  /** For people. */
  readonly name: string;
  /** Of Node: the program and what it is told. */
  readonly args: readonly string[];
  /** Where what Node compiled is kept: each life begins like the others, and need not read our sources anew. */
  readonly folder: string;
  /** From its output so far: it is to be killed. */
  readonly isDue: (text: string) => boolean;
  /** Milliseconds from then to the kill. */
  readonly delay: number;
}

/** What it had said: that is in the pipe, whatever has become of the process. Rejects when it ended by itself, or said BROKEN. */
export function runAndKill({ name, args, folder, isDue, delay }: KilledProcess): Promise<string> {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled') };
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let text = '';
  let errors = '';
  let dying = false;
  child.stderr.on('data', (piece: Buffer) => {
    errors += piece.toString('latin1');
  });
  child.stdout.on('data', (piece: Buffer) => {
    text += piece.toString('latin1');
    if (text.includes('BROKEN')) child.kill('SIGKILL');
    if (dying || !isDue(text)) return;
    dying = true;
    setTimeout(() => child.kill('SIGKILL'), delay);
  });
  return new Promise((resolve, reject) => {
    child.on('close', () => {
      if (dying && !text.includes('BROKEN')) resolve(text);
      else reject(new Error(`${name} came to nothing:\n${text.slice(-1500)}\n${errors.slice(-1500)}`));
    });
  });
}
