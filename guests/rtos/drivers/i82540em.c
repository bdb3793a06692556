/*
 * Intel 82540EM Gigabit Ethernet: legacy descriptors, one ring each way, an interrupt for what arrives.
 *
 * Spec: PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (Intel 317453), sections 3.2, 3.3, 14.
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"

#define CTRL 0x0000
#define STATUS 0x0008
#define EERD 0x0014
#define ICR 0x00c0
#define IMS 0x00d0
#define IMC 0x00d8
#define RCTL 0x0100
#define TCTL 0x0400
#define TIPG 0x0410
#define RDBAL 0x2800
#define RDLEN 0x2808
#define RDH 0x2810
#define RDT 0x2818
#define TDBAL 0x3800
#define TDLEN 0x3808
#define TDH 0x3810
#define TDT 0x3818
#define MTA 0x5200
#define RAL 0x5400
#define RAH 0x5404

#define CTRL_AUTO_SPEED (1u << 5)
#define CTRL_SET_LINK_UP (1u << 6)
#define CTRL_RESET (1u << 26)
#define STATUS_LINK_UP (1u << 1)
#define CAUSE_RECEIVED (1u << 7)
#define CAUSE_OVERRUN (1u << 6)
#define CAUSE_FEW_DESCRIPTORS (1u << 4)
#define CAUSE_LINK (1u << 2)
#define RCTL_ENABLE_BROADCAST_STRIP (1u << 1 | 1u << 15 | 1u << 26)
#define TCTL_ENABLE_PAD (1u << 1 | 1u << 3)
#define TCTL_COLLISIONS (0x0fu << 4 | 0x40u << 12) /* section 14.5 */
#define TIPG_COPPER 0x0060200au
#define ADDRESS_VALID (1u << 31)
#define EERD_START 1u
#define EERD_DONE (1u << 4)
#define EERD_POLLS 100000u

#define DESCRIPTORS 16u /* a ring is a multiple of 128 bytes long */
#define BUFFER_BYTES 2048u
#define STATUS_DONE 0x01
#define STATUS_END_OF_PACKET 0x02
#define COMMAND_WHOLE_FRAME 0x0b /* end of packet, insert the check sequence, report the status (section 3.3.3.1) */
#define RESET_NS (1 * NS_PER_MS)

struct descriptor {
	u32 address, address_high;
	u16 length;
	u8 bytes[2]; /* receive: checksum; transmit: offset, command */
	u8 status, errors;
	u16 special;
};

static struct descriptor receive_ring[DESCRIPTORS] ALIGNED(16), transmit_ring[DESCRIPTORS] ALIGNED(16);
static u8 receive_buffers[DESCRIPTORS][BUFFER_BYTES] ALIGNED(16), transmit_buffers[DESCRIPTORS][BUFFER_BYTES] ALIGNED(16);
static u32 receive_next, transmit_next;
static u8 station[ETHERNET_ADDRESS_BYTES];
static uintptr_t registers;
static struct semaphore arrived;
static struct mutex sending;

static u32 read(u32 offset) { return mmio_read32(registers + offset); }
static void write(u32 offset, u32 value) { mmio_write32(registers + offset, value); }

/* Reading ICR acknowledges all causes (section 13.4.17). */
static void interrupt(void)
{
	if (read(ICR) & (CAUSE_RECEIVED | CAUSE_OVERRUN | CAUSE_FEW_DESCRIPTORS))
		semaphore_post(&arrived);
}

/* The first three words of the EEPROM are the station address (section 5.6.1). */
static bool read_station_address(void)
{
	for (u32 at = 0; at < 3; at++) {
		u32 value = 0;

		write(EERD, at << 8 | EERD_START);
		for (u32 polls = 0; polls < EERD_POLLS && !(value & EERD_DONE); polls++)
			value = read(EERD);
		if (!(value & EERD_DONE))
			return false;
		station[2 * at] = (u8)(value >> 16);
		station[2 * at + 1] = (u8)(value >> 24);
	}
	return true;
}

