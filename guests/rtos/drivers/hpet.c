/*
 * High precision event timers: the main counter, and comparator 0 as a one-shot timer, level-triggered.
 *
 * Spec: IA-PC HPET 1.0a, section 2.3. Its address is the usual one; ACPI's HPET table could name another.
 */
#include "cpu.h"
#include "drivers.h"
#include "rtos.h"

#define HPET_BASE 0xfed00000u
#define CAPABILITIES 0x000
#define PERIOD 0x004
#define CONFIGURATION 0x010
#define INTERRUPT_STATUS 0x020
#define COUNTER 0x0f0
#define TIMER_0 0x100
#define TIMER_0_ROUTES 0x104
#define TIMER_0_COMPARATOR 0x108

#define ENABLE 0x1u
#define TIMER_LEVEL 0x2u
#define TIMER_INTERRUPT 0x4u
#define TIMER_ROUTE_SHIFT 9
/* Section 2.3.4: 100 ns is the slowest that is allowed. */
#define SLOWEST_PERIOD_FS 100000000u

static struct semaphore elapsed;
static u32 timer_configuration;

static u32 read(u32 offset) { return mmio_read32(HPET_BASE + offset); }
static void write(u32 offset, u32 value) { mmio_write32(HPET_BASE + offset, value); }

static void interrupt(void)
{
	if (!(read(INTERRUPT_STATUS) & 1))
		return;
	write(TIMER_0, timer_configuration);
	write(INTERRUPT_STATUS, 1);
	semaphore_post(&elapsed);
}

bool hpet_init(void)
{
	u32 period = read(PERIOD), routes = read(TIMER_0_ROUTES);
	u8 pin = 0;

	if (period == 0 || period > SLOWEST_PERIOD_FS || routes == 0)
		return false;
	/* The highest line it can reach: the low ones belong to ISA, those from 16 on are PCI's and active low. */
	for (u8 i = 0; i < 32; i++)
		if (routes >> i & 1)
			pin = i;
	timer_configuration = TIMER_LEVEL | (u32)pin << TIMER_ROUTE_SHIFT;
	semaphore_init(&elapsed, 0);
	write(TIMER_0, timer_configuration);
	write(CONFIGURATION, read(CONFIGURATION) | ENABLE);
	return interrupt_attach(pin, TRIGGER_LEVEL_LOW, interrupt);
}

u32 hpet_period_fs(void) { return read(PERIOD); }

/* Section 2.4.7: two halves, of which the lower may wrap between the reads. */
u64 hpet_counter(void)
{
	u32 high, low;

	do {
		high = read(COUNTER + 4);
		low = read(COUNTER);
	} while (read(COUNTER + 4) != high);
	return (u64)high << 32 | low;
}

bool hpet_wait(u32 ticks, u64 timeout_ns)
{
	u64 due = hpet_counter() + ticks;

	write(TIMER_0_COMPARATOR, (u32)due);
	write(TIMER_0_COMPARATOR + 4, (u32)(due >> 32));
	write(TIMER_0, timer_configuration | TIMER_INTERRUPT);
	return semaphore_wait(&elapsed, timeout_ns);
}
