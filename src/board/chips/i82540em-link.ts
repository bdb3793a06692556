/**
 * The two serial neighbours of the 82540EM's MAC: the Microwire EEPROM that holds its address, and the Marvell PHY behind MDIO.
 *
 * Spec: SDM (Intel 317453) §5.3 (EEPROM), §5.6 (its contents), §8 and §13.4.3–13.4.5 (EECD, EERD, MDIC); 93C46 datasheet (commands);
 * IEEE 802.3-2018 §22.2.4 (MII registers 0–15).
 * Not modelled: time the EEPROM takes to write; auto-negotiation takes none, and always ends at 1000 Mb/s full duplex.
 */

const EEPROM_WORDS = 64;
const EEPROM_ADDRESS_BITS = 6;
const CHECKSUM_WORD = 0x3f;
/** All words add up to this (SDM §5.6.35). */
const CHECKSUM = 0xbaba;

// EECD (SDM table 13-5)
const EECD_SK = 1 << 0;
const EECD_CS = 1 << 1;
const EECD_DI = 1 << 2;
const EECD_DO = 1 << 3;
const EECD_FWE = 1 << 4;
const EECD_REQ = 1 << 6;
const EECD_GNT = 1 << 7;
const EECD_PRES = 1 << 8;
// EERD (table 13-7)
const EERD_START = 1 << 0;
const EERD_DONE = 1 << 4;

/** A 93C46: 64 words of 16 bits, clocked in and out bit by bit. */
export class Eeprom {
  readonly #words = new Uint16Array(EEPROM_WORDS);
  #pins = EECD_FWE;
  #read = 0;
  /** Bits since chip select: start bit, two of opcode, six of address, sixteen of data. */
  #command = 0;
  #bits = 0;
  /** What is being clocked out, most significant bit next; -1: DO rests high. */
  #output = -1;
  #outputBits = 0;
  #writable = false;

  constructor(address: Uint8Array, identity: { readonly vendor: number; readonly device: number }) {
    const words = this.#words;
    for (let i = 0; i < 3; i++) words[i] = (address[2 * i] as number) | ((address[2 * i + 1] as number) << 8);
    words[0x0a] = 0x4408; // initialization control 1: subsystem IDs and power management are loaded from here
    words[0x0b] = identity.device;
    words[0x0c] = identity.vendor;
    words[0x0d] = identity.device;
    words[0x0e] = identity.vendor;
    words[0x0f] = 0x3040; // initialization control 2
    words[CHECKSUM_WORD] = CHECKSUM - words.reduce((sum, word) => sum + word, 0);
  }

