/*
 * Interrupts of devices, through the I/O APIC (Intel 290566). A pin has one vector; handlers that share it are all called,
 * because a level-triggered line says only that somebody asks (PCI 3.0 section 2.2.6).
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"

#define LINES (VECTOR_DEVICE_LAST - VECTOR_DEVICE + 1)
#define SHARERS 4

struct line {
	u8 pin;
	u32 count;
	void (*handlers[SHARERS])(void);
};

static struct line lines[LINES];
static u32 line_count;

static void dispatch(void *argument)
{
	const struct line *line = argument;

	for (u32 i = 0; i < line->count; i++)
		line->handlers[i]();
}

bool interrupt_attach(u8 pin, enum interrupt_trigger trigger, void (*handler)(void))
{
	u32 at = 0;
	bool routed = true;
	word flags = irq_save();

	while (at < line_count && lines[at].pin != pin)
		at++;
	if (at == LINES || lines[at].count == SHARERS) {
		irq_restore(flags);
		return false;
	}
	lines[at].handlers[lines[at].count++] = handler;
	if (at == line_count) {
		lines[at].pin = pin;
		line_count++;
		idt_set_handler((u8)(VECTOR_DEVICE + at), dispatch, &lines[at]);
		routed = io_apic_route(pin, (u8)(VECTOR_DEVICE + at), trigger == TRIGGER_EDGE ? 0 : IO_APIC_LEVEL | IO_APIC_ACTIVE_LOW);
	}
	irq_restore(flags);
	return routed;
}
