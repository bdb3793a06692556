/*
 * A disk on an AHCI controller: the first port that has one, one command at a time, by DMA and interrupts.
 *
 * Spec: Serial ATA AHCI 1.3.1; ATA/ATAPI Command Set 3 (ACS-3) for the commands.
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"

#define CLASS_AHCI 0x010601u
#define ABAR 5

/* Global registers (AHCI section 3.1) */
#define GHC 0x04
#define IS 0x08
#define PI 0x0c
#define GHC_RESET (1u << 0)
#define GHC_INTERRUPTS (1u << 1)
#define GHC_AHCI (1u << 31)
/* A port's (section 3.3) */
#define PORTS 32u
#define PORT(n) (0x100 + 0x80 * (n))
#define PX_CLB 0x00
#define PX_CLBU 0x04
#define PX_FB 0x08
#define PX_FBU 0x0c
#define PX_IS 0x10
#define PX_IE 0x14
#define PX_CMD 0x18
#define PX_TFD 0x20
#define PX_SIG 0x24
#define PX_SSTS 0x28
#define PX_SERR 0x30
#define PX_CI 0x38
#define CMD_START (1u << 0)
#define CMD_FIS_RECEIVE (1u << 4)
#define CMD_FIS_RUNNING (1u << 14)
#define CMD_RUNNING (1u << 15)
#define IE_DEVICE_TO_HOST (1u << 0)
#define IE_PIO_SETUP (1u << 1) /* ends a PIO command that reads (Serial ATA 2.6 section 10.3.11) */
#define IE_ERRORS 0x7dc00010u
#define DETECTED 3u
#define SIGNATURE_ATA 0x00000101u
#define TFD_ERROR 0x01u
#define TFD_BUSY 0x88u

/* Commands (ACS-3 section 7) */
#define IDENTIFY_DEVICE 0xec
#define READ_DMA_EXT 0x25
#define WRITE_DMA_EXT 0x35
#define FLUSH_CACHE_EXT 0xea
#define FIS_HOST_TO_DEVICE 0x27
#define FIS_COMMAND 0x80
#define FIS_DWORDS 5u
#define LBA_MODE 0x40
#define HEADER_WRITE (1u << 6)

#define COMMAND_TIMEOUT_NS NS_PER_S
#define SETTLE_NS (500 * NS_PER_MS)
/* A byte count of a piece is 22 bits and one less than the count (section 4.2.3.3); two pieces show that it takes more than one. */
#define PIECE_BYTES (32u * 1024u)
#define PIECES (DISK_MOST_SECTORS * SECTOR_BYTES / PIECE_BYTES)

struct command_header {
	u32 flags, transferred, table, table_high, reserved[4];
};

struct piece {
	u32 address, address_high, reserved, last_byte;
};

static struct command_header headers[32] ALIGNED(1024);
static u8 received_fis[256] ALIGNED(256);
static struct {
	u8 command[64], packet[16], reserved[48];
	struct piece pieces[PIECES];
} table ALIGNED(128);
static u16 identity[256];
static char model[41];

static uintptr_t registers, port;
static u32 port_bit;
static struct semaphore finished;
static struct mutex in_use;
static volatile u32 interrupts, port_status;

static void interrupt(void)
{
	if (!(mmio_read32(registers + IS) & port_bit))
		return;
	interrupts++;
	port_status |= mmio_read32(port + PX_IS);
	/* The port's own causes first, or the controller's bit comes back (section 5.6.2). */
	mmio_write32(port + PX_IS, mmio_read32(port + PX_IS));
	mmio_write32(registers + IS, port_bit);
	semaphore_post(&finished);
}

static bool settles(uintptr_t address, u32 mask, u32 wanted)
{
	u64 until = clock_now() + SETTLE_NS;

	while ((mmio_read32(address) & mask) != wanted)
		if (clock_now() > until)
			return false;
	return true;
}

/* Section 10.1.2: firmware or software before us may have left the port running. */
static bool start_port(void)
{
	mmio_write32(port + PX_CMD, mmio_read32(port + PX_CMD) & ~CMD_START);
	if (!settles(port + PX_CMD, CMD_RUNNING, 0))
		return false;
	mmio_write32(port + PX_CMD, mmio_read32(port + PX_CMD) & ~CMD_FIS_RECEIVE);
	if (!settles(port + PX_CMD, CMD_FIS_RUNNING, 0))
		return false;
	mmio_write32(port + PX_CLB, (u32)(uintptr_t)headers);
	mmio_write32(port + PX_CLBU, 0);
	mmio_write32(port + PX_FB, (u32)(uintptr_t)received_fis);
	mmio_write32(port + PX_FBU, 0);
	mmio_write32(port + PX_SERR, 0xffffffffu);
	mmio_write32(port + PX_IS, 0xffffffffu);
	mmio_write32(port + PX_CMD, mmio_read32(port + PX_CMD) | CMD_FIS_RECEIVE);
	if (!settles(port + PX_TFD, TFD_BUSY, 0))
		return false;
	mmio_write32(port + PX_CMD, mmio_read32(port + PX_CMD) | CMD_START);
	mmio_write32(port + PX_IE, IE_DEVICE_TO_HOST | IE_PIO_SETUP | IE_ERRORS);
	return true;
}

