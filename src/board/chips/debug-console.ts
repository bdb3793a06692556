/**
 * Debug console: a port that takes characters and is always ready, as firmware and boot loaders know it from emulators (0x402 for
 * SeaBIOS and OVMF, 0xE9 for older ones). Reading gives 0xE9: somebody listens.
 *
 * Spec: QEMU isa-debugcon; Bochs' port E9 hack.
 */
import type { AccessSize, CharacterBackend, IoHandler } from '../../contracts/index.ts';

const PRESENT = 0xe9;

export class DebugConsole implements IoHandler {
  readonly #line: Pick<CharacterBackend, 'output'>;

  constructor(options: { line: Pick<CharacterBackend, 'output'> }) {
    this.#line = options.line;
  }

  read(_offset: number, size: AccessSize): number {
    return (size === 4 ? 0xffff_ff00 : size === 2 ? 0xff00 : 0) + PRESENT;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#line.output(value & 0xff);
  }
}
