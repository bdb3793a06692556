/** The screen of a guest with `vga-text`, seen as the guest itself would see it: read from video memory over a core's own bus. */
import type { Engine, IoSpace } from '../../src/contracts/index.ts';

/** Where an 80×25 colour text screen lies: a character and its colours for each cell (IBM VGA Technical Reference, mode 3). */
const TEXT_BASE = 0xb8000;
const COLUMNS = 80;
const ROWS = 25;

export class TextScreen {
  #io: IoSpace | undefined;

  /** `engine`, watched: the guest built on it is the one whose screen this is. */
  watch(engine: Engine): Engine {
    return {
      name: engine.name,
      probe: () => engine.probe(),
      createMemory: (regions, vcpus) => engine.createMemory(regions, vcpus),
      createVm: (memory, vcpus, log) => {
        const vm = engine.createVm(memory, vcpus, log);
        return {
          createVcpu: (id, wiring) => {
            this.#io ??= wiring.io;
            return vm.createVcpu(id, wiring);
          },
          memoryChanged: (gpa, size) => vm.memoryChanged(gpa, size),
          memoryMapChanged: () => vm.memoryMapChanged(),
          [Symbol.dispose]: () => vm[Symbol.dispose](),
        };
      },
    };
  }

  /** 25 lines, blanks at their ends left out. What is not ASCII (frames, blocks) is shown as `|`. */
  get lines(): string[] {
    return Array.from({ length: ROWS }, (_, row) => {
      let line = '';
      for (let column = 0; column < COLUMNS; column++) {
        const code = this.#io?.read('mmio', TEXT_BASE + 2 * (row * COLUMNS + column), 1) ?? 0x20;
        line += code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : code === 0 ? ' ' : '|';
      }
      return line.trimEnd();
    });
  }
}
