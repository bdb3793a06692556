/**
 * The partition's port and memory-mapped I/O spaces.
 *
 * Ports: one table entry per port, so a hit costs two array reads. Memory: ranges sorted by address, binary search behind a
 * last-hit cache, because drivers touch one device many times in a row. An access that straddles two owners, or an owner and
 * nothing, is split into bytes, as a chipset splits it into bus cycles.
 *
 * Two layers: what the board claims is fixed and must not overlap. What the guest places (PCI base addresses) may lie anywhere; it
 * answers where nothing is claimed, and where two such ranges overlap, the one that was there first.
 *
 * Not modelled: wrap-around at port 0xFFFF (bytes beyond it belong to nobody).
 */
import { BulkheadError } from '../base/index.ts';
import type { AccessSize, Bus, IoHandler, IoRange, IoSpaceName, PlacedWindow } from '../contracts/index.ts';

const PORTS = 0x10000;
const MMIO_END = 2 ** 52; // MAXPHYADDR's architectural limit (SDM 3A §4.1.4)

interface Claim {
  readonly range: IoRange;
  readonly owner: string;
  readonly handler: IoHandler;
  readonly base: number;
  readonly end: number;
  readonly shared: PlacedWindow | undefined;
}

/** A part of a claim that is not hidden by another. */
interface Piece {
  readonly base: number;
  readonly end: number;
  readonly claim: Claim;
}

export class SystemBus implements Bus {
  /** Accesses nobody answered: a wrong address in a guest, or a device missing from the manifest. */
  readonly unclaimed = { reads: 0, writes: 0 };
  readonly #claimed: Claim[] = [];
  /** In the order they were placed. */
  readonly #placed: Claim[] = [];
  /** Index into `#portClaims`; 0 is nobody. */
  readonly #ports = new Uint16Array(PORTS);
  #portClaims: readonly (Claim | undefined)[] = [undefined];
  #mmio: readonly Piece[] = [];
  #lastMmio: Piece | undefined;

  claim(range: IoRange, owner: string, handler: IoHandler): Disposable {
    const claim = claimOf(range, owner, handler);
    if (!isInSpace(claim)) {
      throw new BulkheadError('BH212', `${owner}: ${describe(range)} is not a range of the ${range.space} space`);
    }
    const other = this.#claimed.find((candidate) => overlap(candidate, claim));
    if (other !== undefined) {
      throw new BulkheadError('BH210', `${owner} claims ${describe(range)}, but ${other.owner} owns ${describe(other.range)}`, {
        hint: `move ${owner} or ${other.owner} to other addresses`,
      });
    }
    return this.#add(this.#claimed, claim);
  }

  /** A range that the guest placed: anywhere. Never throws; `undefined` when it lies outside its space. */
  decode(range: IoRange, owner: string, handler: IoHandler): Disposable | undefined {
    const claim = claimOf(range, owner, handler);
    return isInSpace(claim) ? this.#add(this.#placed, claim) : undefined;
  }

  /** Some of the range is claimed by the board. */
  claims(range: IoRange): boolean {
    const wanted = { range, base: range.base, end: range.base + range.size };
    return this.#claimed.some((claim) => overlap(claim, wanted));
  }

