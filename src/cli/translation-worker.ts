/** The program of a partition's translating Worker: regions of guest code in, WebAssembly modules out. */
import { keepCompiled } from '../host/node/compile-cache.ts';
import { serveModuleCompiler } from '../host/node/module-compiler.ts';
import { createTranslator, type RegionPlan } from '../soft/index.ts';

keepCompiled();
serveModuleCompiler<readonly RegionPlan[]>(createTranslator());
