/**
 * Which frames a network device passes to its driver: by address and VLAN, as the driver asks on the control queue.
 *
 * Spec: VIRTIO 1.2 §5.1.6.5.1 (receive modes), §5.1.6.5.2 (address table), §5.1.6.5.3 (VLANs).
 */
import { BROADCAST, ETHERTYPE_VLAN, HEADER_BYTES, isGroupAddress, type StationAddress, stationAddress } from './packet.ts';

const CLASS_RX = 0;
const CLASS_MAC = 1;
const CLASS_VLAN = 2;
const MAC_TABLE_SET = 0;
const VLAN_ADD = 0;
const VLAN_DELETE = 1;

/** In the order of the commands. */
const MODES = ['promiscuous', 'allMulticast', 'allUnicast', 'noMulticast', 'noUnicast', 'noBroadcast'] as const;
type Mode = (typeof MODES)[number];
/** Of each kind; a driver that asks for more gets all of them. */
const MOST_ADDRESSES = 64;
const ADDRESS_BYTES = 6;
const VLANS = 4096;

export class ReceiveFilter {
  readonly #own: StationAddress;
  readonly #modes: Record<Mode, boolean> = { promiscuous: true, allMulticast: false, allUnicast: false, noMulticast: false, noUnicast: false, noBroadcast: false };
  #unicast = new Set<StationAddress>();
  #multicast = new Set<StationAddress>();
  #allOfUnicast = false;
  #allOfMulticast = false;
  readonly #vlans = new Uint8Array(VLANS);
  #byVlan = false;

  constructor(own: StationAddress) {
    this.#own = own;
  }

  /** A driver begins. One that cannot ask for frames gets all of them. */
  begin(byAddress: boolean, byVlan: boolean): void {
    for (const mode of MODES) this.#modes[mode] = false;
    this.#modes.promiscuous = !byAddress;
    this.#unicast.clear();
    this.#multicast.clear();
    this.#allOfUnicast = false;
    this.#allOfMulticast = false;
    this.#byVlan = byVlan;
    this.#vlans.fill(0);
  }

  /** A frame from `start` to `end` of `bytes`, at least a header long. */
  passes(bytes: Uint8Array, start: number, end: number): boolean {
    const modes = this.#modes;
    if (this.#byVlan && end >= start + HEADER_BYTES + 2 && ((bytes[start + 12] as number) << 8 | (bytes[start + 13] as number)) === ETHERTYPE_VLAN) {
      const vlan = (((bytes[start + 14] as number) & 0x0f) << 8) | (bytes[start + 15] as number);
      if (this.#vlans[vlan] === 0) return false;
    }
    if (modes.promiscuous) return true;
    const high = ((bytes[start] as number) << 8) | (bytes[start + 1] as number);
    const low = (((bytes[start + 2] as number) << 24) | ((bytes[start + 3] as number) << 16) | ((bytes[start + 4] as number) << 8) | (bytes[start + 5] as number)) >>> 0;
    const address = high * 2 ** 32 + low;
    if (address === BROADCAST) return !modes.noBroadcast;
    if (isGroupAddress(address)) return !modes.noMulticast && (modes.allMulticast || this.#allOfMulticast || this.#multicast.has(address));
    return !modes.noUnicast && (modes.allUnicast || this.#allOfUnicast || address === this.#own || this.#unicast.has(address));
  }

  /** A command of the control queue. False: it is none, or makes no sense. */
  obey(kind: number, command: number, data: Uint8Array): boolean {
    const mode = MODES[command];
    if (kind === CLASS_RX && mode !== undefined && data.length >= 1) {
      this.#modes[mode] = data[0] !== 0;
      return true;
    }
    if (kind === CLASS_MAC && command === MAC_TABLE_SET) return this.#setTable(data);
    if (kind === CLASS_VLAN && data.length >= 2 && (command === VLAN_ADD || command === VLAN_DELETE)) {
      const vlan = (data[0] as number) | ((data[1] as number) << 8);
      if (vlan >= VLANS) return false;
      this.#vlans[vlan] = command === VLAN_ADD ? 1 : 0;
      return true;
    }
    return false;
  }

  save(): Readonly<Record<string, unknown>> {
    const vlans = [...this.#vlans.keys()].filter((vlan) => this.#vlans[vlan] === 1);
    return {
      modes: { ...this.#modes },
      unicast: [...this.#unicast],
      multicast: [...this.#multicast],
      allOfUnicast: this.#allOfUnicast,
      allOfMulticast: this.#allOfMulticast,
      byVlan: this.#byVlan,
      vlans,
    };
  }

  /** What {@link save} gave. */
  restore(saved: unknown): void {
    const state = saved as { modes: Record<Mode, boolean>; unicast: number[]; multicast: number[]; allOfUnicast: boolean; allOfMulticast: boolean; byVlan: boolean; vlans: number[] };
    Object.assign(this.#modes, state.modes);
    this.#unicast = new Set(state.unicast);
    this.#multicast = new Set(state.multicast);
    this.#allOfUnicast = state.allOfUnicast;
    this.#allOfMulticast = state.allOfMulticast;
    this.#byVlan = state.byVlan;
    this.#vlans.fill(0);
    for (const vlan of state.vlans) this.#vlans[vlan] = 1;
  }

  /** Two lists, each with its length in front. */
  #setTable(data: Uint8Array): boolean {
    const unicast = readList(data, 0);
    const multicast = unicast === undefined ? undefined : readList(data, unicast.end);
    if (unicast === undefined || multicast === undefined) return false;
    this.#unicast = new Set(unicast.addresses);
    this.#multicast = new Set(multicast.addresses);
    this.#allOfUnicast = unicast.isCut;
    this.#allOfMulticast = multicast.isCut;
    return true;
  }
}

function readList(data: Uint8Array, at: number): { readonly addresses: StationAddress[]; readonly end: number; readonly isCut: boolean } | undefined {
  if (at + 4 > data.length) return undefined;
  const count = ((data[at] as number) | ((data[at + 1] as number) << 8) | ((data[at + 2] as number) << 16) | ((data[at + 3] as number) << 24)) >>> 0;
  const first = at + 4;
  const end = first + count * ADDRESS_BYTES;
  if (end > data.length) return undefined;
  const kept = Math.min(count, MOST_ADDRESSES);
  const addresses = Array.from({ length: kept }, (_, index) => stationAddress(data.subarray(first + index * ADDRESS_BYTES, first + (index + 1) * ADDRESS_BYTES)));
  return { addresses, end, isCut: count > kept };
}
