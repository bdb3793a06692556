import type { SharedResource } from './machine.ts';
import type { NetworkGrant } from './network.ts';
import type { Bytes, PartitionName } from './scalars.ts';

/** What a partition may do with a shared resource: enforced by its broker, whatever the partition does. */
export interface Grant {
  readonly partition: PartitionName;
  readonly access: 'ro' | 'rw';
  /** Share of the resource while others want it too, relative to theirs. Absent: 1. */
  readonly weight?: number;
  /** Requests in flight. Absent: what is usual for the kind. */
  readonly depth?: number;
  /** Absent: whatever the resource gives. */
  readonly rate?: RateLimit;
  /** Of a disk: the part that the partition sees as its disk. Absent: all of it. */
  readonly window?: DiskWindow;
  /** Of shared memory: interrupts a second that the partition may cause at each of the others. Absent: 10,000. */
  readonly doorbellsPerSecond?: number;
  /** Of a network: who it is there. */
  readonly network?: NetworkGrant;
}

export interface RateLimit {
  readonly bytesPerSecond?: number;
  readonly operationsPerSecond?: number;
  /** How much of {@link bytesPerSecond} may be saved up while nothing is asked for. Absent: a quarter of a second's worth. */
  readonly burst?: Bytes;
}

/** In bytes of what the disk's image holds. */
export interface DiskWindow {
  readonly offset: Bytes;
  readonly size: Bytes;
}

/** A disk image of the host, as its broker opens it. */
export interface DiskSource {
  /** Absolute. */
  readonly image: string;
  /** Absolute: takes what is written, so that `image` stays as it is. Made when it does not exist. */
  readonly overlay?: string;
  /** Every file it is made of. `identity`: the same for two names of one file, different for two files. */
  readonly files: readonly { readonly path: string; readonly identity: string; readonly access: 'ro' | 'rw' }[];
}

/**
 * One end of a shared resource in a partition: what a device and its broker have in common. Plain data and shared memory: it is posted to
 * both threads. A port outlives its partition's lives.
 */
export interface PortBuffers {
  /** Words of the port itself: see shared/port.ts. */
  readonly control: SharedArrayBuffer;
  /** What carries requests and answers, by the kind of resource. */
  readonly lanes: Readonly<Record<string, SharedArrayBuffer>>;
}

/** The device's end of a port, in the partition's thread: looked after between slices. */
export interface SharedEnd extends Disposable {
  /** Something was asked and will be answered, soon by the host's clock. Absent: nothing ever is. */
  readonly awaiting?: boolean;
  /** Lets the device see what its broker has answered by now: at an instruction that is known. */
  admit(): void;
}

/**
 * A file of the host that holds a disk image, at byte granularity. Calls block: whoever makes them has a thread of its own.
 * False: the host could not (full, I/O error).
 */
export interface ImageFile extends Disposable {
  /** Absolute. */
  readonly path: string;
  readonly readOnly: boolean;
  /** What it has now. */
  readonly size: Bytes;
  /** Fills all of `target`; what lies behind the end of the file reads as zeros. */
  read(offset: Bytes, target: Uint8Array): boolean;
  /** Makes the file longer where need be. */
  write(offset: Bytes, source: Uint8Array): boolean;
  resize(size: Bytes): boolean;
  /** Returns when everything written is on the medium. */
  flush(): boolean;
  /** Gives the bytes back to the host's file system; they read as zeros. False, and nothing changed, where it cannot. */
  punchHole(offset: Bytes, size: Bytes): boolean;
}

/** How a disk broker reaches its files. */
export interface ImageFiles {
  /** Throws BH670 when the file cannot be opened, BH671 when another program holds it. */
  open(path: string, access: 'ro' | 'rw'): ImageFile;
  /** A new, empty file; throws BH670 when it cannot be made. */
  create(path: string): ImageFile;
  exists(path: string): boolean;
  /** `reference` as it is written in an image at `path`: absolute, or relative to that image's folder. */
  resolve(path: string, reference: string): string;
  /** Decompresses `source` into `target`, raw DEFLATE or zstd. False: it is damaged, or has not that much. */
  inflate(format: 'deflate' | 'zstd', source: Uint8Array, target: Uint8Array): boolean;
}

/** A port as the partition's thread gets it. */
export interface LinkedPort {
  /** Name of the resource. */
  readonly resource: string;
  readonly kind: SharedResource['kind'];
  readonly grant: Grant;
  readonly port: PortBuffers;
  /** Wakes the broker: see `ring` in base. */
  readonly alarm: Int32Array;
  /** Of shared memory, which has no broker. */
  readonly channel?: ChannelMembership;
}

/** One partition at a channel. Its number, from 0, is its place in the list. */
export interface ChannelMember {
  readonly writable: boolean;
  /** Doorbells that others can ring here. */
  readonly vectors: number;
  /** Interrupts a second that it may cause at each of the others. */
  readonly doorbellsPerSecond: number;
}

/** Who shares some memory, and which of them this partition is. */
export interface ChannelMembership {
  readonly members: readonly ChannelMember[];
  readonly id: number;
  /** By member: what its thread sleeps on. */
  readonly alarms: readonly Int32Array[];
}

/** A port as its broker gets it. */
export interface GrantedPort {
  readonly grant: Grant;
  /** The device of the partition that it belongs to. */
  readonly device: string;
  readonly port: PortBuffers;
  /** Wakes the partition. */
  readonly alarm: Int32Array;
}
