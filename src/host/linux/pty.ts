/**
 * A console as a pseudo-terminal: programs that want a serial port (minicom, a test script) open it by a path of the user's choice, which
 * is a link to it.
 *
 * We keep the other side open ourselves, so that programs may come and go, and in raw mode, so that it carries bytes as they are.
 *
 * Spec: pty(7), termios(3).
 * Not modelled: packet mode, baud rates.
 */
import { closeSync, constants, lstatSync, openSync, readlinkSync, rmSync, symlinkSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { BulkheadError } from '../../base/index.ts';
import { libc } from './koffi.ts';

/** struct termios of the C library: no host has a larger one. */
const TERMIOS_BYTES = 256;
const TCSANOW = 0;
const NAME_BYTES = 128;
/** What is kept for a reader that does not read. */
const BACKLOG_BYTES = 64 * 1024;
/** Until a full terminal is tried again. */
const RETRY_MS = 20;

export interface Pty extends Disposable {
  /** `/dev/pts/7`. */
  readonly device: string;
  /** Never waits: what nobody reads in time is given up. */
  write(bytes: Uint8Array): void;
  pause(): void;
  resume(): void;
}

/** A pseudo-terminal in raw mode, both of its sides open, and a link to it. */
export interface Terminal extends Disposable {
  /** Descriptor of our side: neither reading nor writing waits. */
  readonly master: number;
  /** `/dev/pts/7`. */
  readonly device: string;
}

/** Makes a pseudo-terminal and `link` to it. Throws BH660 when there can be none, BH631 without koffi. Disposing leaves {@link Terminal.master} open. */
export function openTerminal(link: string): Terminal {
  const { library } = libc();
  const grant = library.func('int grantpt(int fd)');
  const unlock = library.func('int unlockpt(int fd)');
  const nameOf = library.func('int ptsname_r(int fd, _Out_ uint8_t *name, size_t size)');
  const getAttributes = library.func('int tcgetattr(int fd, _Out_ uint8_t *termios)');
  const makeRaw = library.func('void cfmakeraw(_Inout_ uint8_t *termios)');
  const setAttributes = library.func('int tcsetattr(int fd, int actions, const uint8_t *termios)');
  const files: number[] = [];
  const opened = (path: string): number => {
    const file = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    files.push(file);
    return file;
  };
  try {
    const master = opened('/dev/ptmx');
    const name = new Uint8Array(NAME_BYTES);
    if (grant(master) !== 0 || unlock(master) !== 0 || nameOf(master, name, NAME_BYTES) !== 0) throw new Error('no pseudo-terminal is left');
    const device = Buffer.from(name.subarray(0, name.indexOf(0))).toString();
    const slave = opened(device);
    const termios = new Uint8Array(TERMIOS_BYTES);
    if (getAttributes(slave, termios) !== 0) throw new Error('its mode cannot be read');
    makeRaw(termios);
    if (setAttributes(slave, TCSANOW, termios) !== 0) throw new Error('its mode cannot be set');
    removeOwnLink(link);
    symlinkSync(device, link);
    return {
      master,
      device,
      [Symbol.dispose]() {
        closeSync(slave);
        removeOwnLink(link);
      },
    };
  } catch (cause) {
    for (const file of files) closeSync(file);
    throw new BulkheadError('BH660', `the console cannot be reached by pty ${link}: ${(cause as Error).message}`, { cause, hint: 'choose another path' });
  }
}

/** The terminal in a thread with an event loop; `typed` hears what is typed there. Throws what {@link openTerminal} throws. */
export function openPty(link: string, typed: (bytes: Uint8Array) => void): Pty {
  const terminal = openTerminal(link);
  const { master, device } = terminal;
  const stream = new ReadStream(master);
  stream.on('data', (bytes: Buffer) => typed(bytes));
  stream.on('error', () => undefined);
  // Streams of Node write to a terminal without asking whether it is ready: with nobody at the other end, that waits for ever.
  let waiting: Buffer = Buffer.alloc(0);
  let retry: NodeJS.Timeout | undefined;
  const flush = (): void => {
    retry = undefined;
    try {
      while (waiting.length > 0) waiting = waiting.subarray(writeSync(master, waiting));
    } catch {
      retry = setTimeout(flush, RETRY_MS);
      retry.unref();
    }
  };
  return {
    device,
    write(bytes) {
      if (waiting.length + bytes.length > BACKLOG_BYTES) return;
      waiting = Buffer.concat([waiting, bytes]);
      if (retry === undefined) flush();
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    [Symbol.dispose]() {
      clearTimeout(retry);
      stream.destroy();
      terminal[Symbol.dispose]();
    },
  };
}

/** A link to a pseudo-terminal is ours, from now or from a process that was killed; anything else stays. */
function removeOwnLink(link: string): void {
  const found = lstatSync(link, { throwIfNoEntry: false });
  if (found?.isSymbolicLink() && readlinkSync(link).startsWith('/dev/pts/')) rmSync(link, { force: true });
}
