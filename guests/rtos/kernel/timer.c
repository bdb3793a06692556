/*
 * Software timers over one hardware timer, without a periodic tick: the local APIC is set for the earliest one, so a
 * release is as precise as the hardware and an idle core sleeps until there is something to do. TSC-deadline mode where
 * the processor has it (SDM 3A section 11.5.4.1), one-shot otherwise.
 */
#include "cpu.h"
#include "kernel.h"

#define IA32_TSC_DEADLINE 0x6e0
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define LONGEST_SLEEP_NS (1000 * NS_PER_MS)

/* Sorted by due time. A dozen entries at most (two per task), so a list is the fastest structure too. */
static struct timer *first;
static bool deadline_mode;

static void program_hardware(void)
{
	u64 now, due;

	if (deadline_mode) {
		/* A deadline in the past fires at once; 0 would disarm, and clock_to_tsc() never returns it. */
		wrmsr(IA32_TSC_DEADLINE, first ? clock_to_tsc(first->due) : 0);
		return;
	}
	now = clock_now();
	due = first ? first->due : now + LONGEST_SLEEP_NS;
	local_apic_timer_one_shot(clock_to_local_apic(due > now ? due - now : 0));
}

static void unlink_timer(struct timer *timer)
{
	struct timer **link = &first;

	while (*link != timer)
		link = &(*link)->next;
	*link = timer->next;
	timer->armed = false;
}

void timer_arm(struct timer *timer, u64 due)
{
	word flags = irq_save();
	struct timer **link = &first;

	if (timer->armed)
		unlink_timer(timer);
	timer->due = due;
	/* Behind its equals: timers for one instant expire in the order in which they were armed. */
	while (*link && (*link)->due <= due)
		link = &(*link)->next;
	timer->next = *link;
	timer->armed = true;
	*link = timer;
	if (first == timer)
		program_hardware();
	irq_restore(flags);
}

/* Leaves the hardware alone: at worst it interrupts once with nothing due. */
void timer_cancel(struct timer *timer)
{
	word flags = irq_save();

	if (timer->armed)
		unlink_timer(timer);
	irq_restore(flags);
}

static void timer_interrupt(void *unused)
{
	(void)unused;
	u64 now = clock_now();

	while (first && first->due <= now) {
		struct timer *timer = first;

		first = timer->next;
		timer->armed = false;
		timer->expire(timer, now);
	}
	program_hardware();
}

void timer_init(void)
{
	idt_set_handler(VECTOR_TIMER, timer_interrupt, NULL);
	deadline_mode = cpuid(1).ecx & CPUID_1_ECX_TSC_DEADLINE;
	if (deadline_mode)
		local_apic_timer_deadline_mode();
	program_hardware();
}

const char *timer_source(void) { return deadline_mode ? "TSC deadline" : "one-shot"; }
