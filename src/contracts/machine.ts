import type { Bytes, Gpa, Nanos, PartitionName } from './scalars.ts';
import type { IoRange } from './bus.ts';
import type { NetworkSource } from './network.ts';
import type { DiskSource, Grant } from './shared.ts';

/** Where a value came from, kept on every node so that each finding can point at it. Line and column count from 1. */
export interface SourceSpan {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

/** One thing wrong (or risky) with a manifest. `code` is stable and documented in docs/errors.md. */
export interface Finding {
  readonly code: `BH${number}`;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly at: SourceSpan;
  readonly related?: readonly { readonly message: string; readonly at: SourceSpan }[];
  readonly hint?: string;
}

/** A board and how it is divided: what the manifest describes, after validation. Plain data: it is posted to threads. */
export interface Machine {
  readonly name: string;
  readonly board: Board;
  readonly partitions: readonly Partition[];
  /** What more than one partition may use, and who was granted it. Absent: nothing is shared. */
  readonly shared?: readonly SharedResource[];
}

export interface Board {
  readonly cores: number;
  readonly memory: Bytes;
  /** The platform's own devices, each of which one partition may own. Absent: none are described. */
  readonly devices?: readonly BoardDevice[];
}

/** A device of the platform itself. Its addresses and lines are the board's: no other partition can have them. */
export interface BoardDevice {
  readonly name: string;
  readonly model: string;
  readonly ranges: readonly IoRange[];
  readonly irqs: readonly number[];
  /** Absent while nobody owns it. */
  readonly owner?: PartitionName;
}

/** Used through a broker by whoever was granted it. */
export interface SharedResource {
  readonly name: string;
  readonly kind: 'console' | 'disk' | 'ethernet' | 'memory' | 'entropy' | 'timer';
  readonly grants: readonly Grant[];
  /** Of a disk: what it lies in. */
  readonly disk?: DiskSource;
  /** Of a network: how it is set up. */
  readonly network?: NetworkSource;
  /** Of memory: how much of it, a power of two of at least 4 KiB. */
  readonly size?: Bytes;
  /** Of a console: ways to it beside the terminal that the machine runs in. */
  readonly ways?: readonly ConsoleWay[];
}

/** A way to a shared console from outside. */
export type ConsoleWay = { readonly access: 'ro' | 'rw' } & (
  | { readonly kind: 'unix' | 'pty' | 'file'; readonly path: string }
  | { readonly kind: 'telnet' | 'websocket'; readonly host: string; readonly port: number }
);

export type ImageKind = 'linux' | 'elf' | 'multiboot' | 'flat' | 'memtest' | 'firmware';

/** Where firmware looks for a system. */
export type BootMedium = 'disk' | 'cdrom' | 'floppy' | 'network';

export interface Partition {
  readonly name: PartitionName;
  readonly role: 'gpos' | 'rtos';
  readonly engine: 'soft' | 'kvm';
  /** Exclusive physical cores, in vCPU order. */
  readonly cores: readonly number[];
  /** Where on the board its RAM lies (host-physical plan); the guest sees it from address 0. */
  readonly memory: { readonly base: Gpa; readonly size: Bytes };
  readonly boot: BootSource;
  readonly devices: readonly DeviceSpec[];
  /** Name of the device in `devices` whose stream is this partition's console. Absent: it has none. */
  readonly console?: string;
  readonly onCrash: { readonly action: 'halt' | 'restart' | 'stop-machine'; readonly limit: number };
  /** A device's DMA outside the partition's RAM is refused and reported; `stop`: and the partition crashes. Absent: `report`. */
  readonly dmaViolations?: 'report' | 'stop';
  /** Instructions per microsecond of virtual time: how fast the modelled core appears to its guest. */
  readonly instructionsPerMicrosecond: number;
  readonly allowance: Allowance;
  /** Absent: all that the engine has. */
  readonly cpu?: CpuChoice;
}

/** Which processor a partition sees; names are those of x86/features.ts. */
export interface CpuChoice {
  readonly level: 'x86-64' | 'x86-64-v2';
  /** Single features put in (`true`) or left out (`false`), whatever the level says. */
  readonly features: Readonly<Record<string, boolean>>;
}

/** Absolute paths; `role` names of packaged images are already resolved to files. */
export interface BootSource {
  /** What runs first: a kernel, or with the protocol `firmware` the firmware's ROM image. */
  readonly kernel: string;
  readonly initrd?: string;
  readonly cmdline: string;
  /** `auto`: by magic. A flat image needs `load` (and `entry`, which defaults to it); it starts in 16-bit real mode below 1 MiB, else in 32-bit flat protected mode. `firmware`: the image is a ROM at the end of the first 4 GiB, started as a PC starts after power-on. */
  readonly protocol: 'auto' | 'flat' | 'firmware';
  /** Firmware looks for a system in this order. */
  readonly order?: readonly BootMedium[];
  readonly load?: Gpa;
  readonly entry?: Gpa;
  /** False: enter the image's own decompressor, as a boot loader would. */
  readonly decompress: boolean;
}

/**
 * One device of a partition, where its guest sees it. Options are those of its model, already validated, defaults filled in.
 * Private models live in the partition's own address space: the same ports in two partitions are two different devices.
 */
export interface DeviceSpec {
  /** Unique in the partition: `com1`, `encoder`. */
  readonly name: string;
  /** Key into the board's device catalogue: `uart16550`, `e1000`, `vga-text`, …; or, with {@link module}, a path as written */
  readonly model: string;
  readonly ranges: readonly IoRange[];
  readonly irqs: readonly number[];
  readonly options: Readonly<Record<string, string | number | boolean>>;
  /** Absolute path of the module that `model` names, for a model of the user's own. */
  readonly module?: string;
  /** The board device it is, owned exclusively. Absent: a model of this partition's own. */
  readonly board?: string;
  /** The shared resource behind it, in {@link Machine.shared}. */
  readonly shared?: string;
  /** The resource that it has to itself, served in its partition's own thread. */
  readonly exclusive?: ExclusiveResource;
  /** What its network cable leads to. Absent: it has none, or none is plugged in. */
  readonly wire?: WireSpec;
  /** The host's files behind its options of type `file`. Absent: none. */
  readonly files?: readonly DeviceFile[];
}

/** What could be shared, and is one partition's own. A network is a {@link WireSpec} then, a timer the partition's clock. */
export type ExclusiveResource =
  | { readonly kind: 'disk'; readonly name: string; readonly grant: Grant; readonly disk: DiskSource }
  /** `pty`: absolute path of the link to its terminal. */
  | { readonly kind: 'console'; readonly name: string; readonly pty: string };

/** A file of the host that a device owns: the medium of a disk or CD-ROM. */
export interface DeviceFile {
  /** The option that names it: `disk`, `cdrom`. */
  readonly option: string;
  /** Absolute. */
  readonly path: string;
  readonly access: 'ro' | 'rw';
  /** The same for two names of one file (links), different for two files. */
  readonly identity: string;
}

/** One end of an Ethernet wire, as its network controller sees it. What it leads to: `peer`, `tap` or `replay`; with none of them, nowhere. */
export interface WireSpec {
  readonly name: string;
  /** The controller of another partition, or of the same one. */
  readonly peer?: { readonly partition: PartitionName; readonly device: string };
  /** A network interface of the host (Linux TAP). */
  readonly tap?: string;
  /** Absolute path of a pcap file whose frames arrive here, at the times it says. */
  readonly replay?: string;
  /** Absolute path of the pcap file that this end writes: everything it sends and receives. */
  readonly capture?: string;
}

/**
 * The exact set of what a partition may touch of the board. Computed once from the manifest, proved disjoint from every other
 * allowance; every engine enforces it. Ports, MMIO and lines are those of the board devices it owns: what it sees of its
 * private models stands in {@link Partition.devices} and touches nothing of the board.
 */
export interface Allowance {
  readonly cores: readonly number[];
  /** Board RAM. */
  readonly memory: readonly { readonly base: Gpa; readonly size: Bytes }[];
  readonly ports: readonly IoRange[];
  readonly mmio: readonly IoRange[];
  /** Board interrupt lines (GSIs). */
  readonly irqs: readonly number[];
}

/** What a partition tells the hypervisor about itself, several times a second. */
export interface PartitionStatus {
  readonly name: PartitionName;
  readonly state: PartitionLifeState;
  readonly restarts: number;
  readonly retired: number;
  readonly guestTime: Nanos;
  /** From the partition's telemetry port, where its RTOS reports. */
  readonly deadlineMisses?: number;
  readonly periods?: number;
  /** Devices of the user's own that were stopped because they went wrong, in this life. Absent: none. */
  readonly stoppedDevices?: number;
  /** DMA accesses of its devices that were refused, in this life. Absent: none. */
  readonly dmaViolations?: number;
}

export type PartitionLifeState = 'stopped' | 'starting' | 'running' | 'halted' | 'crashed';