static bool execute(u8 command, u64 sector, u32 count, const void *buffer, u32 bytes, bool write)
{
	u8 fis[4 * FIS_DWORDS] = {
		FIS_HOST_TO_DEVICE, FIS_COMMAND, command, 0,
		(u8)sector, (u8)(sector >> 8), (u8)(sector >> 16), LBA_MODE,
		(u8)(sector >> 24), (u8)(sector >> 32), (u8)(sector >> 40), 0,
		(u8)count, (u8)(count >> 8),
	};
	u32 pieces = 0;
	bool good;

	mutex_lock(&in_use);
	memcpy(table.command, fis, sizeof(fis));
	for (u32 at = 0; at < bytes; at += PIECE_BYTES, pieces++) {
		u32 size = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;

		table.pieces[pieces] = (struct piece){ .address = (u32)(uintptr_t)buffer + at, .last_byte = size - 1 };
	}
	headers[0] = (struct command_header){
		.flags = FIS_DWORDS | (write ? HEADER_WRITE : 0) | pieces << 16, .table = (u32)(uintptr_t)&table,
	};
	port_status = 0;
	while (semaphore_wait(&finished, 0))
		;
	__asm__ volatile("" : : : "memory");
	mmio_write32(port + PX_CI, 1);
	while (mmio_read32(port + PX_CI) & 1 && !(port_status & IE_ERRORS) && semaphore_wait(&finished, COMMAND_TIMEOUT_NS))
		;
	good = !(mmio_read32(port + PX_CI) & 1) && !(port_status & IE_ERRORS) && !(mmio_read32(port + PX_TFD) & (TFD_BUSY | TFD_ERROR));
	/* An error stops the port until it is started anew (section 6.2.2.1). */
	if (!good)
		(void)start_port();
	mutex_unlock(&in_use);
	return good && (bytes == 0 || *(volatile u32 *)&headers[0].transferred == bytes);
}

static bool find_disk(void)
{
	u32 implemented = mmio_read32(registers + PI);

	for (u32 n = 0; n < PORTS; n++) {
		port = registers + PORT(n);
		port_bit = 1u << n;
		if (!(implemented & port_bit) || (mmio_read32(port + PX_SSTS) & 0xf) != DETECTED)
			continue;
		/* The signature comes with the first FIS, which needs a place to go to. */
		if (start_port() && mmio_read32(port + PX_SIG) == SIGNATURE_ATA)
			return true;
	}
	return false;
}

bool disk_init(void)
{
	struct pci_function function;

	if (!pci_find_class(CLASS_AHCI, &function))
		return false;
	pci_enable(&function);
	registers = pci_address(&function, ABAR);
	semaphore_init(&finished, 0);
	mmio_write32(registers + GHC, GHC_AHCI);
	mmio_write32(registers + GHC, GHC_AHCI | GHC_RESET);
	if (!settles(registers + GHC, GHC_RESET, 0))
		return false;
	mmio_write32(registers + GHC, GHC_AHCI);
	task_sleep(NS_PER_MS); /* the link comes up by itself (section 10.4.3) */
	if (!find_disk() || !pci_attach_interrupt(&function, interrupt))
		return false;
	mmio_write32(registers + GHC, GHC_AHCI | GHC_INTERRUPTS);
	if (!execute(IDENTIFY_DEVICE, 0, 0, identity, sizeof(identity), false))
		return false;
	/* Words 27 to 46, the first character in the upper byte (ACS-3 section 3.4.9). */
	for (u32 i = 0; i < 40; i++)
		model[i] = (char)(identity[27 + i / 2] >> (i % 2 ? 0 : 8));
	return true;
}

/* Words 100 to 103 (ACS-3 section 7.12.7.53) */
u64 disk_sectors(void) { return identity[100] | (u64)identity[101] << 16 | (u64)identity[102] << 32 | (u64)identity[103] << 48; }

const char *disk_model(void) { return model; }

bool disk_read(u64 sector, void *buffer, u32 sectors)
{
	return sectors <= DISK_MOST_SECTORS && execute(READ_DMA_EXT, sector, sectors, buffer, sectors * SECTOR_BYTES, false);
}

bool disk_write(u64 sector, const void *buffer, u32 sectors)
{
	return sectors <= DISK_MOST_SECTORS && execute(WRITE_DMA_EXT, sector, sectors, buffer, sectors * SECTOR_BYTES, true);
}

bool disk_flush(void) { return execute(FLUSH_CACHE_EXT, 0, 0, NULL, 0, false); }

u32 disk_interrupts(void) { return interrupts; }
