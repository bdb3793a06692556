/**
 * A hostile guest at a shared disk, in a thread of its own as a partition is: a driver of our test kit that misuses its device in one way, as
 * fast as it can, until its thread is ended. It counts its rounds, so that a test can see that it was at work.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { LinkedPort } from '../../src/contracts/index.ts';
import { VirtioBlk } from '../../src/shared/disk/virtio-blk.ts';
import { DiskEnd } from '../../src/shared/disk/disk-end.ts';
import { DESCRIPTOR_NEXT, DESCRIPTOR_WRITE, overPci, VirtioDriver } from '../../src/shared/virtio/testing.ts';

export type Misuse = 'flood' | 'flush storm' | 'stall' | 'reset storm' | 'broken rings' | 'death';

export interface HostileStart {
  readonly port: LinkedPort;
  readonly misuse: Misuse;
  /** Word 0 counts rounds. */
  readonly rounds: Int32Array;
}

const F_FLUSH = 1n << 9n;
const SECTORS_PER_REQUEST = 256;

function header(type: number, sector = 0): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[0] = type;
  new DataView(bytes.buffer).setUint32(8, sector, true);
  return bytes;
}

async function misuse({ port, misuse: how, rounds }: HostileStart): Promise<void> {
  const end = new DiskEnd(port).awaitBroker();
  const driver = VirtioDriver.on(new VirtioBlk(end, 1), overPci).start(F_FLUSH, 64);
  const data = new Uint8Array(SECTORS_PER_REQUEST * 512).fill(0xee);
  for (let round = 0; ; round++) {
    Atomics.add(rounds, 0, 1);
    const queue = driver.queue(0);
    switch (how) {
      case 'flood':
        queue.add({ readable: [header(1, (round % 8) * SECTORS_PER_REQUEST), data], writable: [1] });
        break;
      case 'flush storm':
        queue.add({ readable: [header(1, round % 512), data.subarray(0, 512)], writable: [1] });
        queue.add({ readable: [header(4)], writable: [1] });
        break;
      case 'stall':
      case 'death':
        // Asks for all there is, and never looks at an answer.
        for (let request = 0; request < 8; request++) queue.add({ readable: [header(0, request)], writable: [65_536, 1] });
        break;
      case 'reset storm':
        for (let request = 0; request < 4; request++) queue.add({ readable: [header(1, request * 64), data.subarray(0, 32_768)], writable: [1] });
        driver.access.notify(0);
        driver.start(F_FLUSH, 64);
        break;
      case 'broken rings':
        queue.describe(0, 0xffff_f000, 0xffff_ffff, DESCRIPTOR_NEXT | (round & 1 ? DESCRIPTOR_WRITE : 0), round % 3);
        queue.describe(1, 0x1000, 16, DESCRIPTOR_NEXT, 0);
        queue.offer(round & 1);
        driver.access.notify(0);
        if ((driver.access.status() & 64) !== 0) driver.start(F_FLUSH, 64);
        break;
    }
    if (how !== 'broken rings') driver.access.notify(0);
    if (how === 'stall' || how === 'death') await new Promise((resolve) => setTimeout(resolve, 1));
    else end.admit();
    queue.take();
    // Events of the thread are heard now and then, as a partition hears its machine.
    if (round % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

if (parentPort !== null) await misuse(workerData as HostileStart);
