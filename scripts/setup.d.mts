/** Of scripts/setup.mjs, what TypeScript uses. */
export const MACHINE_ENVIRONMENT: Readonly<Record<string, string>>;
