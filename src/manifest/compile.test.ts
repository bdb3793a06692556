import { describe, expect, it } from 'vitest';
import { GiB, MiB } from '../base/index.ts';
import type { Finding } from '../contracts/index.ts';
import { compileManifest, MAX_FINDINGS, packageReferences, RULES } from './index.ts';
import { testHost } from './testing.ts';

const FILES = { 'bzImage': 'LINUX', 'initrd': 'cpio', 'rtos.elf': 'ELF', 'memtest.bin': 'MEMTEST', 'notes.txt': 'hello', 'bios.rom': 'ROM', 'root.img': 4096, 'odd.img': 1000, 'locked.img': 4096, 'big.img': 400 * MiB };
const host = testHost(FILES);


const GOOD = `version: 1
machine: cell
board:
  cores: 4
  memory: 2GiB
  devices:
    encoder-card: { model: hctl2016, ports: 0x300, irq: 5 }
shared:
  terminal:
    kind: console
    grants:
      hmi: { access: rw }
  lan:
    kind: ethernet
    grants: {}
partitions:
  hmi:
    role: gpos
    cores: [0, 1]
    memory: 512MiB
    boot: { kernel: bzImage, initrd: initrd, cmdline: "console=ttyS0" }
    devices:
      com1: { model: uart16550, shared: terminal }
      keyboard: { model: i8042 }
    console: com1
    on-crash: { action: restart, limit: 3 }
  control:
    role: rtos
    cores: [2]
    memory: { size: 16MiB, base: 1GiB }
    boot: { kernel: rtos.elf }
    devices:
      com1: { model: uart16550 }
      encoder: { board: encoder-card }
      screen: { model: text-screen }
    console: com1
`;

const STATION = '{ model: e1000, wire: field, options: { mac: 02:00:00:00:00:01 } }';

/** What to find and write for other devices at the end of the file, and wires behind them: the device on line 35, a single one's wires on line 37. */
const onWires = (devices: string, wires: string): [string, string] => [
  'screen: { model: text-screen }\n    console: com1\n',
  `${devices}\n    console: com1\nwires: { ${wires} }\n`,
];

const compile = (text: string) => compileManifest(text, 'cell.yaml', host);
const errors = (findings: readonly Finding[]) => findings.filter((finding) => finding.severity === 'error');

