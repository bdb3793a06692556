/** What only Linux has: its network interfaces, reached through its C library. */
export { fileLocker } from './lock-file.ts';
export { holePuncher } from './punch-hole.ts';
export { openPty, type Pty } from './pty.ts';
export { openSerialLine } from './serial-line.ts';
export { openTap } from './tap.ts';
