/** Device models of the user's own, for the compiler of manifests and for the threads that run them. */
import { resolve } from 'node:path';
import { BulkheadError } from '../base/index.ts';
import { type DeviceCatalogue, type DeviceModelFacts, deviceOfModule, type ModuleProblem } from '../board/index.ts';
import type { DeviceSpec } from '../contracts/index.ts';
import { importDeviceModule, inspectDeviceModule, type Kit, loadFailure } from '../host/node/device-modules.ts';
import type { DeviceModule } from '../manifest/index.ts';

export const DEVICE_KIT: Kit = {
  'bulkhead/device': new URL('../board/devices/device-kit.ts', import.meta.url),
};
const INSPECTOR = new URL('./device-inspector.ts', import.meta.url);

/** For the compiler: what `reference` in a manifest of `folder` describes. Never throws. */
export function describeDeviceModule(reference: string, folder: string): DeviceModule {
  const path = resolve(folder, reference);
  const inspection = inspectDeviceModule<DeviceModelFacts | ModuleProblem>(INSPECTOR, path);
  if ('failure' in inspection) return { status: 'refused', problem: inspection.failure, hint: 'try it alone, with `node`' };
  const { facts } = inspection;
  if ('problem' in facts) return { status: 'refused', ...facts };
  return { status: 'found', path, model: facts };
}

/** For a partition's thread: the models of those devices that have one of their own, by the name the manifest gives it. Throws BH218. */
export async function loadDeviceModels(devices: readonly DeviceSpec[], generation = 0): Promise<DeviceCatalogue> {
  const models: Record<string, DeviceCatalogue[string]> = {};
  for (const { model, module } of devices) {
    if (module === undefined || models[model] !== undefined) continue;
    const exports = await importDeviceModule(module, DEVICE_KIT, generation).catch((cause: unknown) => {
      throw new BulkheadError('BH218', `cannot load the device ${model}: ${loadFailure(cause)}`, { cause });
    });
    const found = deviceOfModule(exports);
    if ('problem' in found) throw new BulkheadError('BH218', `cannot use the device ${model}: ${found.problem}`, { hint: found.hint });
    models[model] = found;
  }
  return models;
}
