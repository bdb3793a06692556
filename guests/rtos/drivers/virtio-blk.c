/*
 * A virtio disk on PCI: one queue, one request at a time, INTA#.
 *
 * Spec: VIRTIO 1.2, sections 2.7 (split virtqueues), 4.1 (PCI) and 5.2 (block device). Non-transitional devices only.
 */
#include "cpu.h"
#include "drivers.h"
#include "rtos.h"

#define VENDOR 0x1af4
#define BLOCK_DEVICE 0x1042
#define QUEUE_ENTRIES 8u
#define REQUEST_NS (10 * NS_PER_S)

/* Capabilities (section 4.1.4) */
#define PCI_CAPABILITIES 0x34
#define VENDOR_SPECIFIC 0x09
enum structure { COMMON = 1, NOTIFY = 2, ISR = 3, CONFIGURATION = 4, STRUCTURES };

/* Common configuration (section 4.1.4.3) */
#define DRIVER_FEATURE_SELECT 0x08
#define DRIVER_FEATURE 0x0c
#define DEVICE_STATUS 0x14
#define QUEUE_SELECT 0x16
#define QUEUE_SIZE 0x18
#define QUEUE_ENABLE 0x1c
#define QUEUE_NOTIFY_OFF 0x1e
#define QUEUE_DESC 0x20
#define QUEUE_DRIVER 0x28
#define QUEUE_DEVICE 0x30
#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4
#define STATUS_FEATURES_OK 8
/* Feature bits 9 (FLUSH) and 32 (VERSION_1) */
#define FEATURE_FLUSH (1u << 9)
#define FEATURE_VERSION_1_HIGH 1u

#define NEXT 1
#define WRITE 2

static struct {
	u64 address;
	u32 length;
	u16 flags, next;
} descriptors[QUEUE_ENTRIES] ALIGNED(16);
static volatile struct {
	u16 flags, index, ring[QUEUE_ENTRIES];
} available ALIGNED(2);
static volatile struct {
	u16 flags, index;
	struct {
		u32 id, length;
	} ring[QUEUE_ENTRIES];
} used ALIGNED(4);
static struct {
	u32 type, reserved;
	u64 sector;
} header;
static volatile u8 status;
static uintptr_t structures[STRUCTURES];
static u32 notify_multiplier;
static uintptr_t doorbell;
static u16 answered;
static struct semaphore done;

static void common8(u32 offset, u8 value) { *(volatile u8 *)(structures[COMMON] + offset) = value; }
static void common16(u32 offset, u16 value) { *(volatile u16 *)(structures[COMMON] + offset) = value; }
static void common32(u32 offset, u32 value) { mmio_write32(structures[COMMON] + offset, value); }

static void common_address(u32 offset, const volatile void *at)
{
	common32(offset, (u32)(uintptr_t)at);
	common32(offset + 4, 0);
}

/* Reading ISR acknowledges the interrupt (section 4.1.4.5). */
static void interrupt(void)
{
	if (*(volatile u8 *)structures[ISR] & 1)
		semaphore_post(&done);
}

static bool find_structures(const struct pci_function *function)
{
	u8 at = (u8)(pci_read(function, PCI_CAPABILITIES) & 0xfc);

	for (u32 seen = 0; at && seen < 48; seen++, at = (u8)(pci_read(function, at) >> 8 & 0xfc)) {
		u32 head = pci_read(function, at);
		u8 type = (u8)(head >> 24);

		if ((head & 0xff) != VENDOR_SPECIFIC || type < COMMON || type >= STRUCTURES || structures[type])
			continue;
		structures[type] = pci_address(function, pci_read(function, (u8)(at + 4)) & 0xff) + pci_read(function, (u8)(at + 8));
		if (type == NOTIFY)
			notify_multiplier = pci_read(function, (u8)(at + 16));
	}
	return structures[COMMON] && structures[NOTIFY] && structures[ISR] && structures[CONFIGURATION];
}

bool virtio_disk_init(void)
{
	struct pci_function function;

	if (!pci_find(VENDOR, BLOCK_DEVICE, &function))
		return false;
	pci_enable(&function);
	if (!find_structures(&function))
		return false;
	semaphore_init(&done, 0);
	common8(DEVICE_STATUS, 0);
	common8(DEVICE_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	common32(DRIVER_FEATURE_SELECT, 0);
	common32(DRIVER_FEATURE, FEATURE_FLUSH);
	common32(DRIVER_FEATURE_SELECT, 1);
	common32(DRIVER_FEATURE, FEATURE_VERSION_1_HIGH);
	common8(DEVICE_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	if (!(*(volatile u8 *)(structures[COMMON] + DEVICE_STATUS) & STATUS_FEATURES_OK))
		return false;
	common16(QUEUE_SELECT, 0);
	common16(QUEUE_SIZE, QUEUE_ENTRIES);
	common_address(QUEUE_DESC, descriptors);
	common_address(QUEUE_DRIVER, &available);
	common_address(QUEUE_DEVICE, &used);
	doorbell = structures[NOTIFY] + *(volatile u16 *)(structures[COMMON] + QUEUE_NOTIFY_OFF) * notify_multiplier;
	if (!pci_attach_interrupt(&function, interrupt))
		return false;
	common16(QUEUE_ENABLE, 1);
	common8(DEVICE_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	return true;
}

u64 virtio_disk_sectors(void)
{
	return mmio_read32(structures[CONFIGURATION]) | (u64)mmio_read32(structures[CONFIGURATION] + 4) << 32;
}

/* Section 5.2.6: a header, the data if there is any, a byte of status. */
bool virtio_disk_request(enum virtio_disk_operation operation, u64 sector, void *buffer, u32 bytes)
{
	u16 last = bytes ? 2 : 1;

	header.type = operation;
	header.sector = sector;
	status = 0xff;
	descriptors[0].address = (u32)(uintptr_t)&header;
	descriptors[0].length = sizeof(header);
	descriptors[0].flags = NEXT;
	descriptors[0].next = 1;
	descriptors[1].address = (u32)(uintptr_t)buffer;
	descriptors[1].length = bytes;
	descriptors[1].flags = (u16)(NEXT | (operation == VIRTIO_DISK_READ ? WRITE : 0));
	descriptors[1].next = 2;
	descriptors[last].address = (u32)(uintptr_t)&status;
	descriptors[last].length = 1;
	descriptors[last].flags = WRITE;
	available.ring[available.index % QUEUE_ENTRIES] = 0;
	__asm__ volatile("" : : : "memory");
	available.index++;
	__asm__ volatile("lock; addl $0, (%%esp)" : : : "memory");
	*(volatile u16 *)doorbell = 0;
	while (used.index == answered)
		if (!semaphore_wait(&done, REQUEST_NS))
			return false;
	answered = used.index;
	return status == 0;
}