describe('a good manifest', () => {
  const { machine, findings, proof } = compile(GOOD);

  it('has no findings and a proof that holds', () => {
    expect(findings).toEqual([]);
    expect(proof?.holds).toBe(true);
    expect(proof?.claims.find(({ claim }) => claim.includes('no core has two owners'))?.checked).toBe(3);
  });

  it('becomes a machine with every default filled in', () => {
    expect(machine?.partitions.map((partition) => partition.name)).toEqual(['hmi', 'control']);
    expect(machine?.partitions[0]).toMatchObject({
      engine: 'soft',
      cores: [0, 1],
      boot: { kernel: '/m/bzImage', initrd: '/m/initrd', cmdline: 'console=ttyS0', protocol: 'auto', decompress: true },
      console: 'com1',
      onCrash: { action: 'restart', limit: 3 },
    });
    expect(machine?.partitions[1]?.onCrash).toEqual({ action: 'halt', limit: 0 });
  });

  it('places RAM without a base in the first gap, and leaves the rest where it was put', () => {
    expect(machine?.partitions.map((partition) => partition.memory)).toEqual([
      { base: 0, size: 512 * MiB },
      { base: GiB, size: 16 * MiB },
    ]);
  });

  it('puts private models at their usual place, in every partition alike', () => {
    const com1 = { model: 'uart16550', ranges: [{ space: 'pio', base: 0x3f8, size: 8 }], irqs: [4], options: { label: '' } };
    expect(machine?.partitions[0]?.devices[0]).toEqual({ name: 'com1', shared: 'terminal', ...com1 });
    expect(machine?.partitions[1]?.devices[0]).toEqual({ name: 'com1', ...com1 });
  });

  it('allows a partition the board devices it owns, and nothing else of the board', () => {
    expect(machine?.partitions[0]?.allowance).toEqual({ cores: [0, 1], memory: [{ base: 0, size: 512 * MiB }], ports: [], mmio: [], irqs: [] });
    expect(machine?.partitions[1]?.allowance).toMatchObject({ ports: [{ space: 'pio', base: 0x300, size: 4 }], irqs: [5] });
    expect(machine?.board.devices).toMatchObject([{ name: 'encoder-card', owner: 'control' }]);
  });

  it('says what becomes of stray DMA, where that is not the default', () => {
    const policies = (text: string) => compile(text).machine?.partitions.map(({ dmaViolations }) => dmaViolations);
    expect(policies(GOOD)).toEqual([undefined, undefined]);
    expect(policies(GOOD.replace('    on-crash:', '    dma-violations: stop\n    on-crash:'))).toEqual(['stop', undefined]);
  });

  it('may be written as JSON', () => {
    const json = JSON.stringify({
      version: 1,
      machine: 'cell',
      board: { cores: 1, memory: '64MiB' },
      partitions: { a: { role: 'rtos', cores: [0], memory: '1MiB', boot: { kernel: 'rtos.elf' }, devices: { e: { model: 'hctl2016', ports: '0x300' } } } },
    });
    expect(compile(json).machine?.partitions[0]?.devices[0]?.ranges).toEqual([{ space: 'pio', base: 0x300, size: 4 }]);
  });

  it('keeps the options that are written, and fills in the others', () => {
    const { machine } = compile(GOOD.replace('irq: 5', 'irq: 5, options: { rpm: -90 }'));
    expect(machine?.partitions[1]?.devices[1]?.options).toEqual({ rpm: -90, index: false });
  });

  it('gives each device of a model the next usual place, and knows the lines of a usual place that is written', () => {
    const devices = (written: string) => compile(GOOD.replace('{ model: i8042 }', written)).machine?.partitions[0]?.devices[1];
    expect(devices('{ model: uart16550 }')).toMatchObject({ ranges: [{ base: 0x2f8 }], irqs: [3] });
    expect(devices('{ model: uart16550, ports: 0x2f8 }')).toMatchObject({ ranges: [{ base: 0x2f8 }], irqs: [3] });
    expect(devices('{ model: uart16550, ports: 0x1a0, irq: 10 }')).toMatchObject({ ranges: [{ base: 0x1a0, size: 8 }], irqs: [10] });
  });

  it('leaves a usual place to who asked for it', () => {
    const { machine } = compile(GOOD.replace('com1: { model: uart16550, shared: terminal }', 'com1: { model: uart16550 }').replace('{ model: i8042 }', '{ model: uart16550, ports: 0x3f8 }'));
    expect(machine?.partitions[0]?.devices.map((device) => device.ranges[0]?.base)).toEqual([0x2f8, 0x3f8]);
  });

  it('keeps the windows of a device in the order of its model, wherever they are moved', () => {
    const { machine } = compile(GOOD.replace('{ model: text-screen }', '{ model: text-screen, ports: 0x2c0 }'));
    expect(machine?.partitions[1]?.devices[2]?.ranges).toEqual([
      { space: 'mmio', base: 0xb8000, size: 0x8000 },
      { space: 'pio', base: 0x2c0, size: 0x20 },
    ]);
  });
});

