/**
 * The partition's port and memory-mapped I/O spaces.
 *
 * Ports: one table entry per port, so a hit costs two array reads. Memory: ranges sorted by address, binary search behind a
 * last-hit cache, because drivers touch one device many times in a row. An access that straddles two owners, or an owner and
 * nothing, is split into bytes, as a chipset splits it into bus cycles.
 *
 * Not modelled: wrap-around at port 0xFFFF (bytes beyond it belong to nobody).
 */
import { BulkheadError } from '../base/index.ts';
import type { AccessSize, Bus, IoHandler, IoRange, IoSpaceName } from '../contracts/index.ts';

const PORTS = 0x10000;
const MMIO_END = 2 ** 52; // MAXPHYADDR's architectural limit (SDM 3A §4.1.4)

interface Claim {
  readonly range: IoRange;
  readonly owner: string;
  readonly handler: IoHandler;
  readonly base: number;
  readonly end: number;
}

export class SystemBus implements Bus {
  /** Accesses nobody answered: a wrong address in a guest, or a device missing from the manifest. */
  readonly unclaimed = { reads: 0, writes: 0 };
  /** Index into `#portClaims`; 0 is nobody. */
  readonly #ports = new Uint16Array(PORTS);
  readonly #portClaims: (Claim | undefined)[] = [undefined];
  readonly #mmioClaims: Claim[] = [];
  #lastMmio: Claim | undefined;

  claim(range: IoRange, owner: string, handler: IoHandler): Disposable {
    const claim: Claim = { range, owner, handler, base: range.base, end: range.base + range.size };
    const spaceEnd = range.space === 'pio' ? PORTS : MMIO_END;
    if (!Number.isInteger(range.base) || !Number.isInteger(range.size) || range.base < 0 || range.size < 1 || claim.end > spaceEnd) {
      throw new BulkheadError('BH212', `${owner}: ${describe(range)} is not a range of the ${range.space} space`);
    }
    for (const other of this.ranges()) {
      if (other.space === range.space && range.base < other.base + other.size && other.base < claim.end) {
        throw new BulkheadError('BH210', `${owner} claims ${describe(range)}, but ${other.owner} owns ${describe(other)}`, {
          hint: `move ${owner} or ${other.owner} to other addresses`,
        });
      }
    }
    return range.space === 'pio' ? this.#claimPorts(claim) : this.#claimMmio(claim);
  }

  *ranges(): Iterable<IoRange & { readonly owner: string }> {
    const ports = this.#portClaims.filter((claim) => claim !== undefined).sort((a, b) => a.base - b.base);
    for (const { range, owner } of [...ports, ...this.#mmioClaims]) yield { ...range, owner };
  }

  read(space: IoSpaceName, address: number, size: AccessSize): number {
    const claim = space === 'pio' ? this.#portClaims[this.#ports[address] ?? 0] : this.#findMmio(address);
    if (claim !== undefined && address + size <= claim.end) return claim.handler.read(address - claim.base, size);
    if (size === 1 || this.#ownsNone(space, address, size)) {
      this.unclaimed.reads++;
      return size === 1 ? 0xff : size === 2 ? 0xffff : 0xffff_ffff;
    }
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | (this.read(space, address + i, 1) & 0xff);
    return value >>> 0;
  }

  write(space: IoSpaceName, address: number, size: AccessSize, value: number): void {
    const claim = space === 'pio' ? this.#portClaims[this.#ports[address] ?? 0] : this.#findMmio(address);
    if (claim !== undefined && address + size <= claim.end) {
      claim.handler.write(address - claim.base, size, value);
      return;
    }
    if (size === 1 || this.#ownsNone(space, address, size)) {
      this.unclaimed.writes++;
      return;
    }
    for (let i = 0; i < size; i++) this.write(space, address + i, 1, (value >>> (8 * i)) & 0xff);
  }

  #ownsNone(space: IoSpaceName, address: number, size: number): boolean {
    for (let i = 0; i < size; i++) {
      if (space === 'pio' ? (this.#ports[address + i] ?? 0) !== 0 : this.#findMmio(address + i) !== undefined) return false;
    }
    return true;
  }

  #findMmio(address: number): Claim | undefined {
    const last = this.#lastMmio;
    if (last !== undefined && address >= last.base && address < last.end) return last;
    let low = 0;
    let high = this.#mmioClaims.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const claim = this.#mmioClaims[middle] as Claim;
      if (address < claim.base) high = middle - 1;
      else if (address >= claim.end) low = middle + 1;
      else {
        this.#lastMmio = claim;
        return claim;
      }
    }
    return undefined;
  }

  #claimPorts(claim: Claim): Disposable {
    let index = this.#portClaims.indexOf(undefined, 1);
    if (index < 0) index = this.#portClaims.length;
    this.#portClaims[index] = claim;
    this.#ports.fill(index, claim.base, claim.end);
    return {
      [Symbol.dispose]: () => {
        if (this.#portClaims[index] !== claim) return;
        this.#portClaims[index] = undefined;
        this.#ports.fill(0, claim.base, claim.end);
      },
    };
  }

  #claimMmio(claim: Claim): Disposable {
    this.#mmioClaims.push(claim);
    this.#mmioClaims.sort((a, b) => a.base - b.base);
    return {
      [Symbol.dispose]: () => {
        const index = this.#mmioClaims.indexOf(claim);
        if (index >= 0) this.#mmioClaims.splice(index, 1);
        if (this.#lastMmio === claim) this.#lastMmio = undefined;
      },
    };
  }
}

function describe({ space, base, size }: IoRange): string {
  return `${space === 'pio' ? 'ports' : 'memory'} 0x${base.toString(16)}–0x${(base + size - 1).toString(16)}`;
}
