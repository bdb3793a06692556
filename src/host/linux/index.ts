/** What only Linux has: its network interfaces, reached through its C library. */
export { holePuncher } from './punch-hole.ts';
export { openTap } from './tap.ts';
