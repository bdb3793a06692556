/** The manifest compiler: text in, a proved machine or findings out. */
import type { BoardDevice, DeviceSpec, DiskSource, ExclusiveResource, Finding, Machine, Partition, WireSpec } from '../contracts/index.ts';
import { wayOf } from './console-ways.ts';
import { deviceFiles, resolveMedia } from './device-files.ts';
import { DEFAULT_RESTARTS, draftOf, type Draft, type DraftDevice, type DraftPartition, type DraftShared } from './draft.ts';
import { grantOf, resolveDisks } from './disks.ts';
import type { InspectedDisk, ManifestHost, MediumFile } from './host.ts';
import { resolveImages } from './images.ts';
import { allowanceOf, type Proof, prove } from './proof.ts';
import { networkSourceOf } from './networks.ts';
import type { Problem, ResolvedImage, Rule } from './rule.ts';
import { RULES } from './rules/index.ts';
import { describeModules, modelsOf } from './modules.ts';
import { schemaFindings } from './schema-findings.ts';
import { manifestSchema } from './schema.ts';
import { ManifestSource } from './source.ts';

export interface Compilation {
  /** Absent when there is a finding of severity `error`. */
  readonly machine?: Machine;
  /** In the order of the file; at most {@link MAX_FINDINGS}. */
  readonly findings: readonly Finding[];
  /** Absent when the manifest did not get as far. */
  readonly proof?: Proof;
}

/** More than anybody reads; a manifest can be wrong in a million places. */
export const MAX_FINDINGS = 100;

/**
 * Compiles the text of a manifest. `file` names it in findings. Never throws, whatever the text: what is wrong is in `findings`.
 *
 * @example
 * const { machine, findings } = compileManifest(text, 'machines/packaging-cell.yaml', host);
 */
export function compileManifest(text: string, file: string, host: ManifestHost): Compilation {
  const source = new ManifestSource(text, file);
  if (source.findings.length > 0) return { findings: inOrder(source.findings) };
  const shape = manifestSchema.safeParse(source.data);
  if (!shape.success) return { findings: inOrder(schemaFindings(shape.error.issues, source, MAX_FINDINGS)) };

  const modules = describeModules(shape.data, host);
  const catalogue = { ...host.catalogue, models: { ...host.catalogue.models, ...modelsOf(modules) } };
  const draft = draftOf(shape.data, catalogue);
  const images = resolveImages(draft, host);
  const media = resolveMedia(draft, host);
  const disks = resolveDisks(draft, host);
  const context = { host: { ...host, catalogue }, images, media, disks, modules };
  const findings = inOrder(RULES.flatMap((rule) => take(rule, rule.check(draft, context), source)));
  if (findings.some((finding) => finding.severity === 'error')) return { findings };

  const machine = machineOf(draft, images, media, disks, host);
  const proof = prove(machine);
  if (proof.holds) return { machine, findings, proof };
  const violations = proof.claims.flatMap(({ claim, violations }) => violations.map((violation) => `${claim}: ${violation}`));
  return { findings: [...findings, ...violations.slice(0, MAX_FINDINGS).map((message) => unproved(message, source))], proof };
}

