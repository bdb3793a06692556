import type { Rule } from '../rule.ts';

export const sharedConsole: Rule = {
  code: 'BH244',
  severity: 'error',
  title: 'A shared console stands behind a device with a byte stream',
  *check(draft) {
    for (const { devices } of draft.partitions) {
      for (const { shared, sharing, board, known, model, name, path } of devices) {
        const resource = draft.shared.find((candidate) => candidate.name === shared);
        const streams = known === undefined ? model !== undefined : known.console === true;
        if (resource?.kind !== 'console' || board !== undefined || streams) continue;
        yield {
          message: model === undefined ? `nothing says through which device ${name} reaches \`${resource.name}\`` : `${model} has no byte stream for \`${resource.name}\``,
          at: [...path, sharing],
          hint: 'give it the model of a serial port, as in `model: uart16550`',
        };
      }
    }
  },
};
