/**
 * The interpreter's module as bytes. In the bundled program (scripts/bundle.mjs) what this function returns stands in this file's place,
 * because writing it takes as long as everything else before a guest's first instruction.
 */
import { INSTRUCTIONS } from '../x86/instructions.ts';
import { createHandlers } from './handlers.ts';
import { writeInterpreter } from './interpreter.ts';

export function interpreterBytes(): Uint8Array<ArrayBuffer> {
  return writeInterpreter(createHandlers(INSTRUCTIONS));
}