/** What to change in the good manifest, and the line of the changed text on which the finding must stand. One or more for every code. */
const MALFORMED: readonly (readonly [code: Finding['code'], line: number, what: string, find: string, write: string])[] = [
  ['BH101', 5, 'a bracket that never closes', 'cores: 4', 'cores: [4'],
  ['BH101', 5, 'a tab as indentation', '  memory: 2GiB', '\tmemory: 2GiB'],
  ['BH101', 1, 'an alias of nothing', 'cores: 4', 'cores: *nothing'],
  ['BH101', 3, 'two documents', 'board:\n', '---\nboard:\n'],
  ['BH102', 21, 'a key that stands twice', 'memory: 512MiB', 'memory: 512MiB\n    memory: 256MiB'],
  ['BH102', 27, 'two partitions of one name', '  control:', '  hmi:'],
  ['BH104', 20, 'a mistyped key', 'memory: 512MiB', 'memmory: 512MiB'],
  ['BH104', 1, 'a key at the top that does not exist', 'version: 1', 'versions: 1'],
  ['BH105', 17, 'no memory', '    memory: 512MiB\n', ''],
  ['BH105', 20, 'memory without a value', 'memory: 512MiB', 'memory:'],
  ['BH106', 19, 'cores as a single number', 'cores: [0, 1]', 'cores: 1'],
  ['BH106', 19, 'a core that is a word', 'cores: [0, 1]', 'cores: [0, one]'],
  ['BH106', 25, 'a console that is a list', 'console: com1', 'console: [com1]'],
  ['BH106', 17, 'a key that would bend plain data', '  hmi:\n', '  __proto__:\n'],
  ['BH107', 18, 'a role that does not exist', 'role: gpos', 'role: server'],
  ['BH107', 26, 'a crash action that does not exist', 'action: restart', 'action: reboot'],
  ['BH108', 20, 'a size without a unit', 'memory: 512MiB', 'memory: 512'],
  ['BH108', 20, 'a size in decimal units', 'memory: 512MiB', 'memory: 512MB'],
  ['BH108', 30, 'a size that is no whole number of bytes', 'size: 16MiB', 'size: 1.0000001KiB'],
  ['BH109', 20, 'a speed without a unit', 'memory: 512MiB', 'speed: 100'],
  ['BH110', 4, 'no core at all', 'cores: 4', 'cores: 0'],
  ['BH110', 7, 'a negative port', 'ports: 0x300', 'ports: -1'],
  ['BH111', 1, 'a version from the future', 'version: 1', 'version: 2'],
  ['BH112', 27, 'a name in capitals', '  control:', '  Control:'],
  ['BH112', 2, 'a machine name with a blank', 'machine: cell', 'machine: my cell'],
  ['BH280', 24, 'a disk on no file', 'model: i8042', 'model: drives, options: { disk: none.img }'],
  ['BH280', 24, 'a disk on a file that cannot be written', 'model: i8042', 'model: drives, options: { disk: locked.img }'],
  ['BH281', 24, 'a disk of no whole sectors', 'model: i8042', 'model: drives, options: { disk: odd.img }'],
  ['BH282', 24, 'a disk that is written and read as a disc', 'model: i8042', 'model: drives, options: { disk: root.img, cdrom: root.img }'],
  ['BH116', 24, 'a number for the path of a file', 'model: i8042', 'model: drives, options: { disk: 5 }'],
  ['BH114', 24, 'a model that does not exist', 'model: i8042', 'model: i8024'],
  ['BH123', 24, 'a module that describes no device', 'model: i8042', 'model: ./devices/encoder.ts'],
  ['BH115', 24, 'an option that a module does not have', 'model: i8042', 'model: ./card.ts, options: { gian: 2 }'],
  ['BH116', 24, 'an option out of the bounds of its module', 'model: i8042', 'model: ./card.ts, options: { gain: 9 }'],
  ['BH107', 26, 'a word for stray DMA that there is not', '    on-crash: { action: restart', '    dma-violations: ignore\n    on-crash: { action: restart'],
  ['BH115', 33, 'an option the model lacks', 'com1: { model: uart16550 }', 'com1: { model: uart16550, options: { baud: 9600 } }'],
  ['BH116', 7, 'an option out of its bounds', 'irq: 5', 'irq: 5, options: { rpm: 7000 }'],
  ['BH116', 7, 'an option of the wrong kind', 'irq: 5', 'irq: 5, options: { index: 1 }'],
  ['BH106', 7, 'an option that is no number', 'irq: 5', 'irq: 5, options: { rpm: .nan }'],
  ['BH117', 25, 'more devices than usual places', '{ model: i8042 }', '{ model: i8042 }\n      second: { model: i8042 }'],
  ['BH117', 24, 'one base for two windows', 'model: i8042', 'model: i8042, ports: 0x60'],
  ['BH117', 24, 'a place where drivers would not find it', 'model: i8042', 'model: i8042, ports: [0x160, 0x164]'],
  ['BH117', 24, 'fewer lines than it drives', 'model: i8042', 'model: i8042, irq: 1'],
  ['BH117', 24, 'a window it does not have', 'model: i8042', 'model: i8042, mmio: 0xd0000000'],
  ['BH118', 34, 'a device that is nothing', '{ board: encoder-card }', '{}'],
  ['BH118', 34, 'a device that is two things', '{ board: encoder-card }', '{ board: encoder-card, model: hctl2016 }'],
  ['BH118', 34, 'ports for what is on the board', '{ board: encoder-card }', '{ board: encoder-card, ports: 0x310 }'],
  ['BH119', 7, 'ports that do not exist', 'ports: 0x300', 'ports: 0xfffe'],
  ['BH119', 7, 'a line that does not exist', 'irq: 5', 'irq: 24'],
  ['BH121', 21, 'a CPU feature that there is not', '    memory: 512MiB', '    memory: 512MiB\n    cpuid: { sse42: false }'],
  ['BH122', 21, 'a CPU feature without what it needs', '    memory: 512MiB', '    memory: 512MiB\n    cpuid: { ssse3: false, sse4_1: true }'],
  ['BH120', 25, 'a console that is no device', '    console: com1\n    on-crash', '    console: com9\n    on-crash'],
  ['BH120', 25, 'a console without a byte stream', '    console: com1\n    on-crash', '    console: keyboard\n    on-crash'],
  ['BH200', 29, 'a core with two owners', 'cores: [2]', 'cores: [1]'],
  ['BH201', 29, 'a core that is not on the board', 'cores: [2]', 'cores: [4]'],
  ['BH202', 29, 'a core listed twice', 'cores: [2]', 'cores: [2, 2]'],
  ['BH203', 29, 'no core', 'cores: [2]', 'cores: []'],
  ['BH205', 30, 'RAM with two owners', 'memory: 512MiB', 'memory: { size: 512MiB, base: 900MiB }'],
  ['BH206', 20, 'more RAM than the board has', 'memory: 512MiB', 'memory: 3GiB'],
  ['BH206', 30, 'RAM beyond the end of the board', 'base: 1GiB', 'base: 2040MiB'],
  ['BH207', 20, 'too little for Linux', 'memory: 512MiB', 'memory: 32MiB'],
  ['BH207', 30, 'too little for anything', 'size: 16MiB', 'size: 4KiB'],
  ['BH208', 30, 'half a page', 'size: 16MiB', 'size: 8194KiB'],
  ['BH208', 30, 'a base inside a page', 'base: 1GiB', 'base: 0x40000100'],
  ['BH209', 20, 'more than a guest can be shown', 'memory: 512MiB', 'memory: 4GiB'],
  ['BH220', 34, 'a board device with two owners', '{ model: i8042 }', '{ board: encoder-card }'],
  ['BH221', 34, 'a board device that is not there', 'board: encoder-card', 'board: encoder'],
  ['BH222', 8, 'two board devices at the same ports', 'irq: 5 }', 'irq: 5 }\n    other: { model: hctl2016, ports: 0x302 }'],
  ['BH223', 9, 'two board devices at the same addresses', 'irq: 5 }', 'irq: 5 }\n    vga: { model: framebuffer }\n    vga2: { model: framebuffer, mmio: 0xd0200000 }'],
  ['BH224', 8, 'two board devices on the same line', 'irq: 5 }', 'irq: 5 }\n    other: { model: hctl2016, ports: 0x310, irq: 5 }'],
  ['BH226', 35, 'two devices of a partition at the same ports', '{ model: text-screen }', '{ model: uart16550, ports: 0x3fc, irq: 10 }'],
  ['BH227', 36, 'two devices of a partition at the same addresses', '{ model: text-screen }', '{ model: text-screen }\n      screen2: { model: text-screen, mmio: 0xbf000, ports: 0x2c0 }'],
  ['BH228', 36, 'two devices of a partition on the same line', '{ model: text-screen }', '{ model: text-screen }\n      com2: { model: uart16550, ports: 0x1a0 }'],
  ['BH229', 24, "a device in the timer's place", 'model: i8042', 'model: telemetry, ports: 0x42'],
  ['BH229', 24, "a device on the timer's line", 'model: i8042', 'model: i8042, irq: [0, 12]'],
  ['BH230', 35, 'registers over RAM', 'model: text-screen', 'model: framebuffer, mmio: 0x400000'],
  ['BH240', 23, 'something shared that is not declared', 'shared: terminal', 'shared: terminals'],
  ['BH241', 33, 'something shared that is not granted', 'com1: { model: uart16550 }', 'com1: { model: uart16550, shared: terminal }'],
  ['BH242', 13, 'a grant to nobody', 'hmi: { access: rw }', 'hmi: { access: rw }\n      hm: {}'],
  ['BH244', 24, 'a keyboard on the terminal', '{ model: i8042 }', '{ model: i8042, shared: terminal }'],
  ['BH245', 24, 'a cable to a wire that is not there', '{ model: i8042 }', '{ model: e1000, wire: field }'],
  ['BH245', 35, 'a cable in a screen', ...onWires('screen: { model: text-screen, wire: field }', 'field: {}')],
  ['BH246', 38, 'a wire with three ends', ...onWires('a: { model: e1000, wire: field }\n      b: { model: e1000, wire: field }', 'field: { tap: tap0 }')],
  ['BH247', 36, 'two stations with one address', ...onWires(`a: ${STATION}\n      b: ${STATION}`, 'field: {}')],
  ['BH248', 37, 'an interface with an impossible name', ...onWires('a: { model: e1000, wire: field }', 'field: { tap: "tap 0" }')],
  ['BH248', 37, 'a recording that is not there', ...onWires('a: { model: e1000, wire: field }', 'field: { replay: gone.pcap }')],
  ['BH248', 37, 'a recording that overwrites itself', ...onWires('a: { model: e1000, wire: field }', 'field: { replay: notes.txt, capture: notes.txt }')],
  ['BH248', 37, 'two wires in one recording', ...onWires('a: { model: e1000, wire: field }', 'field: { tap: t, capture: x }, other: { capture: x }')],
  ['BH116', 35, 'an address that is none', ...onWires('a: { model: e1000, wire: field, options: { mac: here } }', 'field: {}')],
  ['BH118', 35, "a cable for what is on the board", ...onWires('encoder2: { board: encoder-card, wire: field }', 'field: {}')],
  ['BH250', 31, 'a kernel that is not there', 'kernel: rtos.elf', 'kernel: rtos.bin'],
  ['BH250', 21, 'an initrd that is not there', 'initrd: initrd', 'initrd: initramfs'],
  ['BH252', 31, 'a kernel that is no image', 'kernel: rtos.elf', 'kernel: notes.txt'],
  ['BH253', 31, 'a flat image without its address', 'kernel: rtos.elf', 'kernel: notes.txt, protocol: flat'],
  ['BH253', 31, 'an address without a flat image', 'kernel: rtos.elf', 'kernel: rtos.elf, load: 0x100000'],
  ['BH253', 31, 'a flat image beyond its RAM', 'kernel: rtos.elf', 'kernel: notes.txt, protocol: flat, load: 1GiB'],
  ['BH254', 30, 'an image larger than its RAM', 'kernel: rtos.elf', 'kernel: big.img, protocol: flat, load: 0'],
  ['BH256', 21, 'an initrd Linux cannot unpack', 'initrd: initrd', 'initrd: notes.txt'],
  ['BH257', 31, 'nothing to start from', '{ kernel: rtos.elf }', '{ decompress: false }'],
  ['BH257', 31, 'two things to start from', 'kernel: rtos.elf', 'kernel: rtos.elf, firmware: bios.rom'],
  ['BH257', 31, 'a command line for firmware', 'kernel: rtos.elf', 'firmware: bios.rom, cmdline: quiet'],
  ['BH250', 31, 'firmware that is not there', 'kernel: rtos.elf', 'firmware: bios.bin'],
  ['BH258', 31, 'firmware that is no ROM', 'kernel: rtos.elf', 'firmware: notes.txt'],
  ['BH107', 31, 'a place where firmware cannot look', 'kernel: rtos.elf', 'firmware: bios.rom, order: [tape]'],
  ['BH229', 33, "a device at the ports of the firmware's configuration", '{ kernel: rtos.elf }\n    devices:\n      com1: { model: uart16550 }', '{ firmware: bios.rom }\n    devices:\n      com1: { model: telemetry, ports: 0x510 }'],
  ['BH260', 26, 'no restart at all', 'limit: 3', 'limit: 0'],
  ['BH260', 26, 'a limit for nothing', 'action: restart', 'action: halt'],
];

