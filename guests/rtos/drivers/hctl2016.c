/*
 * An ISA card with an Agilent HCTL-2016 quadrature decoder: a 16-bit up/down counter behind an 8-bit bus. Reading the
 * high byte (SEL low) latches the whole counter, so that the low byte read next belongs to the same moment (data sheet,
 * "Inhibit logic"). Quadruple counting: four counts for each line of the encoder disc.
 */
#include "cpu.h"
#include "drivers.h"
#include "rtos.h"

#define CARD_BASE 0x300
#define READ_HIGH_AND_LATCH (CARD_BASE + 0)
#define READ_LOW (CARD_BASE + 1)
#define RESET_COUNTER (CARD_BASE + 2)

#define PROBE_READS 5

u16 hctl2016_read(void)
{
	u16 high = inb(READ_HIGH_AND_LATCH);

	return (u16)(high << 8 | inb(READ_LOW));
}

void hctl2016_reset(void) { outb(RESET_COUNTER, 0); }

/*
 * An empty slot reads 0xffff. So does a counter just below zero, but not straight after a reset and again and again while
 * the shaft turns.
 */
bool hctl2016_probe(void)
{
	hctl2016_reset();
	for (u32 i = 0; i < PROBE_READS; i++) {
		if (hctl2016_read() != 0xffff)
			return true;
		task_sleep(NS_PER_MS);
	}
	return false;
}
