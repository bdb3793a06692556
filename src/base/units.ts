/** Binary sizes in bytes, and times in nanoseconds. */
export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

export const us = 1_000;
export const ms = 1_000_000;
export const s = 1_000_000_000;
