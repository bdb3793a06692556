/**
 * The state of one silicon case: `struct state` of run.c as bytes, with names for its parts, and its textual form for vector
 * files: only what differs from a base image, as `offset:bytes` in hexadecimal.
 */

export const IMAGE_SIZE = 672;
export const CODE = 0;
export const CODE_LENGTH = 15;
/** Beside the length: the code is 32-bit code. */
export const MODE_32 = 0x80;
export const RAX = 16;
export const RCX = 24;
export const RDX = 32;
export const RFLAGS = 40;
export const RSI = 56;
export const MEMORY = 64;
export const MEMORY_SIZE = 64;
/** 0, or the number of the signal. */
export const SIGNAL = 128;
/** FXSAVE64 image (SDM 1 table 10-2). */
export const FX = 160;
export const FCW: number = FX + 0;
export const FSW: number = FX + 2;
/** Abridged: a bit per physical register, set when it is not empty. */
export const FTW: number = FX + 4;
export const MXCSR: number = FX + 24;
/** ST(0)–ST(7), 16 bytes apart. */
export const ST: number = FX + 32;
export const XMM: number = FX + 160;
const FX_OPCODE_AND_POINTERS: readonly [number, number] = [FX + 6, FX + 24];

export const SIGFPE = 8;
export const SIGILL = 4;
export const SIGSEGV = 11;
export const SIGBUS = 7;

export class Image {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array = new Uint8Array(IMAGE_SIZE)) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** As after FNINIT and with the default MXCSR; integer flags clear. */
  static initial(): Image {
    const image = new Image();
    image.bytes.fill(0x90, CODE, CODE_LENGTH);
    image.view.setUint16(FCW, 0x37f, true);
    image.view.setUint32(MXCSR, 0x1f80, true);
    image.view.setUint32(FX + 28, 0xffff, true);
    image.view.setUint32(RFLAGS, 0x202, true);
    return image;
  }

  setCode(code: readonly number[], bits: 32 | 64 = 64): this {
    this.bytes.fill(0x90, CODE, CODE_LENGTH);
    this.bytes.set(code, CODE);
    this.bytes[CODE_LENGTH] = code.length | (bits === 32 ? MODE_32 : 0);
    return this;
  }

  get code(): number[] {
    return [...this.bytes.subarray(CODE, CODE + ((this.bytes[CODE_LENGTH] as number) & ~MODE_32))];
  }

  get bits(): 32 | 64 {
    return (this.bytes[CODE_LENGTH] as number) & MODE_32 ? 32 : 64;
  }

  copy(): Image {
    return new Image(this.bytes.slice());
  }

  /** Clears what processors may differ in: the last opcode and pointers (AMD keeps them only with an error pending), padding. */
  normalize(): this {
    this.bytes.fill(0, ...FX_OPCODE_AND_POINTERS);
    for (let i = 0; i < 8; i++) this.bytes.fill(0, ST + 16 * i + 10, ST + 16 * i + 16);
    this.bytes.fill(0, SIGNAL + 4, FX);
    this.bytes.fill(0, FX + 28, FX + 32);
    this.bytes.fill(0, FX + 416, IMAGE_SIZE);
    // what 64-bit registers hold above 32 bits after 32-bit code is not promised (SDM 1 §3.4.1.1)
    if (this.bits === 32) for (const register of [RAX, RCX, RDX, RSI]) this.view.setUint32(register + 4, 0, true);
    // arithmetic flags and DF only: the rest of RFLAGS is the host's business
    this.view.setBigUint64(RFLAGS, this.view.getBigUint64(RFLAGS, true) & 0x8d5n, true);
    return this;
  }
}

/** Runs of bytes that differ, `offset:bytes`, joined by commas. Gaps of up to two bytes do not split a run. */
export function difference(from: Uint8Array, to: Uint8Array): string {
  const runs: string[] = [];
  let start = -1;
  let last = -1;
  const flush = (): void => {
    if (start >= 0) runs.push(`${start.toString(16)}:${Buffer.from(to.subarray(start, last + 1)).toString('hex')}`);
  };
  for (let i = 0; i < to.length; i++) {
    if (from[i] === to[i]) continue;
    if (start < 0 || i - last > 3) {
      flush();
      start = i;
    }
    last = i;
  }
  flush();
  return runs.join(',');
}

export function patch(base: Uint8Array, text: string): Uint8Array {
  const result = base.slice();
  if (text !== '') {
    for (const run of text.split(',')) {
      const [offset = '0', bytes = ''] = run.split(':');
      result.set(Buffer.from(bytes, 'hex'), Number.parseInt(offset, 16));
    }
  }
  return result;
}

/** One line of a vector file: input against the initial image, then the result against the input. */
export function formatVector(input: Image, output: Image): string {
  return `${difference(Image.initial().normalize().bytes, input.bytes)} > ${difference(input.bytes, output.bytes)}`;
}

export function parseVector(line: string): { readonly input: Image; readonly expected: Image } {
  const [before = '', after = ''] = line.split(' > ');
  const input = patch(Image.initial().normalize().bytes, before.trim());
  return { input: new Image(input), expected: new Image(patch(input, after.trim())) };
}
