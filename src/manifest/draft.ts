/**
 * A manifest with its shorthands opened, its devices looked up and its RAM placed: what the rules look at. Every node keeps its
 * path, so that a finding can point at it. Nothing here judges: what cannot be resolved is left out and found by a rule.
 */
import type { IoRange } from '../contracts/index.ts';
import type { DeviceCatalogue, DeviceModel, DeviceOption, DeviceWindow, OptionValue } from './host.ts';
import { place } from './placement.ts';
import { parseSize, parseTime } from './quantities.ts';
import type { Manifest, ManifestBoardDevice, ManifestPartition } from './schema.ts';
import type { Path } from './source.ts';

export interface DraftDevice {
  readonly name: string;
  readonly path: Path;
  /** As written, or the board device's. */
  readonly model: string | undefined;
  /** undefined: no such model, or none named. */
  readonly known: DeviceModel | undefined;
  readonly board: string | undefined;
  readonly shared: string | undefined;
  readonly ranges: readonly IoRange[];
  readonly irqs: readonly number[];
  readonly options: Readonly<Record<string, OptionValue>>;
  /** Options whose value the model cannot take, and why. */
  readonly unreadable: readonly { readonly option: string; readonly problem: string; readonly hint: string }[];
  /** Which of `model`, `ports`, `mmio`, `irq`, `options` were written in this place. */
  readonly written: readonly string[];
  /** Windows whose place is neither written nor usual, or written without the model having them. */
  readonly misplaced: readonly string[];
}

export interface DraftPartition {
  readonly name: string;
  readonly path: Path;
  readonly role: 'gpos' | 'rtos';
  readonly engine: 'soft' | 'kvm';
  readonly cores: readonly number[];
  readonly memory: { readonly size: number; readonly base: number | undefined; readonly placedByHand: boolean };
  readonly boot: ManifestPartition['boot'];
  readonly devices: readonly DraftDevice[];
  readonly console: string | undefined;
  readonly onCrash: { readonly action: 'halt' | 'restart' | 'stop-machine'; readonly limit: number | undefined };
  readonly instructionsPerMicrosecond: number;
}

export interface DraftShared {
  readonly name: string;
  readonly path: Path;
  readonly kind: 'console' | 'disk' | 'ethernet';
  readonly grants: readonly { readonly partition: string; readonly access: 'ro' | 'rw'; readonly path: Path }[];
}

export interface Draft {
  readonly name: string;
  readonly board: { readonly cores: number; readonly memory: number; readonly devices: readonly DraftDevice[] };
  readonly partitions: readonly DraftPartition[];
  readonly shared: readonly DraftShared[];
}

/** `limit` where a restart policy names none. */
export const DEFAULT_RESTARTS = 3;

export function draftOf(manifest: Manifest, catalogue: DeviceCatalogue): Draft {
  const boardDevices = Object.entries(manifest.board.devices).map(([name, written]) =>
    resolve(name, ['board', 'devices', name], { ...written, board: undefined, shared: undefined }, catalogue),
  );
  const entries = Object.entries(manifest.partitions);
  const wanted = entries.map(([, partition]) => memoryOf(partition));
  const bases = place(wanted, manifest.board.memory);
  return {
    name: manifest.machine,
    board: { cores: manifest.board.cores, memory: manifest.board.memory, devices: boardDevices },
    partitions: entries.map(([name, written], index) => ({
      name,
      path: ['partitions', name],
      role: written.role,
      engine: written.engine,
      cores: written.cores,
      memory: { size: wanted[index]!.size, base: bases[index], placedByHand: wanted[index]!.base !== undefined },
      boot: written.boot,
      devices: Object.entries(written.devices).map(([device, spec]) => {
        const path = ['partitions', name, 'devices', device];
        const owned = spec.board === undefined ? undefined : boardDevices.find((candidate) => candidate.name === spec.board);
        const own = resolve(device, path, spec, catalogue);
        return owned === undefined ? own : { ...owned, name: device, path, board: spec.board, shared: own.shared, written: own.written, misplaced: [] };
      }),
      console: written.console,
      onCrash: typeof written['on-crash'] === 'string' ? { action: written['on-crash'], limit: undefined } : { limit: undefined, ...written['on-crash'] },
      instructionsPerMicrosecond: written.speed,
    })),
    shared: Object.entries(manifest.shared).map(([name, written]) => ({
      name,
      path: ['shared', name],
      kind: written.kind,
      grants: Object.entries(written.grants).map(([partition, grant]) => ({
        partition,
        access: grant.access,
        path: ['shared', name, 'grants', partition],
      })),
    })),
  };
}

