/** Images that come out of packages: fetched once, then in the cache. Where they cannot be had, tests are skipped, and say why. */
import { BulkheadError } from '../../src/base/index.ts';

/** No apt, no such package, no way to the mirror, no place for the cache. What a package holds once it is here is no excuse. */
const OUT_OF_REACH: readonly string[] = ['BH610', 'BH611', 'BH612', 'BH615'];

/**
 * What `fetch` resolves to; undefined, with the reason on the terminal, where it is out of reach. With BULKHEAD_REQUIRE_PACKAGES set
 * that is an error: for a machine whose tests are worth nothing without.
 */
export async function ifAvailable<T>(what: string, fetch: () => Promise<T>): Promise<T | undefined> {
  try {
    return await fetch();
  } catch (error) {
    if (!(error instanceof BulkheadError) || !OUT_OF_REACH.includes(error.code) || process.env['BULKHEAD_REQUIRE_PACKAGES']) throw error;
    console.warn(`skipped: ${what}: ${error.code}: ${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`);
    return undefined;
  }
}
