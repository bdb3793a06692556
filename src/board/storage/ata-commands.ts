/** The commands of a disk, as data. Spec: ATA/ATAPI-6 ("ATA6") table 10, ATA8-ACS ("ACS") table 16. */

/** What a command does, and with which registers (ATA6 table 10, ACS table 16). */
export interface DiskCommand {
  readonly does:
    | 'read'
    | 'write'
    | 'verify'
    | 'flush'
    | 'identify'
    | 'features'
    | 'set-multiple'
    | 'geometry'
    | 'diagnostic'
    | 'power-mode'
    | 'standby'
    | 'idle'
    | 'log'
    | 'trim'
    | 'seek';
  /** 48-bit address and 16-bit count. */
  readonly wide?: true;
  readonly dma?: true;
  /** Data blocks of as many sectors as SET MULTIPLE MODE said. */
  readonly multiple?: true;
  /** Force unit access: on the medium before the command ends. */
  readonly fua?: true;
  /** FPDMA: count in the feature register, tag in the count register, FUA in the device register (ACS §7.33, §7.63). */
  readonly queued?: true;
}

/** By command code; what is not here is aborted. */
export const DISK_COMMANDS: ReadonlyMap<number, DiskCommand> = new Map<number, DiskCommand>([
  [0x06, { does: 'trim', wide: true, dma: true }],
  [0x20, { does: 'read' }],
  [0x21, { does: 'read' }],
  [0x24, { does: 'read', wide: true }],
  [0x25, { does: 'read', wide: true, dma: true }],
  [0x29, { does: 'read', wide: true, multiple: true }],
  [0x2f, { does: 'log', wide: true }],
  [0x30, { does: 'write' }],
  [0x31, { does: 'write' }],
  [0x34, { does: 'write', wide: true }],
  [0x35, { does: 'write', wide: true, dma: true }],
  [0x39, { does: 'write', wide: true, multiple: true }],
  [0x3d, { does: 'write', wide: true, dma: true, fua: true }],
  [0x40, { does: 'verify' }],
  [0x41, { does: 'verify' }],
  [0x42, { does: 'verify', wide: true }],
  [0x47, { does: 'log', wide: true, dma: true }],
  [0x60, { does: 'read', wide: true, dma: true, queued: true }],
  [0x61, { does: 'write', wide: true, dma: true, queued: true }],
  [0x70, { does: 'seek' }],
  [0x90, { does: 'diagnostic' }],
  [0x91, { does: 'geometry' }],
  [0xc4, { does: 'read', multiple: true }],
  [0xc5, { does: 'write', multiple: true }],
  [0xc6, { does: 'set-multiple' }],
  [0xc8, { does: 'read', dma: true }],
  [0xc9, { does: 'read', dma: true }],
  [0xca, { does: 'write', dma: true }],
  [0xcb, { does: 'write', dma: true }],
  [0xce, { does: 'write', wide: true, multiple: true, fua: true }],
  [0xe0, { does: 'standby' }],
  [0xe1, { does: 'idle' }],
  [0xe2, { does: 'standby' }],
  [0xe3, { does: 'idle' }],
  [0xe5, { does: 'power-mode' }],
  [0xe6, { does: 'standby' }],
  [0xe7, { does: 'flush' }],
  [0xea, { does: 'flush' }],
  [0xec, { does: 'identify' }],
  [0xef, { does: 'features' }],
]);
