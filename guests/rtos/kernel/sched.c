/*
 * The scheduler: fixed priorities, preemptive, first come first served among equals.
 *
 * Everything here runs with interrupts off; no path is longer than a walk over the tasks (at most TASK_MAX). Interrupt
 * handlers run on the stack of whatever they interrupted and call schedule() on their way out, so preemption is a plain
 * context switch inside the interrupt frame.
 */
#include "cpu.h"
#include "kernel.h"

/* Written at the low end of each stack; a task that overwrote it has overflowed its stack. */
#define STACK_GUARD ((word)0x5afe57ac)

struct ready_queue {
	struct task *first, *last;
};

static struct ready_queue ready[PRIORITY_COUNT];
static u32 ready_bitmap; /* bit p: ready[p] is not empty */
static struct task *tasks[TASK_MAX];
static size_t task_count;
static struct task *current;
static u64 switched_at;
static u32 switch_count;
u32 interrupt_count;

TASK_STACK(idle_stack, 2048);
static struct task idle;

static void ready_append(struct task *task)
{
	struct ready_queue *queue = &ready[task->priority];

	task->next = NULL;
	if (queue->first)
		queue->last->next = task;
	else
		queue->first = task;
	queue->last = task;
	ready_bitmap |= 1u << task->priority;
}

/* A preempted task has not used up its turn: it stays ahead of its equals. */
static void ready_prepend(struct task *task)
{
	struct ready_queue *queue = &ready[task->priority];

	task->next = queue->first;
	if (!queue->first)
		queue->last = task;
	queue->first = task;
	ready_bitmap |= 1u << task->priority;
}

static void ready_remove(struct task *task)
{
	struct ready_queue *queue = &ready[task->priority];
	struct task **link = &queue->first, *before = NULL;

	while (*link != task) {
		before = *link;
		link = &before->next;
	}
	*link = task->next;
	if (queue->last == task)
		queue->last = before;
	if (!queue->first)
		ready_bitmap &= ~(1u << task->priority);
}

/* The idle task is always ready or running, so the bitmap is never empty when the current task cannot go on. */
static u32 highest_ready(void) { return 31u - (u32)__builtin_clz(ready_bitmap); }

static void switch_to(struct task *next)
{
	struct task *previous = current;
	u64 now = clock_now();

	if (previous->stack[0] != STACK_GUARD)
		panic("task %s overflowed its stack", previous->name);
	previous->run_ns += now - switched_at;
	switched_at = now;
	switch_count++;
	next->dispatches++;
	fpu_switch(previous, next);
	current = next;
	switch_context(&previous->stack_pointer, next->stack_pointer);
}

void schedule(void)
{
	struct task *next;

	/* Before scheduler_start() there is nobody to preempt. */
	if (!current || !ready_bitmap)
		return;
	if (current->state == TASK_RUNNING) {
		if (highest_ready() <= current->priority)
			return;
		current->state = TASK_READY;
		ready_prepend(current);
	}
	next = ready[highest_ready()].first;
	ready_remove(next);
	next->state = TASK_RUNNING;
	if (next != current)
		switch_to(next);
}

void task_make_ready(struct task *task)
{
	task->state = TASK_READY;
	ready_append(task);
}

void task_block(enum task_state state)
{
	current->state = state;
	schedule();
}

void task_change_priority(struct task *task, u8 priority)
{
	if (task->priority == priority)
		return;
	if (task->state == TASK_READY) {
		ready_remove(task);
		task->priority = priority;
		ready_append(task);
	} else {
		task->priority = priority; /* wait queues look at priorities when they wake somebody */
	}
}

/* ---- Wait queues: in order of arrival; the most urgent is looked for when somebody is to be woken ---- */

void wait_queue_add(struct wait_queue *queue, struct task *task)
{
	struct task **link = &queue->first;

	while (*link)
		link = &(*link)->next;
	task->next = NULL;
	task->waiting_in = queue;
	*link = task;
}

void wait_queue_remove(struct wait_queue *queue, struct task *task)
{
	struct task **link = &queue->first;

	while (*link != task)
		link = &(*link)->next;
	*link = task->next;
	task->waiting_in = NULL;
}

struct task *wait_queue_wake(struct wait_queue *queue)
{
	struct task *chosen = queue->first;

	if (!chosen)
		return NULL;
	for (struct task *task = chosen->next; task; task = task->next)
		if (task->priority > chosen->priority)
			chosen = task;
	wait_queue_remove(queue, chosen);
	timer_cancel(&chosen->sleep);
	chosen->wake_reason = WAKE_SIGNAL;
	task_make_ready(chosen);
	return chosen;
}

