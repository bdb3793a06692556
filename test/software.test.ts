// Programs that people know, from Debian's packages, in a guest: they print what they print on the host. The long runs are bench/software.ts.
import { describe, expect, it } from 'vitest';
import { packageFile } from '../src/host/node/packages.ts';
import { kernelNamed } from './software/kernels.ts';
import { loadNamed, prepare } from './software/loads.ts';
import { runInGuest, runNatively, whyNotNative } from './software/run.ts';
import { faultsOf } from './software/verdict.ts';
import { ifAvailable } from './support/packages.ts';

/** Five times what it takes. */
const INSTRUCTIONS = 20e9;
const TIMEOUT = 600_000;

const kernel = kernelNamed('6.1 cloud-amd64');
const load = loadNamed('slice');
const images = await ifAvailable('OpenSSL and perl in a guest', async () => ({
  kernel: await packageFile(kernel.package, kernel.architecture, 'boot/vmlinuz-*'),
  prepared: await prepare(load, kernel.architecture),
}));
const refusal = images === undefined ? undefined : whyNotNative(images.prepared);
if (refusal !== undefined) console.warn(`skipped: OpenSSL and perl in a guest: the host cannot run them for comparison: ${refusal}`);

describe.skipIf(images === undefined || refusal !== undefined)('OpenSSL and perl in a guest', () => {
  it('print what they print on the host, byte for byte, and the kernel has nothing to complain about', { timeout: TIMEOUT }, async () => {
    const { prepared, kernel } = images!;
    const expected = await runNatively(prepared);
    expect(expected.status).toBe(0);
    expect(expected.output).toMatch(/^Verified OK$[\s\S]*^27 files, \d{5} tests passed, 0 files bad$/m);
    const outcome = runInGuest(prepared, { kernel, cpus: 1, instructionsPerMicrosecond: 1000, instructions: INSTRUCTIONS });
    expect(faultsOf(outcome, expected)).toEqual([]);
    expect(outcome.output).toBe(expected.output);
  });
});
