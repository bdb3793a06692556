/**
 * Who may fill how much of a queue that several senders share. Half of it is reserved, divided among them by weight; the other half
 * is for whoever comes. So a sender that floods a receiver finds the queue full, and its neighbours find their part of it.
 *
 * The queue itself is elsewhere (a ring towards a partition): it is told of what goes in, and asks how many have not come out yet.
 */
export class QueueShare {
  readonly #capacity: number;
  readonly #reserved: Float64Array;
  readonly #held: Float64Array;
  /** Sender and size of everything that is in, as a ring of its own. */
  readonly #senders: Uint16Array;
  readonly #sizes: Float64Array;
  readonly #mask: number;
  #first = 0;
  #count = 0;
  /** Of the half that is nobody's. */
  #common = 0;

  /** `capacity` in whatever sizes are counted in, `depth` in items; `weights` of the senders, by number. */
  constructor(capacity: number, depth: number, weights: readonly number[]) {
    this.#capacity = capacity;
    const places = 2 ** Math.ceil(Math.log2(Math.max(2, depth)));
    this.#senders = new Uint16Array(places);
    this.#sizes = new Float64Array(places);
    this.#mask = places - 1;
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    this.#reserved = Float64Array.from(weights, (weight) => (capacity / 2) * (weight / total));
    this.#held = new Float64Array(weights.length);
  }

  /** What is in of one sender. */
  held(sender: number): number {
    return this.#held[sender] as number;
  }

  /** The oldest items came out, and `length` are left. */
  settle(length: number): void {
    while (this.#count > length) {
      this.#change(this.#senders[this.#first] as number, -(this.#sizes[this.#first] as number));
      this.#first = (this.#first + 1) & this.#mask;
      this.#count--;
    }
  }

  /** Whether `sender` may put in another item of `size`. */
  admits(sender: number, size: number): boolean {
    if (this.#count > this.#mask) return false;
    const beyond = Math.max(0, (this.#held[sender] as number) + size - (this.#reserved[sender] as number));
    const before = Math.max(0, (this.#held[sender] as number) - (this.#reserved[sender] as number));
    return this.#common + beyond - before <= this.#capacity / 2;
  }

  /** It did. */
  add(sender: number, size: number): void {
    const at = (this.#first + this.#count) & this.#mask;
    this.#senders[at] = sender;
    this.#sizes[at] = size;
    this.#count++;
    this.#change(sender, size);
  }

  #change(sender: number, by: number): void {
    const reserved = this.#reserved[sender] as number;
    const before = this.#held[sender] as number;
    this.#held[sender] = before + by;
    this.#common += Math.max(0, before + by - reserved) - Math.max(0, before - reserved);
  }
}
