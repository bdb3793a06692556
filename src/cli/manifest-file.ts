/** A manifest on disk, compiled with everything this host has: its files, its package cache, its device catalogue. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { BulkheadError } from '../base/index.ts';
import { describeFirmware, describeInitrd, detectImage } from '../boot/index.ts';
import { inspectBlockFile } from '../host/node/block-file.ts';
import { recordingProblem } from '../host/node/pcap.ts';
import { type Compilation, compileManifest, type ImageDescription, type ImageFile, type ImageRefusal, type ImageRole, type ManifestHost } from '../manifest/index.ts';
import { DEVICE_CATALOGUE } from './device-catalogue.ts';
import { inspectDisk } from './disk-inspection.ts';
import { describeDeviceModule } from './device-modules.ts';
import { locatePackagedImage, packagedName } from './packaged-images.ts';

export interface CompiledFile extends Compilation {
  /** As shown in findings: relative to the working directory. */
  readonly file: string;
  readonly text: string;
}

/** Throws BH600 when the file cannot be read. */
export function compileFile(path: string): CompiledFile {
  const text = readManifest(path);
  const file = relative(process.cwd(), resolve(path)) || path;
  return { file, text, ...compileManifest(text, file, manifestHost(dirname(resolve(path)))) };
}

/** Throws BH600 when the file cannot be read. */
export function readManifest(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new BulkheadError('BH600', `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** `folder` is what relative paths in the manifest start from. */
export function manifestHost(folder: string): ManifestHost {
  return {
    catalogue: DEVICE_CATALOGUE,
    describeDevice: (reference) => describeDeviceModule(reference, folder),
    resolveImage(reference, role) {
      const name = packagedName(reference);
      return name === undefined ? fileAt(resolve(folder, reference)) : packaged(name, role);
    },
    inspectKernel: (bytes, name) =>
      inspected(() => {
        const { kind, description } = detectImage(bytes, name, 'auto');
        return { kind, description };
      }),
    // It lies beside the partition's RAM.
    inspectFirmware: (bytes, name) => inspected(() => ({ kind: 'firmware', description: describeFirmware(bytes, name), footprint: 0 })),
    path: (reference) => resolve(folder, reference),
    inspectMedium: (reference) => inspectBlockFile(resolve(folder, reference)),
    inspectDisk: ({ image, overlay }, access) => inspectDisk(resolve(folder, image), overlay === undefined ? undefined : resolve(folder, overlay), access),
    inspectRecording: (path) => recordingProblem(path),
    inspectInitrd: (bytes) => describeInitrd(bytes),
  };
}

function inspected(look: () => ImageDescription): ImageDescription | ImageRefusal {
  try {
    return look();
  } catch (error) {
    return { problem: reasonOf(error), hint: error instanceof BulkheadError ? error.hint : undefined };
  }
}

function packaged(name: string, role: ImageRole): ImageFile {
  const file = locatePackagedImage(name, role);
  switch (file.status) {
    case 'ready':
      return fileAt(file.path);
    case 'pending':
      return { status: 'pending', path: file.path, reason: `package:${name} has not been fetched yet` };
    case 'unknown':
      return {
        status: 'missing',
        reason: `there is no packaged ${role} \`${name.slice(0, 40)}\``,
        hint: `known: ${file.known.map((known) => `package:${known}`).join(', ')}`,
      };
  }
}

function fileAt(path: string): ImageFile {
  try {
    const status = statSync(path);
    if (!status.isFile()) return { status: 'missing', reason: `${path} is no file` };
    // Read now, not when asked: what cannot be read is found here, where it can be said.
    const bytes = readFileSync(path);
    return { status: 'found', path, size: bytes.length, read: () => bytes };
  } catch (error) {
    return { status: 'missing', reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'it is a folder';
  return error instanceof Error ? error.message : String(error);
}
