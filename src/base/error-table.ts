/**
 * Every error and finding code, once. docs/errors.md is generated from this table; a test checks that every code used in the
 * sources stands here and that every code here is used.
 *
 * BH1xx the manifest's text and schema · BH2xx ownership and the board · BH3xx boot images · BH4xx engines ·
 * BH5xx partitions and machines at run time · BH6xx host, packages and command line.
 */
import type { ErrorCode, ErrorDescription } from './errors.ts';

export const ERRORS: Readonly<Record<ErrorCode, ErrorDescription>> = {
  // BH1xx the manifest's text and schema

  // BH2xx ownership and the board
  BH210: { title: 'Two devices claim the same addresses', remedy: 'Move one of the devices: the message names both owners and the range.' },
  BH211: { title: 'A device drives an interrupt line its partition does not own', remedy: 'Give the line to the partition with `irq:`, or choose another line.' },

  // BH3xx boot images

  // BH4xx engines

  // BH5xx partitions and machines at run time

  // BH6xx host, packages and command line
};
