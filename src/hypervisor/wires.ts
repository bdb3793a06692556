/** The wires between partitions: made once, they stay while partitions come and go. */
import { createWire } from '../board/index.ts';
import type { Cell } from './cell.ts';

/** Plugs a cable into both ends of every wire that leads from one controller to another. */
export function connectWires(cells: readonly Cell[]): void {
  const done = new Set<string>();
  for (const cell of cells) {
    for (const { name: device, wire } of cell.spec.devices) {
      if (wire?.peer === undefined || done.has(wire.name)) continue;
      const { peer } = wire;
      const other = cells.find(({ spec }) => spec.name === peer.partition);
      if (other === undefined) continue;
      done.add(wire.name);
      const [here, there] = createWire();
      cell.link.plug(device, { end: here, peer: other.link.alarm });
      other.link.plug(peer.device, { end: there, peer: cell.link.alarm });
    }
  }
}
