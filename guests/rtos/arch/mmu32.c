/*
 * Paging, 32-bit form (SDM 3A section 4.3): everything one to one with 4 MiB pages, the first 4 MiB with 4 KiB pages so
 * that page 0 can be absent (a null pointer faults) and code and constants read-only.
 */
#include "cpu.h"
#include "kernel.h"

#define PAGE_PRESENT 0x001u
#define PAGE_WRITABLE 0x002u
#define PAGE_WRITE_THROUGH 0x008u
#define PAGE_CACHE_DISABLE 0x010u
#define PAGE_LARGE 0x080u
#define DEVICE_REGISTERS_FROM 0xfec00000u

#define CR0_WP (1u << 16)
#define CR0_PG (1u << 31)
#define CR4_PSE (1u << 4)

extern const char image_start[], read_only_end[];

static u32 directory[1024] ALIGNED(4096);
static u32 first_table[1024] ALIGNED(4096);

static u32 small_page(u32 address)
{
	if (address == 0)
		return 0;
	if (address >= (u32)image_start && address < (u32)read_only_end)
		return address | PAGE_PRESENT;
	return address | PAGE_PRESENT | PAGE_WRITABLE;
}

void mmu_init(void)
{
	for (u32 i = 0; i < 1024; i++) {
		u32 address = i << 22;

		first_table[i] = small_page(i << 12);
		directory[i] = address | PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE;
		if (address >= (DEVICE_REGISTERS_FROM & 0xffc00000u))
			directory[i] |= PAGE_WRITE_THROUGH | PAGE_CACHE_DISABLE;
	}
	directory[0] = (u32)first_table | PAGE_PRESENT | PAGE_WRITABLE;
	write_cr4(read_cr4() | CR4_PSE);
	write_cr3((word)directory);
	write_cr0(read_cr0() | CR0_PG | CR0_WP);
}
