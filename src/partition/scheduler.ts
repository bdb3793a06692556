/**
 * The vCPUs of one partition take turns in one thread, by counted instructions: round-robin over those that can run, a quantum each,
 * cut short where a deadline is due. PAUSE ends a turn early (a spinning core waits for another one), HLT and MWAIT take the core out of
 * the round until an interrupt, NMI, INIT or SIPI reaches it, or the store that MWAIT waits for. Which core runs which instruction when depends on nothing but the guest.
 *
 * Not modelled: cores that run at the same instant; that needs a thread per vCPU.
 */
import { ExitReason, type Vcpu, type VcpuEvent } from '../contracts/index.ts';
import type { VirtualClock } from './clock.ts';

/** What the interrupt controllers drive on a core. */
export type VcpuPins = Pick<Vcpu, 'setInterruptPin' | 'inject'>;

/** Nobody can run: every vCPU sleeps or waits for SIPI. */
export const IDLE = -1;

/** Sits on the wires to a vCPU and notes what could wake it. */
class Seat implements VcpuPins {
  readonly vcpu: Vcpu;
  /** Out of the round until something on the pins wakes it, or a store. */
  #parked = false;
  /** Something came over the pins since its last run began. */
  woken = false;
  level = false;
  /** Retired since the start. */
  retired = 0;

  constructor(vcpu: Vcpu) {
    this.vcpu = vcpu;
  }

  get parked(): boolean {
    return this.#parked && !this.vcpu.awake;
  }
  set parked(parked: boolean) {
    this.#parked = parked;
  }

  setInterruptPin(level: boolean): void {
    this.level = level;
    if (level) this.#wake();
    this.vcpu.setInterruptPin(level);
  }

  inject(event: VcpuEvent): void {
    this.#wake();
    this.vcpu.inject(event);
  }

  #wake(): void {
    this.woken = true;
    this.parked = false;
  }
}

export class Scheduler {
  readonly #clock: VirtualClock;
  readonly #quantum: number;
  readonly #seats: readonly Seat[];
  #current = 0;
  #turnLeft: number;
  #retired = 0;

  constructor(vcpus: readonly Vcpu[], clock: VirtualClock, quantum: number) {
    this.#seats = vcpus.map((vcpu) => new Seat(vcpu));
    this.#clock = clock;
    this.#quantum = quantum;
    this.#turnLeft = quantum;
  }

  /** Instructions retired by all vCPUs since the start. */
  get retired(): number {
    return this.#retired;
  }

  /** The vCPU of the last (or, during a run, the current) turn. */
  get current(): Vcpu {
    return (this.#seats[this.#current] as Seat).vcpu;
  }

  get idle(): boolean {
    return this.#seats.every((seat) => seat.parked);
  }

  retiredBy(vcpu: number): number {
    return this.#seats[vcpu]?.retired ?? 0;
  }

  isParked(vcpu: number): boolean {
    return this.#seats[vcpu]?.parked ?? false;
  }

  /** The wires of a vCPU: whatever drives interrupts must drive these, or a sleeping core will not wake. */
  pins(vcpu: number): VcpuPins {
    return this.#seats[vcpu] as Seat;
  }

  /** After a reset every vCPU takes part again; those that wait for SIPI say so in their first turn. */
  reset(): void {
    for (const seat of this.#seats) {
      seat.parked = false;
      seat.level = false;
    }
    this.#current = 0;
    this.#turnLeft = this.#quantum;
  }

  /** Ends the running vCPU's slice after the current instruction. Only inside an I/O call. */
  interrupt(): void {
    this.current.limit(0);
  }

  /** Runs one slice of the vCPU whose turn it is. Returns why it ended, or IDLE when none can run. */
  run(): ExitReason | typeof IDLE {
    const seat = this.#next();
    if (seat === undefined) return IDLE;
    const vcpu = seat.vcpu;
    const budget = this.#clock.budget(this.#turnLeft);
    seat.woken = false;
    this.#clock.beginRun(vcpu, budget);
    let reason: ExitReason;
    try {
      reason = vcpu.run(budget);
    } finally {
      const retired = vcpu.retired;
      this.#clock.endRun(retired);
      this.#retired += retired;
      seat.retired += retired;
      this.#turnLeft -= retired;
    }
    switch (reason) {
      case ExitReason.Halt:
        // An interrupt that came with the HLT itself is taken at the next boundary; if it was not (IF clear), the core does sleep.
        seat.parked = !seat.woken && !(seat.level && vcpu.retired > 0);
        this.#turnLeft = 0;
        break;
      case ExitReason.WaitForSipi:
        seat.parked = !seat.woken;
        this.#turnLeft = 0;
        break;
      case ExitReason.Yield:
        this.#turnLeft = 0;
        break;
    }
    return reason;
  }

  /** The vCPU to run: the current one while its turn lasts, else the next one that is not parked. */
  #next(): Seat | undefined {
    const seats = this.#seats;
    const current = seats[this.#current] as Seat;
    if (this.#turnLeft > 0 && !current.parked) return current;
    for (let step = 1; step <= seats.length; step++) {
      const index = (this.#current + step) % seats.length;
      const seat = seats[index] as Seat;
      if (seat.parked) continue;
      this.#current = index;
      this.#turnLeft = this.#quantum;
      return seat;
    }
    return undefined;
  }
}
