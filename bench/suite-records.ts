/** What the guest suite prints, as timed records. See bench/suite/README.md. */

export interface TestRecord {
  readonly test: string;
  readonly round: number;
  /** Between the arrival of its two lines: processor time of the emulator's threads, natively of the program itself. */
  readonly cpuMs: number;
  readonly wallMs: number;
  /** By the guest's own clock, where it has one. */
  readonly guestMs?: number;
  /** What a native program used, by its own account. */
  readonly guestCpuMs?: number;
  readonly sum: string;
}

interface Started {
  readonly test: string;
  readonly wall: number;
  readonly cpu: number;
}

export class SuiteRecords {
  readonly tests: TestRecord[] = [];
  /** Wall and processor milliseconds at the first line of user space. */
  boot: { readonly wallMs: number; readonly cpuMs: number } | undefined;
  isDone = false;
  #partial = '';
  #prefix = '';
  #open: Started | undefined;
  readonly #cpuMs: () => number;
  readonly #started = performance.now();

  /** `cpuMs`: processor time that the emulator has used so far. */
  constructor(cpuMs: () => number) {
    this.#cpuMs = cpuMs;
  }

  text(piece: string): void {
    const lines = (this.#partial + piece).replaceAll('\r', '').split('\n');
    this.#partial = lines.pop() as string;
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    // Kernel messages may stand before it on the line.
    const [kind, ...words] = line.slice(Math.max(0, line.indexOf('@'))).trim().split(/\s+/);
    const wall = performance.now() - this.#started;
    switch (kind) {
      case '@BOOT':
        this.boot ??= { wallMs: wall, cpuMs: this.#cpuMs() };
        break;
      case '@PREFIX':
        this.#prefix = words[0] ?? '';
        break;
      case '@S':
        this.#open = { test: this.#prefix + words[0], wall, cpu: this.#cpuMs() };
        break;
      case '@E':
        this.#end(words, wall);
        break;
      case '@DONE':
        this.isDone = true;
        break;
    }
  }

  #end([name, round, ...values]: readonly string[], wall: number): void {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined || open.test !== this.#prefix + name) return;
    const value = (key: string): string | undefined => values.find((one) => one.startsWith(`${key}=`))?.slice(key.length + 1);
    const nanos = value('ns');
    const ownCpu = value('cpu');
    this.tests.push({
      test: open.test,
      round: Number(round),
      cpuMs: this.#cpuMs() - open.cpu,
      wallMs: wall - open.wall,
      ...(nanos === undefined ? {} : { guestMs: Number(nanos) / 1e6 }),
      ...(ownCpu === undefined ? {} : { guestCpuMs: Number(ownCpu) / 1e6 }),
      sum: value('sum') ?? '',
    });
  }
}
