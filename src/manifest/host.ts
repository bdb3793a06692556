/** What the manifest compiler is handed from outside: the models it may use, and the files it names. */
import type { Bytes, ImageKind, IoRange, SharedResource } from '../contracts/index.ts';

export type OptionValue = string | number | boolean;

/** One option of a device model, as the manifest may set it. */
export type DeviceOption = { readonly description: string } & (
  | { readonly type: 'number'; readonly default: number; readonly minimum?: number; readonly maximum?: number }
  | { readonly type: 'boolean'; readonly default: boolean }
  /** `pattern`: a regular expression that any value but the default must match; `form` is what it asks for, in words. */
  | { readonly type: 'string'; readonly default: string; readonly pattern?: string; readonly form?: string }
  /** A file of the host; the default, an empty text, is none. `readOnlyBy` names a boolean option that makes it `ro`. */
  | { readonly type: 'file'; readonly default: string; readonly access: 'ro' | 'rw'; readonly readOnlyBy?: string }
);

/** One set of addresses and lines that fits a model. */
export interface DevicePlace {
  readonly ranges: readonly IoRange[];
  readonly irqs: readonly number[];
}

export interface DeviceModel {
  /** Absolute path of the module that describes it; absent for models of the catalogue. */
  readonly module?: string;
  readonly title: string;
  /** The usual places: the first device of this model in a partition gets the first that nobody took, and so on. */
  readonly places: readonly [DevicePlace, ...DevicePlace[]];
  /** Can lie elsewhere; otherwise drivers expect the device where it is. */
  readonly relocatable: boolean;
  /** Has a byte stream that can be a console. */
  readonly console: boolean;
  /** Has a socket for a network cable. */
  readonly network?: boolean;
  /** Interrupts its partition by a timer, which can be a shared one. */
  readonly timer?: boolean;
  /** It is one partition's way to something shared of this kind. */
  readonly shared?: SharedResource['kind'];
  /** It stands in front of the firmware's ROM, among the last addresses below 4 GiB. */
  readonly besideFirmware?: boolean;
  readonly options: Readonly<Record<string, DeviceOption>>;
}

/** A module of the user's own, looked at: the model it describes, or why it describes none. */
export type DeviceModule =
  | { readonly status: 'found'; readonly path: string; readonly model: DeviceModel }
  | { readonly status: 'refused'; readonly problem: string; readonly hint: string };

/** What every partition has without asking: interrupt controllers, timers, PCI host bridge. */
export interface PlatformDevice extends DevicePlace {
  readonly name: string;
}

export interface DeviceCatalogue {
  readonly models: Readonly<Record<string, DeviceModel>>;
  readonly platform: readonly PlatformDevice[];
  /** What a partition has beside that when it starts from firmware. */
  readonly firmware: readonly PlatformDevice[];
}

/** What a boot file is named as. */
export type ImageRole = 'kernel' | 'firmware' | 'initrd';

/** A file that a manifest names, found or not. */
export type ImageFile =
  | { readonly status: 'found'; readonly path: string; readonly size: Bytes; read(): Uint8Array }
  /** A package that has not been fetched yet: it will lie at `path`. */
  | { readonly status: 'pending'; readonly path: string; readonly reason: string; readonly hint?: string }
  | { readonly status: 'missing'; readonly reason: string; readonly hint?: string };

/** A file that a device is to be put on. */
export type MediumFile =
  | {
      readonly status: 'found';
      /** Absolute. */
      readonly path: string;
      /** The same for two names of one file. */
      readonly identity: string;
      readonly size: Bytes;
      readonly writable: boolean;
    }
  | { readonly status: 'missing'; readonly reason: string };

/** What a shared disk lies in, as its broker will find it. */
export type InspectedDisk =
  | {
      readonly status: 'found';
      /** In words: `qcow2 version 3, on base.raw (raw)`. */
      readonly description: string;
      /** What guests see of it, windows aside. */
      readonly size: Bytes;
      /** Absolute. */
      readonly image: string;
      readonly overlay?: string;
      /** Every file it is made of: image, overlay, and what lies behind them. */
      readonly files: readonly { readonly path: string; readonly identity: string; readonly access: 'ro' | 'rw' }[];
      /** What its partition table says; empty where it has none. */
      readonly partitions: readonly { readonly number: number; readonly offset: Bytes; readonly size: Bytes }[];
    }
  | { readonly status: 'unusable'; readonly reason: string; readonly hint?: string };

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
  /** What the module at `reference`, a path as written, describes. Called once per reference. Must not throw. Absent: there can be none. */
  describeDevice?(reference: string): DeviceModule;
  /** `reference` as written: a path relative to the manifest, or `package:NAME`. Called once per reference. Must not throw. */
  resolveImage(reference: string, role: ImageRole): ImageFile;
  /** What a kernel is, or why it cannot be booted. Must not throw. */
  inspectKernel(bytes: Uint8Array, name: string): ImageDescription | ImageRefusal;
  /** What a firmware image is, or why no PC starts from it. Must not throw. */
  inspectFirmware(bytes: Uint8Array, name: string): ImageDescription | ImageRefusal;
  /** What an initrd is, in words; undefined: nothing that Linux would unpack. Must not throw. */
  inspectInitrd(bytes: Uint8Array): string | undefined;
  /** The absolute path of a file that is named relative to the manifest; it need not exist. */
  path(reference: string): string;
  /** What a shared disk lies in; paths as written, relative to the manifest. Called once per disk. Must not throw. */
  inspectDisk(source: { readonly image: string; readonly overlay?: string | undefined }, access: 'ro' | 'rw'): InspectedDisk;
  /** A file named relative to the manifest. Must not throw. */
  inspectMedium(reference: string): MediumFile;
  /** Why a recording of frames cannot be played, in words; undefined: it can. Must not throw. */
  inspectRecording(path: string): string | undefined;
}
