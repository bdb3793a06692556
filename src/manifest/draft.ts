/**
 * A manifest with its shorthands opened, its devices looked up and its RAM placed: what the rules look at. Every node keeps its
 * path, so that a finding can point at it. Nothing here judges: what cannot be resolved is left out and found by a rule.
 */
import type { CpuChoice, IoRange } from '../contracts/index.ts';
import type { DeviceCatalogue, DeviceModel, DeviceOption, DevicePlace, OptionValue } from './host.ts';
import { place } from './placement.ts';
import type { Manifest, ManifestBoardDevice, ManifestGrant, ManifestPartition, ManifestShared } from './schema.ts';
import type { Path } from './source.ts';

export interface DraftDevice {
  readonly name: string;
  readonly path: Path;
  /** As written, or the board device's. */
  readonly model: string | undefined;
  /** undefined: no such model, or none named. */
  readonly known: DeviceModel | undefined;
  readonly board: string | undefined;
  /** What is declared under `shared:` and stands behind it. */
  readonly shared: string | undefined;
  /** Under which key that was written. `exclusive`: for it alone. */
  readonly sharing: 'shared' | 'exclusive';
  readonly wire: string | undefined;
  readonly ranges: readonly IoRange[];
  readonly irqs: readonly number[];
  readonly options: Readonly<Record<string, OptionValue>>;
  /** Options whose value the model cannot take, and why. */
  readonly unreadable: readonly { readonly option: string; readonly problem: string; readonly hint: string }[];
  /** Which of `model`, `ports`, `mmio`, `irq`, `wire`, `options`, `shared`, `exclusive` were written in this place. */
  readonly written: readonly string[];
  /** Why it has no place, or not the one that is written. */
  readonly misplaced: readonly { readonly key: 'ports' | 'mmio' | 'irq' | undefined; readonly problem: string; readonly hint: string }[];
}

export interface DraftPartition {
  readonly name: string;
  readonly path: Path;
  readonly role: 'gpos' | 'rtos';
  readonly engine: 'soft' | 'kvm';
  readonly cores: readonly number[];
  readonly memory: { readonly size: number; readonly base: number | undefined; readonly placedByHand: boolean };
  readonly boot: DraftBoot;
  readonly devices: readonly DraftDevice[];
  readonly console: string | undefined;
  readonly onCrash: { readonly action: 'halt' | 'restart' | 'stop-machine'; readonly limit: number | undefined };
  readonly dmaViolations: 'report' | 'stop';
  readonly instructionsPerMicrosecond: number;
  readonly cpu: CpuChoice;
}

export interface DraftBoot extends Omit<ManifestPartition['boot'], 'kernel' | 'protocol'> {
  /** What runs first; empty where nothing is named. */
  readonly kernel: string;
  /** Which key named it. */
  readonly source: 'kernel' | 'firmware';
  /** Both were. */
  readonly isAmbiguous: boolean;
  readonly protocol: 'auto' | 'flat' | 'firmware';
}

export interface DraftShared {
  readonly name: string;
  readonly path: Path;
  readonly kind: ManifestShared['kind'];
  readonly grants: readonly DraftGrant[];
  /** As written, beside kind and grants. */
  readonly written: Omit<ManifestShared, 'kind' | 'grants'>;
}

export interface DraftGrant {
  readonly partition: string;
  readonly access: 'ro' | 'rw';
  readonly path: Path;
  /** As written, beside the access. */
  readonly written: Omit<ManifestGrant, 'access'>;
}

/** A wire and the controllers at it, in the order of the file. */
export interface DraftWire {
  readonly name: string;
  readonly path: Path;
  readonly tap: string | undefined;
  readonly replay: string | undefined;
  readonly capture: string | undefined;
  readonly controllers: readonly { readonly partition: string; readonly device: DraftDevice }[];
}

export interface Draft {
  readonly name: string;
  readonly board: { readonly cores: number; readonly memory: number; readonly devices: readonly DraftDevice[] };
  readonly partitions: readonly DraftPartition[];
  readonly shared: readonly DraftShared[];
  readonly wires: readonly DraftWire[];
}

/** `limit` where a restart policy names none. */
export const DEFAULT_RESTARTS = 3;

