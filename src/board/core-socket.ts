/**
 * Where a core sits on the board: its local APIC, its way to the bus, and the wires between the APIC and the core's pins.
 *
 * Time: the time-stamp counter runs at exactly 1 GHz, one tick per nanosecond of the partition's clock; the local APIC timers have the
 * same 1 GHz before their dividers.
 */
import type { AccessSize, Clock, CpuidModel, IoSpace, IoSpaceName, PlacedWindow, TimeBase, Vcpu, VcpuId, VcpuWiring } from '../contracts/index.ts';
import type { SystemBus } from './bus.ts';
import type { InterruptMessages } from './chips/interrupt-messages.ts';
import { LocalApic } from './chips/local-apic.ts';

// MSRs of the local APIC (SDM 4 table 2-2)
const IA32_APIC_BASE = 0x1b;
const IA32_TSC_DEADLINE = 0x6e0;
const X2APIC_FIRST = 0x800;
const X2APIC_LAST = 0x83f;
// CPUID leaf 1 ECX
const CPUID_X2APIC = 1 << 21;
const CPUID_TSC_DEADLINE = 1 << 24;

export type ConnectedVcpu = Pick<Vcpu, 'setInterruptPin' | 'inject'>;

export interface CoreSocketOptions {
  readonly id: VcpuId;
  readonly cpuid: CpuidModel;
  readonly clock: Clock;
  readonly bus: SystemBus;
  readonly messages: InterruptMessages;
  /** An end of interrupt goes to the I/O APIC. */
  endOfInterrupt(vector: number): void;
  /** INTA cycle of an ExtINT: the vector of the 8259 pair. */
  acknowledgeExternal(): number;
}

export class CoreSocket {
  readonly apic: LocalApic;
  /** What the engine builds the core with. */
  readonly wiring: VcpuWiring;
  #interrupt = false;
  #vcpu: ConnectedVcpu | undefined;

  constructor(options: CoreSocketOptions) {
    const { id, cpuid, clock, bus, messages } = options;
    const leaf = new Uint32Array(4);
    cpuid.lookup(1, 0, leaf);
    const features = leaf[2] as number;
    this.apic = new LocalApic({
      id,
      bootstrap: id === 0,
      x2apicCapable: (features & CPUID_X2APIC) !== 0,
      clock,
      pins: {
        interrupt: (level) => {
          this.#interrupt = level;
          this.#vcpu?.setInterruptPin(level);
        },
        nmi: () => this.#vcpu?.inject({ kind: 'nmi' }),
        init: () => this.#vcpu?.inject({ kind: 'init' }),
        startUp: (vector) => this.#vcpu?.inject({ kind: 'sipi', vector }),
        endOfInterrupt: (vector) => options.endOfInterrupt(vector),
        interProcessor: (command) => messages.interProcessor(this.apic, command),
        acknowledgeExternal: () => options.acknowledgeExternal(),
      },
    });
    messages.connect(this.apic);
    this.wiring = wire(this.apic, cpuid, new CoreIoSpace(this.apic, bus), clock, (features & CPUID_TSC_DEADLINE) !== 0);
  }

  /** Events before this are lost, the interrupt pin is not. */
  connect(vcpu: ConnectedVcpu): void {
    this.#vcpu = vcpu;
    vcpu.setInterruptPin(this.#interrupt);
  }
}

/** What one core sees of the bus: its own local APIC in front. */
class CoreIoSpace implements IoSpace {
  readonly #apic: LocalApic;
  readonly #bus: SystemBus;

  constructor(apic: LocalApic, bus: SystemBus) {
    this.#apic = apic;
    this.#bus = bus;
  }

  read(space: IoSpaceName, address: number, size: AccessSize): number {
    if (space === 'mmio' && this.#apic.ownsAddress(address)) return this.#apic.read(address, size);
    return this.#bus.read(space, address, size);
  }

  write(space: IoSpaceName, address: number, size: AccessSize, value: number): void {
    if (space === 'mmio' && this.#apic.ownsAddress(address)) this.#apic.write(address, size, value);
    else this.#bus.write(space, address, size, value);
  }

  sharedAt(address: number, size: number): PlacedWindow | undefined {
    return this.#apic.ownsAddress(address) ? undefined : this.#bus.sharedAt(address, size);
  }
}

function wire(apic: LocalApic, cpuid: CpuidModel, io: IoSpace, clock: Clock, tscDeadline: boolean): VcpuWiring {
  return {
    io,
    cpuid,
    acknowledgeInterrupt: () => apic.acknowledge(),
    readTaskPriority: () => apic.taskPriority,
    writeTaskPriority: (priority) => {
      apic.taskPriority = priority;
    },
    readMsr: (index) => {
      if (index >= X2APIC_FIRST && index <= X2APIC_LAST) return apic.readMsr(index - X2APIC_FIRST);
      if (index === IA32_APIC_BASE) return apic.readBase();
      return index === IA32_TSC_DEADLINE && tscDeadline ? apic.readDeadline() : undefined;
    },
    writeMsr: (index, value) => {
      if (index >= X2APIC_FIRST && index <= X2APIC_LAST) return apic.writeMsr(index - X2APIC_FIRST, value);
      if (index === IA32_APIC_BASE) return apic.writeBase(value);
      if (index !== IA32_TSC_DEADLINE || !tscDeadline) return false;
      apic.writeDeadline(value);
      return true;
    },
    timestamp: () => clock.now(),
    ...(clock.timeBase === undefined ? {} : { timeBase: (into: TimeBase) => clock.timeBase?.(into) }),
  };
}
