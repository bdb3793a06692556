/*
 * Advantech PCI-1710: digital levels, analog outputs, single samples by software and scans by its pacer.
 *
 * Spec: PCI-1710 Series User's Manual, appendix C; Intel 8254 (231164) for the pacer, which is counters 1 and 2 in a row.
 */
#include "cpu.h"
#include "drivers.h"
#include "rtos.h"

#define PORTS_BAR 2
#define DATA 0x00
#define RANGE 0x02
#define CHANNELS 0x04
#define CONTROL 0x06 /* read: status */
#define CLEAR_INTERRUPT 0x08
#define CLEAR_FIFO 0x09
#define ANALOG_OUTPUT(n) (0x0a + 2 * (n))
#define ANALOG_OUTPUT_RANGE 0x0e
#define DIGITAL 0x10
#define COUNTER(n) (0x18 + 2 * (n))
#define COUNTER_CONTROL 0x1e

#define CONTROL_SOFTWARE 0x01u
#define CONTROL_PACER 0x02u
#define CONTROL_INTERRUPT 0x10u
#define STATUS_EMPTY 0x100u
#define RANGE_BIPOLAR_5V 0u
#define SAMPLE 0xfffu

/* Control words of the 8254: counter, low byte then high byte, mode 2 */
#define COUNTER_1_RATE 0x74
#define COUNTER_2_RATE 0xb4
/* The shortest second stage: a counter in mode 2 counts at least 2 (8254, mode 2). */
#define SECOND_STAGE 2u
#define CONVERSION_POLLS 1000u

static u16 base;
static struct semaphore sampled;
static volatile u32 interrupts;

static void interrupt(void)
{
	/* Bit 11 of the status says that it was us. */
	if (!(inw(base + CONTROL) & 0x800u))
		return;
	interrupts++;
	outb(base + CLEAR_INTERRUPT, 0);
	semaphore_post(&sampled);
}

static void clear(void)
{
	outw(base + CONTROL, 0);
	outb(base + CLEAR_INTERRUPT, 0);
	outb(base + CLEAR_FIFO, 0);
}

bool card_init(void)
{
	struct pci_function function;

	if (!pci_find(0x13fe, 0x1710, &function))
		return false;
	pci_enable(&function);
	base = (u16)pci_address(&function, PORTS_BAR);
	semaphore_init(&sampled, 0);
	clear();
	outw(base + ANALOG_OUTPUT_RANGE, 0); /* 0 to 5 V, both */
	return pci_attach_interrupt(&function, interrupt);
}

void card_write_digital(u16 levels) { outw(base + DIGITAL, levels); }
u16 card_read_digital(void) { return inw(base + DIGITAL); }
void card_write_analog(u32 output, u32 code) { outw((u16)(base + ANALOG_OUTPUT(output)), (u16)code); }

static void select_channels(u32 first, u32 last)
{
	for (u32 channel = first; channel <= last; channel++) {
		outw(base + CHANNELS, (u16)(channel << 8 | channel));
		outw(base + RANGE, RANGE_BIPOLAR_5V);
	}
	outw(base + CHANNELS, (u16)(last << 8 | first));
}

s32 card_read_analog(u32 channel)
{
	clear();
	select_channels(channel, channel);
	outw(base + CONTROL, CONTROL_SOFTWARE);
	outw(base + DATA, 0);
	for (u32 polls = 0; polls < CONVERSION_POLLS; polls++)
		if (!(inw(base + CONTROL) & STATUS_EMPTY))
			return inw(base + DATA) & SAMPLE;
	return -1;
}

u32 card_scan(u32 first, u32 last, u32 divisor, u16 *samples, u32 count, u64 timeout_ns)
{
	u64 until = clock_now() + timeout_ns;
	u32 taken = 0, first_stage = divisor / SECOND_STAGE;

	clear();
	while (semaphore_wait(&sampled, 0))
		;
	select_channels(first, last);
	outb(base + COUNTER_CONTROL, COUNTER_1_RATE);
	outb(base + COUNTER(1), (u8)first_stage);
	outb(base + COUNTER(1), (u8)(first_stage >> 8));
	outb(base + COUNTER_CONTROL, COUNTER_2_RATE);
	outb(base + COUNTER(2), SECOND_STAGE);
	outb(base + COUNTER(2), 0);
	outw(base + CONTROL, CONTROL_PACER | CONTROL_INTERRUPT);
	while (taken < count && clock_now() < until) {
		semaphore_wait(&sampled, timeout_ns);
		while (taken < count && !(inw(base + CONTROL) & STATUS_EMPTY))
			samples[taken++] = inw(base + DATA);
	}
	clear();
	return taken;
}

u32 card_interrupts(void) { return interrupts; }
