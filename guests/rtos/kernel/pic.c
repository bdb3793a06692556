/*
 * The pair of 8259A interrupt controllers (Intel 231468): moved away from the exception vectors and masked. IRQ 4 is
 * opened again only on machines without an I/O APIC.
 */
#include "cpu.h"
#include "kernel.h"

#define MASTER_COMMAND 0x20
#define MASTER_DATA 0x21
#define SLAVE_COMMAND 0xa0
#define SLAVE_DATA 0xa1

#define ICW1_INIT_NEEDS_ICW4 0x11
#define ICW3_MASTER_SLAVE_ON_IRQ2 0x04
#define ICW3_SLAVE_IDENTITY 0x02
#define ICW4_8086 0x01
#define OCW2_NON_SPECIFIC_EOI 0x20

void pic_init(void)
{
	outb(MASTER_COMMAND, ICW1_INIT_NEEDS_ICW4);
	outb(MASTER_DATA, VECTOR_PIC);
	outb(MASTER_DATA, ICW3_MASTER_SLAVE_ON_IRQ2);
	outb(MASTER_DATA, ICW4_8086);
	outb(SLAVE_COMMAND, ICW1_INIT_NEEDS_ICW4);
	outb(SLAVE_DATA, VECTOR_PIC + 8);
	outb(SLAVE_DATA, ICW3_SLAVE_IDENTITY);
	outb(SLAVE_DATA, ICW4_8086);
	outb(MASTER_DATA, 0xff);
	outb(SLAVE_DATA, 0xff);
}

void pic_unmask(u8 irq)
{
	u16 port = irq < 8 ? MASTER_DATA : SLAVE_DATA;

	outb(port, inb(port) & (u8)~(1u << (irq & 7)));
}

void pic_end_of_interrupt(u8 irq)
{
	if (irq >= 8)
		outb(SLAVE_COMMAND, OCW2_NON_SPECIFIC_EOI);
	outb(MASTER_COMMAND, OCW2_NON_SPECIFIC_EOI);
}
