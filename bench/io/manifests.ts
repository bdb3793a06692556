/** The machines that bench/io.ts runs: two partitions with the same device, which each has to itself or both share. */
import { join } from 'node:path';

export const DEVICES = ['disk', 'ethernet', 'line', 'timer'] as const;
export type MeasuredDevice = (typeof DEVICES)[number];
export type Way = 'exclusive' | 'shared';

export interface Surroundings {
  /** Where images and the links to pseudo-terminals are. */
  readonly folder: string;
  /** For each partition: an interface of the host, its address there and the guest's. */
  readonly taps: readonly { readonly name: string; readonly host: string; readonly guest: string }[];
  readonly count: number;
}

const GUEST = join(import.meta.dirname, '../../guests/rtos/images/io.elf');
const STOPWATCH = join(import.meta.dirname, 'stopwatch.ts');

/** Nobody, or the partition `other`, which does the same without end. */
export function manifestOf(device: MeasuredDevice, way: Way, isNoisy: boolean, surroundings: Surroundings): string {
  const names = isNoisy ? ['meter', 'noise'] : ['meter'];
  return `
version: 1
machine: io
board: { cores: 2, memory: 256MiB }
shared:${resourcesOf(device, way, names, surroundings)}
partitions:${names.map((name, index) => partition(name, index, device, way, surroundings)).join('')}
`;
}

/** One resource for all. Serial lines have ends of their own either way; what is shared is the machine's multiplexer. */
const isCommon = (device: MeasuredDevice, way: Way): boolean => way === 'shared' && device !== 'line';
/** The resource that stands behind a partition's device. */
const resourceFor = (device: MeasuredDevice, way: Way, index: number): string => (isCommon(device, way) ? 'thing' : `thing${index}`);

function resourcesOf(device: MeasuredDevice, way: Way, names: readonly string[], { folder, taps }: Surroundings): string {
  const grants = (users: readonly string[]): string => `grants: { ${users.map((user) => `${user}: {}`).join(', ')} }`;
  return (isCommon(device, way) ? [names] : names.map((name) => [name]))
    .map((users, index) => {
      const declared = {
        disk: `kind: disk, image: ${join(folder, `${way === 'shared' ? 'shared' : `own${index}`}.img`)}, ${
          users.length > 1 ? `grants: { meter: { window: { offset: 0, size: 64MiB } }, noise: { window: { offset: 64MiB, size: 64MiB } } }` : grants(users)}`,
        ethernet: `kind: ethernet, uplink: { tap: ${taps[index]?.name} }, ${grants(users)}`,
        line: `kind: console, ways: [{ pty: ${join(folder, `line${index}`)} }], ${grants(users)}`,
        timer: `kind: timer, ${grants(users)}`,
      }[device];
      return `\n  ${resourceFor(device, way, index)}: { ${declared} }`;
    })
    .join('');
}

function partition(name: string, index: number, device: MeasuredDevice, way: Way, { taps, count }: Surroundings): string {
  const behind = `${way}: ${resourceFor(device, way, index)}`;
  const measured = {
    disk: `thing: { ${behind} }`,
    ethernet: `thing: { model: e1000, ${behind} }`,
    line: `thing: { model: uart16550, ${behind} }`,
    timer: `thing: { model: hpet, ${behind} }`,
  }[device];
  // On a shared network both are on the first interface.
  const tap = taps[way === 'shared' ? 0 : index];
  const addresses = device === 'ethernet' && tap !== undefined ? ` address=${number(tap.guest, index)} peer=${number(tap.host)}` : '';
  return `
  ${name}:
    role: rtos
    cores: [${index}]
    memory: 16MiB
    speed: 1GIPS
    boot: { kernel: ${GUEST}, cmdline: 'do=${device} count=${count}${name === 'noise' ? ' noise=1' : ''}${addresses}' }
    devices:
      com1: { model: uart16550 }
      ${measured}
      stopwatch: { model: ${STOPWATCH} }
    console: com1`;
}

/** 10.0.0.1 as the guest wants it; `further`: an address so much higher. */
function number(address: string, further = 0): number {
  return address.split('.').reduce((value, part) => value * 256 + Number(part), 0) + further;
}
