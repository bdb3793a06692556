import { CHOOSABLE_FEATURES, CPU_FEATURES } from '../../x86/features.ts';
import type { Rule } from '../rule.ts';
import { suggestion } from '../suggest.ts';

export const cpuFeatureKnown: Rule = {
  code: 'BH121',
  severity: 'error',
  title: 'Every CPU feature is one that can be chosen',
  *check(draft) {
    for (const { path, cpu } of draft.partitions) {
      for (const name of Object.keys(cpu.features)) {
        if (CHOOSABLE_FEATURES.includes(name)) continue;
        const isBase = CPU_FEATURES.has(name);
        yield {
          message: isBase ? `\`${name}\` is part of every processor here` : `there is no CPU feature \`${name.slice(0, 40)}\``,
          at: [...path, 'cpuid', name],
          key: true,
          hint: isBase ? 'leave it out of `cpuid`' : suggestion(name, CHOOSABLE_FEATURES),
        };
      }
    }
  },
};
