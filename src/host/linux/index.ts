/** What only Linux has: its network interfaces, reached through its C library. */
export { openTap } from './tap.ts';
