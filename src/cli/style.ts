/** Colour for people: only where a person looks, and never where NO_COLOR asks for none. */
import { styleText } from 'node:util';
import type { CliIo, TextSink } from './command.ts';

type Format = Parameters<typeof styleText>[0];
export type Paint = (format: Format, text: string) => string;

export function paintFor(sink: TextSink, environment: CliIo['environment']): Paint {
  const refused = environment['NO_COLOR'] !== undefined && environment['NO_COLOR'] !== '';
  if (refused || environment['TERM'] === 'dumb' || !sink.isTTY) return (_, text) => text;
  return (format, text) => styleText(format, text, { validateStream: false });
}
