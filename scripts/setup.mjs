/**
 * Makes a checkout ready to run: dependencies as the lock file has them, and the pinned Node.
 * Plain JavaScript without dependencies, because it runs before either exists, on any Node from 20 on.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const BIN = join(ROOT, 'node_modules', '.bin');
const PINNED_NODE = join(BIN, 'node');
/** Sources are TypeScript that Node runs directly: without a flag from Node 24 on. */
const NODE_MAJOR = 24;

function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages ?? {};
  } catch {
    return undefined;
  }
}

/**
 * What is missing or of another version than the lock file says, in words; undefined when all is in place.
 * npm notes what it installed in node_modules/.package-lock.json; optional packages may rightly be absent there.
 */
export function staleDependency() {
  const wanted = readLock(join(ROOT, 'package-lock.json'));
  const installed = readLock(join(ROOT, 'node_modules', '.package-lock.json'));
  if (wanted === undefined) return 'package-lock.json cannot be read';
  if (installed === undefined) return 'node_modules is missing';
  for (const [path, entry] of Object.entries(wanted)) {
    const found = installed[path];
    if (path === '' || (entry.optional && found === undefined)) continue;
    if (found === undefined) return `${path} is missing`;
    if (found.version !== entry.version) return `${path} is ${found.version}, not ${entry.version}`;
  }
  return nodePath() === undefined ? `Node ${NODE_MAJOR} is missing` : undefined;
}

/** The Node that runs our sources: the pinned one, else the one running now if it is new enough, else undefined. */
export function nodePath() {
  if (existsSync(PINNED_NODE)) return PINNED_NODE;
  return Number(process.versions.node.split('.')[0]) >= NODE_MAJOR ? process.execPath : undefined;
}

/** Runs `npm ci` with its output shown when dependencies are missing or stale. Resolves to the Node to use; ends the process when there is none. */
export async function ensureDependencies() {
  const reason = staleDependency();
  if (reason !== undefined) {
    say(`setting up: ${reason}; running npm ci (about 150 MB on disk)`);
    const started = Date.now();
    const status = await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=http']);
    if (status !== 0) fail(`npm ci failed with status ${status}. Is the package registry within reach?`);
    say(`dependencies are in place after ${((Date.now() - started) / 1000).toFixed(1)} s`);
  }
  const node = nodePath();
  if (node === undefined) {
    fail(`Bulkhead needs Node ${NODE_MAJOR}, and no pinned one is published for ${process.platform}-${process.arch}: install Node ${NODE_MAJOR} and try again.`);
  }
  return node;
}

/** Runs a command with our terminal, the pinned tools first on PATH and signals passed on. Resolves to its exit status, as a shell would give it. */
export function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: 'inherit',
      env: { ...machineEnvironment(), ...process.env, PATH: `${BIN}${delimiter}${process.env.PATH ?? ''}` },
    });
    passSignals(child);
    child.on('error', (error) => {
      say(`cannot run ${command}: ${error.message}`);
      resolve(127);
    });
    child.on('exit', (status, signal) => resolve(status ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

/**
 * The child decides what a signal means and how long its orderly stop takes; we only wait for it.
 * ^C in a terminal reaches the whole foreground group, the child included, so there SIGINT is swallowed, not sent twice.
 */
export function passSignals(child) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
}

export function say(message) {
  process.stderr.write(`bulkhead: ${message}\n`);
}

function fail(message) {
  say(message);
  process.exit(1);
}

/**
 * For the process of a machine. The C library gives each thread an arena of its own, and what V8's compilers have freed stays in those of all
 * their threads: with one arena for all a guest's machine takes a fifth less memory; in huge pages it takes a tenth less processor time until
 * the guest's first line, because every page fault less is one. What Node makes of our sources is kept for the next time.
 */
export function machineEnvironment() {
  const cache = cacheFolder();
  const compiled = cache === undefined ? undefined : madeFolder(join(cache, 'compiled'));
  return { MALLOC_ARENA_MAX: '1', GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1', ...(compiled === undefined ? {} : { NODE_COMPILE_CACHE: compiled }) };
}

/** Where we keep what can be made again; undefined where there can be no such folder. */
export function cacheFolder() {
  return madeFolder(resolve(process.env.BULKHEAD_CACHE ?? join(ROOT, '.cache')));
}

/** Not with its parents: Node would try that for ever in some places (below /proc, for one). */
function madeFolder(path) {
  try {
    if (!existsSync(path)) mkdirSync(path);
    return path;
  } catch {
    return undefined;
  }
}