export function draftOf(manifest: Manifest, catalogue: DeviceCatalogue): Draft {
  const boardDevices = resolveAll(['board', 'devices'], manifest.board.devices, catalogue);
  const entries = Object.entries(manifest.partitions);
  const wanted = entries.map(([, partition]) => memoryOf(partition));
  const bases = place(wanted, manifest.board.memory);
  const draft: Omit<Draft, 'wires'> = {
    name: manifest.machine,
    board: { cores: manifest.board.cores, memory: manifest.board.memory, devices: boardDevices },
    partitions: entries.map(([name, written], index) => ({
      name,
      path: ['partitions', name],
      role: written.role,
      engine: written.engine,
      cores: written.cores,
      memory: { size: wanted[index]!.size, base: bases[index], placedByHand: wanted[index]!.base !== undefined },
      boot: bootOf(written.boot),
      devices: resolveAll(['partitions', name, 'devices'], { ...modelled(written.devices, manifest, catalogue), ...flashOf(written) }, catalogue).map((own) => {
        const owned = own.board === undefined ? undefined : boardDevices.find((candidate) => candidate.name === own.board);
        const { name, path, board, shared, sharing, written } = own;
        return owned === undefined ? own : { ...owned, name, path, board, shared, sharing, written, misplaced: [] };
      }),
      console: written.console,
      onCrash: typeof written['on-crash'] === 'string' ? { action: written['on-crash'], limit: undefined } : { limit: undefined, ...written['on-crash'] },
      dmaViolations: written['dma-violations'],
      instructionsPerMicrosecond: written.speed,
      cpu: { level: written.cpu, features: written.cpuid },
    })),
    shared: Object.entries(manifest.shared).map(([name, { kind, grants, ...written }]) => ({
      name,
      path: ['shared', name],
      kind,
      written,
      grants: Object.entries(grants).map(([partition, { access, ...rest }]) => ({
        partition,
        access,
        path: ['shared', name, 'grants', partition],
        written: rest,
      })),
    })),
  };
  return {
    ...draft,
    wires: Object.entries(manifest.wires).map(([name, { tap, replay, capture }]) => ({
      name,
      path: ['wires', name],
      tap,
      replay,
      capture,
      controllers: draft.partitions.flatMap((partition) =>
        partition.devices.filter((device) => device.wire === name).map((device) => ({ partition: partition.name, device })),
      ),
    })),
  };
}

/** Flash memory for what UEFI stores, where `boot.vars` names a file for it. */
function flashOf({ boot: { firmware, vars } }: ManifestPartition): Readonly<Record<string, WrittenDevice>> {
  return vars === undefined || firmware === undefined ? {} : { [FLASH]: { model: FLASH, options: { image: vars } } };
}

/** What is shared chooses the model of a device in front of it, where that names none. */
function modelled(devices: ManifestPartition['devices'], { shared }: Manifest, { models }: DeviceCatalogue): Readonly<Record<string, WrittenDevice>> {
  return Object.fromEntries(
    Object.entries(devices).map(([name, written]): [string, WrittenDevice] => {
      const { transport = 'pci', ...device } = written;
      const behind = device.shared ?? device.exclusive;
      const resource = behind !== undefined && Object.hasOwn(shared, behind) ? shared[behind] : undefined;
      if (resource === undefined || device.model !== undefined || device.board !== undefined) return [name, device];
      const model = Object.keys(models).find((candidate) => isMadeFor(models[candidate], resource.kind, transport));
      return [name, model === undefined ? device : { ...device, model }];
    }),
  );
}

/** The kind of what is shared alone makes it this model; with a transport, where there are several. */
export function isMadeFor(model: DeviceModel | undefined, kind: ManifestShared['kind'], transport?: 'pci' | 'mmio'): boolean {
  if (model === undefined || model.shared !== kind) return kind === 'timer' && model?.timer === true;
  return transport === undefined || transportOf(model) === transport;
}

function transportOf({ places }: DeviceModel): 'pci' | 'mmio' {
  return places[0].ranges.length === 0 ? 'pci' : 'mmio';
}

function memoryOf(partition: ManifestPartition): { readonly size: number; readonly base: number | undefined } {
  const written = partition.memory;
  return typeof written === 'number' ? { size: written, base: undefined } : { size: written.size, base: written.base };
}

