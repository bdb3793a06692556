/** A thread that waits for a file of the host, a TAP interface or a terminal: what one read gives goes into the ring as a frame, a ring of the alarm, and again. It is terminated from outside. */
import { readSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { FrameRing } from '../../base/index.ts';
import { libc } from './koffi.ts';

/** What the thread is started with. */
export interface FileReaderStart {
  /** Descriptor; reading it never waits. */
  readonly file: number;
  readonly frames: SharedArrayBuffer;
  /** Rung after each burst; the partition sleeps on it. */
  readonly alarm: Int32Array;
}

const POLLIN = 1;
/** A thread in a system call cannot be terminated: it comes up for air this often. */
const PATIENCE_MS = 200;
const LONGEST_FRAME = 9216;

const { file, frames, alarm } = workerData as FileReaderStart;
const ring = FrameRing.over(frames);
const { library } = libc();
const poll = library.func('int poll(void *fds, unsigned long count, int timeout)');
/** struct pollfd: the file, the events wanted, the events that came. */
const request = new DataView(new ArrayBuffer(8));
request.setInt32(0, file, true);
request.setInt16(4, POLLIN, true);
const bytes = new Uint8Array(request.buffer);
const frame = new Uint8Array(LONGEST_FRAME);

for (;;) {
  request.setInt16(6, 0, true);
  poll(bytes, 1, PATIENCE_MS);
  if (!(request.getInt16(6, true) & POLLIN)) continue;
  for (let length = read(); length > 0; length = read()) {
    if (!ring.push(frame.subarray(0, length))) ring.countRefusal();
  }
  Atomics.add(alarm, 0, 1);
  Atomics.notify(alarm, 0);
}

function read(): number {
  try {
    return readSync(file, frame);
  } catch {
    return 0; // EAGAIN: there is none
  }
}
