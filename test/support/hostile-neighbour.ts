/** A Worker that is the worst neighbour one can have at something shared: it misuses it in one way, without a pause, until it is ended. */
import { randomFillSync } from 'node:crypto';
import { workerData } from 'node:worker_threads';
import { ByteRing, ms, ring } from '../../src/base/index.ts';
import type { Clock, LinkedPort, Nanos } from '../../src/contracts/index.ts';
import { EntropyEnd, NetworkEnd, VirtioRng } from '../../src/shared/index.ts';
import { counting, EVERYONE, frame } from '../../src/shared/ethernet/testing.ts';
import { overPci, VirtioDriver } from '../../src/shared/virtio/testing.ts';

export type NetworkMisuse = 'short frames to a neighbour' | 'broadcasts' | 'frames to nobody' | 'another’s address' | 'resets';

export type HostileStart = { /** Word 0 counts rounds. */ readonly rounds: Int32Array } & (
  | { readonly kind: 'network'; readonly port: LinkedPort; readonly misuse: NetworkMisuse; readonly self: number; readonly victim: number }
  | { readonly kind: 'entropy'; readonly port: LinkedPort }
  | { readonly kind: 'console'; readonly output: SharedArrayBuffer }
);

const start = workerData as HostileStart;

/** The host's time, as a partition's: what is due goes off between two rounds. */
class HostClock implements Clock {
  readonly #due = new Set<{ readonly deadline: Nanos; readonly fire: () => void }>();

  now(): Nanos {
    return performance.now() * ms;
  }

  at(deadline: Nanos, fire: () => void): Disposable {
    const entry = { deadline, fire };
    this.#due.add(entry);
    return { [Symbol.dispose]: () => void this.#due.delete(entry) };
  }

  advance(): void {
    for (const entry of this.#due) {
      if (entry.deadline > this.now()) continue;
      this.#due.delete(entry);
      entry.fire();
    }
  }
}

switch (start.kind) {
  case 'network': {
    const { port, misuse, self, victim, rounds } = start;
    const end = new NetworkEnd(port.port, 256, () => ring(port.alarm));
    const frames: Readonly<Record<NetworkMisuse, Uint8Array>> = {
      'short frames to a neighbour': frame(victim, self, 0x88b5, [1]),
      broadcasts: frame(EVERYONE, self, 0x88b5, counting(60)),
      'frames to nobody': frame(0x0200_0000_4444, self, 0x88b5, counting(1400)),
      'another’s address': frame(victim, self + 1, 0x88b5, counting(60)),
      resets: frame(victim, self, 0x88b5, counting(100)),
    };
    for (;;) {
      Atomics.add(rounds, 0, 1);
      end.admit();
      for (let count = 0; count < 256 && end.send(frames[misuse]); count++);
      if (misuse === 'resets' && end.connected) end.begin();
    }
  }
  case 'entropy': {
    const source = new EntropyEnd(start.port, (target) => void randomFillSync(target));
    const clock = new HostClock();
    const device = new VirtioRng(source, clock);
    const driver = VirtioDriver.on(device, overPci).start(0n, 64);
    for (let waiting = 0; ; ) {
      Atomics.add(start.rounds, 0, 1);
      for (; waiting < 32; waiting++) driver.queue(0).send({ writable: [4096] });
      clock.advance();
      waiting -= driver.queue(0).take().length;
    }
  }
  case 'console': {
    const output = ByteRing.over(start.output);
    for (;;) {
      Atomics.add(start.rounds, 0, 1);
      for (const letter of 'all work and no play\n') output.pushByteDroppingOldest(letter.charCodeAt(0));
    }
  }
}