/** Name and model of the flash memory. */
const FLASH = 'cfi-flash';
/** Firmware that goes by a name comes from a package. */
const FIRMWARE_NAMES = ['seabios', 'ovmf'];

export function firmwareReference(written: string): string {
  return FIRMWARE_NAMES.includes(written) ? `package:${written}` : written;
}

function bootOf({ kernel, firmware, protocol, ...rest }: ManifestPartition['boot']): DraftBoot {
  if (firmware === undefined) return { ...rest, firmware, kernel: kernel ?? '', source: 'kernel', isAmbiguous: false, protocol };
  return { ...rest, firmware, kernel: firmwareReference(firmware), source: 'firmware', isAmbiguous: kernel !== undefined, protocol: 'firmware' };
}

type WrittenDevice = Omit<ManifestBoardDevice, 'model'> & {
  readonly model?: string | undefined;
  readonly board?: string | undefined;
  readonly shared?: string | undefined;
  readonly exclusive?: string | undefined;
};

/** Devices that share an address space, so that each can have a usual place no other one has. */
function resolveAll(above: Path, devices: Readonly<Record<string, WrittenDevice>>, catalogue: DeviceCatalogue): DraftDevice[] {
  const taken = new Set<DevicePlace>();
  const known = (written: WrittenDevice): DeviceModel | undefined =>
    written.model !== undefined && Object.hasOwn(catalogue.models, written.model) ? catalogue.models[written.model] : undefined;
  // What is placed by hand comes first: it may stand in a usual place.
  for (const written of Object.values(devices)) {
    const usual = known(written)?.places.find((candidate) => standsAt(written, candidate));
    if (usual !== undefined) taken.add(usual);
  }
  return Object.entries(devices).map(([name, written]) => resolve(name, [...above, name], written, known(written), taken));
}

const placedByHand = (written: WrittenDevice): boolean => written.ports !== undefined || written.mmio !== undefined;

/** Firmware gives it addresses and a line: there can be as many as there are slots. */
const isOnPci = ({ ranges, irqs }: DevicePlace): boolean => ranges.length === 0 && irqs.length === 0;

function standsAt(written: WrittenDevice, usual: DevicePlace): boolean {
  return placedByHand(written) && usual.ranges.every((range, index) => baseOf(written, usual, index) === range.base);
}

const SPACE_KEYS = { pio: 'ports', mmio: 'mmio' } as const;

/** Where window `index` of `usual` lies: as written, where this window's space was written; else where it usually does. */
function baseOf(written: WrittenDevice, usual: DevicePlace, index: number): number | undefined {
  const { space, base } = usual.ranges[index]!;
  const bases = list(written[SPACE_KEYS[space]]);
  const before = usual.ranges.slice(0, index).filter((range) => range.space === space).length;
  return bases === undefined ? base : bases[before];
}

function resolve(name: string, path: Path, written: WrittenDevice, known: DeviceModel | undefined, taken: Set<DevicePlace>): DraftDevice {
  const free = known?.places.find((candidate) => (placedByHand(written) ? standsAt(written, candidate) : isOnPci(candidate) || !taken.has(candidate)));
  if (free !== undefined) taken.add(free);
  const usual = free ?? known?.places[0];
  const ranges: IoRange[] = [];
  for (const [index, { space, size }] of (usual?.ranges ?? []).entries()) {
    const base = usual === undefined ? undefined : baseOf(written, usual, index);
    if (base !== undefined) ranges.push({ space, base, size });
  }
  const { options, unreadable } = optionsOf(known, written.options ?? {});
  return {
    name,
    path,
    model: written.model,
    known,
    board: written.board,
    shared: written.shared ?? written.exclusive,
    sharing: written.shared === undefined && written.exclusive !== undefined ? 'exclusive' : 'shared',
    wire: written.wire,
    ranges,
    irqs: list(written.irq) ?? usual?.irqs ?? [],
    options,
    unreadable,
    written: (['model', 'ports', 'mmio', 'irq', 'wire', 'options', 'shared', 'exclusive'] as const).filter((key) => written[key] !== undefined),
    misplaced: known === undefined ? [] : misplacements(written, known, free),
  };
}

