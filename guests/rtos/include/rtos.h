/*
 * The kernel's interface: a preemptive fixed-priority kernel for one x86 core.
 *
 * The highest ready priority always runs; among equals, first come first served (no time slices). Everything is
 * static: no heap, no dynamic tasks once the scheduler runs. Times are nanoseconds since the kernel started.
 * Functions that may block must be called from a task; those marked "any context" also from interrupt handlers.
 */
#ifndef RTOS_H
#define RTOS_H

#include "types.h"

/* ---- Time and timers (clock.c, timer.c) ---- */

/* Nanoseconds since the kernel started. Monotonic. Any context. */
u64 clock_now(void);

struct timer {
	u64 due;
	/* Called with interrupts off, at or after `due`. */
	void (*expire)(struct timer *timer, u64 now);
	struct timer *next;
	bool armed;
};

void timer_arm(struct timer *timer, u64 due);
void timer_cancel(struct timer *timer);

/* ---- Tasks (sched.c, period.c) ---- */

#define PRIORITY_IDLE 0
#define PRIORITY_MAX 15
#define PRIORITY_COUNT (PRIORITY_MAX + 1)
#define TASK_MAX 16

enum task_state { TASK_READY, TASK_RUNNING, TASK_BLOCKED, TASK_SLEEPING, TASK_WAITING_PERIOD, TASK_DONE };

enum wake_reason { WAKE_SIGNAL, WAKE_TIMEOUT };

/* Image of FXSAVE (SDM 1 section 10.5.1). */
struct fpu_state {
	u8 image[512];
} ALIGNED(16);

#define LATENCY_BUCKETS 9
/* Upper bounds of the buckets, the last without one. */
extern const u32 latency_bound_ns[LATENCY_BUCKETS - 1];

/* What a periodic task has been through. A job is one run of the task's body, from a release to the next wait. */
struct period {
	u32 length_ns;
	struct timer timer;
	u64 release;         /* of the current job */
	u32 lost;            /* releases that came while the current job was still running */
	u32 jobs;            /* started */
	u32 misses;          /* releases at which the job before had not finished: its deadline was missed */
	u32 worst_latency_ns;  /* release to first instruction of the job */
	u32 least_latency_ns;
	u32 worst_response_ns; /* release to completion */
	u64 total_latency_ns;
	u32 histogram[LATENCY_BUCKETS];
};

struct task {
	void *stack_pointer; /* first: switch_context() saves it here */
	const char *name;
	u8 base_priority;
	u8 priority; /* base, or inherited through a mutex */
	enum task_state state;
	enum wake_reason wake_reason;
	u32 dispatches;
	u64 run_ns;
	struct task *next;            /* in a ready queue or a wait queue */
	struct wait_queue *waiting_in;
	struct timer sleep;
	struct period period;
	struct mutex *blocked_on;
	struct mutex *held;
	struct fpu_state *fpu;        /* NULL: the task promises not to touch x87, MMX or SSE */
	word *stack;
};

struct task_parameters {
	const char *name;
	u8 priority;
	void (*entry)(void *argument);
	void *argument;
	word *stack;
	size_t stack_bytes;
	struct fpu_state *fpu;
};

#define TASK_STACK(name, bytes) static word name[(bytes) / sizeof(word)] ALIGNED(16)

void task_create(struct task *task, const struct task_parameters *parameters);
struct task *task_current(void);
void task_yield(void);
void task_sleep(u64 ns);
/* All tasks in order of creation; NULL past the last. */
struct task *task_at(size_t index);
const char *task_state_name(enum task_state state);

/*
 * Makes the calling task periodic: releases every `length_ns` (below 4.29 s) from one period after now, the
 * deadline of each job being the next release.
 */
void task_set_period(u32 length_ns);
/*
 * Ends the job and waits for the next release. Returns how many releases the job overran, each counted as a
 * deadline miss at the moment it happened: a late job forfeits them, so that one overrun does not make all
 * following jobs late.
 */
u32 task_wait_next_period(void);

struct scheduler_statistics {
	u32 switches;
	u32 interrupts;
	u64 idle_ns;
};
struct scheduler_statistics scheduler_statistics(void);

/* Starts the highest-priority task; does not return. */
NORETURN void scheduler_start(void);

/* ---- Synchronisation (sync.c) ---- */

#define WAIT_FOREVER (~0ull)

struct wait_queue {
	struct task *first;
};

struct semaphore {
	u32 count;
	struct wait_queue waiters;
};

void semaphore_init(struct semaphore *semaphore, u32 count);
/* Any context. */
void semaphore_post(struct semaphore *semaphore);
/* False when `timeout_ns` passed first; 0 polls. */
bool semaphore_wait(struct semaphore *semaphore, u64 timeout_ns);

/* Mutex with priority inheritance, through any chain of owners. Not recursive; not for interrupt handlers. */
struct mutex {
	struct task *owner;
	struct wait_queue waiters;
	struct mutex *next_held;
};

void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

/* A bounded queue of messages of one size, copied in and out. */
struct queue {
	u8 *storage;
	u32 message_bytes, capacity, head, tail;
	struct semaphore filled, free;
};

void queue_init(struct queue *queue, void *storage, u32 message_bytes, u32 capacity);
bool queue_send(struct queue *queue, const void *message, u64 timeout_ns);
bool queue_receive(struct queue *queue, void *message, u64 timeout_ns);
/* False when full. Any context. */
bool queue_try_send(struct queue *queue, const void *message);

/* ---- Console (console.c, uart.c) ---- */

/* One call is one piece: pieces of different tasks do not mix. Knows %c %s %d %u %x %%, l and ll, width, - and 0. */
void kprintf(const char *format, ...) PRINTF(1, 2);
/* Waits for a byte typed on COM1. */
u8 console_read(void);

/* ---- The application (apps/) ---- */

/* Creates the application's tasks; runs before the scheduler, with interrupts off. */
void application_init(void);
extern const char application_name[];

struct shell_command {
	const char *name;
	const char *help;
	void (*run)(const char *argument);
};
extern const struct shell_command application_commands[];
extern const size_t application_command_count;

#endif
