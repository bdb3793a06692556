export * from './alarm.ts';
export * from './copy-bytes.ts';
export * from './error-table.ts';
export * from './errors.ts';
export * from './frame-ring.ts';
export * from './ring.ts';
export * from './shared-window.ts';
export * from './units.ts';
