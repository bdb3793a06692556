/*
 * The end: a report on COM1 and then, in this order, whatever stops the machine. The debug-exit port tells a host that
 * has one; `panic=triple` on the command line shuts the core down, which a hypervisor sees as a crash; else it halts.
 */
#include "cpu.h"
#include "kernel.h"

#define DEBUG_EXIT_PORT 0xf4
/* QEMU and Bulkhead exit with (value << 1) | 1, here 35; payloads that end well write 0x10 and so exit with 33. */
#define DEBUG_EXIT_PANIC 0x11

#define CALL_CHAIN_DEPTH 8

extern const char image_start[], image_end[];

static const char *const exception_names[] = {
	"#DE divide error",   "#DB debug",             "NMI",
	"#BP breakpoint",     "#OF overflow",          "#BR bound range",
	"#UD invalid opcode", "#NM no FPU for this task", "#DF double fault",
	"coprocessor overrun", "#TS invalid TSS",      "#NP segment not present",
	"#SS stack fault",    "#GP general protection", "#PF page fault",
	"reserved",           "#MF x87 error",         "#AC alignment check",
	"#MC machine check",  "#XM SIMD error",        "#VE virtualisation",
	"#CP control protection",
};
#define VECTOR_PAGE_FAULT 14

static NORETURN void stop(void)
{
	char how[8];

	outb(DEBUG_EXIT_PORT, DEBUG_EXIT_PANIC);
	if (boot_option("panic", how, sizeof(how)) && string_equal(how, "triple"))
		cpu_triple_fault();
	kprintf("halted\n");
	cpu_stop();
}

static void enter(void)
{
	irq_disable();
	console_enter_panic();
	kprintf("\n*** PANIC in %s at %llu us", task_current() ? task_current()->name : "start-up", div_u64(clock_now(), 1000));
}

static void print_registers(const struct frame *f)
{
#ifdef __x86_64__
	kprintf("rip %016llx  rflags %016llx  rsp %016llx\n", f->ip, f->flags, f->sp);
	kprintf("rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx\n", f->rax, f->rbx, f->rcx, f->rdx);
	kprintf("rsi %016llx  rdi %016llx  rbp %016llx  r8  %016llx\n", f->rsi, f->rdi, f->rbp, f->r8);
	kprintf("r9  %016llx  r10 %016llx  r11 %016llx  r12 %016llx\n", f->r9, f->r10, f->r11, f->r12);
	kprintf("r13 %016llx  r14 %016llx  r15 %016llx  cs %04llx ss %04llx\n", f->r13, f->r14, f->r15, f->cs, f->ss);
#else
	/* Nothing below the return address was pushed by the processor: ESP before the fault is where `flags` ends. */
	kprintf("eip %08x  eflags %08x  esp %08x  cs %04x\n", f->ip, f->flags, (u32)(&f->flags + 1), f->cs);
	kprintf("eax %08x  ebx %08x  ecx %08x  edx %08x\n", f->eax, f->ebx, f->ecx, f->edx);
	kprintf("esi %08x  edi %08x  ebp %08x\n", f->esi, f->edi, f->ebp);
#endif
	kprintf("cr0 %08lx  cr2 %08lx  cr3 %08lx  cr4 %08lx\n", read_cr0(), read_cr2(), read_cr3(), read_cr4());
}

/* Frame pointers form a list of (caller's frame pointer, return address). Followed only inside the image, and upwards. */
static void print_call_chain(uintptr_t frame_pointer)
{
	kprintf("called from");
	for (u32 i = 0; i < CALL_CHAIN_DEPTH; i++) {
		const word *at = (const word *)frame_pointer;

		if (frame_pointer < (uintptr_t)image_start || frame_pointer > (uintptr_t)image_end - 2 * sizeof(word) ||
		    frame_pointer % sizeof(word))
			break;
		kprintf(" %08lx", at[1]);
		if (at[0] <= frame_pointer)
			break;
		frame_pointer = at[0];
	}
	kprintf("\n");
}

void panic_exception(const struct frame *frame)
{
	u32 vector = (u32)frame->vector;

	enter();
	kprintf(": %s (vector %u, error code %x)\n", vector < ARRAY_SIZE(exception_names) ? exception_names[vector] : "reserved",
		vector, (u32)frame->error);
	if (vector == VECTOR_PAGE_FAULT) /* error code bits: SDM 3A section 4.7 */
		kprintf("%s at %08lx, page %s\n", frame->error & 16 ? "fetch" : frame->error & 2 ? "write" : "read", read_cr2(),
			frame->error & 1 ? "protected" : "not present");
	print_registers(frame);
	print_call_chain(FRAME_POINTER(frame));
	stop();
}

void panic(const char *format, ...)
{
	char text[120];
	size_t length;
	va_list arguments;

	va_start(arguments, format);
	length = format_text(text, sizeof(text) - 1, format, arguments);
	va_end(arguments);
	text[length] = '\0';
	enter();
	kprintf(": %s\n", text);
	print_call_chain((uintptr_t)__builtin_frame_address(0));
	stop();
}
