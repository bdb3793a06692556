/* The interrupt descriptor table (SDM 3A section 6.10 and, for 64 bits, 6.14.1) and what happens to each vector. */
#include "cpu.h"
#include "kernel.h"

#define CODE_SELECTOR 0x08
#define INTERRUPT_GATE_PRESENT 0x8e /* DPL 0; clears IF on entry, so handlers do not nest */
#define EXCEPTION_COUNT 32
#define VECTOR_NMI 2
#define VECTOR_DOUBLE_FAULT 8
/* Number of the stack that start64.S put into the TSS for faults that may come from a bad stack. 0: stay on the current one. */
#define FAULT_STACK 1

struct gate {
	u16 offset_low, selector;
	u8 stack_table, type;
	u16 offset_middle;
#ifdef __x86_64__
	u32 offset_high, reserved;
#endif
};

struct descriptor_table_register {
	u16 limit;
	const void *base;
} __attribute__((packed));

static struct gate idt[VECTOR_COUNT] ALIGNED(16);
static struct {
	void (*call)(void *argument);
	void *argument;
} handlers[VECTOR_COUNT];

static void set_gate(u8 vector, uintptr_t entry)
{
	idt[vector] = (struct gate){
		.offset_low = (u16)entry,
		.selector = CODE_SELECTOR,
		.type = INTERRUPT_GATE_PRESENT,
		.offset_middle = (u16)(entry >> 16),
#ifdef __x86_64__
		.stack_table = vector == VECTOR_NMI || vector == VECTOR_DOUBLE_FAULT ? FAULT_STACK : 0,
		.offset_high = (u32)(entry >> 32),
#endif
	};
}

static void load_idt(const void *base, u16 limit)
{
	struct descriptor_table_register idtr = { limit, base };

	__asm__ volatile("lidt %0" : : "m"(idtr));
}

void idt_init(void)
{
	for (u32 vector = 0; vector < VECTOR_COUNT; vector++)
		set_gate((u8)vector, vector_stubs[vector]);
	load_idt(idt, sizeof(idt) - 1);
}

void idt_set_handler(u8 vector, void (*handler)(void *argument), void *argument)
{
	handlers[vector].argument = argument;
	handlers[vector].call = handler;
}

/* No gate for #UD, none for the #DF that follows: shutdown (SDM 3A section 6.15, interrupt 8). */
void cpu_triple_fault(void)
{
	load_idt(NULL, 0);
	for (;;)
		__asm__ volatile("ud2");
}

void interrupt_dispatch(struct frame *frame)
{
	u8 vector = (u8)frame->vector;

	if (vector < EXCEPTION_COUNT)
		panic_exception(frame);
	interrupt_count++;
	if (handlers[vector].call)
		handlers[vector].call(handlers[vector].argument);
	/* The spurious vector has no bit in the in-service register and must not be acknowledged (SDM 3A section 11.9). */
	if (vector >= VECTOR_TIMER && vector != VECTOR_SPURIOUS)
		local_apic_end_of_interrupt();
	else if (vector < VECTOR_TIMER && handlers[vector].call)
		pic_end_of_interrupt(vector - VECTOR_PIC);
	schedule();
}
