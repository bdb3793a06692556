/**
 * Every error and finding code, once. docs/errors.md is generated from this table; a test checks that every code used in the
 * sources stands here and that every code here is used.
 *
 * BH1xx the manifest's text and schema · BH2xx ownership and the board · BH3xx boot images · BH4xx engines ·
 * BH5xx partitions and machines at run time · BH6xx host, packages and command line.
 */
import type { ErrorCode, ErrorDescription } from './errors.ts';

export const ERRORS: Readonly<Record<ErrorCode, ErrorDescription>> = {
  // BH1xx the manifest's text and schema
  BH101: { title: 'The manifest is not YAML', remedy: 'Correct the text where the caret stands; JSON is accepted too.' },
  BH102: { title: 'A key stands twice in one mapping', remedy: 'Remove or rename one of the two.' },
  BH103: { title: 'The manifest cannot be read as a whole', remedy: 'It is empty, larger than 1 MiB or nested thousands deep: start from machines/packaging-cell.yaml.' },
  BH104: { title: 'Unknown key', remedy: 'Correct the spelling: the hint names the nearest known key, `bulkhead schema` all of them.' },
  BH105: { title: 'A key is missing', remedy: 'Add it; `bulkhead schema` says what it means.' },
  BH106: { title: 'A value or key of the wrong kind', remedy: 'Write what the message asks for: a text, a number, a mapping or a list.' },
  BH107: { title: 'Not one of the words that can stand here', remedy: 'Use one of the words in the hint.' },
  BH108: { title: 'A size without a unit, or not a size', remedy: 'Write a number and B, KiB, MiB or GiB: `16MiB`.' },
  BH109: { title: 'A speed without a unit, or not a speed', remedy: 'Write a number and MIPS or GIPS: `100MIPS`.' },
  BH110: { title: 'A number out of its bounds, or not an address', remedy: 'Stay within the bounds the message names.' },
  BH111: { title: 'Unknown version of the manifest language', remedy: 'Write `version: 1`, or use a newer release of Bulkhead.' },
  BH112: { title: 'Not a name', remedy: 'Use lower-case letters, digits and hyphens, beginning with a letter, up to 31 characters.' },
  BH113: { title: 'No partition, or too many partitions or devices', remedy: 'Describe from 1 to 64 partitions of up to 64 devices each.' },
  BH114: { title: 'Unknown device model', remedy: 'Use a model of the catalogue: `bulkhead inspect devices FILE` and the hint list them.' },
  BH115: { title: 'The device model has no such option', remedy: 'Use one of the options in the hint.' },
  BH116: { title: 'A device option with a value its model cannot take', remedy: 'Write what the message asks for.' },
  BH117: { title: 'A device without a place for its registers', remedy: 'Give `ports:` or `mmio:` one base for each window of the model.' },
  BH118: { title: 'A device that is nothing, or two things', remedy: 'Give it either `model:` (its own) or `board:` (the device of the board that it is).' },
  BH119: { title: 'Ports, addresses or an interrupt line that do not exist', remedy: 'Ports end at 0xffff, addresses at 48 bits, interrupt lines at 23.' },
  BH120: { title: 'A console that is no device with a byte stream', remedy: 'Name a serial port of the partition under `console:`.' },
  BH121: { title: 'A CPU feature that there is not, or that is not to be chosen', remedy: 'Use one of the names in the hint.' },
  BH122: { title: 'A CPU feature without what it needs', remedy: 'Put in what the message names as well, or leave the feature out.' },

  // BH2xx ownership and the board
  BH200: { title: 'A core has two owners', remedy: 'Give each core to one partition: the message names both.' },
  BH201: { title: 'A core that the board does not have', remedy: 'Use cores of the board, numbered from 0, or give the board more.' },
  BH202: { title: 'A partition lists a core twice', remedy: 'Remove one: each vCPU has a core of its own.' },
  BH203: { title: 'A partition without a core', remedy: 'Name at least one core under `cores:`.' },
  BH204: { title: 'A real-time partition on core 0', remedy: 'Give it a core from 1 on: core 0 takes the interrupts and the housekeeping of the platform.' },
  BH205: { title: 'RAM has two owners', remedy: 'Leave `base:` out to have the RAM placed, or move one of the two.' },
  BH206: { title: 'RAM that does not fit the board', remedy: 'Give the partitions less, the board more, or move what is placed by hand.' },
  BH207: { title: 'Too little RAM for this kind of guest', remedy: 'Give the partition at least what the hint says.' },
  BH208: { title: 'RAM that is not whole pages', remedy: 'Use multiples of 4KiB.' },
  BH209: { title: 'More RAM than a guest can be shown', remedy: 'Give the partition at most 3GiB.' },
  BH210: { title: 'Two devices claim the same addresses', remedy: 'Move one of the devices: the message names both owners and the range.' },
  BH211: { title: 'A device drives an interrupt line its partition does not own', remedy: 'Give the line to the partition with `irq:`, or choose another line.' },
  BH212: { title: 'A claimed range or interrupt line does not exist', remedy: 'Ports end at 0xFFFF, interrupt lines at 23 (2 is the cascade); correct the device in the manifest.' },
  BH213: { title: 'RAM regions overlap, or cover addresses the board needs', remedy: 'Make the partition\'s memory smaller: the message names the range.' },
  BH214: { title: 'The board has no such device model', remedy: '`bulkhead inspect devices` lists the models of the catalogue.' },
  BH215: { title: 'A device cannot be attached as described', remedy: 'Correct the ports, lines or options of the device: the message names them.' },
  BH220: { title: 'A device of the board has two owners', remedy: 'Remove it from one of the two, or declare it under `shared:` and grant it.' },
  BH221: { title: 'A device that the board does not have', remedy: 'Describe it under `board.devices`, or correct the name.' },
  BH222: { title: 'Two devices of the board have the same ports', remedy: 'Move one of them with `ports:`.' },
  BH223: { title: 'Two devices of the board have the same addresses', remedy: 'Move one of them with `mmio:`.' },
  BH224: { title: 'Two devices of the board have the same interrupt line', remedy: 'Give one of them another line with `irq:`.' },
  BH225: { title: 'A device of the board without an owner', remedy: 'Give it to a partition, or leave it: nobody can reach it.' },
  BH226: { title: 'Two devices of a partition have the same ports', remedy: 'Move one of them with `ports:`.' },
  BH227: { title: 'Two devices of a partition have the same addresses', remedy: 'Move one of them with `mmio:`.' },
  BH228: { title: 'Two devices of a partition drive the same interrupt line', remedy: 'Give one of them another line with `irq:`.' },
  BH229: { title: 'A device in the way of what every partition has', remedy: 'Move it off the interrupt controllers, timers and bridges: the message names the range or line.' },
  BH230: { title: 'Registers over RAM', remedy: 'Move the device above the RAM its guest sees from address 0.' },
  BH240: { title: 'Something used that is not declared as shared', remedy: 'Declare it under `shared:`, with its grants.' },
  BH241: { title: 'Something shared that was not granted', remedy: 'Add the partition to its grants.' },
  BH242: { title: 'A grant to no partition', remedy: 'Correct the name of the partition.' },
  BH243: { title: 'Sharing that is not supported yet', remedy: 'This release shares consoles; disks and Ethernet come later.' },
  BH244: { title: 'A shared console without a byte stream', remedy: 'Give the device the model of a serial port.' },
  BH250: { title: 'A boot file that cannot be read', remedy: 'Paths are relative to the manifest; `package:NAME` takes a file from a package.' },
  BH251: { title: 'A boot file that has not been fetched yet', remedy: '`bulkhead run` fetches it; until then nothing can be said about its contents.' },
  BH252: { title: 'A kernel that is no image to boot', remedy: 'Give a Linux, ELF or multiboot image, or `protocol: flat` and `load:` for raw code.' },
  BH253: { title: 'A flat image without its address, or an address without a flat image', remedy: 'Use `protocol: flat`, `load:` and, if it differs, `entry:` together.' },
  BH254: { title: 'Kernel and initrd do not fit their RAM', remedy: 'Give the partition more memory.' },
  BH255: { title: 'An initrd for an image that takes none', remedy: 'Remove `initrd:`.' },
  BH256: { title: 'An initrd that Linux cannot unpack', remedy: 'Give a cpio archive in `newc` format, compressed or not.' },
  BH260: { title: 'A crash policy that makes no sense', remedy: 'Give `restart` a limit of 1 or more, and other actions none.' },
  BH270: { title: 'Ownership could not be proved', remedy: 'Report the manifest: a rule should have said what is wrong.' },

  // BH3xx boot images
  BH301: { title: 'The kernel file is no image that is known', remedy: 'Give a bzImage, an ELF file or a multiboot image; for raw code set `protocol: flat` and `load:`.' },
  BH302: { title: 'The Linux kernel image is damaged or too old', remedy: 'Fetch or build the kernel again; boot protocol 2.06 (Linux 2.6.22) or later is needed.' },
  BH303: { title: 'The ELF file is damaged or not for this machine', remedy: 'Link a statically placed executable for i386 or x86-64.' },
  BH304: { title: 'The multiboot header asks for what is not there', remedy: 'Correct the header: the message names the field.' },
  BH305: { title: 'A flat image lacks its address', remedy: 'Set `load:` (and `entry:` where it is not the same).' },
  BH306: { title: 'Something is given that the image cannot take', remedy: 'Leave it out, or build an ELF or multiboot image.' },
  BH310: { title: 'Compressed data is damaged', remedy: 'The file is incomplete or was changed: fetch or build it again.' },
  BH311: { title: 'The compression is not supported', remedy: 'Decompress the file yourself, or set `decompress: false`.' },
  BH312: { title: 'Compressed data expands beyond the limit', remedy: 'Give the image uncompressed, or check that it is what it claims to be.' },
  BH320: { title: 'A boot image does not fit into the memory of the partition', remedy: 'Give the partition more memory, or load the image at another address.' },
  BH321: { title: 'Two pieces of what is loaded overlap', remedy: 'Load one of them elsewhere: the message names both.' },
  BH322: { title: 'No free memory for a piece of what is loaded', remedy: 'Give the partition more memory.' },
  BH323: { title: 'The kernel command line is too long', remedy: 'Shorten `cmdline:`; the message says how many bytes the kernel accepts.' },
  BH330: { title: 'A cpio archive is damaged', remedy: 'Build the archive again; the format is `newc`.' },

  // BH4xx engines
  BH401: { title: 'The host cannot give the memory a partition needs', remedy: 'Lower `memory:` of the partition, or free address space on the host.' },

  // BH5xx partitions and machines at run time
  BH501: {
    title: 'Boot content does not lie in the RAM of its partition',
    remedy: 'Give the partition more `memory:`, or load the image elsewhere: the message names the piece and its address.',
  },
  BH502: { title: 'The partition is running already', remedy: 'Stop it first, or restart it.' },
  BH503: { title: 'The machine has no such partition', remedy: 'Use one of the names in the hint.' },
  BH504: { title: 'The engine is not available here', remedy: 'Use `engine: soft`, which runs everywhere.' },
  BH505: { title: 'An image file cannot be read when its partition starts', remedy: 'Check that it still is where the manifest says.' },

  // BH6xx host, packages and command line
  BH610: { title: 'apt is not available', remedy: 'Give files of your own in `kernel:` and `initrd:`; the message says which.' },
  BH611: { title: 'A package does not exist for the architecture', remedy: 'Run `apt-get update`, or give files of your own in `kernel:` and `initrd:`.' },
  BH612: { title: 'A package or its lists cannot be downloaded', remedy: 'Connect the machine to its Debian mirror, or give files of your own.' },
  BH613: { title: 'A package cannot be unpacked', remedy: 'Check the free space of the cache folder; BULKHEAD_CACHE puts it elsewhere.' },
  BH614: { title: 'A package does not hold the expected file', remedy: 'Look into the folder that the message names, and give the file by path.' },
  BH615: { title: 'The cache folder cannot be written', remedy: 'Set BULKHEAD_CACHE to a folder of yours.' },
  BH600: { title: 'The manifest file cannot be read', remedy: 'Check the path and its permissions.' },
  BH620: { title: 'A log file cannot be written', remedy: 'Choose another place with `--log-dir`.' },
};
