import { fileUses } from '../device-files.ts';
import type { Rule } from '../rule.ts';

export const mediumExists: Rule = {
  code: 'BH280',
  severity: 'error',
  title: 'Every file behind a disk or CD-ROM exists and can be used',
  *check(draft, { media }) {
    for (const { device, option, reference, access, at } of fileUses(draft)) {
      const file = media.get(reference);
      if (file?.status === 'missing') {
        yield {
          message: `${option} of ${device.name}: ${reference} cannot be used: ${file.reason}`,
          at,
          hint: 'paths are relative to the manifest',
        };
      } else if (file?.status === 'found' && access === 'rw' && !file.writable) {
        const readOnly = `${option}-read-only`;
        const hint =
          device.known?.options[readOnly] === undefined ? 'change its permissions' : `change its permissions, or set \`${readOnly}: true\``;
        yield { message: `${option} of ${device.name}: ${reference} cannot be written`, at, hint };
      }
    }
  },
};
