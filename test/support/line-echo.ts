// What stands at the other end of a serial line: it sends back every byte, as soon as it is there.
import { closeSync, constants, createReadStream, openSync, writeSync } from 'node:fs';

const RETRY_MS = 20;

/** Opens the pseudo-terminal `path` once there is one. */
export function lineEcho(path: string): Disposable {
  let file: number | undefined;
  let closed = false;
  const open = (): void => {
    if (closed) return;
    try {
      file = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
    } catch {
      setTimeout(open, RETRY_MS);
      return;
    }
    const own = file;
    const stream = createReadStream('', { fd: own, autoClose: false, highWaterMark: 256 });
    stream.on('data', (bytes) => void writeSync(own, bytes as Buffer));
    stream.on('error', () => undefined);
  };
  open();
  return {
    [Symbol.dispose]() {
      closed = true;
      if (file !== undefined) closeSync(file);
    },
  };
}
