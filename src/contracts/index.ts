/** The interfaces between rooms: types only (and the two constant tables that are part of them). */
export * from './backend.ts';
export * from './boot.ts';
export * from './bus.ts';
export * from './clock.ts';
export * from './device.ts';
export * from './engine.ts';
export * from './machine.ts';
export * from './memory.ts';
export * from './network.ts';
export * from './pci.ts';
export * from './scalars.ts';
export * from './shared.ts';
