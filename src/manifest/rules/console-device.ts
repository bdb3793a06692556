import type { Rule } from '../rule.ts';
import { suggestion } from '../suggest.ts';

export const consoleDevice: Rule = {
  code: 'BH120',
  severity: 'error',
  title: "A partition's console is one of its devices, and one with a byte stream",
  *check(draft) {
    for (const { name, path, console, devices } of draft.partitions) {
      if (console === undefined) continue;
      const device = devices.find((candidate) => candidate.name === console);
      const streams = devices.filter((candidate) => candidate.known?.console === true).map((candidate) => candidate.name);
      if (device === undefined) {
        yield { message: `${name} has no device \`${console.slice(0, 40)}\``, at: [...path, 'console'], hint: suggestion(console, streams) };
      } else if (device.known !== undefined && device.known.console !== true) {
        yield {
          message: `\`${console}\` of ${name} is a ${device.model}, which has no byte stream`,
          at: [...path, 'console'],
          related: [{ message: `${console} is described here`, at: device.path }],
          hint: suggestion(console, streams),
        };
      }
    }
  },
};
