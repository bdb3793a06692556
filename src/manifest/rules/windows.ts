/** What the three rules about register windows share: the windows of several devices, as intervals of one address space. */
import type { IoSpaceName } from '../../contracts/index.ts';
import { collisions, type Interval } from '../collisions.ts';
import { formatRange } from '../quantities.ts';
import type { DraftDevice } from '../draft.ts';
import type { Problem } from '../rule.ts';

const KEYS: Readonly<Record<IoSpaceName, 'ports' | 'mmio'>> = { pio: 'ports', mmio: 'mmio' };

/** The windows that collide; `whose` says in the message whose devices they are. */
export function* windowCollisions(devices: readonly DraftDevice[], space: IoSpaceName, whose: string): Iterable<Problem> {
  const key = KEYS[space];
  const intervals: Interval<DraftDevice>[] = devices.flatMap((device) =>
    device.ranges.filter((range) => range.space === space).map(({ base, size }) => ({ start: base, end: base + size, owner: device })),
  );
  for (const [first, second] of collisions(intervals)) {
    // The one further down the file is shown: the other was there first.
    const [kept, moved] = devices.indexOf(first.owner) <= devices.indexOf(second.owner) ? [first, second] : [second, first];
    const range = formatRange(second.start, Math.min(first.end, second.end) - second.start);
    const written = moved.owner.written.includes(key);
    yield {
      message: `${kept.owner.name} and ${moved.owner.name} of ${whose} both answer at ${space === 'pio' ? 'ports' : 'addresses'} ${range}`,
      at: written ? [...moved.owner.path, key] : moved.owner.path,
      key: !written,
      related: [{ message: `${kept.owner.name} answers at ${formatRange(kept.start, kept.end - kept.start)}`, at: kept.owner.path }],
      hint: `move one of them with \`${key}:\``,
    };
  }
}