describe('a model of the user’s own', () => {
  const keyboardOf = (written: string) => compile(GOOD.replace('{ model: i8042 }', written)).machine?.partitions[0]?.devices.find(({ name }) => name === 'keyboard');

  it('is a module by its path: placed, with its options, like one of the catalogue', () => {
    expect(keyboardOf('{ model: ./card.ts, options: { gain: 3 } }')).toEqual({
      name: 'keyboard',
      model: './card.ts',
      module: '/m/card.ts',
      ranges: [{ space: 'pio', base: 0x320, size: 8 }],
      irqs: [10],
      options: { gain: 3 },
    });
    expect(keyboardOf('{ model: ./card.ts, ports: 0x340, irq: 11 }')).toMatchObject({ ranges: [{ base: 0x340 }], irqs: [11], options: { gain: 1 } });
  });

  it('can be a device of the board, and is its owner’s then', () => {
    const text = GOOD.replace('model: hctl2016', 'model: ../cards/card.ts');
    const machine = compile(text).machine;
    expect(machine?.partitions.flatMap(({ devices }) => devices).find(({ board }) => board !== undefined)).toMatchObject({ module: '/m/../cards/card.ts' });
  });
});

describe('wires', () => {
  const wiresOf = (text: string) => compile(text).machine?.partitions.map(({ devices }) => devices.find(({ model }) => model === 'e1000')?.wire);
  const pair = GOOD.replace('{ model: i8042 }', '{ model: e1000, wire: field }').replace(...onWires('eth0: { model: e1000, wire: field }', 'field: { capture: field.pcap }'));

  it('lead from one controller to another; the first one records', () => {
    expect(compile(pair).findings).toEqual([]);
    expect(wiresOf(pair)).toEqual([
      { name: 'field', peer: { partition: 'control', device: 'eth0' }, capture: '/m/field.pcap' },
      { name: 'field', peer: { partition: 'hmi', device: 'keyboard' } },
    ]);
  });

  it('or to the host, or to a recording', () => {
    const text = (end: string) => GOOD.replace(...onWires('eth0: { model: e1000, wire: field }', `field: { ${end} }`));
    expect(wiresOf(text('tap: tap0'))?.[1]).toEqual({ name: 'field', tap: 'tap0' });
    expect(wiresOf(text('replay: notes.txt'))?.[1]).toEqual({ name: 'field', replay: '/m/notes.txt' });
  });

  it('take as many controllers of one model as there are', () => {
    const text = GOOD.replace(...onWires('a: { model: e1000 }\n      b: { model: e1000 }\n      c: { model: e1000 }', ''));
    expect(compile(text).findings).toEqual([]);
  });
});

