/** Random numbers of the host. */
export { EntropyEnd } from './entropy-end.ts';
export { ENTROPY_MODELS } from './models.ts';
export { type EntropySource, VirtioRng } from './virtio-rng.ts';
