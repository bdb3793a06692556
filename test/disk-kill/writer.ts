/**
 * The storage path of a machine without its guest: a driver, a block device, its port, and the broker's thread on an image. It writes
 * numbered records and flushes, and says which are safe, until it is killed: `node writer.ts START FIRST-RECORD`, START as JSON.
 *
 * It comes up in a second, where a guest takes many: so it can be killed more often.
 */
import { writeSync } from 'node:fs';
import { nodeHost } from '../../src/cli/node-host.ts';
import type { DiskSource, GrantedPort } from '../../src/contracts/index.ts';
import { BrokerCommand } from '../../src/shared/broker.ts';
import { createDiskPort, DiskEnd } from '../../src/shared/disk/disk-end.ts';
import { VirtioBlk } from '../../src/shared/disk/virtio-blk.ts';
import { PortControl } from '../../src/shared/port.ts';
import { overMmio, VirtioDriver } from '../../src/shared/virtio/testing.ts';
import { BATCH, RECORD_SECTORS, recordBytes, sectorOf } from './records.ts';

const [source, first] = [JSON.parse(process.argv[2] as string) as DiskSource, Number(process.argv[3])];
const command = new BrokerCommand();
const port: GrantedPort = { grant: { partition: 'writer', access: 'rw' }, device: 'vda', port: createDiskPort(), alarm: new Int32Array(new SharedArrayBuffer(4)) };
const resource = { name: 'disk', kind: 'disk', grants: [port.grant], disk: source } as const;
nodeHost().startBroker?.({ resource, ports: [port], command: command.buffer }, {
  log: () => undefined,
  exited(detail) {
    writeSync(1, `BROKEN ${detail}\n`);
    process.exit(1);
  },
});
while (!new PortControl(port.port).settled) await new Promise((resolve) => setTimeout(resolve, 5));

const end = new DiskEnd({ resource: 'disk', port: port.port, alarm: command.alarm });
const driver = VirtioDriver.on(new VirtioBlk(end, 1), overMmio).start(1n << 9n, 64);

/** Sends requests together and waits for all of them. */
async function done(requests: readonly (readonly Uint8Array[])[]): Promise<void> {
  const queue = driver.queue(0);
  for (const readable of requests) queue.add({ readable, writable: [1] });
  driver.access.notify(0);
  for (let answered = 0; answered < requests.length; ) {
    end.admit();
    for (const { data } of queue.take()) {
      answered++;
      if (data[0] !== 0) writeSync(1, `BROKEN status ${data[0]}\n`);
    }
    // The broker counts this word up when it has answered.
    Atomics.wait(port.alarm, 0, Atomics.load(port.alarm, 0), 1);
  }
}

function header(type: number, sector = 0): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[0] = type;
  new DataView(bytes.buffer).setUint32(8, sector, true);
  return bytes;
}

writeSync(1, 'READY\n');
for (let record = first; ; record += BATCH) {
  await done(Array.from({ length: BATCH }, (_, index) => [header(1, sectorOf(record + index)), recordBytes(record + index, RECORD_SECTORS)]));
  await done([[header(4)]]);
  writeSync(1, `ACK ${record + BATCH - 1}\n`);
}