  *ranges(): Iterable<IoRange & { readonly owner: string }> {
    const all = [...this.#claimed, ...this.#placed].sort((a, b) => a.base - b.base);
    for (const space of ['pio', 'mmio'] as const) {
      for (const { range, owner } of all) if (range.space === space) yield { ...range, owner };
    }
  }

  read(space: IoSpaceName, address: number, size: AccessSize): number {
    const claim = space === 'pio' ? this.#findPorts(address, size) : this.#findMmio(address, size);
    if (claim !== undefined) return claim.handler.read(address - claim.base, size);
    if (size === 1 || this.#ownsNone(space, address, size)) {
      this.unclaimed.reads++;
      return size === 1 ? 0xff : size === 2 ? 0xffff : 0xffff_ffff;
    }
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | (this.read(space, address + i, 1) & 0xff);
    return value >>> 0;
  }

  write(space: IoSpaceName, address: number, size: AccessSize, value: number): void {
    const claim = space === 'pio' ? this.#findPorts(address, size) : this.#findMmio(address, size);
    if (claim !== undefined) {
      claim.handler.write(address - claim.base, size, value);
      return;
    }
    if (size === 1 || this.#ownsNone(space, address, size)) {
      this.unclaimed.writes++;
      return;
    }
    for (let i = 0; i < size; i++) this.write(space, address + i, 1, (value >>> (8 * i)) & 0xff);
  }

  sharedAt(address: number, size: number): PlacedWindow | undefined {
    return this.#findMmio(address, size)?.shared;
  }

  #ownsNone(space: IoSpaceName, address: number, size: number): boolean {
    for (let i = 0; i < size; i++) {
      if (space === 'pio' ? (this.#ports[address + i] ?? 0) !== 0 : this.#findMmio(address + i, 1) !== undefined) return false;
    }
    return true;
  }

  /** Whose ports they all are. */
  #findPorts(address: number, size: AccessSize): Claim | undefined {
    const ports = this.#ports;
    const index = ports[address] ?? 0;
    if (size > 1 && (ports[address + size - 1] !== index || (size === 4 && (ports[address + 1] !== index || ports[address + 2] !== index)))) {
      return undefined;
    }
    return this.#portClaims[index];
  }

  /** Whose bytes they all are. */
  #findMmio(address: number, size: number): Claim | undefined {
    const last = this.#lastMmio;
    if (last !== undefined && address >= last.base && address + size <= last.end) return last.claim;
    let low = 0;
    let high = this.#mmio.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const piece = this.#mmio[middle] as Piece;
      if (address < piece.base) high = middle - 1;
      else if (address >= piece.end) low = middle + 1;
      else {
        this.#lastMmio = piece;
        return address + size <= piece.end ? piece.claim : undefined;
      }
    }
    return undefined;
  }

  #add(layer: Claim[], claim: Claim): Disposable {
    layer.push(claim);
    this.#rebuild(claim.range.space);
    return {
      [Symbol.dispose]: () => {
        const index = layer.indexOf(claim);
        if (index < 0) return;
        layer.splice(index, 1);
        this.#rebuild(claim.range.space);
      },
    };
  }

  /** The tables that accesses are looked up in, from what is claimed and placed now. */
  #rebuild(space: IoSpaceName): void {
    const claims = [...this.#claimed, ...this.#placed].filter(({ range }) => range.space === space);
    if (space === 'pio') {
      this.#portClaims = [undefined, ...claims];
      this.#ports.fill(0);
      for (let index = claims.length; index > 0; index--) {
        const { base, end } = claims[index - 1] as Claim;
        this.#ports.fill(index, base, end);
      }
      return;
    }
    const pieces: Piece[] = [];
    for (const claim of claims) {
      let visible: Piece[] = [{ base: claim.base, end: claim.end, claim }];
      for (const front of pieces) visible = visible.flatMap((piece) => withoutPart(piece, front));
      pieces.push(...visible);
    }
    this.#mmio = pieces.sort((a, b) => a.base - b.base);
    this.#lastMmio = undefined;
  }
}

function claimOf(range: IoRange, owner: string, handler: IoHandler): Claim {
  const { base, size } = range;
  const shared = handler.shared === undefined ? undefined : { base, window: handler.shared };
  return { range, owner, handler, base, end: base + size, shared };
}

function isInSpace({ range, base, end }: Pick<Claim, 'range' | 'base' | 'end'>): boolean {
  const spaceEnd = range.space === 'pio' ? PORTS : MMIO_END;
  return Number.isInteger(base) && Number.isInteger(range.size) && base >= 0 && range.size >= 1 && end <= spaceEnd;
}

function overlap(a: Pick<Claim, 'range' | 'base' | 'end'>, b: Pick<Claim, 'range' | 'base' | 'end'>): boolean {
  return a.range.space === b.range.space && a.base < b.end && b.base < a.end;
}

/** What is left of `piece` beside `front`: nothing, one part or two. */
function withoutPart(piece: Piece, front: Piece): Piece[] {
  if (front.base >= piece.end || front.end <= piece.base) return [piece];
  const parts: Piece[] = [];
  if (piece.base < front.base) parts.push({ ...piece, end: front.base });
  if (front.end < piece.end) parts.push({ ...piece, base: front.end });
  return parts;
}

function describe({ space, base, size }: IoRange): string {
  return `${space === 'pio' ? 'ports' : 'memory'} 0x${base.toString(16)}–0x${(base + size - 1).toString(16)}`;
}
