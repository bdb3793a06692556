// Two vCPUs on threads of their own, each on an engine and in a memory of its own, at the same shared words: nothing is lost, nothing torn.
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { share, type SharingStart } from './support/sharing-vcpu.ts';

const ROUNDS = 30_000;
const PROGRAM = new URL('./support/sharing-vcpu.ts', import.meta.url);

const hex = (code: string): number[] => code.trim().split(/\s+/).map((byte) => Number.parseInt(byte, 16));

/** Here and in another thread at once. */
async function both(here: SharingStart, there: SharingStart = here): Promise<{ eax: number; retired: number }[]> {
  const worker = new Worker(PROGRAM, { workerData: there });
  let failure: unknown;
  const answer = new Promise<{ eax: number; retired: number }>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', (error) => {
      failure = error;
      reject(error);
    });
  });
  // It is at work before we begin.
  const words = new Int32Array(here.memory);
  while (Atomics.load(words, 15) === 0 && failure === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  return failure === undefined ? [share(here), await answer] : [await answer];
}

/** mov dword [edi+60], 1 comes first: it is at work. */
const started = 'c7 47 3c 01 00 00 00';

describe('two vCPUs at the same words', () => {
  it(`lose none of ${2 * ROUNDS} additions with LOCK`, async () => {
    const memory = new SharedArrayBuffer(4096);
    // again: lock inc dword [edi]; dec ecx; jnz again
    await both({ memory, code: hex(`${started} f0 ff 07 49 75 fa eb fe`), rounds: ROUNDS });
    expect(new Uint32Array(memory)[0]).toBe(2 * ROUNDS);
  });

  it(`lose none of ${2 * ROUNDS} that plain loads and stores make under a spin lock`, async () => {
    const memory = new SharedArrayBuffer(4096);
    // again: mov eax,1; xchg [edi],eax; test eax,eax; jnz again; mov eax,[edi+4]; inc eax; mov [edi+4],eax; mov dword [edi],0; dec ecx; jnz again
    const code = hex(`${started} b8 01 00 00 00 87 07 85 c0 75 f5 8b 47 04 40 89 47 04 c7 07 00 00 00 00 49 75 e5 eb fe`);
    await both({ memory, code, rounds: ROUNDS });
    expect([...new Uint32Array(memory, 0, 2)]).toEqual([0, 2 * ROUNDS]);
  });

  it('lose none with CMPXCHG8B on both halves', async () => {
    const memory = new SharedArrayBuffer(4096);
    // load: mov eax,[edi]; mov edx,[edi+4]; mov ebx,eax; inc ebx; push ecx; mov ecx,edx; inc ecx; lock cmpxchg8b [edi]; pop ecx; jnz load; dec ecx; jnz load
    const code = hex(`${started} 8b 07 8b 57 04 89 c3 43 51 89 d1 41 f0 0f c7 0f 59 75 ed 49 75 ea eb fe`);
    await both({ memory, code, rounds: ROUNDS / 3 });
    expect([...new Uint32Array(memory, 0, 2)]).toEqual([(2 * ROUNDS) / 3, (2 * ROUNDS) / 3]);
  });

  it('never see half of an aligned store of 8 bytes', async () => {
    const memory = new SharedArrayBuffer(4096);
    // writer: pxor xmm0,xmm0 / pcmpeqd xmm1,xmm1; again: movq [edi],xmm0; movq [edi],xmm1; dec ecx; jnz again
    const writer = hex(`${started} 66 0f ef c0 66 0f 76 c9 66 0f d6 07 66 0f d6 0f 49 75 f5 eb fe`);
    // reader: again: movq xmm2,[edi]; movd ebx,xmm2; psrlq xmm2,32; movd edx,xmm2; cmp ebx,edx; je fine; inc eax; fine: dec ecx; jnz again
    const reader = hex('f3 0f 7e 17 66 0f 7e d3 66 0f 73 d2 20 66 0f 7e d2 39 d3 74 01 40 49 75 e7 eb fe');
    const [read] = await both({ memory, code: reader, rounds: ROUNDS }, { memory, code: writer, rounds: ROUNDS * 2 });
    expect(read?.eax).toBe(0);
  });
});
