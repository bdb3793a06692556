/*
 * The core's local APIC (SDM 3A chapter 11), in xAPIC mode, and the 82093AA I/O APIC (Intel 290566).
 * Not used: x2APIC, inter-processor interrupts (one core), more than one I/O APIC.
 */
#include "cpu.h"
#include "kernel.h"

#define IA32_APIC_BASE 0x1b
#define APIC_BASE_GLOBAL_ENABLE (1u << 11)

/* Register offsets, SDM 3A table 11-1 */
#define APIC_ID 0x020
#define APIC_TASK_PRIORITY 0x080
#define APIC_END_OF_INTERRUPT 0x0b0
#define APIC_SPURIOUS_VECTOR 0x0f0
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_TIMER_INITIAL_COUNT 0x380
#define APIC_TIMER_CURRENT_COUNT 0x390
#define APIC_TIMER_DIVIDE 0x3e0

#define APIC_SOFTWARE_ENABLE (1u << 8)
#define LVT_MASKED (1u << 16)
#define LVT_EXT_INT (7u << 8)
#define LVT_TIMER_TSC_DEADLINE (2u << 17)
#define TIMER_DIVIDE_BY_1 0xb

/* The address that every PC gives its first I/O APIC; only ACPI or the MP table could say otherwise. */
#define IO_APIC_BASE 0xfec00000u
#define IO_APIC_SELECT 0x00
#define IO_APIC_WINDOW 0x10
#define IO_APIC_VERSION 0x01
#define IO_APIC_REDIRECTION(pin) (0x10 + 2 * (pin))

static uintptr_t base;

static u32 apic_read(u32 offset) { return mmio_read32(base + offset); }
static void apic_write(u32 offset, u32 value) { mmio_write32(base + offset, value); }

void local_apic_init(void)
{
	u64 msr = rdmsr(IA32_APIC_BASE);

	wrmsr(IA32_APIC_BASE, msr | APIC_BASE_GLOBAL_ENABLE);
	base = (uintptr_t)msr & 0xfffff000u;
	apic_write(APIC_TASK_PRIORITY, 0);
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	/* Virtual wire: the 8259s come in through LINT0, should there be no I/O APIC (MP 1.4 section 3.6.2.2). */
	apic_write(APIC_LVT_LINT0, LVT_EXT_INT);
	apic_write(APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
	apic_write(APIC_SPURIOUS_VECTOR, APIC_SOFTWARE_ENABLE | VECTOR_SPURIOUS);
}

void local_apic_end_of_interrupt(void) { apic_write(APIC_END_OF_INTERRUPT, 0); }

/* SDM 3A section 11.5.4: writing the initial count starts the countdown; mode bits 00 are one-shot. */
void local_apic_timer_one_shot(u32 count)
{
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL_COUNT, count);
}

u32 local_apic_timer_count(void) { return apic_read(APIC_TIMER_CURRENT_COUNT); }

/* SDM 3A section 11.5.4.1: the LVT write must be seen before the first WRMSR to the deadline; MFENCE orders them. */
void local_apic_timer_deadline_mode(void)
{
	apic_write(APIC_LVT_TIMER, LVT_TIMER_TSC_DEADLINE | VECTOR_TIMER);
	__asm__ volatile("mfence" : : : "memory");
}

static u32 io_apic_read(u32 index)
{
	mmio_write32(IO_APIC_BASE + IO_APIC_SELECT, index);
	return mmio_read32(IO_APIC_BASE + IO_APIC_WINDOW);
}

static void io_apic_write(u32 index, u32 value)
{
	mmio_write32(IO_APIC_BASE + IO_APIC_SELECT, index);
	mmio_write32(IO_APIC_BASE + IO_APIC_WINDOW, value);
}

/* Fixed delivery to this core. */
bool io_apic_route(u8 pin, u8 vector, u32 trigger)
{
	u32 version = io_apic_read(IO_APIC_VERSION);

	if (version == 0xffffffffu || version == 0 || pin > (version >> 16 & 0xff))
		return false;
	io_apic_write(IO_APIC_REDIRECTION(pin) + 1, apic_read(APIC_ID) & 0xff000000u);
	io_apic_write(IO_APIC_REDIRECTION(pin), vector | trigger);
	return true;
}
