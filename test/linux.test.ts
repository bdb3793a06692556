// Debian's stock kernels, unmodified, on the software engine: they come up to a shell, compute what they should, and do so the same way every time.
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { linuxImages } from '../src/host/node/initramfs.ts';
import { CHOOSABLE_FEATURES, featuresOf } from '../src/x86/features.ts';
import { Linux } from './support/linux.ts';
import { ifAvailable } from './support/packages.ts';

/** A boot is half a billion instructions; this allows for a machine that has other things to do. */
const BOOT_TIMEOUT = 300_000;
const COMPLAINTS = /Kernel panic|BUG:|Oops|WARNING:|Call Trace|unstable|not responding|soft lockup/;

const SYSTEMS = [
  { architecture: 'amd64', cpus: 2, kernel: 'cloud-amd64', machine: 'x86_64', flags: ['lm', 'nx', 'sse2', 'apic'] },
  { architecture: 'i386', cpus: 1, kernel: '686-pae', machine: 'i686', flags: ['pae', 'nx', 'sse2', 'apic'] },
] as const;

/** Numbers and the sums of their squares, as awk prints them. */
function sumsOfSquares(count: number): string {
  let sum = 0;
  let text = '';
  for (let i = 1; i <= count; i++) {
    sum += i * i;
    text += `${i} ${sum}\n`;
  }
  return text;
}

/** Values that need all of a double's 53 bits, and the rounding of each operation. */
function quotients(count: number): string {
  let x = 1;
  let text = '';
  for (let i = 1; i <= count; i++) {
    x = x / 3 + i * 0.7;
    text += `${x.toFixed(12)}\n`;
  }
  return text;
}

function cpuinfo(text: string): ReadonlyMap<string, string>[] {
  const blocks = text.split('\n\n').filter((block) => block.trim() !== '');
  return blocks.map((block) => new Map(block.split('\n').map((line) => line.split(/\s*:\s?/, 2) as [string, string])));
}

for (const { architecture, cpus, kernel, machine, flags } of SYSTEMS) {
  const images = await ifAvailable(`Debian for ${architecture}`, () => linuxImages(architecture));

  describe.skipIf(images === undefined)(`Debian for ${architecture} with ${cpus} vCPU${cpus > 1 ? 's' : ''}`, () => {
    let linux: Linux;
    beforeAll(() => {
      linux = new Linux(images!, cpus);
    }, BOOT_TIMEOUT);

    it('comes up to a shell with nothing to complain about', () => {
      expect(linux.boot.console).toMatch(new RegExp(`^Linux 6\\.1\\.\\d+-\\d+-${kernel} on ${machine}, ${cpus} processor\\(s\\), 2\\d\\d MiB$`, 'm'));
      expect(linux.boot.console).not.toMatch(COMPLAINTS);
      expect(linux.guest.log.filter((line) => /undefined instruction|not implemented/.test(line))).toEqual([]);
    });

    it('has every processor online', () => {
      expect(linux.shell('nproc')).toBe(`${cpus}\n`);
      expect(linux.shell('cat /sys/devices/system/cpu/online')).toBe(cpus === 1 ? '0\n' : `0-${cpus - 1}\n`);
      expect(linux.shell('uname -m')).toBe(`${machine}\n`);
    });

    it('finds the processors it was given', () => {
      const processors = cpuinfo(linux.shell('cat /proc/cpuinfo'));
      expect(processors.map((info) => [info.get('processor'), info.get('apicid')])).toEqual(Array.from({ length: cpus }, (_, id) => [`${id}`, `${id}`]));
      for (const info of processors) {
        expect(info.get('model name')).toContain('Bulkhead');
        expect(info.get('cpu cores')).toBe(`${cpus}`);
        expect(info.get('bugs')).toBe('');
        expect(info.get('flags')?.split(' ')).toEqual(expect.arrayContaining([...flags, 'fpu', 'tsc', 'hypervisor']));
        // Two loops for each tick of a clock that says 1 GHz: the guest has measured, or been told, the right frequency.
        expect(Number(info.get('cpu MHz'))).toBeCloseTo(1000, -1);
      }
    });

    it('comes up on the least processor that can be chosen, and misses nothing that it has not', { timeout: BOOT_TIMEOUT }, () => {
      const features = featuresOf('x86-64', Object.fromEntries(CHOOSABLE_FEATURES.map((name) => [name, false])));
      const least = new Linux(images!, 1, { features });
      expect(least.boot.console).not.toMatch(COMPLAINTS);
      expect(least.guest.log.filter((line) => /undefined instruction/.test(line))).toEqual([]);
      const found = cpuinfo(least.shell('cat /proc/cpuinfo'))[0]?.get('flags')?.split(' ') ?? [];
      expect(found).toEqual(expect.arrayContaining([...flags]));
      expect(found.filter((flag) => CHOOSABLE_FEATURES.includes(flag))).toEqual([]);
    });

    it('works on all of its processors at once', () => {
      const work = (): number[] => linux.guest.partition.registers().map(({ retired }) => retired);
      const before = work();
      const loop = '(i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done; echo $i)';
      expect(linux.shell(`${Array.from({ length: cpus }, () => `${loop} &`).join(' ')} wait`)).toBe('2000\n'.repeat(cpus));
      for (const [id, retired] of work().entries()) expect(retired - (before[id] as number), `vCPU ${id}`).toBeGreaterThan(1e6);
    });

    it('computes what Node computes: awk, sha256sum and gzip in a pipeline', () => {
      const expected = sumsOfSquares(500);
      const digest = createHash('sha256').update(expected).digest('hex');
      linux.shell("seq 1 500 | awk '{ s += $1 * $1; print $1, s }' > /tmp/sums");
      expect(linux.shell('sha256sum < /tmp/sums')).toBe(`${digest}  -\n`);
      expect(linux.shell('gzip -9 -c /tmp/sums | gzip -d -c | sha256sum')).toBe(`${digest}  -\n`);
      const compressed = Buffer.from(linux.shell('gzip -9 -c /tmp/sums | base64'), 'base64');
      expect(compressed.length).toBeLessThan(expected.length * 0.6);
      expect(gunzipSync(compressed).toString('latin1')).toBe(expected);
    });

    it('computes with fractions as Node does', () => {
      expect(linux.shell(`awk 'BEGIN { x = 1; for (i = 1; i <= 50; i++) { x = x / 3 + i * 0.7; printf "%.12f\\n", x } }'`)).toBe(quotients(50));
    });

    it('boots the same way twice: every byte on its console, and the number of instructions', { timeout: BOOT_TIMEOUT }, () => {
      expect(new Linux(images!, cpus).boot).toEqual(linux.boot);
    });

    it('powers off when told so', () => {
      linux.guest.type('poweroff -f\r');
      linux.guest.run({ instructions: 1e9 });
      expect(linux.guest.partition.end).toEqual({ state: 'halted', reason: 'power-off' });
    });
  });
}
