/**
 * Debug exit: a port at which a guest ends its run with a status, as test guests know it from QEMU's isa-debug-exit.
 * Writing v ends the run with `(v << 1) | 1`, so that no guest can pretend to have succeeded by accident. Reads give 0.
 */
export class DebugExit {
  readonly #exit: (status: number) => void;

  constructor(options: { exit(status: number): void }) {
    this.#exit = options.exit;
  }

  read(_offset: number): number {
    return 0;
  }

  write(_offset: number, value: number): void {
    this.#exit(((value << 1) | 1) >>> 0);
  }
}