describe('a partition with firmware', () => {
  const started = (boot: string) => compile(GOOD.replace('{ kernel: rtos.elf }', boot)).machine?.partitions[1]?.boot;

  it('starts from the ROM it names, and looks for a system where it is told', () => {
    expect(started('{ firmware: bios.rom, order: [cdrom, disk] }')).toMatchObject({ kernel: '/m/bios.rom', protocol: 'firmware', order: ['cdrom', 'disk'] });
  });

  it('takes SeaBIOS from its package', () => {
    const text = GOOD.replace('{ kernel: rtos.elf }', '{ firmware: seabios }');
    expect(started('{ firmware: seabios }')?.kernel).toBe('/cache/seabios');
    expect(packageReferences(text)).toEqual(['package:seabios']);
  });
});

/** Rules of what is shared have their cases beside it: shared-disk.test.ts, networks.test.ts, shared-memory.test.ts, exclusive.test.ts. */
const WITH_WHAT_THEY_SHARE = ['BH283', 'BH284', 'BH285', 'BH286', 'BH287', 'BH288', 'BH289', 'BH290', 'BH291', 'BH292', 'BH294', 'BH295', 'BH296'];

describe('a malformed manifest', () => {
  it.each(MALFORMED.map(([code, line, what, find, write]) => ({ code, line, what, find, write })))(
    '$code on line $line: $what',
    ({ code, line, find, write }) => {
      expect(GOOD).toContain(find);
      const { machine, findings } = compile(GOOD.replace(find, write));
      expect(machine).toBeUndefined();
      expect(errors(findings).map((finding) => `${finding.code} line ${finding.at.line}`)).toContain(`${code} line ${line}`);
    },
  );

  it.each([
    ['BH103', 'an empty text', ''],
    ['BH103', 'a comment alone', '# nothing yet\n'],
    ['BH103', 'brackets thousands deep', `a: ${'['.repeat(20_000)}${']'.repeat(20_000)}`],
    ['BH101', 'brackets thousands deep that never close', '['.repeat(20_000)],
    ['BH103', 'more than a megabyte', '#'.repeat(1024 * 1024 + 1)],
    ['BH106', 'a list', '- 1\n- 2\n'],
    ['BH106', 'a text', 'hello'],
    ['BH106', 'a number', '42'],
    ['BH101', 'aliases that multiply', 'a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]\n'],
    ['BH113', 'no partition', 'version: 1\nmachine: m\nboard: { cores: 1, memory: 1GiB }\npartitions: {}\n'],
  ])('%s: %s', (code, _, text) => {
    expect(compile(text).findings.map((finding) => finding.code)).toContain(code);
    expect(compile(text).machine).toBeUndefined();
  });

  it('has a case here for every rule that finds errors', () => {
    const covered = new Set<string>([...MALFORMED.map(([code]) => code), 'BH113', ...WITH_WHAT_THEY_SHARE]);
    expect(RULES.filter((rule) => rule.severity === 'error' && !covered.has(rule.code)).map((rule) => rule.code)).toEqual([]);
  });

  it('is shown with both owners and a way out', () => {
    const [finding] = compile(GOOD.replace('cores: [2]', 'cores: [1]')).findings;
    expect(finding).toEqual({
      code: 'BH200',
      severity: 'error',
      message: 'core 1 is owned by both hmi and control',
      at: { file: 'cell.yaml', line: 29, column: 13, length: 1 },
      related: [{ message: 'hmi owns it here', at: { file: 'cell.yaml', line: 19, column: 16, length: 1 } }],
      hint: 'cores 2, 3 have no owner',
    });
  });

  it('gets the word that was meant', () => {
    const hint = (find: string, write: string) => compile(GOOD.replace(find, write)).findings[0]?.hint;
    expect(hint('memory: 512MiB', 'memroy: 512MiB')).toBe('did you mean `memory`?');
    expect(hint('model: i8042', 'model: uart16650')).toBe('did you mean `uart16550`?');
    expect(hint('memory: 512MiB', 'memory: 512 mb')).toBe('write the unit as MiB, as in 16MiB');
  });

  it('gets all its findings at once, in the order of the file, but not without end', () => {
    const several = compile(GOOD.replace('cores: [2]', 'cores: [1]').replace('kernel: rtos.elf', 'kernel: gone').replace('512MiB', '32MiB'));
    expect(several.findings.map((finding) => finding.code)).toEqual(['BH207', 'BH200', 'BH250']);
    const endless = `version: 1\n${Array.from({ length: 5000 }, (_, index) => `k${index}: 1`).join('\n')}`;
    expect(compile(endless).findings.length).toBeLessThanOrEqual(MAX_FINDINGS);
  });
});

