import { CHOOSABLE_FEATURES, CPU_FEATURES, featuresOf } from '../../x86/features.ts';
import type { Rule } from '../rule.ts';

export const cpuFeatureNeeds: Rule = {
  code: 'BH122',
  severity: 'error',
  title: 'Every CPU feature put in has the features it needs',
  *check(draft) {
    for (const { path, cpu } of draft.partitions) {
      const present = featuresOf(cpu.level, cpu.features);
      for (const [name, isWanted] of Object.entries(cpu.features)) {
        if (!isWanted || present.has(name) || !CHOOSABLE_FEATURES.includes(name)) continue;
        const missing = (CPU_FEATURES.get(name)?.needs ?? []).filter((other) => !present.has(other));
        const names = missing.map((other) => `\`${other}\``).join(', ');
        yield { message: `\`${name}\` needs ${names}`, at: [...path, 'cpuid', name], hint: `put ${names} in as well` };
      }
    }
  },
};
