/*
 * Memory shared with other partitions: the PCI function 1af4:1110 (QEMU, "Device Specification for Inter-VM shared memory
 * device", revision 1). The memory is its third base address register, which is 64 bits wide.
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"

#define IVSHMEM_VENDOR 0x1af4
#define IVSHMEM_DEVICE 0x1110
#define REGISTERS_BAR 0
#define MEMORY_BAR 2
#define BASE_ADDRESSES 0x10
#define COMMAND 0x04
#define COMMAND_MEMORY 0x2u

/* Registers */
#define IV_POSITION 2
#define DOORBELL 3

static u32 size_of_bar(const struct pci_function *function, u32 number)
{
	u8 at = (u8)(BASE_ADDRESSES + 4 * number);
	u32 command = pci_read(function, COMMAND) & 0xffffu, address = pci_read(function, at), mask;

	/* PCI 3.0 section 6.2.5.1; nothing answers meanwhile. */
	pci_write(function, COMMAND, command & ~COMMAND_MEMORY);
	pci_write(function, at, 0xffffffffu);
	mask = pci_read(function, at) & ~0xfu;
	pci_write(function, at, address);
	pci_write(function, COMMAND, command);
	return mask ? ~mask + 1 : 0;
}

bool shared_memory_find(u32 number, struct shared_memory *shared)
{
	struct pci_function function;

	for (u32 at = 0; pci_next(&at, &function);) {
		if (function.vendor != IVSHMEM_VENDOR || function.identity != IVSHMEM_DEVICE || number-- > 0)
			continue;
		pci_enable(&function);
		shared->bytes = size_of_bar(&function, MEMORY_BAR);
		shared->memory = (void *)(uintptr_t)pci_address(&function, MEMORY_BAR);
		shared->registers = (volatile u32 *)(uintptr_t)pci_address(&function, REGISTERS_BAR);
		return shared->memory && shared->registers;
	}
	return false;
}

u32 shared_memory_position(const struct shared_memory *shared) { return shared->registers[IV_POSITION]; }

void shared_memory_ring(const struct shared_memory *shared, u16 peer, u16 vector) { shared->registers[DOORBELL] = (u32)peer << 16 | vector; }