static void set_up_rings(void)
{
	for (u32 i = 0; i < DESCRIPTORS; i++) {
		receive_ring[i] = (struct descriptor){ .address = (u32)(uintptr_t)receive_buffers[i] };
		transmit_ring[i] = (struct descriptor){ .address = (u32)(uintptr_t)transmit_buffers[i], .status = STATUS_DONE };
	}
	receive_next = transmit_next = 0;
	write(RDBAL, (u32)(uintptr_t)receive_ring);
	write(RDBAL + 4, 0);
	write(RDLEN, sizeof(receive_ring));
	write(RDH, 0);
	write(RDT, DESCRIPTORS - 1);
	write(TDBAL, (u32)(uintptr_t)transmit_ring);
	write(TDBAL + 4, 0);
	write(TDLEN, sizeof(transmit_ring));
	write(TDH, 0);
	write(TDT, 0);
}

bool ethernet_init(void)
{
	struct pci_function function;

	if (!pci_find(0x8086, 0x100e, &function))
		return false;
	pci_enable(&function);
	registers = pci_address(&function, 0);
	write(IMC, 0xffffffffu);
	write(CTRL, read(CTRL) | CTRL_RESET);
	task_sleep(RESET_NS);
	write(IMC, 0xffffffffu);
	(void)read(ICR);
	if (!read_station_address())
		return false;
	write(RAL, station[0] | (u32)station[1] << 8 | (u32)station[2] << 16 | (u32)station[3] << 24);
	write(RAH, station[4] | (u32)station[5] << 8 | ADDRESS_VALID);
	for (u32 i = 0; i < 128; i++)
		write(MTA + 4 * i, 0);
	semaphore_init(&arrived, 0);
	set_up_rings();
	if (!pci_attach_interrupt(&function, interrupt))
		return false;
	write(CTRL, read(CTRL) | CTRL_SET_LINK_UP | CTRL_AUTO_SPEED);
	write(TIPG, TIPG_COPPER);
	write(TCTL, TCTL_ENABLE_PAD | TCTL_COLLISIONS);
	write(RCTL, RCTL_ENABLE_BROADCAST_STRIP);
	write(IMS, CAUSE_RECEIVED | CAUSE_OVERRUN | CAUSE_FEW_DESCRIPTORS | CAUSE_LINK);
	return true;
}

const u8 *ethernet_address(void) { return station; }
bool ethernet_has_link(void) { return read(STATUS) & STATUS_LINK_UP; }

bool ethernet_send(const void *frame, u32 bytes)
{
	volatile struct descriptor *descriptor;
	bool room;

	mutex_lock(&sending);
	descriptor = &transmit_ring[transmit_next];
	room = bytes <= ETHERNET_MOST_BYTES && descriptor->status & STATUS_DONE;
	if (room) {
		memcpy(transmit_buffers[transmit_next], frame, bytes);
		descriptor->length = (u16)bytes;
		descriptor->bytes[1] = COMMAND_WHOLE_FRAME;
		descriptor->status = 0;
		transmit_next = (transmit_next + 1) % DESCRIPTORS;
		write(TDT, transmit_next);
	}
	mutex_unlock(&sending);
	return room;
}

u32 ethernet_receive(void *frame, u64 timeout_ns)
{
	volatile struct descriptor *descriptor = &receive_ring[receive_next];
	u64 until = clock_now() + timeout_ns;
	u32 bytes = 0;

	while (!(descriptor->status & STATUS_DONE))
		if (!semaphore_wait(&arrived, timeout_ns) || (timeout_ns != WAIT_FOREVER && clock_now() > until))
			return 0;
	if (descriptor->status & STATUS_END_OF_PACKET && !descriptor->errors && descriptor->length <= ETHERNET_MOST_BYTES) {
		bytes = descriptor->length;
		memcpy(frame, receive_buffers[receive_next], bytes);
	}
	descriptor->status = 0;
	write(RDT, receive_next);
	receive_next = (receive_next + 1) % DESCRIPTORS;
	return bytes;
}
