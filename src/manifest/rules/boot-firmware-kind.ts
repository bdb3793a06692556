import type { Rule } from '../rule.ts';

export const bootFirmwareKind: Rule = {
  code: 'BH258',
  severity: 'error',
  title: "Every firmware image is a PC's ROM",
  *check(draft, { images }) {
    for (const { name, path, boot } of draft.partitions) {
      const refusal = boot.source === 'firmware' ? images.get(boot.kernel)?.refusals.firmware : undefined;
      if (refusal === undefined) continue;
      yield {
        message: `the firmware of ${name} cannot be started: ${refusal.problem}`,
        at: [...path, 'boot', 'firmware'],
        hint: refusal.hint ?? 'give `seabios`, `ovmf`, or a ROM image of whole 64 KiB',
      };
    }
  },
};
