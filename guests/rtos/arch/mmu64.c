/*
 * Paging, 4-level (SDM 3A section 4.5). start64.S has mapped 4 GiB with 2 MiB pages; here the first 2 MiB get 4 KiB pages,
 * so that page 0 can be absent (a null pointer faults), code and constants read-only, and data not executable.
 */
#include "cpu.h"
#include "kernel.h"

#define PAGE_PRESENT 0x001ull
#define PAGE_WRITABLE 0x002ull
#define PAGE_NO_EXECUTE (1ull << 63)

#define IA32_EFER 0xc0000080u
#define EFER_NXE (1u << 11)

extern const char image_start[], read_only_end[];
extern u64 page_directories[4 * 512];

static u64 first_table[512] ALIGNED(4096);

void mmu_init(void)
{
	u64 no_execute = rdmsr(IA32_EFER) & EFER_NXE ? PAGE_NO_EXECUTE : 0;

	for (u64 i = 1; i < 512; i++) {
		u64 address = i << 12;
		bool read_only = address >= (u64)image_start && address < (u64)read_only_end;

		first_table[i] = address | PAGE_PRESENT | (read_only ? 0 : PAGE_WRITABLE | no_execute);
	}
	page_directories[0] = (u64)first_table | PAGE_PRESENT | PAGE_WRITABLE;
	write_cr3(read_cr3()); /* drops the old translations (SDM 3A section 4.10.4.1) */
}
