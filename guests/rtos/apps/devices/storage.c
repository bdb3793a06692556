/* The disk: what is written comes back, wherever it lies and however much it is; what is beside it stays. */
#include "checks.h"
#include "cpu.h"
#include "kernel.h"

#define BIG_SECTORS DISK_MOST_SECTORS
#define BIG_AT 64u
#define FEW_SECTORS 3u
#define COMMANDS 14 /* 7 reads, 4 writes, 3 flushes below */

static u8 written[BIG_SECTORS * SECTOR_BYTES], read_back[BIG_SECTORS * SECTOR_BYTES];

/* Sectors that tell each other apart. The test on the host knows this rule too. */
static void fill(u8 *at, u64 sector, u32 sectors)
{
	for (u32 i = 0; i < sectors * SECTOR_BYTES; i++)
		at[i] = (u8)((sector + i / SECTOR_BYTES) * 7 + i % SECTOR_BYTES);
}

static bool same(const u8 *a, const u8 *b, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static bool writes_and_reads(u64 sector, u32 sectors)
{
	fill(written, sector, sectors);
	memset(read_back, 0, sectors * SECTOR_BYTES);
	return disk_write(sector, written, sectors) && disk_flush() && disk_read(sector, read_back, sectors) &&
		same(written, read_back, sectors * SECTOR_BYTES);
}

void check_disk(void)
{
	u64 last;
	u32 before;

	if (!disk_init()) {
		absent("disk");
		return;
	}
	kprintf("note disk %s, %llu sectors\n", disk_model(), disk_sectors());
	last = disk_sectors() - 1;
	before = disk_interrupts();
	expect("disk-reads-the-first-sector", disk_read(0, read_back, 1));
	expect("disk-keeps-one-sector", writes_and_reads(1, 1));
	expect("disk-keeps-64-kilobytes-in-pieces", writes_and_reads(BIG_AT, BIG_SECTORS));
	expect("disk-keeps-the-last-sector", writes_and_reads(last, 1));
	/* A write in the middle leaves what is around it. */
	fill(written, BIG_AT, BIG_SECTORS);
	memset(written + 10 * SECTOR_BYTES, 0xa5, FEW_SECTORS * SECTOR_BYTES);
	expect("disk-writes-nothing-else", disk_write(BIG_AT + 10, written + 10 * SECTOR_BYTES, FEW_SECTORS) &&
		disk_read(BIG_AT, read_back, BIG_SECTORS) && same(written, read_back, sizeof(written)));
	expect("disk-refuses-what-lies-beyond-it", !disk_read(last + 1, read_back, 1));
	expect("disk-works-after-an-error", disk_read(last, read_back, 1));
	expect_between("disk-interrupts-for-each-command", disk_interrupts() - before, COMMANDS, COMMANDS);
}
