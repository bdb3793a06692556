/** Memory that partitions share. */
export { type ChannelBuffers, ChannelEnd, createChannel, DEFAULT_DOORBELLS, waitingDoorbells } from './channel.ts';
export { Ivshmem } from './ivshmem.ts';
export { CHANNEL_MODELS, vectorsOf } from './models.ts';
