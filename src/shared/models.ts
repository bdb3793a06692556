/** The devices by which partitions reach what they share, as a manifest can name them. */
import type { DeviceCatalogue } from '../board/index.ts';
import { CHANNEL_MODELS } from './channels/index.ts';
import { CONSOLE_MODELS } from './console/index.ts';
import { DISK_MODELS } from './disk/models.ts';
import { ENTROPY_MODELS } from './entropy/index.ts';
import { NETWORK_MODELS } from './ethernet/models.ts';

export const SHARED_MODELS: DeviceCatalogue = { ...CHANNEL_MODELS, ...CONSOLE_MODELS, ...DISK_MODELS, ...ENTROPY_MODELS, ...NETWORK_MODELS };
