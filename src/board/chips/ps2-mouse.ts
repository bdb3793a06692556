/**
 * PS/2 mouse with three buttons: stream mode, status and identification.
 *
 * Spec: IBM PS/2 Hardware Interface Technical Reference, "Mouse".
 * Not modelled: wheel extensions, scaling 2:1, sample-rate pacing (each movement is one packet).
 */
const ACKNOWLEDGE = 0xfa;
const ERROR = 0xfe;
const QUEUE_BYTES = 64;

export class Ps2Mouse {
  #queue: number[] = [];
  #reporting = false;
  #remote = false;
  #wrap = false;
  #resolution = 2;
  #sampleRate = 100;
  #buttons = 0;
  #command = 0;

  reset(): void {
    this.#queue = [];
    this.#defaults();
    this.#remote = false;
    this.#wrap = false;
    this.#buttons = 0;
    this.#command = 0;
  }

  /** Counts moved (right and up positive), buttons left 1, right 2, middle 4. False when the system does not listen or lags behind. */
  move(dx: number, dy: number, buttons: number): boolean {
    this.#buttons = buttons & 7;
    if (!this.#reporting || this.#remote || this.#queue.length + 3 > QUEUE_BYTES) return false;
    this.#packet(dx, dy);
    return true;
  }

  take(): number | undefined {
    return this.#queue.shift();
  }

  receive(byte: number): void {
    if (this.#wrap && byte !== 0xec && byte !== 0xff) {
      this.#answer(byte);
      return;
    }
    if (this.#command !== 0) {
      if (this.#command === 0xe8) this.#resolution = byte & 3;
      else this.#sampleRate = byte;
      this.#command = 0;
      this.#answer(ACKNOWLEDGE);
      return;
    }
    switch (byte) {
      case 0xe8: // resolution
      case 0xf3: // sample rate
        this.#command = byte;
        this.#answer(ACKNOWLEDGE);
        break;
      case 0xe9:
        this.#answer(ACKNOWLEDGE, this.#status, this.#resolution, this.#sampleRate);
        break;
      case 0xeb: // read data
        this.#answer(ACKNOWLEDGE);
        this.#packet(0, 0);
        break;
      case 0xf2: // identify: a standard mouse
        this.#answer(ACKNOWLEDGE, 0x00);
        break;
      case 0xff:
        this.reset();
        this.#answer(ACKNOWLEDGE, 0xaa, 0x00);
        break;
      case 0xe6:
      case 0xe7:
      case 0xea:
      case 0xec:
      case 0xee:
      case 0xf0:
      case 0xf4:
      case 0xf5:
      case 0xf6:
        this.#setMode(byte);
        this.#answer(ACKNOWLEDGE);
        break;
      default:
        this.#answer(ERROR);
    }
  }

  get #status(): number {
    // Buttons in the status byte run right, middle, left from bit 0 up.
    const buttons = ((this.#buttons & 2) >> 1) | ((this.#buttons & 4) >> 1) | ((this.#buttons & 1) << 2);
    return buttons | (this.#reporting ? 1 << 5 : 0) | (this.#remote ? 1 << 6 : 0);
  }

  #setMode(command: number): void {
    if (command === 0xea) this.#remote = false;
    if (command === 0xec) this.#wrap = false;
    if (command === 0xee) this.#wrap = true;
    if (command === 0xf0) this.#remote = true;
    if (command === 0xf4) this.#reporting = true;
    if (command === 0xf5) this.#reporting = false;
    if (command === 0xf6) this.#defaults();
  }

  #defaults(): void {
    this.#reporting = false;
    this.#resolution = 2;
    this.#sampleRate = 100;
  }

  #packet(dx: number, dy: number): void {
    const x = Math.max(-255, Math.min(255, Math.trunc(dx)));
    const y = Math.max(-255, Math.min(255, Math.trunc(dy)));
    this.#answer(0x08 | this.#buttons | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0), x & 0xff, y & 0xff);
  }

  #answer(...bytes: number[]): void {
    if (this.#queue.length + bytes.length <= QUEUE_BYTES) this.#queue.push(...bytes);
  }
}
