export { createCpuidModel } from './cpuid.ts';
export { createSoftEngine } from './engine.ts';