function take(rule: Rule, problems: Iterable<Problem>, source: ManifestSource): Finding[] {
  const findings: Finding[] = [];
  for (const { message, at, key, related, hint } of problems) {
    if (findings.length === MAX_FINDINGS) break;
    findings.push({
      code: rule.code,
      severity: rule.severity,
      message,
      at: key === true ? source.keyAt(at) : source.at(at),
      ...(related === undefined ? {} : { related: related.map((place) => ({ message: place.message, at: source.at(place.at) })) }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
  return findings;
}

/** Rules that all hold and a proof that does not: a rule is missing. The machine is refused all the same. */
function unproved(message: string, source: ManifestSource): Finding {
  return {
    code: 'BH270',
    severity: 'error',
    message: `ownership could not be proved: ${message}`,
    at: source.at(['partitions']),
    hint: 'no rule explains this better: please report the manifest',
  };
}

function inOrder(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => a.at.line - b.at.line || a.at.column - b.at.column).slice(0, MAX_FINDINGS);
}

function machineOf(
  draft: Draft,
  images: ReadonlyMap<string, ResolvedImage>,
  media: ReadonlyMap<string, MediumFile>,
  disks: ReadonlyMap<string, InspectedDisk>,
  host: ManifestHost,
): Machine {
  const exclusives = exclusiveResources(draft, disks, host);
  const devices: BoardDevice[] = draft.board.devices.map((device) => {
    const owner = draft.partitions.find((partition) => partition.devices.some((candidate) => candidate.board === device.name));
    return {
      name: device.name,
      model: device.model ?? '',
      ranges: device.ranges,
      irqs: device.irqs,
      ...(owner === undefined ? {} : { owner: owner.name }),
    };
  });
  return {
    name: draft.name,
    board: { cores: draft.board.cores, memory: draft.board.memory, devices },
    partitions: draft.partitions.map((partition) => partitionOf(partition, devices, images, media, wireSpecs(draft, host), exclusives)),
    shared: draft.shared.map((resource) => {
      const { name, kind, grants, written } = resource;
      const disk = disks.get(name);
      return {
        name,
        kind,
        grants: grants.map((grant) => grantOf(grant, resource, disk)),
        ...(disk?.status === 'found' ? { disk: diskSource(disk) } : {}),
        ...(kind === 'ethernet' ? { network: networkSourceOf(resource, host) } : {}),
        ...(written.size === undefined ? {} : { size: written.size }),
        ...(written.ways === undefined ? {} : { ways: written.ways.flatMap((way) => wayOf(way, host) ?? []) }),
      };
    }),
  };
}

function diskSource({ image, overlay, files }: Extract<InspectedDisk, { status: 'found' }>): DiskSource {
  return { image, ...(overlay === undefined ? {} : { overlay }), files };
}

function partitionOf(
  draft: DraftPartition,
  boardDevices: readonly BoardDevice[],
  images: ReadonlyMap<string, ResolvedImage>,
  media: ReadonlyMap<string, MediumFile>,
  wires: ReadonlyMap<DraftDevice, WireSpec>,
  exclusives: ReadonlyMap<DraftDevice, ExclusiveResource>,
): Partition {
  const { boot, onCrash } = draft;
  const pathOf = (reference: string): string => {
    const file = images.get(reference)?.file;
    return file === undefined || file.status === 'missing' ? reference : file.path;
  };
  const own = {
    cores: draft.cores,
    memory: { base: draft.memory.base ?? 0, size: draft.memory.size },
    devices: draft.devices.map((device) => specOf(device, media, wires, exclusives)),
  };
  return {
    name: draft.name,
    role: draft.role,
    engine: draft.engine,
    ...own,
    boot: {
      kernel: pathOf(boot.kernel),
      ...(boot.initrd === undefined ? {} : { initrd: pathOf(boot.initrd) }),
      cmdline: boot.cmdline,
      protocol: boot.protocol,
      ...(boot.protocol === 'firmware' ? { order: boot.order } : {}),
      ...(boot.load === undefined ? {} : { load: boot.load }),
      ...(boot.entry === undefined ? {} : { entry: boot.entry }),
      decompress: boot.decompress,
    },
    ...(draft.console === undefined ? {} : { console: draft.console }),
    onCrash: { action: onCrash.action, limit: onCrash.limit ?? (onCrash.action === 'restart' ? DEFAULT_RESTARTS : 0) },
    ...(draft.dmaViolations === 'report' ? {} : { dmaViolations: draft.dmaViolations }),
    instructionsPerMicrosecond: draft.instructionsPerMicrosecond,
    allowance: allowanceOf(own, boardDevices),
    cpu: draft.cpu,
  };
}

/** By controller: what its cable leads to. The first controller of a wire writes the recording. A network of one's own is a wire to its interface. */
function wireSpecs(draft: Draft, host: ManifestHost): ReadonlyMap<DraftDevice, WireSpec> {
  return new Map([
    ...exclusiveDevices(draft).flatMap(({ device, resource: { name, kind, written } }): [DraftDevice, WireSpec][] => {
      const { uplink, capture } = written;
      if (kind !== 'ethernet' || typeof uplink !== 'object') return [];
      return [[device, { name, tap: uplink.tap, ...(capture === undefined ? {} : { capture: host.path(capture) }) }]];
    }),
    ...draft.wires.flatMap(({ name, tap, replay, capture, controllers }) =>
      controllers.map(({ device }, index): [DraftDevice, WireSpec] => {
        const other = controllers[1 - index];
        return [
          device,
          {
            name,
            ...(other === undefined ? {} : { peer: { partition: other.partition, device: other.device.name } }),
            ...(tap === undefined ? {} : { tap }),
            ...(replay === undefined ? {} : { replay: host.path(replay) }),
            ...(capture === undefined || index > 0 ? {} : { capture: host.path(capture) }),
          },
        ];
      }),
    ),
  ]);
}

/** What devices have to themselves; a network is a wire, and a timer the partition's own. */
function exclusiveResources(draft: Draft, disks: ReadonlyMap<string, InspectedDisk>, host: ManifestHost): ReadonlyMap<DraftDevice, ExclusiveResource> {
  return new Map(
    exclusiveDevices(draft).flatMap(({ device, partition, resource }): [DraftDevice, ExclusiveResource][] => {
      const { name, kind, grants, written } = resource;
      const disk = disks.get(name);
      const grant = grants.find((candidate) => candidate.partition === partition);
      if (kind === 'disk' && grant !== undefined && disk?.status === 'found') {
        return [[device, { kind, name, grant: grantOf(grant, resource, disk), disk: diskSource(disk) }]];
      }
      const pty = written.ways?.[0]?.pty;
      return kind === 'console' && pty !== undefined ? [[device, { kind, name, pty: host.path(pty) }]] : [];
    }),
  );
}

function exclusiveDevices(draft: Draft): { device: DraftDevice; partition: string; resource: DraftShared }[] {
  return draft.partitions.flatMap(({ name: partition, devices }) =>
    devices.flatMap((device) => {
      const resource = device.sharing === 'exclusive' ? draft.shared.find(({ name }) => name === device.shared) : undefined;
      return resource === undefined ? [] : [{ device, partition, resource }];
    }),
  );
}

function specOf(
  device: DraftDevice, media: ReadonlyMap<string, MediumFile>, wires: ReadonlyMap<DraftDevice, WireSpec>, exclusives: ReadonlyMap<DraftDevice, ExclusiveResource>,
): DeviceSpec {
  const wire = wires.get(device);
  const exclusive = exclusives.get(device);
  const files = deviceFiles(device, media);
  return {
    name: device.name,
    model: device.model ?? '',
    ranges: device.ranges,
    irqs: device.irqs,
    options: device.options,
    ...(device.known?.module === undefined ? {} : { module: device.known.module }),
    ...(device.board === undefined ? {} : { board: device.board }),
    ...(device.shared === undefined || device.sharing === 'exclusive' ? {} : { shared: device.shared }),
    ...(exclusive === undefined ? {} : { exclusive }),
    ...(wire === undefined ? {} : { wire }),
    ...(files.length === 0 ? {} : { files }),
  };
}
