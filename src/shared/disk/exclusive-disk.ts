/**
 * A disk that one partition has to itself: the port and the broker of a shared one, with nothing between them. A request is carried out in
 * the partition's own thread, while its processor waits, and answered at its next instruction: no other thread is woken, no other partition
 * is asked, and with the same image the same instructions see the same answers in every run.
 */
import type { Clock, DiskSource, Grant, ImageFiles } from '../../contracts/index.ts';
import type { ServedPort } from '../broker.ts';
import { DiskBroker } from './disk-broker.ts';
import { createDiskPort, DiskEnd } from './disk-end.ts';

export interface ExclusiveDiskOptions {
  readonly name: string;
  readonly grant: Grant;
  readonly source: Pick<DiskSource, 'image' | 'overlay'>;
  readonly files: ImageFiles;
  readonly clock: Clock;
}

/** The disk's end for its device. Throws what {@link DiskBroker} throws. */
export function openExclusiveDisk({ name, grant, source, files, clock }: ExclusiveDiskOptions): DiskEnd {
  const port = createDiskPort(grant.depth);
  // Nobody sleeps on it.
  const alarm = new Int32Array(new SharedArrayBuffer(4));
  const disk = new DiskBroker({ name, source, ports: [{ grant, device: name, port, alarm }], files });
  const served = disk.ports[0] as ServedPort;
  let answer: Disposable | undefined;
  let flush: Disposable | undefined;
  const serve = (): void => {
    served.poll();
    while (served.cost() > 0) served.serve();
    answer ??= clock.at(clock.now(), () => {
      answer = undefined;
      end.admit();
    });
    rest();
  };
  /** What a broker's thread does when nobody wants anything any more; its time is the partition's. */
  const rest = (): void => {
    const delay = disk.idle(clock.now());
    if (delay === Number.POSITIVE_INFINITY) return;
    flush ??= clock.at(clock.now() + delay, () => {
      flush = undefined;
      rest();
    });
  };
  served.poll();
  const end: DiskEnd = new ExclusiveDiskEnd({ resource: name, port, alarm }, serve, () => {
    answer?.[Symbol.dispose]();
    flush?.[Symbol.dispose]();
    disk[Symbol.dispose]();
  });
  return end;
}

class ExclusiveDiskEnd extends DiskEnd {
  readonly #close: () => void;

  constructor(port: ConstructorParameters<typeof DiskEnd>[0], wake: () => void, close: () => void) {
    super(port, wake);
    this.#close = close;
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#close();
  }
}
