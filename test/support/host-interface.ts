// A TAP interface of the host that is there for one test file alone.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

export interface HostInterface extends Disposable {
  readonly name: string;
  /** The addresses of the host and of a guest, in a subnet that only this run has: an interface that a killed run left behind must not answer for us. */
  readonly host: string;
  readonly guest: string;
}

/** undefined, and said so, where none can be made: that takes root, /dev/net/tun and `ip`. `use` tells the interfaces of one process apart. */
export function hostInterface(use: number, test: string): HostInterface | undefined {
  const name = `bhtest${process.pid % 10_000_000}${use}`;
  const subnet = `10.${200 + use}.${process.pid % 251}`;
  try {
    if (!existsSync('/dev/net/tun')) throw new Error('there is no /dev/net/tun');
    execFileSync('ip', ['tuntap', 'add', name, 'mode', 'tap'], { stdio: 'pipe' });
    execFileSync('ip', ['addr', 'add', `${subnet}.1/24`, 'dev', name], { stdio: 'pipe' });
    execFileSync('ip', ['link', 'set', name, 'up'], { stdio: 'pipe' });
  } catch (error) {
    console.warn(`skipped: ${test}: ${(error as Error).message.trim()}`);
    return undefined;
  }
  return { name, host: `${subnet}.1`, guest: `${subnet}.2`, [Symbol.dispose]: () => execFileSync('ip', ['link', 'del', name]) };
}
