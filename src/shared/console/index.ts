/** Consoles over virtio. */
export { CONSOLE_MODELS } from './models.ts';
export { VirtioConsole } from './virtio-console.ts';
