/*
 * The watchdog of the 6300ESB: 35 bits count down at the PCI clock, twice; the first time is a warning.
 *
 * Spec: Intel 6300ESB I/O Controller Hub datasheet (300641), chapter 15.
 */
#include "cpu.h"
#include "drivers.h"
#include "rtos.h"

#define CONFIGURATION 0x60 /* configuration space; the lock register is at 0x68 */
#define LOCK 0x68
#define INTERRUPT_BY_LINE 0x0u
#define LOCK_ENABLE 0x2u

#define PRELOAD_1 0x00
#define PRELOAD_2 0x04
#define INTERRUPT_STATUS 0x08
#define RELOAD 0x0c
#define RELOAD_NOW (1u << 8)
#define TIMED_OUT (1u << 9)
#define UNLOCK_FIRST 0x80u
#define UNLOCK_SECOND 0x86u
#define PRELOAD_MOST 0xfffffu

/* A preload value stands in bits 34 to 15 of the counter: it counts steps of 2^15 ticks of 33 MHz. */
#define STEP_NS 992970u

static struct pci_function function;
static uintptr_t registers;
static volatile u32 warnings;

/* Section 15.3: every write to a preload value, or to RELOAD, follows these two. */
static void unlock(void)
{
	mmio_write32(registers + RELOAD, UNLOCK_FIRST);
	mmio_write32(registers + RELOAD, UNLOCK_SECOND);
}

static u32 preload(u32 ms)
{
	u64 steps = div_u64((u64)ms * NS_PER_MS, STEP_NS);

	return steps == 0 ? 1 : steps > PRELOAD_MOST ? PRELOAD_MOST : (u32)steps;
}

static void interrupt(void)
{
	if (!(mmio_read32(registers + INTERRUPT_STATUS) & 1))
		return;
	mmio_write32(registers + INTERRUPT_STATUS, 1);
	warnings++;
}

bool watchdog_init(void)
{
	if (!pci_find(0x8086, 0x25ab, &function))
		return false;
	pci_enable(&function);
	registers = pci_address(&function, 0);
	return pci_attach_interrupt(&function, interrupt);
}

void watchdog_start(u32 first_ms, u32 second_ms)
{
	pci_write(&function, CONFIGURATION, INTERRUPT_BY_LINE);
	unlock();
	mmio_write32(registers + PRELOAD_1, preload(first_ms));
	unlock();
	mmio_write32(registers + PRELOAD_2, preload(second_ms));
	watchdog_feed();
	pci_write(&function, LOCK, LOCK_ENABLE);
}

void watchdog_feed(void)
{
	unlock();
	mmio_write32(registers + RELOAD, RELOAD_NOW);
}

void watchdog_stop(void) { pci_write(&function, LOCK, 0); }

u32 watchdog_warnings(void) { return warnings; }

bool watchdog_has_bitten(void)
{
	if (!(mmio_read32(registers + RELOAD) & TIMED_OUT))
		return false;
	unlock();
	mmio_write32(registers + RELOAD, TIMED_OUT);
	return true;
}
