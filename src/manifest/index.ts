/** The manifest compiler: a YAML text becomes a proved {@link Machine}, or findings that say what is wrong and where. */
export { type Compilation, compileManifest, MAX_FINDINGS } from './compile.ts';
export * from './host.ts';
export { manifestJsonSchema } from './json-schema.ts';
export { allowanceOf, type Claim, type Proof, prove } from './proof.ts';
export { formatAddress, formatRange, formatSize, parseRate, parseSize, parseTime, type Quantity } from './quantities.ts';
export type { Rule } from './rule.ts';
export { RULES } from './rules/index.ts';
export { packageReferences } from './references.ts';
