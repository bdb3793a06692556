/** What the manifest compiler is handed from outside: the models it may use, and the files it names. */
import type { Bytes, ImageKind } from '../contracts/index.ts';

export type OptionValue = string | number | boolean;

/** One option of a device model, as the manifest may set it. */
export type DeviceOption =
  | { readonly type: 'text'; readonly default: string; readonly doc: string }
  | { readonly type: 'word'; readonly words: readonly string[]; readonly default: string; readonly doc: string }
  | { readonly type: 'flag'; readonly default: boolean; readonly doc: string }
  | { readonly type: 'integer' | 'number'; readonly default: number; readonly min?: number; readonly max?: number; readonly doc: string }
  /** Written with a unit; in bytes. */
  | { readonly type: 'size'; readonly default: Bytes; readonly doc: string }
  /** Written with a unit; in nanoseconds. */
  | { readonly type: 'time'; readonly default: number; readonly doc: string };

/** One window of registers. Without a base the manifest must say where it lies. */
export interface DeviceWindow {
  readonly base?: number;
  readonly size: number;
}

export interface DeviceModel {
  readonly title: string;
  readonly ports?: readonly DeviceWindow[];
  readonly mmio?: readonly DeviceWindow[];
  /** The lines it drives where the manifest names no others. */
  readonly irqs?: readonly number[];
  /** Has a byte stream that can be a console. */
  readonly console?: boolean;
  readonly options: Readonly<Record<string, DeviceOption>>;
}

/** What every partition has without asking: interrupt controllers, timers, PCI host bridge. */
export interface PlatformDevice {
  readonly name: string;
  readonly ports?: readonly { readonly base: number; readonly size: number }[];
  readonly mmio?: readonly { readonly base: number; readonly size: number }[];
  readonly irqs?: readonly number[];
}

export interface DeviceCatalogue {
  readonly models: Readonly<Record<string, DeviceModel>>;
  readonly platform: readonly PlatformDevice[];
}

/** A file that a manifest names, found or not. */
export type ImageFile =
  | { readonly status: 'found'; readonly path: string; readonly size: Bytes; read(): Uint8Array }
  /** A package that has not been fetched yet: it will lie at `path`. */
  | { readonly status: 'pending'; readonly path: string; readonly reason: string; readonly hint?: string }
  | { readonly status: 'missing'; readonly reason: string; readonly hint?: string };

/** What a kernel turned out to be, by its own bytes. */
export interface ImageDescription {
  readonly kind: ImageKind;
  /** In words: `Linux bzImage 6.1.0 (x86-64)`. */
  readonly description: string;
  /** RAM it needs to start, decompressed, without its initrd. Absent: its file size is taken. */
  readonly footprint?: Bytes;
}

export interface ImageRefusal {
  readonly problem: string;
  readonly hint?: string | undefined;
}

export interface ManifestHost {
  readonly catalogue: DeviceCatalogue;
  /** `reference` as written: a path relative to the manifest, or `package:NAME`. Called once per reference. Must not throw. */
  resolveImage(reference: string, role: 'kernel' | 'initrd'): ImageFile;
  /** What a kernel is, or why it cannot be booted. Must not throw. */
  inspectKernel(bytes: Uint8Array, name: string): ImageDescription | ImageRefusal;
  /** What an initrd is, in words; undefined: nothing that Linux would unpack. Must not throw. */
  inspectInitrd(bytes: Uint8Array): string | undefined;
}
