/* What the kernel's own files share and applications do not need. */
#ifndef KERNEL_H
#define KERNEL_H

#include "rtos.h"

/* lib.c */
void *memset(void *to, int value, size_t bytes);
void *memcpy(void *to, const void *from, size_t bytes);
size_t string_length(const char *s);
bool string_equal(const char *a, const char *b);
/* Decimal; stops at the first character that is no digit, saturates at UINT32_MAX. */
u32 parse_u32(const char *s);
size_t format_text(char *out, size_t size, const char *format, va_list arguments);

/* boot.c: how we were started */
struct boot_information {
	const char *protocol;
	char command_line[128];
};
extern struct boot_information boot_information;
/* Must run before mmu_init(): loaders may put their structures into page 0. */
void boot_information_save(u32 magic, uintptr_t address);
/* Copies `name=VALUE` from the command line. False when it is not there. */
bool boot_option(const char *name, char *value, size_t size);

/* The interrupt frame that vectors32.S / vectors64.S build. */
#ifdef __x86_64__
struct frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error, ip, cs, flags, sp, ss;
};
#define FRAME_POINTER(frame) ((frame)->rbp)
#else
struct frame {
	u32 edi, esi, ebp, unused_esp, ebx, edx, ecx, eax; /* as PUSHA stores them */
	u32 vector, error, ip, cs, flags;                  /* no SS:ESP: everything runs in ring 0 */
};
#define FRAME_POINTER(frame) ((frame)->ebp)
#endif

/* Vectors. 0x20 to 0x2f belong to the 8259s, so that a spurious one cannot look like an exception. */
#define VECTOR_PIC 0x20
#define VECTOR_TIMER 0x30
#define VECTOR_UART 0x31
#define VECTOR_DEVICE 0x32
#define VECTOR_DEVICE_LAST 0x3e
/* SDM 3A section 11.9: bits 3:0 are hard-wired to 1 on old parts. */
#define VECTOR_SPURIOUS 0x3f
#define VECTOR_COUNT 0x40

/* idt.c */
void idt_init(void);
void idt_set_handler(u8 vector, void (*handler)(void *argument), void *argument);
void interrupt_dispatch(struct frame *frame);

/* mmu32.c, mmu64.c: page 0 absent, code and constants read-only */
void mmu_init(void);

/* fpu.c */
void fpu_init(void);
void fpu_state_init(struct fpu_state *state);
void fpu_switch(const struct task *from, const struct task *to);

/* pic.c, apic.c */
void pic_init(void);
void pic_unmask(u8 irq);
void pic_end_of_interrupt(u8 irq);
void local_apic_init(void);
void local_apic_end_of_interrupt(void);
void local_apic_timer_one_shot(u32 count);
void local_apic_timer_deadline_mode(void);
u32 local_apic_timer_count(void);
/* Bits of a pin's redirection entry; without them it is edge-triggered and active high, as ISA lines are. */
#define IO_APIC_LEVEL (1u << 15)
#define IO_APIC_ACTIVE_LOW (1u << 13)
/* False when no I/O APIC answers, or it has no such pin. */
bool io_apic_route(u8 pin, u8 vector, u32 trigger);

/* clock.c */
struct clock_rates {
	u32 tsc_khz, local_apic_khz;
	bool calibrated; /* false: the PIT did not answer and 1 GHz is assumed */
};
extern struct clock_rates clock_rates;
void clock_init(void);
u64 clock_to_tsc(u64 ns);
/* Local APIC timer counts for `ns`, rounded up, at least 1, at most what one shot can count. */
u32 clock_to_local_apic(u64 ns);

/* timer.c */
void timer_init(void);
const char *timer_source(void);

/* uart.c */
void uart_init(void);
void uart_enable_interrupts(void);
void uart_write(const char *text, size_t length);
const char *uart_interrupt_source(void);

/* console.c */
/* From here on no lock is taken: the system is dying. */
void console_enter_panic(void);

/* sched.c; all with interrupts off */
extern u32 interrupt_count;
void scheduler_init(void);
/* Runs whoever should run now. Called on the way out of interrupts and after anything that made a task ready. */
void schedule(void);
void task_make_ready(struct task *task);
void task_block(enum task_state state);
void task_change_priority(struct task *task, u8 priority);
void wait_queue_add(struct wait_queue *queue, struct task *task);
void wait_queue_remove(struct wait_queue *queue, struct task *task);
/* Blocks the caller in `queue`. False: the time ran out. */
bool wait_queue_block(struct wait_queue *queue, u64 timeout_ns);
/* Makes the most urgent waiter ready, and returns it. */
struct task *wait_queue_wake(struct wait_queue *queue);

/* vectors32.S, vectors64.S */
void switch_context(void **save_stack_pointer, void *load_stack_pointer);
void task_trampoline(void);
extern const uintptr_t vector_stubs[VECTOR_COUNT];

/* panic.c */
NORETURN void panic(const char *format, ...) PRINTF(1, 2);
NORETURN void panic_exception(const struct frame *frame);
NORETURN void cpu_triple_fault(void);

/* shell.c, telemetry.c */
void shell_init(void);
/* Starts the task that reports `observed` to the telemetry port 100 times a second. */
void telemetry_init(const struct task *observed);

#endif
