export { createCpuidModel } from './cpuid.ts';
export { createSoftEngine, type SoftEngineOptions, type Translation } from './engine.ts';
export { createTranslator, type RegionCompiler } from './translator/compile.ts';
export type { RegionPlan } from './translator/plan.ts';
