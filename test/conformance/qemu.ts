/** Runs a payload on QEMU's TCG, with every feature that it has, as Intel's processors have them. */
import { spawn, spawnSync } from 'node:child_process';

const QEMU = 'qemu-system-x86_64';
/** Some payloads leave TCG, which does not check what they ask for, in a loop: it is not worth waiting for. */
const SECONDS = 15;

export function qemuIsInstalled(): boolean {
  return spawnSync(QEMU, ['--version']).status === 0;
}

/** What the payload prints, up to its end or to where QEMU was lost. */
export function runOnQemu(image: string): Promise<string> {
  const child = spawn(QEMU, [
    '-accel', 'tcg,thread=single', '-cpu', 'max,vendor=GenuineIntel', '-m', '64', '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot',
    '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', image,
  ], { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), SECONDS * 1000);
  return new Promise((resolve) => {
    child.on('close', () => {
      clearTimeout(timer);
      resolve(text.replaceAll('\r', ''));
    });
  });
}
