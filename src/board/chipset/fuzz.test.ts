// Whatever a guest writes to the chips that firmware uses: nothing throws, no access leaves RAM, and the work of one access is bounded.
import { expect, it } from 'vitest';
import { FwCfg } from '../chips/fw-cfg.ts';
import { DmaGate } from '../dma.ts';
import { createPhysicalMemory } from '../memory.ts';
import { HostBridge } from '../pci/host-bridge.ts';
import { Piix4Pm } from '../pci/piix4-pm.ts';
import { ShadowRam } from './shadow-ram.ts';

const operations = Number(process.env['BULKHEAD_FUZZ_OPERATIONS'] ?? 50_000);
const seed = Number(process.env['BULKHEAD_FUZZ_SEED'] ?? 440);
const RAM_BYTES = 1 << 20;
const ROM_BYTES = 1 << 18;

/** xorshift32 (Marsaglia 2003). */
function generator(state: number): (below: number) => number {
  let x = state || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

it(`stands ${operations} random accesses (seed ${seed})`, () => {
  const random = generator(seed);
  const memory = createPhysicalMemory([{ base: 0, size: RAM_BYTES, access: 'rw' }], 0, 1 << 20);
  const rom = { offset: memory.reserve(ROM_BYTES, 'ROM'), size: ROM_BYTES };
  const beyond = memory.reserve(4096, 'canary');
  memory.bytes.fill(0x5a, beyond, beyond + 4096);
  const romBefore = memory.bytes.slice(rom.offset, rom.offset + rom.size);
  const shadow = new ShadowRam(memory, rom);
  const bridge = new HostBridge({ shadow });
  const pm = new Piix4Pm();
  const gate = new DmaGate({ memory, log: { log: () => undefined } });
  const device = new FwCfg({ dma: gate.port({ name: 'firmware' }), files: [{ name: 'etc/test', data: new Uint8Array(300).fill(7) }] });
  const values = [0, 1, 0xff, 0x19, 0x20, 0x33, 0xffff, 0x4020, 0x7fff_ffff, 0xffff_ffff, 0x000f_f000, 0x0010_0000, 0x1000];
  const value = () => (random(3) === 0 ? random(0x1_0000_0000) : (values[random(values.length)] as number));
  const sizes = [1, 2, 4] as const;
  for (let i = 0; i < operations; i++) {
    const size = sizes[random(3)] as (typeof sizes)[number];
    const mask = size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1;
    const written = (value() & mask) >>> 0;
    let read = 0;
    switch (random(8)) {
      case 0: {
        // A request somewhere, with fields that mostly make sense: DMA that reaches beyond RAM among them.
        const at = random(RAM_BYTES - 16) & ~3;
        const view = new DataView(memory.bytes.buffer, memory.offsetOf(at, 16), 16);
        view.setUint32(0, value() & 0x1f ? ((0x19 + random(9)) << 16) | random(32) : value());
        view.setUint32(4, random(4) === 0 ? value() : random(2000));
        view.setUint32(8, random(16) === 0 ? value() : 0);
        view.setUint32(12, random(RAM_BYTES + 4096));
        device.write(4, 4, 0);
        device.write(8, 4, (((at & 0xff) << 24) | ((at & 0xff00) << 8) | ((at >>> 8) & 0xff00)) >>> 0);
        break;
      }
      case 1:
        device.write(random(13), size, written);
        break;
      case 2:
        read = device.read(random(13), size);
        break;
      case 3:
        bridge.writeConfig(random(257 - size), size, written);
        break;
      case 4:
        read = bridge.readConfig(random(257 - size), size);
        break;
      case 5:
        shadow.handler.write(random(0x4_0001 - size), size, written);
        break;
      case 6:
        read = shadow.handler.read(random(0x4_0001 - size), size);
        break;
      case 7:
        pm.writeConfig(random(257 - size), size, written);
        read = pm.readConfig(random(257 - size), size);
        break;
    }
    if (!(read >= 0 && read <= mask)) expect.fail(`access ${i} of ${size} bytes gave ${read}`);
  }
  expect(memory.bytes.slice(rom.offset, rom.offset + rom.size)).toEqual(romBefore);
  expect(memory.bytes.slice(beyond, beyond + 4096).every((byte) => byte === 0x5a)).toBe(true);
  // RAM, 16 pieces of shadow RAM at most, and what lies between them.
  expect(memory.map.length).toBeLessThanOrEqual(34);
});
