/** QEMU's own tool for images, from its Debian package: the judge of what we make of them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { packageFile } from '../../src/host/node/packages.ts';
import { ifAvailable } from './packages.ts';

export interface ToolRun {
  readonly status: number;
  readonly output: string;
}

/** Runs a program to its end; what it printed, whatever its status. */
export function runTool(program: string, args: readonly string[]): ToolRun {
  try {
    return { status: 0, output: execFileSync(program, args, { encoding: 'latin1', stdio: 'pipe' }) };
  } catch (error) {
    const { status, stdout, stderr } = error as { readonly status: number | null; readonly stdout: string; readonly stderr: string };
    return { status: status ?? -1, output: `${stdout}${stderr}` };
  }
}

/** The path of qemu-img; undefined, with a word about it, where it cannot be had or does not run. */
export async function qemuImg(): Promise<string | undefined> {
  const path = existsSync('/usr/bin/qemu-img') ? '/usr/bin/qemu-img' : await ifAvailable('qemu-img', () => packageFile('qemu-utils', 'amd64', 'usr/bin/qemu-img'));
  if (path === undefined) return undefined;
  if (runTool(path, ['--version']).status === 0) return path;
  console.warn('skipped: qemu-img does not run here: its libraries are missing');
  return undefined;
}
