/**
 * Telemetry: Bulkhead's own port device, by which a real-time system tells its hypervisor how it is doing.
 *
 *     offset  0 (4)  periods run since start               write: report   read: last report
 *             4 (4)  deadlines missed since start           same
 *             8 (4)  worst release latency, ns              same
 *            12 (4)  write: heartbeat, any value            read: 0x31544842, "BHT1", by which a guest knows the device
 *
 * All registers are little-endian and count modulo 2^32. The guest writes 32 bits at a time; narrower writes are ignored. A
 * missing device reads as all-ones, so a guest that reads anything else at 12 must not report. Writing never blocks.
 */
import type { AccessSize, Clock, DeviceState, IoHandler, Nanos } from '../../contracts/index.ts';

export const TELEMETRY_SIGNATURE = 0x3154_4842;

export interface TelemetryReport {
  readonly periods: number;
  readonly deadlineMisses: number;
  readonly worstLatency: Nanos;
  /** How often the guest gave a sign of life, and when last; -1 before the first. */
  readonly heartbeats: number;
  readonly lastHeartbeat: Nanos;
}

export class Telemetry implements IoHandler {
  readonly #clock: Clock;
  readonly #registers = new Uint32Array(3);
  #heartbeats = 0;
  #lastHeartbeat: Nanos = -1;
  /** Called after each heartbeat, in the vCPU's thread. */
  onHeartbeat: ((report: TelemetryReport) => void) | undefined;

  constructor(options: { clock: Clock }) {
    this.#clock = options.clock;
  }

  reset(): void {
    this.#registers.fill(0);
    this.#heartbeats = 0;
    this.#lastHeartbeat = -1;
  }

  get report(): TelemetryReport {
    const [periods = 0, deadlineMisses = 0, worstLatency = 0] = this.#registers;
    return { periods, deadlineMisses, worstLatency, heartbeats: this.#heartbeats, lastHeartbeat: this.#lastHeartbeat };
  }

  read(offset: number, size: AccessSize): number {
    const value = this.#registers[offset >> 2] ?? TELEMETRY_SIGNATURE;
    const shifted = value >>> (8 * (offset & 3));
    return size === 4 ? shifted : shifted & (size === 2 ? 0xffff : 0xff);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset & 3) return;
    if (offset < 12) {
      this.#registers[offset >> 2] = value;
      return;
    }
    this.#heartbeats++;
    this.#lastHeartbeat = this.#clock.now();
    this.onHeartbeat?.(this.report);
  }

  save(): DeviceState {
    return { version: 1, registers: [...this.#registers], heartbeats: this.#heartbeats, lastHeartbeat: this.#lastHeartbeat };
  }

  restore(state: DeviceState): void {
    const saved = state as unknown as { registers: number[]; heartbeats: number; lastHeartbeat: Nanos };
    this.#registers.set(saved.registers.slice(0, 3));
    this.#heartbeats = saved.heartbeats;
    this.#lastHeartbeat = saved.lastHeartbeat;
  }
}
