/** Of scripts/program.mjs, what TypeScript uses: the file for the Node `node` to run. */
export function program(node: string): string;