bool wait_queue_block(struct wait_queue *queue, u64 timeout_ns)
{
	struct task *self = current;

	wait_queue_add(queue, self);
	if (timeout_ns != WAIT_FOREVER)
		timer_arm(&self->sleep, clock_now() + timeout_ns);
	task_block(TASK_BLOCKED);
	return self->wake_reason == WAKE_SIGNAL;
}

/* ---- Tasks ---- */

/* A sleep, or a wait with a time limit, is over. */
static void sleep_expired(struct timer *timer, u64 now)
{
	struct task *task = container_of(timer, struct task, sleep);

	(void)now;
	if (task->waiting_in)
		wait_queue_remove(task->waiting_in, task);
	task->wake_reason = WAKE_TIMEOUT;
	task_make_ready(task);
}

void task_sleep(u64 ns)
{
	word flags = irq_save();

	timer_arm(&current->sleep, clock_now() + ns);
	task_block(TASK_SLEEPING);
	irq_restore(flags);
}

void task_yield(void)
{
	word flags = irq_save();

	task_make_ready(current);
	schedule();
	irq_restore(flags);
}

/* Where the trampoline of vectors32.S / vectors64.S starts a task, with interrupts on. */
void task_main(void (*entry)(void *), void *argument);
void task_main(void (*entry)(void *), void *argument)
{
	entry(argument);
	irq_disable();
	task_block(TASK_DONE);
	panic("task %s was scheduled after it ended", current->name);
}

void task_create(struct task *task, const struct task_parameters *p)
{
	word flags = irq_save();
	word *top = p->stack + p->stack_bytes / sizeof(word);

	if (task_count == TASK_MAX)
		panic("more than %u tasks", TASK_MAX);
	memset(task, 0, sizeof(*task));
	task->name = p->name;
	task->base_priority = task->priority = p->priority;
	task->sleep.expire = sleep_expired;
	task->stack = p->stack;
	task->stack[0] = STACK_GUARD;
	task->fpu = p->fpu;
	if (task->fpu)
		fpu_state_init(task->fpu);

	/*
	 * What switch_context() pops: the callee-saved registers, of which the trampoline takes two, and its return address.
	 * With nothing above, the stack is aligned to 16 bytes when the trampoline starts, as the ABIs want it at its call.
	 */
	*--top = (word)task_trampoline;
#ifdef __x86_64__
	*--top = 0;                 /* rbp */
	*--top = (word)p->entry;    /* rbx */
	*--top = (word)p->argument; /* r12 */
	top -= 3;                   /* r13, r14, r15 */
#else
	*--top = 0;                 /* ebp */
	*--top = (word)p->entry;    /* ebx */
	*--top = (word)p->argument; /* esi */
	*--top = 0;                 /* edi */
#endif
	task->stack_pointer = top;
	tasks[task_count++] = task;
	task_make_ready(task);
	schedule();
	irq_restore(flags);
}

struct task *task_current(void) { return current; }
struct task *task_at(size_t index) { return index < task_count ? tasks[index] : NULL; }

const char *task_state_name(enum task_state state)
{
	static const char *const names[] = {
		[TASK_READY] = "ready",       [TASK_RUNNING] = "running",        [TASK_BLOCKED] = "blocked",
		[TASK_SLEEPING] = "sleeping", [TASK_WAITING_PERIOD] = "waiting", [TASK_DONE] = "done",
	};

	return names[state];
}

struct scheduler_statistics scheduler_statistics(void)
{
	word flags = irq_save();
	struct scheduler_statistics s = { switch_count, interrupt_count, idle.run_ns };

	irq_restore(flags);
	return s;
}

static void idle_loop(void *unused)
{
	(void)unused;
	for (;;)
		cpu_wait_for_interrupt();
}

void scheduler_init(void)
{
	static const struct task_parameters parameters = {
		.name = "idle", .priority = PRIORITY_IDLE, .entry = idle_loop, .stack = idle_stack, .stack_bytes = sizeof(idle_stack),
	};

	task_create(&idle, &parameters);
}

void scheduler_start(void)
{
	static void *boot_stack_pointer; /* saved once, never used again */
	struct task *first = ready[highest_ready()].first;

	ready_remove(first);
	first->state = TASK_RUNNING;
	first->dispatches++;
	switched_at = clock_now();
	fpu_switch(NULL, first);
	current = first;
	switch_context(&boot_stack_pointer, first->stack_pointer);
	panic("the boot stack was scheduled");
}