function memoryOf(partition: ManifestPartition): { readonly size: number; readonly base: number | undefined } {
  const written = partition.memory;
  return typeof written === 'number' ? { size: written, base: undefined } : { size: written.size, base: written.base };
}

type WrittenDevice = Omit<ManifestBoardDevice, 'model'> & {
  readonly model?: string | undefined;
  readonly board?: string | undefined;
  readonly shared?: string | undefined;
};

function resolve(name: string, path: Path, written: WrittenDevice, catalogue: DeviceCatalogue): DraftDevice {
  const known = written.model !== undefined && Object.hasOwn(catalogue.models, written.model) ? catalogue.models[written.model] : undefined;
  const ranges: IoRange[] = [];
  const misplaced: string[] = [];
  for (const [key, space, windows] of [['ports', 'pio', known?.ports ?? []], ['mmio', 'mmio', known?.mmio ?? []]] as const) {
    const bases = list(written[key]);
    if (known !== undefined && !wellPlaced(bases, windows)) misplaced.push(key);
    for (const [index, window] of windows.entries()) {
      const base = bases?.[index] ?? window.base;
      if (base !== undefined) ranges.push({ space, base, size: window.size });
    }
  }
  const { options, unreadable } = optionsOf(known, written.options ?? {});
  return {
    name,
    path,
    model: written.model,
    known,
    board: written.board,
    shared: written.shared,
    ranges,
    irqs: list(written.irq) ?? known?.irqs ?? [],
    options,
    unreadable,
    written: (['model', 'ports', 'mmio', 'irq', 'options'] as const).filter((key) => written[key] !== undefined),
    misplaced,
  };
}

function wellPlaced(bases: readonly number[] | undefined, windows: readonly DeviceWindow[]): boolean {
  return bases === undefined ? windows.every((window) => window.base !== undefined) : bases.length === windows.length;
}

/** Defaults filled in, sizes and times as numbers. An option the model does not have stays as written: a rule finds it. */
function optionsOf(model: DeviceModel | undefined, written: Readonly<Record<string, OptionValue>>): Pick<DraftDevice, 'options' | 'unreadable'> {
  const options: Record<string, OptionValue> = {};
  const unreadable: { option: string; problem: string; hint: string }[] = [];
  for (const [name, option] of Object.entries(model?.options ?? {})) options[name] = option.default;
  for (const [name, value] of Object.entries(written)) {
    const option = model === undefined || !Object.hasOwn(model.options, name) ? undefined : model.options[name];
    const read = option === undefined ? { value } : readOption(option, value);
    if ('value' in read) options[name] = read.value;
    else unreadable.push({ option: name, problem: read.problem, hint: read.hint ?? option!.doc });
  }
  return { options, unreadable };
}

/** The value an option has when it is written as `written`, or what is wrong with that. */
function readOption(option: DeviceOption, written: OptionValue): { readonly value: OptionValue } | { readonly problem: string; readonly hint?: string } {
  switch (option.type) {
    case 'size':
      return parseSize(written);
    case 'time':
      return parseTime(written);
    case 'text':
      return typeof written === 'string' ? { value: written } : { problem: 'must be a text', hint: 'put it in quotes' };
    case 'flag':
      return typeof written === 'boolean' ? { value: written } : { problem: 'must be `true` or `false`' };
    case 'word':
      return option.words.includes(String(written)) ? { value: written } : { problem: `must be one of ${option.words.join(', ')}` };
    default: {
      if (typeof written !== 'number' || !Number.isFinite(written)) return { problem: 'must be a number' };
      if (option.type === 'integer' && !Number.isInteger(written)) return { problem: 'must be a whole number' };
      if (written < (option.min ?? Number.NEGATIVE_INFINITY)) return { problem: `must be at least ${option.min}` };
      if (written > (option.max ?? Number.POSITIVE_INFINITY)) return { problem: `must be at most ${option.max}` };
      return { value: written };
    }
  }
}

function list(written: number | readonly number[] | undefined): readonly number[] | undefined {
  return typeof written === 'number' ? [written] : written;
}

/** Every device that is described: the board's, and the partitions' own. */
export function allDevices(draft: Draft): readonly DraftDevice[] {
  return [...draft.board.devices, ...draft.partitions.flatMap((partition) => partition.devices.filter((device) => device.board === undefined))];
}
