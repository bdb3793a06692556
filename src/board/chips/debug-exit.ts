/**
 * Debug exit: a port at which a guest ends its run with a status, as test guests know it from QEMU's isa-debug-exit.
 * Writing v, in any width, ends the run with `(v << 1) | 1`, so that no guest can pretend to have succeeded by accident.
 * Reads give 0.
 */
import type { AccessSize, IoHandler } from '../../contracts/index.ts';

export class DebugExit implements IoHandler {
  readonly #exit: (status: number) => void;

  constructor(options: { exit(status: number): void }) {
    this.#exit = options.exit;
  }

  read(): number {
    return 0;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#exit(((value << 1) | 1) >>> 0);
  }
}