describe('a risky manifest', () => {
  it.each([
    ['BH204', 'a real-time partition on core 0', 'role: gpos', 'role: rtos', 19],
    ['BH225', 'a board device nobody owns', '      encoder: { board: encoder-card }\n', '', 7],
    ['BH249', 'a wire that leads nowhere', ...onWires('eth0: { model: e1000, wire: field }', 'field: {}'), 37],
    ['BH249', 'a wire nobody is on', ...onWires('eth0: { model: e1000 }', 'field: {}'), 37],
    ['BH251', 'a package not fetched yet', 'kernel: bzImage', 'kernel: package:linux-amd64', 21],
    ['BH255', 'an initrd for memtest', 'kernel: bzImage', 'kernel: memtest.bin', 21],
  ])('%s is a warning, and the machine can run: %s', (code, _, find, write, line) => {
    const { machine, findings } = compile(GOOD.replace(find, write));
    expect(findings.map((finding) => [finding.code, finding.severity, finding.at.line])).toEqual([[code, 'warning', line]]);
    expect(machine).toBeDefined();
  });

  it('names the file a package will be in', () => {
    expect(compile(GOOD.replace('bzImage', 'package:linux-amd64')).machine?.partitions[0]?.boot.kernel).toBe('/cache/linux-amd64');
  });
});

