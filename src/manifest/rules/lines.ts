/** What the two rules about interrupt lines share. */
import { repeats } from '../collisions.ts';
import type { DraftDevice } from '../draft.ts';
import type { Problem } from '../rule.ts';

/** ISA lines are edge-triggered and cannot be shared: a second driver's edge is lost while the first holds the line (8259A, "edge triggered mode"). */
export function* lineCollisions(devices: readonly DraftDevice[], whose: string): Iterable<Problem> {
  const uses = devices.flatMap((device) => [...new Set(device.irqs)].map((irq) => ({ key: irq, owner: device })));
  for (const { key, first, again } of repeats(uses)) {
    const written = again.written.includes('irq');
    yield {
      message: `${first.name} and ${again.name} of ${whose} both drive interrupt line ${key}`,
      at: written ? [...again.path, 'irq'] : again.path,
      key: !written,
      related: [{ message: `${first.name} drives it`, at: first.path }],
      hint: 'give one of them another line with `irq:`',
    };
  }
}
