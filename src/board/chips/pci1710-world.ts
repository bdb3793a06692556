/**
 * What a PCI-1710's terminals are connected to: the modelled world, described by a few words in the manifest. Every signal is a function
 * of the clock, so the same run gives the same samples.
 *
 *     sine:AMPLITUDE:HERTZ[:OFFSET]   also triangle and square; volts
 *     dc:VOLTS
 *     ao0, ao1                        wired back from an analog output
 */
import { BulkheadError, s } from '../../base/index.ts';
import type { Nanos } from '../../contracts/index.ts';

const NUMBER = '-?[0-9]{1,6}(\\.[0-9]{1,6})?';
const SIGNAL = `(sine|triangle|square):${NUMBER}:${NUMBER}(:${NUMBER})?|dc:${NUMBER}|ao[01]`;
/** Signals of the analog inputs from channel 0 on, parted by commas; an input without one is at 0 V. */
export const SIGNALS_PATTERN = `^((${SIGNAL})(,(${SIGNAL})){0,15})?$`;
/** `outputs`: wired back; `clock:HERTZ`: bit n toggles at that frequency divided by 2^n; else a constant. */
export const DIGITAL_PATTERN = `^(outputs|clock:${NUMBER}|0x[0-9a-fA-F]{1,4})$`;

/** Volts on an input at a time; `outputs` are the voltages of the two analog outputs. */
export type Signal = (now: Nanos, outputs: readonly number[]) => number;
export type DigitalInputs = (now: Nanos, outputs: number) => number;

/** Throws BH215. */
export function parseSignals(text: string): readonly Signal[] {
  if (!new RegExp(SIGNALS_PATTERN).test(text)) throw unreadable(text);
  return text === '' ? [] : text.split(',').map(signalOf);
}

function signalOf(text: string): Signal {
  const [shape = '', ...numbers] = text.split(':');
  const [first = 0, hertz = 0, offset = 0] = numbers.map(Number);
  switch (shape) {
    case 'sine':
      return (now) => offset + first * Math.sin(2 * Math.PI * phase(now, hertz));
    case 'triangle':
      return (now) => offset + first * (1 - 4 * Math.abs(phase(now, hertz) - 0.5));
    case 'square':
      return (now) => offset + (phase(now, hertz) < 0.5 ? first : -first);
    case 'dc':
      return () => first;
    default:
      return (_, outputs) => outputs[shape === 'ao1' ? 1 : 0] ?? 0;
  }
}

/** Throws BH215. */
export function parseDigitalInputs(text: string): DigitalInputs {
  if (!new RegExp(DIGITAL_PATTERN).test(text)) throw unreadable(text);
  if (text === 'outputs') return (_, outputs) => outputs;
  if (!text.startsWith('clock:')) return () => Number(text);
  const hertz = Number(text.slice('clock:'.length));
  return (now) => Math.floor(((now / s) * hertz * 2) % 0x1_0000) & 0xffff;
}

/** Fraction of the period that has passed, 0 to 1. */
function phase(now: Nanos, hertz: number): number {
  const periods = (now / s) * hertz;
  return periods - Math.floor(periods);
}

function unreadable(text: string): BulkheadError {
  return new BulkheadError('BH215', `\`${text.slice(0, 60)}\` describes no signals`, {
    hint: 'write, for example, `sine:5:10,dc:2.5,ao0` (volts, hertz)',
  });
}
