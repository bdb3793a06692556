/*
 * COM1, a 16550A (National PC16550D). Output is polled: it is short, and it must work in a panic. Input is by
 * interrupt: the handler empties the FIFO into a queue, whose reader is the shell.
 */
#include "cpu.h"
#include "kernel.h"

#define COM1 0x3f8
#define COM1_IRQ 4

#define RECEIVE_TRANSMIT (COM1 + 0)
#define DIVISOR_LOW (COM1 + 0)
#define INTERRUPT_ENABLE (COM1 + 1)
#define DIVISOR_HIGH (COM1 + 1)
#define FIFO_CONTROL (COM1 + 2)
#define INTERRUPT_IDENTIFICATION (COM1 + 2)
#define LINE_CONTROL (COM1 + 3)
#define MODEM_CONTROL (COM1 + 4)
#define LINE_STATUS (COM1 + 5)

#define INTERRUPT_ON_RECEIVE 0x01
#define FIFO_ENABLE_AND_CLEAR 0x07 /* trigger level 1: a typed key is seen at once */
#define LINE_8N1 0x03
#define LINE_DIVISOR_ACCESS 0x80
#define MODEM_DTR_RTS_OUT2 0x0b /* OUT2 opens the interrupt line on a PC */
#define STATUS_DATA_READY 0x01
#define STATUS_TRANSMITTER_EMPTY 0x20
#define FIFO_DEPTH 16

/* 16 characters at 115200 baud take 1.4 ms. A UART that is stuck for this many polls is given up on, not waited for. */
#define TRANSMIT_POLL_LIMIT 100000u

static u8 input_storage[64];
static struct queue input;
static bool through_io_apic;

void uart_init(void)
{
	outb(INTERRUPT_ENABLE, 0);
	outb(LINE_CONTROL, LINE_DIVISOR_ACCESS | LINE_8N1);
	outb(DIVISOR_LOW, 1); /* 115200 baud */
	outb(DIVISOR_HIGH, 0);
	outb(LINE_CONTROL, LINE_8N1);
	outb(FIFO_CONTROL, FIFO_ENABLE_AND_CLEAR);
	outb(MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
	queue_init(&input, input_storage, 1, sizeof(input_storage));
}

/* Bounded: an absent UART reads 0xff for ever. What does not fit the queue was typed faster than anyone reads. */
static void receive_interrupt(void *unused)
{
	(void)unused;
	(void)inb(INTERRUPT_IDENTIFICATION);
	for (u32 i = 0; i < 4 * FIFO_DEPTH && inb(LINE_STATUS) & STATUS_DATA_READY; i++) {
		u8 byte = inb(RECEIVE_TRANSMIT);

		(void)queue_try_send(&input, &byte);
	}
}

void uart_enable_interrupts(void)
{
	u8 pic_vector = VECTOR_PIC + COM1_IRQ;

	through_io_apic = io_apic_route(COM1_IRQ, VECTOR_UART, 0);
	idt_set_handler(through_io_apic ? VECTOR_UART : pic_vector, receive_interrupt, NULL);
	if (!through_io_apic)
		pic_unmask(COM1_IRQ);
	outb(INTERRUPT_ENABLE, INTERRUPT_ON_RECEIVE);
	/*
	 * What was typed before this moment may have raised the line before anyone listened, and an edge that nobody saw does
	 * not come again: drain it here.
	 */
	receive_interrupt(NULL);
}

const char *uart_interrupt_source(void) { return through_io_apic ? "I/O APIC" : "8259"; }

void uart_write(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		/* An empty transmitter takes a whole FIFO: ask once per 16 bytes, not once per byte. */
		if (i % FIFO_DEPTH == 0)
			for (u32 polls = 0; !(inb(LINE_STATUS) & STATUS_TRANSMITTER_EMPTY) && polls < TRANSMIT_POLL_LIMIT; polls++)
				cpu_relax();
		outb(RECEIVE_TRANSMIT, (u8)text[i]);
	}
}

u8 console_read(void)
{
	u8 byte;

	(void)queue_receive(&input, &byte, WAIT_FOREVER);
	return byte;
}
