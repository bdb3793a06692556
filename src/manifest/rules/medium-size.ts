import { SECTOR_BYTES } from '../../contracts/index.ts';
import { fileUses } from '../device-files.ts';
import type { Rule } from '../rule.ts';

export const mediumSize: Rule = {
  code: 'BH281',
  severity: 'error',
  title: 'Every file behind a disk or CD-ROM is whole sectors',
  *check(draft, { media }) {
    for (const { device, option, reference, at } of fileUses(draft)) {
      const file = media.get(reference);
      if (file?.status !== 'found' || (file.size > 0 && file.size % SECTOR_BYTES === 0)) continue;
      const sectors = Math.max(1, Math.ceil(file.size / SECTOR_BYTES));
      yield {
        message: `${option} of ${device.name}: ${reference} has ${file.size} bytes, which are no whole sectors of ${SECTOR_BYTES}`,
        at,
        hint: `\`truncate -s ${sectors * SECTOR_BYTES} ${reference}\` fills it up`,
      };
    }
  },
};
