/** The program of a partition's translating Worker: regions of guest code in, WebAssembly modules out. */
import { serveModuleCompiler } from '../host/node/module-compiler.ts';
import { createTranslator, type RegionPlan } from '../soft/index.ts';

serveModuleCompiler<readonly RegionPlan[]>(createTranslator());