  /** The station address it holds. */
  address(target: Uint8Array): void {
    for (let i = 0; i < 6; i++) target[i] = (this.#words[i >> 1] as number) >> (8 * (i & 1));
  }

  readControl(): number {
    const out = this.#output < 0 || (this.#output >>> (this.#outputBits - 1)) & 1 ? EECD_DO : 0;
    const granted = this.#pins & EECD_REQ ? EECD_GNT : 0;
    return this.#pins | out | granted | EECD_PRES;
  }

  writeControl(value: number): void {
    const before = this.#pins;
    this.#pins = value & (EECD_SK | EECD_CS | EECD_DI | EECD_REQ | (3 << 4));
    if (!(value & EECD_CS)) {
      this.#command = 0;
      this.#bits = 0;
      this.#output = -1;
    } else if (value & EECD_SK && !(before & EECD_SK)) this.#clockIn((value & EECD_DI) !== 0);
  }

  readDirect(): number {
    return this.#read;
  }

  /** EERD: a whole word by its address. */
  writeDirect(value: number): void {
    if (!(value & EERD_START)) return;
    const word = this.#words[(value >>> 8) & (EEPROM_WORDS - 1)] as number;
    this.#read = (((word << 16) | (value & 0xff00)) | EERD_DONE) >>> 0;
  }

  save(): Record<string, unknown> {
    return {
      words: [...this.#words],
      pins: this.#pins,
      read: this.#read,
      command: this.#command,
      bits: this.#bits,
      output: this.#output,
      outputBits: this.#outputBits,
      writable: this.#writable,
    };
  }

  restore(state: Record<string, unknown>): void {
    this.#words.set(state['words'] as number[]);
    this.#pins = state['pins'] as number;
    this.#read = state['read'] as number;
    this.#command = state['command'] as number;
    this.#bits = state['bits'] as number;
    this.#output = state['output'] as number;
    this.#outputBits = state['outputBits'] as number;
    this.#writable = state['writable'] as boolean;
  }

  #clockIn(bit: boolean): void {
    if (this.#output >= 0) {
      if (this.#outputBits > 1) this.#outputBits--;
      else this.#output = -1;
      return;
    }
    // Zeros before the start bit only wait for it.
    if (this.#bits === 0 && !bit) return;
    if (this.#bits > 25) return;
    this.#command = (this.#command << 1) | (bit ? 1 : 0);
    this.#bits++;
    const opcodeBits = 3 + EEPROM_ADDRESS_BITS;
    if (this.#bits === opcodeBits) this.#decode(this.#command);
    else if (this.#bits === opcodeBits + 16) this.#write((this.#command >>> 16) & 0x1ff, this.#command & 0xffff);
  }

  /** Start bit, opcode, address: READ 1 10, WRITE 1 01, ERASE 1 11, and by the address's top bits 1 00 EWEN and EWDS. */
  #decode(command: number): void {
    const address = command & (EEPROM_WORDS - 1);
    switch (command >> EEPROM_ADDRESS_BITS) {
      case 0b110:
        // A dummy zero comes first.
        this.#output = this.#words[address] as number;
        this.#outputBits = 17;
        break;
      case 0b111:
        if (this.#writable) this.#words[address] = 0xffff;
        break;
      case 0b100:
        if (address >> 4 === 0b11) this.#writable = true;
        else if (address >> 4 === 0b00) this.#writable = false;
        break;
    }
  }

  #write(command: number, data: number): void {
    if (command >> EEPROM_ADDRESS_BITS === 0b101 && this.#writable) this.#words[command & (EEPROM_WORDS - 1)] = data;
  }
}

// MII registers (IEEE 802.3 §22.2.4) and Marvell's beyond them
const BMCR = 0;
const BMSR = 1;
const PHY_ID1 = 2;
const PHY_ID2 = 3;
const ANAR = 4;
const ANLPAR = 5;
const ANER = 6;
const GBCR = 9;
const GBSR = 10;
const ESTATUS = 15;
const PHY_STATUS = 17;

const BMCR_RESET = 1 << 15;
const BMCR_LOOPBACK = 1 << 14;
const BMCR_AUTONEGOTIATION = 1 << 12;
const BMCR_POWER_DOWN = 1 << 11;
const BMCR_RESTART = 1 << 9;
/** 1000 Mb/s, full duplex, negotiated. */
const BMCR_INITIAL = 0x1140;
/** 10 and 100 Mb/s in both duplexes, extended status, negotiates. */
const BMSR_ABILITIES = 0x7949;
const BMSR_LINK = 1 << 2;
const BMSR_NEGOTIATED = 1 << 5;
const LINK_PARTNER = 0xcde1;
const GBSR_PARTNER = 0x3c00;
const ESTATUS_1000BASE_T = 0x3000;
/** Speed resolved to 1000 Mb/s, full duplex; bit 10 is the link itself. */
const PHY_STATUS_RESOLVED = 0xa800;
const PHY_STATUS_LINK = 1 << 10;
/** Marvell's identifier for the 88E1011 in this controller. */
const MARVELL_88E1011 = [0x0141, 0x0c24] as const;

/** Which MII and vendor registers keep what is written. */
const PHY_KEPT: Readonly<Record<number, number>> = { [ANAR]: 0xffff, 7: 0xffff, [GBCR]: 0xff00, 16: 0xffff, 18: 0xffff, 20: 0xffff, 26: 0xffff, 29: 0xffff, 30: 0xffff };
const PHY_INITIAL: Readonly<Record<number, number>> = { [BMCR]: BMCR_INITIAL, [ANAR]: 0x01e1, [GBCR]: 0x0300, 16: 0x0068, 20: 0x0d60 };

// MDIC (SDM table 13-11)
const MDIC_WRITE = 1;
const MDIC_READ = 2;
const MDIC_READY = 1 << 28;
const MDIC_ERROR = 1 << 30;
const PHY_ADDRESS = 1;

export class Phy {
  readonly #registers = new Uint16Array(32);
  readonly #cable: () => boolean;
  #mdic = MDIC_READY;
  /** Link was down since BMSR was read last: the bit latches low (§22.2.4.2.13). */
  #dropped = false;

  /** `cable` says whether somebody is at the other end. */
  constructor(cable: () => boolean) {
    this.#cable = cable;
    this.reset();
  }

  reset(): void {
    this.#registers.fill(0);
    for (const [register, value] of Object.entries(PHY_INITIAL)) this.#registers[Number(register)] = value;
    this.#mdic = MDIC_READY;
    this.#dropped = false;
  }

  get link(): boolean {
    return this.#cable() && !((this.#registers[BMCR] as number) & BMCR_POWER_DOWN);
  }

  get loopback(): boolean {
    return ((this.#registers[BMCR] as number) & BMCR_LOOPBACK) !== 0;
  }

  linkDropped(): void {
    this.#dropped = true;
  }

  readControl(): number {
    return this.#mdic;
  }

  /** MDIC: done at once. */
  writeControl(value: number): void {
    const register = (value >>> 16) & 0x1f;
    const operation = (value >>> 26) & 3;
    let result = (value & 0x2fff_ffff) | MDIC_READY;
    if (((value >>> 21) & 0x1f) !== PHY_ADDRESS || (operation !== MDIC_READ && operation !== MDIC_WRITE)) result |= MDIC_ERROR;
    else if (operation === MDIC_WRITE) this.#write(register, value & 0xffff);
    else result = (result & ~0xffff) | this.#read(register);
    this.#mdic = result >>> 0;
  }

  save(): Record<string, unknown> {
    return { registers: [...this.#registers], mdic: this.#mdic, dropped: this.#dropped };
  }

  restore(state: Record<string, unknown>): void {
    this.#registers.set(state['registers'] as number[]);
    this.#mdic = state['mdic'] as number;
    this.#dropped = state['dropped'] as boolean;
  }

  #read(register: number): number {
    const link = this.link;
    switch (register) {
      case BMSR: {
        const up = link && !this.#dropped;
        this.#dropped = false;
        return BMSR_ABILITIES | (up ? BMSR_LINK : 0) | (link ? BMSR_NEGOTIATED : 0);
      }
      case PHY_ID1:
        return MARVELL_88E1011[0];
      case PHY_ID2:
        return MARVELL_88E1011[1];
      case ANLPAR:
        return link ? LINK_PARTNER : 0;
      case ANER:
        return link ? 1 : 0;
      case GBSR:
        return link ? GBSR_PARTNER : 0;
      case ESTATUS:
        return ESTATUS_1000BASE_T;
      case PHY_STATUS:
        return link ? PHY_STATUS_RESOLVED | PHY_STATUS_LINK : 0;
      default:
        return this.#registers[register] as number;
    }
  }

  #write(register: number, value: number): void {
    if (register === BMCR) {
      if (value & BMCR_RESET) {
        const mdic = this.#mdic;
        this.reset();
        this.#mdic = mdic;
      } else this.#registers[BMCR] = value & (BMCR_LOOPBACK | BMCR_AUTONEGOTIATION | BMCR_POWER_DOWN | 0x2140) & ~BMCR_RESTART;
      return;
    }
    const kept = PHY_KEPT[register];
    if (kept !== undefined) this.#registers[register] = value & kept;
  }
}
