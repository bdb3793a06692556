/** Device models that a manifest names by the path of a module, beside those of the catalogue. */
import type { DeviceModel, DeviceModule, ManifestHost } from './host.ts';
import type { Manifest } from './schema.ts';

/** A path, and no name of the catalogue: those have neither slashes nor dots. */
export function isModuleReference(model: string): boolean {
  return /^\.{0,2}\//.test(model) || /\.[cm]?[jt]s$/.test(model);
}

/** What stands behind each module, by reference as written; each is looked at once. */
export function describeModules(manifest: Manifest, host: ManifestHost): ReadonlyMap<string, DeviceModule> {
  const devices = [manifest.board.devices, ...Object.values(manifest.partitions).map((partition) => partition.devices)].flatMap((table) => Object.values(table));
  const references = new Set(devices.flatMap(({ model }) => (model !== undefined && isModuleReference(model) ? [model] : [])));
  return new Map([...references].map((reference) => [reference, host.describeDevice?.(reference) ?? UNSUPPORTED]));
}

export function modelsOf(modules: ReadonlyMap<string, DeviceModule>): Readonly<Record<string, DeviceModel>> {
  return Object.fromEntries([...modules].flatMap(([reference, module]) => (module.status === 'found' ? [[reference, { ...module.model, module: module.path }]] : [])));
}

const UNSUPPORTED: DeviceModule = { status: 'refused', problem: 'models of your own cannot be loaded here', hint: 'use a model of the catalogue' };
