/** The C library, through koffi: an optional dependency, loaded when something needs the host itself. */
import { createRequire } from 'node:module';
import { BulkheadError } from '../../base/index.ts';

type Koffi = typeof import('koffi');

/** Throws BH631 with what to do when koffi is not installed or does not run here. */
export function libc(): { readonly koffi: Koffi; readonly library: ReturnType<Koffi['load']> } {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    return { koffi, library: koffi.load('libc.so.6') };
  } catch (cause) {
    throw new BulkheadError('BH631', `the C library cannot be called: ${(cause as Error).message}`, {
      cause,
      hint: 'the package koffi, an optional dependency, is needed: `npm install` without `--omit=optional`',
    });
  }
}