describe('any text at all', () => {
  /** Park and Miller's generator: the same texts in every run. */
  const random = (seed: number) => {
    let state = seed;
    return (below: number): number => {
      state = (state * 48271) % 0x7fffffff;
      return state % below;
    };
  };
  const SPLINTERS = ['{', '}', '[', ']', ':', ' ', '\n', '-', '&a ', '*a', '"', "'", '#', '|', '>', '!x ', '0x', '-1', '1e99', 'null', '~', '\t', '\r', '\u0000', '\ud800', '?', '<<: ', '---\n', 'GiB', '4096'];

  it('is compiled without an exception, and every finding has a place in it', () => {
    const pick = random(20240229);
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      let text = GOOD;
      for (let edits = 1 + pick(4); edits > 0; edits--) {
        const at = pick(text.length + 1);
        const kind = pick(4);
        if (kind === 0) text = text.slice(0, at) + text.slice(at + 1 + pick(8));
        else if (kind === 1) text = text.slice(0, at) + SPLINTERS[pick(SPLINTERS.length)] + text.slice(at);
        else if (kind === 2) text = text.slice(0, at) + GOOD.slice(pick(GOOD.length)).slice(0, pick(60)) + text.slice(at);
        else text = text.slice(0, at) + String.fromCharCode(32 + pick(95)) + text.slice(at + 1);
      }
      const { machine, findings, proof } = compile(text);
      if (machine === undefined) refused++;
      expect(errors(findings).length > 0, text).toBe(machine === undefined);
      expect(proof?.holds ?? true, text).toBe(true);
      const lines = text.split('\n');
      const spans = findings.flatMap((finding) => [finding.at, ...(finding.related ?? []).map((place) => place.at)]);
      const astray = spans.filter(({ line, column, length }) => {
        // A caret may stand right behind the last character.
        const room = (lines[line - 1]?.length ?? Number.NEGATIVE_INFINITY) + 1;
        return !(column >= 1 && length >= 1 && column + length - 1 <= room);
      });
      expect(astray, text).toEqual([]);
    }
    // The mutations reach both sides of the compiler.
    expect(refused).toBeGreaterThan(1000);
    expect(refused).toBeLessThan(2000);
  });
});
