/**
 * ACPI fixed hardware: PM1a event and control blocks, the PM timer, and the SMI command port that hands them to the system.
 *
 *     offset 0  PM1_STS (2)   2  PM1_EN (2)   4  PM1_CNT (2)   8  PM_TMR (4)
 *
 * Spec: ACPI 6.5 §4.8. Sleep type 5 is S5 (soft off); the DSDT's \_S5 package says the same.
 * Not modelled: sleep states other than S5, bus-master status, the global lock's SMI.
 */
import type { AccessSize, Clock, DeviceState, IoHandler } from '../../contracts/index.ts';
import { Alarm, ticksAt, whenTicks } from '../ticks.ts';

/** §4.8.3.3. */
export const PM_TIMER_HERTZ = 3_579_545;
export const SLEEP_TYPE_S5 = 5;
/** What the FADT tells the system to write to SMI_CMD. */
export const ACPI_ENABLE = 0xf1;
export const ACPI_DISABLE = 0xf0;

const PM1_STS = 0;
const PM1_EN = 2;
const PM1_CNT = 4;
const PM_TMR = 8;

// PM1_STS and PM1_EN (tables 4.16 and 4.17)
const TIMER = 1 << 0;
const GLOBAL = 1 << 5;
const POWER_BUTTON = 1 << 8;
const STATUS_DEFINED = 0x8731;
const ENABLE_DEFINED = TIMER | GLOBAL | POWER_BUTTON | (1 << 9) | (1 << 10);
// PM1_CNT (table 4.18)
const SCI_EN = 1 << 0;
const SLEEP_ENABLE = 1 << 13;
const CONTROL_KEPT = 0x1c02; // BM_RLD and SLP_TYP; GBL_RLS and SLP_EN read as 0

export class AcpiPm {
  readonly #clock: Clock;
  readonly #sci: (level: boolean) => void;
  readonly #powerOff: () => void;
  readonly #overflow: Alarm;
  #status = 0;
  #enable = 0;
  #control = 0;
  /** Half-periods of the timer's top bit that TMR_STS has seen. */
  #overflows = 0;

  /** `sci` is the level-triggered system control interrupt. */
  constructor(options: { clock: Clock; sci(level: boolean): void; powerOff(): void }) {
    this.#clock = options.clock;
    this.#sci = options.sci;
    this.#powerOff = options.powerOff;
    this.#overflow = new Alarm(options.clock, () => this.#update());
  }

  reset(): void {
    this.#status = 0;
    this.#enable = 0;
    this.#control = 0;
    this.#overflows = this.#halfPeriods();
    this.#update();
  }

  /** The button on the case: how an orderly stop is asked for. False when the system does not listen to it. */
  pressPowerButton(): boolean {
    this.#status |= POWER_BUTTON;
    this.#update();
    return (this.#control & SCI_EN) !== 0 && (this.#enable & POWER_BUTTON) !== 0;
  }

  /** The fixed register block. */
  readonly registers: IoHandler = {
    read: (offset: number, size: AccessSize): number => {
      // The timer is read in one piece; the 16-bit registers byte by byte or whole.
      if (offset >= PM_TMR) return offset < PM_TMR + 4 ? part(this.#timer(), offset - PM_TMR, size) : 0;
      const low = this.#register(offset & ~1);
      const pair = low | (this.#register((offset & ~1) + 2) << 16);
      return part(pair >>> 0, offset & 1, size);
    },
    write: (offset: number, size: AccessSize, value: number): void => {
      for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
      this.#update();
    },
  };

  /** SMI_CMD (0xB2): the one thing a system asks the firmware for is ACPI mode (§4.8.3.2). */
  readonly smiCommand: IoHandler = {
    read: (): number => 0,
    write: (_offset: number, _size: AccessSize, value: number): void => {
      if ((value & 0xff) === ACPI_ENABLE) this.#control |= SCI_EN;
      if ((value & 0xff) === ACPI_DISABLE) this.#control &= ~SCI_EN;
      this.#update();
    },
  };

  save(): DeviceState {
    return { version: 1, status: this.#status, enable: this.#enable, control: this.#control, overflows: this.#overflows };
  }

  restore(state: DeviceState): void {
    const saved = state as unknown as { status: number; enable: number; control: number; overflows: number };
    this.#status = saved.status;
    this.#enable = saved.enable;
    this.#control = saved.control;
    this.#overflows = saved.overflows;
    this.#update();
  }

  #timer(): number {
    return ticksAt(this.#clock.now(), PM_TIMER_HERTZ) % 2 ** 32;
  }

  #halfPeriods(): number {
    return Math.floor(ticksAt(this.#clock.now(), PM_TIMER_HERTZ) / 2 ** 31);
  }

  #register(offset: number): number {
    switch (offset) {
      case PM1_STS:
        this.#catchUp();
        return this.#status;
      case PM1_EN:
        return this.#enable;
      case PM1_CNT:
        return this.#control;
      default:
        return 0;
    }
  }

  #writeByte(offset: number, byte: number): void {
    const shift = 8 * (offset & 1);
    switch (offset & ~1) {
      case PM1_STS: // written ones clear (table 4.16)
        this.#catchUp();
        this.#status &= ~((byte << shift) & STATUS_DEFINED);
        break;
      case PM1_EN:
        this.#enable = ((this.#enable & ~(0xff << shift)) | (byte << shift)) & ENABLE_DEFINED;
        break;
      case PM1_CNT:
        this.#control = (((this.#control & ~(0xff << shift)) | (byte << shift)) & CONTROL_KEPT) | (this.#control & SCI_EN);
        if ((byte << shift) & SLEEP_ENABLE && ((this.#control >> 10) & 7) === SLEEP_TYPE_S5) this.#powerOff();
        break;
    }
  }

  /** TMR_STS is set whenever the timer's top bit changes (§4.8.3.3). */
  #catchUp(): void {
    const halfPeriods = this.#halfPeriods();
    if (halfPeriods !== this.#overflows) this.#status |= TIMER;
    this.#overflows = halfPeriods;
  }

  #update(): void {
    this.#catchUp();
    this.#sci((this.#control & SCI_EN) !== 0 && (this.#status & this.#enable) !== 0);
    if (this.#enable & TIMER) this.#overflow.set(whenTicks((this.#overflows + 1) * 2 ** 31, PM_TIMER_HERTZ));
    else this.#overflow.cancel();
  }
}

function part(value: number, shift: number, size: AccessSize): number {
  const shifted = value >>> (8 * shift);
  return size === 4 ? shifted : shifted & (size === 2 ? 0xffff : 0xff);
}
