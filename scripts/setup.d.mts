/** Of scripts/setup.mjs, what TypeScript uses. */
export function machineEnvironment(): Readonly<Record<string, string>>;
