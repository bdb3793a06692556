/**
 * Interrupt messages between processors, the I/O APIC and message-signalled devices: who of the local APICs is meant.
 *
 * Spec: Intel SDM 3A §11.6.2 (destinations), §11.6.2.4 (lowest priority), §11.11 (MSI).
 * Not modelled: arbitration among equal priorities (the lowest ID wins), interrupt remapping, the MSI redirection hint of physical
 * destinations.
 */
import type { Gpa, MsiSink } from '../../contracts/index.ts';
import type { LocalApic } from './local-apic.ts';

/** Destination of a broadcast, in every mode. Senders with 8-bit destinations turn 0xFF into it. */
export const BROADCAST = 0xffff_ffff;

/** Bits 10:8 of ICR, LVT entries, redirection entries and MSI data. */
export const DeliveryMode = { Fixed: 0, LowestPriority: 1, Smi: 2, Nmi: 4, Init: 5, StartUp: 6, ExtInt: 7 } as const;

const Shorthand = { None: 0, Self: 1, AllIncludingSelf: 2, AllExcludingSelf: 3 } as const;

/** One inter-processor interrupt, as ICR described it. */
export interface InterruptCommand {
  /** APIC ID or logical destination; {@link BROADCAST} for all. */
  destination: number;
  logical: boolean;
  mode: number;
  vector: number;
  level: boolean;
  shorthand: number;
}

// MSI address and data (SDM 3A figures 11-14 and 11-15)
const MSI_LOGICAL = 1 << 2;
const MSI_REDIRECTION_HINT = 1 << 3;
const MSI_LEVEL = 1 << 15;
const MSI_ASSERT = 1 << 14;
const MSI_RANGE_BASE = 0xfee0_0000;
const MSI_RANGE_END = 0xfef0_0000;

export class InterruptMessages implements MsiSink {
  readonly #apics: LocalApic[] = [];

  connect(apic: LocalApic): void {
    this.#apics.push(apic);
  }

  /** To every APIC that `destination` names, or the least busy of them. False when nobody took it. */
  deliver(destination: number, logical: boolean, mode: number, vector: number, level: boolean): boolean {
    if (mode === DeliveryMode.LowestPriority) {
      let chosen: LocalApic | undefined;
      for (const apic of this.#apics) {
        if (!apic.accepting || !apic.matches(destination, logical)) continue;
        if (chosen === undefined || apic.processorPriority < chosen.processorPriority) chosen = apic;
      }
      return chosen?.receive(mode, vector, level) ?? false;
    }
    let taken = false;
    for (const apic of this.#apics) if (apic.matches(destination, logical)) taken = apic.receive(mode, vector, level) || taken;
    return taken;
  }

  /** From `source`'s ICR. */
  interProcessor(source: LocalApic, command: InterruptCommand): void {
    const { destination, logical, mode, vector, shorthand } = command; // another IPI may reuse the record while this one is delivered
    switch (shorthand) {
      case Shorthand.None:
        this.deliver(destination, logical, mode, vector, false);
        break;
      case Shorthand.Self: // only fixed interrupts may be sent to oneself (SDM 3A table 11-3)
        if (mode === DeliveryMode.Fixed) source.receive(mode, vector, false);
        break;
      default:
        for (const apic of this.#apics) if (shorthand === Shorthand.AllIncludingSelf || apic !== source) apic.receive(mode, vector, false);
    }
  }

  /** An MSI. Anything else written to the range is ignored, as are level de-asserts. */
  send(address: Gpa, data: number): void {
    if (address < MSI_RANGE_BASE || address >= MSI_RANGE_END) return;
    if (data & MSI_LEVEL && !(data & MSI_ASSERT)) return;
    const id = (address >>> 12) & 0xff;
    const logical = (address & MSI_LOGICAL) !== 0;
    const hinted = logical && (address & MSI_REDIRECTION_HINT) !== 0 && ((data >> 8) & 7) === DeliveryMode.Fixed;
    const mode = hinted ? DeliveryMode.LowestPriority : (data >> 8) & 7;
    this.deliver(id === 0xff ? BROADCAST : id, logical, mode, data & 0xff, (data & MSI_LEVEL) !== 0);
  }
}
