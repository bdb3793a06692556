import { allDevices } from '../draft.ts';
import type { Rule } from '../rule.ts';

export const devicePlaced: Rule = {
  code: 'BH117',
  severity: 'error',
  title: 'Every register window of a device has a place',
  *check(draft) {
    for (const { known, model, path, written, misplaced } of allDevices(draft)) {
      for (const key of misplaced) {
        const windows = (key === 'ports' ? known?.ports : known?.mmio) ?? [];
        const sizes = windows.map((window) => window.size).join(' and ');
        yield {
          message: written.includes(key) ? `\`${key}\` does not fit the ${windows.length} windows of \`${model}\`` : `\`${model}\` has no usual place for its registers`,
          at: written.includes(key) ? [...path, key] : path,
          key: !written.includes(key),
          hint: windows.length === 0 ? `leave \`${key}\` out: \`${model}\` has none` : `give \`${key}\` one base for each window (of ${sizes} bytes)`,
        };
      }
    }
  },
};
