import { type DraftDevice, type DraftShared, isMadeFor } from '../draft.ts';
import type { Rule } from '../rule.ts';

export const sharedModel: Rule = {
  code: 'BH287',
  severity: 'error',
  title: 'A device in front of something shared is of a model for its kind',
  *check(draft, { host }) {
    for (const { devices } of draft.partitions) {
      for (const device of devices) {
        const resource = draft.shared.find(({ name }) => name === device.shared);
        if (resource === undefined || device.board !== undefined || fits(device, resource)) continue;
        const { models } = host.catalogue;
        const fitting = Object.keys(models).filter((model) => isMadeFor(models[model], resource.kind));
        if (fitting.length === 0) continue;
        yield {
          message:
            device.model === undefined
              ? `\`${resource.name}\` is a ${resource.kind}, and there is no model for it with this transport`
              : `${device.model} is no model for a shared ${resource.kind}`,
          at: [...device.path, device.model === undefined ? device.sharing : 'model'],
          related: [{ message: 'declared here', at: resource.path }],
          hint: `leave \`model:\` out, or use one of ${fitting.join(', ')}`,
        };
      }
    }
  },
};

function fits({ known, model }: DraftDevice, { kind }: DraftShared): boolean {
  if (known === undefined) return model !== undefined;
  return isMadeFor(known, kind) || (kind === 'console' && known.console) || (kind === 'ethernet' && known.network === true);
}
