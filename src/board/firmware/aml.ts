/**
 * A small writer of ACPI machine language: each function returns the bytes of one term, and terms nest by concatenation.
 *
 * Spec: ACPI 6.5 §20.2 (grammar), §6.4 (resource descriptors), §19.3.4 (EISA identifiers).
 * Not modelled: operation regions, and of methods and expressions all but the few words that choose between two packages.
 */
import { ascii, u16, u32, u64 } from './bytes.ts';

export type Aml = readonly number[];

const ZERO_OP = 0x00;
const ONE_OP = 0x01;
const NAME_OP = 0x08;
const BYTE_PREFIX = 0x0a;
const WORD_PREFIX = 0x0b;
const DWORD_PREFIX = 0x0c;
const STRING_PREFIX = 0x0d;
const QWORD_PREFIX = 0x0e;
const SCOPE_OP = 0x10;
const BUFFER_OP = 0x11;
const PACKAGE_OP = 0x12;
const EXT_PREFIX = 0x5b;
const DEVICE_OP = 0x82;
const METHOD_OP = 0x14;
const STORE_OP = 0x70;
const ARG0_OP = 0x68;
const IF_OP = 0xa0;
const RETURN_OP = 0xa4;
const DUAL_NAME_PREFIX = 0x2e;
const MULTI_NAME_PREFIX = 0x2f;
const ROOT = 0x5c;

/** §20.2.3: the shortest encoding. */
export function integer(value: number): Aml {
  if (value === 0) return [ZERO_OP];
  if (value === 1) return [ONE_OP];
  if (value < 0x100) return [BYTE_PREFIX, value];
  if (value < 0x1_0000) return [WORD_PREFIX, ...u16(value)];
  if (value < 0x1_0000_0000) return [DWORD_PREFIX, ...u32(value)];
  return [QWORD_PREFIX, ...u64(value)];
}

export function string(text: string): Aml {
  return [STRING_PREFIX, ...ascii(text), 0];
}

/** §20.2.2: segments of four characters, padded with underscores; a leading backslash is the root. */
export function path(name: string): Aml {
  const absolute = name.startsWith('\\');
  const segments = (absolute ? name.slice(1) : name).split('.').filter((segment) => segment !== '');
  const bytes = segments.flatMap((segment) => ascii(segment, 4, 0x5f));
  const prefix = segments.length < 2 ? [] : segments.length === 2 ? [DUAL_NAME_PREFIX] : [MULTI_NAME_PREFIX, segments.length];
  return [...(absolute ? [ROOT] : []), ...prefix, ...bytes];
}

/** §20.2.4: the length counts its own bytes. */
function sized(content: Aml): Aml {
  const plain = content.length + 1;
  if (plain < 0x40) return [plain, ...content];
  const extra = plain + 1 < 0x1000 ? 1 : 2;
  const total = content.length + 1 + extra;
  const rest = extra === 1 ? [(total >> 4) & 0xff] : [(total >> 4) & 0xff, (total >> 12) & 0xff];
  return [(extra << 6) | (total & 0x0f), ...rest, ...content];
}

export function name(at: string, value: Aml): Aml {
  return [NAME_OP, ...path(at), ...value];
}

export function scope(at: string, ...terms: Aml[]): Aml {
  return [SCOPE_OP, ...sized([...path(at), ...terms.flat()])];
}

export function device(at: string, ...terms: Aml[]): Aml {
  return [EXT_PREFIX, DEVICE_OP, ...sized([...path(at), ...terms.flat()])];
}

/** §20.2.5.2; `args` is how many arguments it takes. */
export function method(at: string, args: number, ...terms: Aml[]): Aml {
  return [METHOD_OP, ...sized([...path(at), args, ...terms.flat()])];
}

/** `target = Arg0`. */
export function storeArgument(target: string): Aml {
  return [STORE_OP, ARG0_OP, ...path(target)];
}

/** `if (name) return yes; return no`: all three are names of objects. */
export function returnEither(condition: string, yes: string, no: string): Aml {
  return [IF_OP, ...sized([...path(condition), RETURN_OP, ...path(yes)]), RETURN_OP, ...path(no)];
}

export function packageOf(...elements: Aml[]): Aml {
  return [PACKAGE_OP, ...sized([elements.length, ...elements.flat()])];
}

export function buffer(bytes: Aml): Aml {
  return [BUFFER_OP, ...sized([...integer(bytes.length), ...bytes])];
}

/** `PNP0501` as the 32-bit integer that carries it: three letters of five bits, four hexadecimal digits, big-endian. */
export function eisaId(id: string): Aml {
  const letter = (index: number) => (id.charCodeAt(index) - 0x40) & 0x1f;
  const code = ((letter(0) << 26) | (letter(1) << 21) | (letter(2) << 16) | Number.parseInt(id.slice(3), 16)) >>> 0;
  return [DWORD_PREFIX, ...u32(code).reverse()];
}

/** A resource template: descriptors and the end tag, whose checksum byte 0 means "not computed" (§6.4.2.9). */
export function resources(...descriptors: Aml[]): Aml {
  return buffer([...descriptors.flat(), 0x79, 0x00]);
}

/** §6.4.2.5: ports at a fixed place, 16-bit decode. */
export function ioPorts(base: number, size: number): Aml {
  return [0x47, 0x01, ...u16(base), ...u16(base), 0x01, size];
}

/** §6.4.2.1: edge-triggered, active-high, exclusive lines. */
export function isaInterrupt(...irqs: number[]): Aml {
  return [0x22, ...u16(irqs.reduce((mask, irq) => mask | (1 << irq), 0))];
}

/** §6.4.3.6: an interrupt by its global number: level-triggered, active-high, exclusive, consumed. */
export function levelInterrupt(line: number): Aml {
  return [0x89, ...u16(6), 0x01, 1, ...u32(line)];
}

/** §6.4.3.4: memory at a fixed place, writable. */
export function fixedMemory(base: number, size: number): Aml {
  return [0x86, ...u16(9), 0x01, ...u32(base), ...u32(size)];
}

// §6.4.3.5: address spaces a bridge passes on; minimum and maximum are fixed, it produces and decodes positively.
const PRODUCER_FIXED = 0x0c;
const ENTIRE_RANGE = 0x03;

export function busNumbers(first: number, last: number): Aml {
  return [0x88, ...u16(13), 2, PRODUCER_FIXED, 0, ...[0, first, last, 0, last - first + 1].flatMap(u16)];
}

export function ioWindow(first: number, last: number): Aml {
  return [0x88, ...u16(13), 1, PRODUCER_FIXED, ENTIRE_RANGE, ...[0, first, last, 0, last - first + 1].flatMap(u16)];
}

export function memoryWindow(first: number, last: number, cacheable: boolean): Aml {
  return [0x87, ...u16(23), 0, PRODUCER_FIXED, cacheable ? 0x03 : 0x01, ...[0, first, last, 0, last - first + 1].flatMap(u32)];
}
