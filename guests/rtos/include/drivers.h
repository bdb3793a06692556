/*
 * Drivers of the board's devices, one device of each kind. Called from tasks; those marked "any context" also from
 * interrupt handlers. An `_init` says false where there is no such device.
 */
#ifndef DRIVERS_H
#define DRIVERS_H

#include "types.h"

/* ---- Interrupts of devices (interrupts.c) ---- */

/* As ISA lines are, and as PCI lines are. */
enum interrupt_trigger { TRIGGER_EDGE, TRIGGER_LEVEL_LOW };

/*
 * Calls `handler` at every interrupt of an I/O APIC pin, with interrupts off. Pins are shared: each handler looks whether
 * its own device asks. False when pins, vectors or places are used up.
 */
bool interrupt_attach(u8 pin, enum interrupt_trigger trigger, void (*handler)(void));

/* ---- PCI (pci.c) ---- */

struct pci_function {
	u8 device, function; /* on bus 0 */
	u16 vendor, identity;
	u32 class_code; /* base class, sub-class, interface */
};

/* The functions of bus 0, in order, from `*at` (0) on. */
bool pci_next(u32 *at, struct pci_function *function);
bool pci_find(u16 vendor, u16 identity, struct pci_function *function);
bool pci_find_class(u32 class_code, struct pci_function *function);
u32 pci_read(const struct pci_function *function, u8 offset);
void pci_write(const struct pci_function *function, u8 offset, u32 value);
/* Address or first port of a base address register; 0 when it has none. */
u32 pci_address(const struct pci_function *function, u32 number);
/* Lets it answer at its addresses and be a bus master. */
void pci_enable(const struct pci_function *function);
bool pci_attach_interrupt(const struct pci_function *function, void (*handler)(void));

/* ---- Memory shared with other partitions (ivshmem.c) ---- */

struct shared_memory {
	void *memory;
	size_t bytes;
	volatile u32 *registers;
};

/* The first (0), second … in the order of PCI; false when there is none. */
bool shared_memory_find(u32 number, struct shared_memory *shared);
/* Number of this partition among those that share it. */
u32 shared_memory_position(const struct shared_memory *shared);
/* Rings a doorbell of another partition. Any context. */
void shared_memory_ring(const struct shared_memory *shared, u16 peer, u16 vector);

/* ---- HPET (hpet.c) ---- */

bool hpet_init(void);
u64 hpet_counter(void);
/* Femtoseconds of a tick. */
u32 hpet_period_fs(void);
/* Sleeps until comparator 0 interrupts, `ticks` from now; false when it does not within `timeout_ns`. */
bool hpet_wait(u32 ticks, u64 timeout_ns);

/* ---- Watchdog: 6300ESB (i6300esb.c) ---- */

bool watchdog_init(void);
/* Two stages: the first warns, the second resets the machine. */
void watchdog_start(u32 first_ms, u32 second_ms);
void watchdog_feed(void);
void watchdog_stop(void);
/* How often the first stage has run out. */
u32 watchdog_warnings(void);
/* The last reset was its doing; reading forgets it. */
bool watchdog_has_bitten(void);

/* ---- Disk: AHCI (ahci.c) ---- */

#define SECTOR_BYTES 512u
#define DISK_MOST_SECTORS 128u /* of one transfer */

bool disk_init(void);
/* Of 512 bytes. */
u64 disk_sectors(void);
/* 40 characters and a NUL. */
const char *disk_model(void);
/* `buffer` must be even. False on an error or when nothing happens for a second. */
bool disk_read(u64 sector, void *buffer, u32 sectors);
bool disk_write(u64 sector, const void *buffer, u32 sectors);
bool disk_flush(void);
u32 disk_interrupts(void);

/* ---- Disk: virtio (virtio-blk.c) ---- */

enum virtio_disk_operation { VIRTIO_DISK_READ = 0, VIRTIO_DISK_WRITE = 1, VIRTIO_DISK_FLUSH = 4 };

bool virtio_disk_init(void);
u64 virtio_disk_sectors(void);
/* Whole sectors of 512 bytes; a flush has none. False on an error or when nothing happens for ten seconds. */
bool virtio_disk_request(enum virtio_disk_operation operation, u64 sector, void *buffer, u32 bytes);

/* ---- A serial line: COM2 (uart-line.c) ---- */

bool line_init(void);
void line_send(u8 byte);
bool line_receive(u8 *byte, u64 timeout_ns);

/* ---- Measuring card: PCI-1710 (pci1710.c) ---- */

bool card_init(void);
void card_write_digital(u16 levels);
u16 card_read_digital(void);
/* Output 0 or 1; 4096 steps to 5 V. */
void card_write_analog(u32 output, u32 code);
/* One sample: 2048 is 0 V, 4096 steps to 10 V. -1 when it does not come. */
s32 card_read_analog(u32 channel);
/* Samples channels `first` to `last` in turn, `divisor` tenths of a microsecond apart; each has its channel in bits 15 to 12. Returns how many. */
u32 card_scan(u32 first, u32 last, u32 divisor, u16 *samples, u32 count, u64 timeout_ns);
u32 card_interrupts(void);

/* ---- Encoder card: HCTL-2016 (hctl2016.c) ---- */

/* Is there a card? Resets its counter. */
bool hctl2016_probe(void);
u16 hctl2016_read(void);
void hctl2016_reset(void);

/* ---- Keyboard (i8042.c) ---- */

bool keyboard_init(void);
/* The next scan code of set 1. */
bool keyboard_read(u8 *code, u64 timeout_ns);

/* ---- Screen (bochs-vbe.c) ---- */

struct screen {
	u32 width, height;
	u32 *pixels; /* 0x00RRGGBB, line after line */
};

bool screen_init(u32 width, u32 height, struct screen *screen);

/* ---- Ethernet: 82540EM (i82540em.c) ---- */

#define ETHERNET_ADDRESS_BYTES 6u
#define ETHERNET_MOST_BYTES 1514u /* without the check sequence */

bool ethernet_init(void);
const u8 *ethernet_address(void);
bool ethernet_has_link(void);
/* False when there is no room on the ring. */
bool ethernet_send(const void *frame, u32 bytes);
/* Waits for a frame; its length, or 0 when the time is over. Frames are at most ETHERNET_MOST_BYTES long. */
u32 ethernet_receive(void *frame, u64 timeout_ns);

/* ---- IPv4 and ICMP echo, on Ethernet (ping.c) ---- */

/* 10.0.0.1 is 0x0a000001. Starts the task that answers for this address. */
void network_init(u32 address);
/* True when the answer came in time, and brought back what was sent. */
bool network_ping(u32 peer, u32 sequence, u64 timeout_ns, u64 *round_trip_ns);
/* Echo requests answered so far. */
u32 network_answers(void);

#endif
