import { collisions } from '../collisions.ts';
import type { DraftDevice } from '../draft.ts';
import type { PlatformDevice } from '../host.ts';
import { formatRange } from '../quantities.ts';
import type { Rule } from '../rule.ts';

interface Party {
  readonly device: DraftDevice | undefined;
  readonly platform: PlatformDevice | undefined;
}

export const platformSpace: Rule = {
  code: 'BH229',
  severity: 'error',
  title: 'No device takes addresses or lines of the interrupt controllers, timers and bridges that every partition has, or of what its firmware needs',
  *check(draft, { host }) {
    for (const { name, devices, boot } of draft.partitions) {
      const owned = [...host.catalogue.platform, ...(boot.protocol === 'firmware' ? host.catalogue.firmware : [])];
      for (const [space, key] of [['pio', 'ports'], ['mmio', 'mmio']] as const) {
        const intervals = [
          ...owned.flatMap((platform) =>
            platform.ranges.filter((range) => range.space === space).map(({ base, size }) => ({ start: base, end: base + size, owner: { platform, device: undefined } as Party })),
          ),
          ...devices.flatMap((device) =>
            device.ranges
              .filter((range) => range.space === space)
              .map(({ base, size }) => ({ start: base, end: base + size, owner: { platform: undefined, device } as Party })),
          ),
        ];
        for (const [first, second] of collisions(intervals)) {
          const device = first.owner.device ?? second.owner.device;
          const platform = first.owner.platform ?? second.owner.platform;
          // Two devices of the partition in each other's way are another rule's.
          if (device === undefined || platform === undefined) continue;
          if (device.known?.besideFirmware && host.catalogue.firmware.includes(platform)) continue;
          const written = device.written.includes(key);
          yield {
            message: `${device.name} of ${name} takes ${formatRange(second.start, Math.min(first.end, second.end) - second.start)} from the ${platform.name} that ${host.catalogue.firmware.includes(platform) ? 'its firmware needs' : 'every partition has'}`,
            at: written ? [...device.path, key] : device.path,
            key: !written,
            hint: `move it with \`${key}:\``,
          };
        }
      }
      for (const device of devices) {
        for (const irq of device.irqs) {
          const platform = owned.find((candidate) => candidate.irqs.includes(irq));
          if (platform === undefined) continue;
          const written = device.written.includes('irq');
          yield {
            message: `${device.name} of ${name} takes interrupt line ${irq} from the ${platform.name} that ${host.catalogue.firmware.includes(platform) ? 'its firmware needs' : 'every partition has'}`,
            at: written ? [...device.path, 'irq'] : device.path,
            key: !written,
            hint: 'give it another line with `irq:`',
          };
        }
      }
    }
  },
};