function misplacements(written: WrittenDevice, known: DeviceModel, free: DevicePlace | undefined): DraftDevice['misplaced'] {
  return [...misplacedWindows(written, known, free), ...misplacedLines(written, known)];
}

/** More lines than the model drives are fine: a card on the board has the line it has. */
function misplacedLines(written: WrittenDevice, known: DeviceModel): DraftDevice['misplaced'] {
  const lines = list(written.irq);
  const wanted = known.places[0].irqs;
  if (lines === undefined || lines.length >= wanted.length) return [];
  return [{ key: 'irq', problem: `it drives ${wanted.length} interrupt lines, not ${lines.length}`, hint: `give as many, as in \`irq: [${wanted.join(', ')}]\`` }];
}

function misplacedWindows(written: WrittenDevice, known: DeviceModel, free: DevicePlace | undefined): DraftDevice['misplaced'] {
  if (!placedByHand(written)) {
    const hint = known.relocatable ? 'say where this one is, with `ports:` or `mmio:`' : 'there can be no more of them';
    return free === undefined ? [{ key: undefined, problem: `all ${known.places.length} usual places are taken`, hint }] : [];
  }
  return (['ports', 'mmio'] as const).flatMap((key) => {
    const bases = list(written[key]);
    const windows = known.places[0].ranges.filter((range) => SPACE_KEYS[range.space] === key);
    if (bases === undefined) return [];
    if (windows.length === 0) return [{ key, problem: `it has no \`${key}\``, hint: `leave \`${key}\` out` }];
    if (bases.length !== windows.length) {
      const sizes = windows.map((window) => window.size).join(' and ');
      return [{ key, problem: `it has ${windows.length} windows, not ${bases.length}`, hint: `give one base for each window (of ${sizes} bytes)` }];
    }
    if (!known.relocatable && free === undefined) return [{ key, problem: 'drivers expect it in its usual place', hint: `leave \`${key}\` out` }];
    return [];
  });
}

/** Defaults filled in. An option the model does not have stays as written: a rule finds it. */
function optionsOf(model: DeviceModel | undefined, written: Readonly<Record<string, OptionValue>>): Pick<DraftDevice, 'options' | 'unreadable'> {
  const options: Record<string, OptionValue> = {};
  const unreadable: { option: string; problem: string; hint: string }[] = [];
  for (const [name, option] of Object.entries(model?.options ?? {})) options[name] = option.default;
  for (const [name, value] of Object.entries(written)) {
    options[name] = value;
    const option = model === undefined || !Object.hasOwn(model.options, name) ? undefined : model.options[name];
    const problem = option === undefined ? undefined : objection(option, value);
    if (problem !== undefined) unreadable.push({ option: name, problem, hint: option!.description });
  }
  return { options, unreadable };
}

const TYPES = { number: 'number', boolean: 'boolean', string: 'string', file: 'string' } as const;
const TYPE_WORDS = { number: 'a number', boolean: '`true` or `false`', string: 'a text', file: 'the path of a file' } as const;

/** Why an option cannot have this value. */
function objection(option: DeviceOption, value: OptionValue): string | undefined {
  if (typeof value !== TYPES[option.type] || Number.isNaN(value)) return `must be ${TYPE_WORDS[option.type]}`;
  if (option.type === 'string' && typeof value === 'string' && value !== option.default && option.pattern !== undefined) {
    return new RegExp(option.pattern).test(value) ? undefined : `must be ${option.form ?? `like ${option.pattern}`}`;
  }
  if (option.type !== 'number' || typeof value !== 'number') return undefined;
  if (value < (option.minimum ?? Number.NEGATIVE_INFINITY)) return `must be at least ${option.minimum}`;
  if (value > (option.maximum ?? Number.POSITIVE_INFINITY)) return `must be at most ${option.maximum}`;
  return undefined;
}

function list(written: number | readonly number[] | undefined): readonly number[] | undefined {
  return typeof written === 'number' ? [written] : written;
}

/** Every device that is described: the board's, and the partitions' own. */
export function allDevices(draft: Draft): readonly DraftDevice[] {
  return [...draft.board.devices, ...draft.partitions.flatMap((partition) => partition.devices.filter((device) => device.board === undefined))];
}
