/*
 * The kernel checks itself: who runs when, on what terms tasks wait, and what priority inheritance does. Prints the line
 * protocol of guests/payloads (`ok NAME`, `fail NAME …`, `done`) and ends through the debug-exit port.
 *
 * Most checks compare a trace: each task appends a letter where it passes.
 */
#include "cpu.h"
#include "kernel.h"

const char application_name[] = "selftest";

#define DEBUG_EXIT_PORT 0xf4
#define EXIT_OK 0x10
#define EXIT_FAILED 0x01

#define PRIORITY_RUNNER 5
#define WORKERS 12
#define WORKER_STACK_BYTES 2048

static struct task runner_task, workers[WORKERS];
TASK_STACK(runner_stack, 4096);
static word worker_stacks[WORKERS][WORKER_STACK_BYTES / sizeof(word)] ALIGNED(16);
static u32 worker_count, failures;

static char trace[32];
static u32 trace_length;

static void pass(char letter)
{
	word flags = irq_save();

	if (trace_length < sizeof(trace) - 1)
		trace[trace_length++] = letter;
	trace[trace_length] = '\0';
	irq_restore(flags);
}

static void expect(const char *name, bool good)
{
	if (good) {
		kprintf("ok %s\n", name);
	} else {
		kprintf("fail %s\n", name);
		failures++;
	}
}

static void expect_trace(const char *name, const char *wanted)
{
	if (string_equal(trace, wanted)) {
		kprintf("ok %s\n", name);
	} else {
		kprintf("fail %s got %s want %s\n", name, trace, wanted);
		failures++;
	}
	trace_length = 0;
	trace[0] = '\0';
}

static struct task *start(u8 priority, void (*entry)(void *), void *argument)
{
	struct task *task = &workers[worker_count];

	task_create(task, &(struct task_parameters){
		.name = "worker", .priority = priority, .entry = entry, .argument = argument,
		.stack = worker_stacks[worker_count], .stack_bytes = WORKER_STACK_BYTES,
	});
	worker_count++;
	return task;
}

/* ---- Preemption and order ---- */

static struct semaphore gate;

static void wait_at_gate(void *letter)
{
	semaphore_wait(&gate, WAIT_FOREVER);
	pass(*(const char *)letter);
}

static void check_preemption(void)
{
	semaphore_init(&gate, 0);
	start(PRIORITY_RUNNER - 1, wait_at_gate, "l");
	start(PRIORITY_RUNNER + 1, wait_at_gate, "m");
	start(PRIORITY_RUNNER + 2, wait_at_gate, "h");
	task_sleep(NS_PER_MS); /* the lower one gets to its gate as well */
	semaphore_post(&gate);
	pass('1');
	semaphore_post(&gate);
	pass('2');
	semaphore_post(&gate);
	pass('3');
	task_sleep(NS_PER_MS);
	expect_trace("higher-priority-preempts-lower-waits", "h1m23l");
}

static void take_turns(void *letter)
{
	for (u32 i = 0; i < 3; i++) {
		pass(*(const char *)letter);
		task_yield();
	}
}

static void check_yield(void)
{
	start(PRIORITY_RUNNER - 1, take_turns, "a");
	start(PRIORITY_RUNNER - 1, take_turns, "b");
	task_sleep(NS_PER_MS);
	expect_trace("equals-take-turns-when-they-yield", "ababab");
}

/* ---- Time ---- */

static void check_time(void)
{
	u64 before = clock_now(), slept;

	task_sleep(2 * NS_PER_MS);
	slept = clock_now() - before;
	expect("sleep-is-never-short", slept >= 2 * NS_PER_MS);

	semaphore_init(&gate, 0);
	before = clock_now();
	expect("semaphore-wait-times-out", !semaphore_wait(&gate, NS_PER_MS));
	expect("semaphore-timeout-is-never-short", clock_now() - before >= NS_PER_MS);
	expect("semaphore-poll-does-not-wait", !semaphore_wait(&gate, 0));
	semaphore_post(&gate);
	expect("semaphore-keeps-a-post", semaphore_wait(&gate, 0));
}

static void miss_deadlines(void *unused)
{
	u64 until;

	(void)unused;
	task_set_period((u32)NS_PER_MS);
	task_wait_next_period();
	until = clock_now() + 3 * NS_PER_MS + NS_PER_MS / 2; /* three releases come and go */
	while (clock_now() < until)
		cpu_relax();
	if (task_wait_next_period() == 3)
		pass('3');
	timer_cancel(&task_current()->period.timer);
}

static void check_deadlines(void)
{
	struct task *late = start(PRIORITY_RUNNER + 1, miss_deadlines, NULL);

	task_sleep(8 * NS_PER_MS);
	expect_trace("overrun-forfeits-releases", "3");
	expect("each-lost-release-is-a-miss", late->period.misses == 3 && late->period.jobs == 2);
	expect("worst-response-is-the-overrun", late->period.worst_response_ns >= 3 * NS_PER_MS);
}

/* ---- Priority inheritance ---- */

static struct mutex outer, inner;
static struct semaphore holding;

static void hold_inner(void *unused)
{
	(void)unused;
	mutex_lock(&inner);
	semaphore_post(&holding);
	pass('l');
	semaphore_wait(&gate, WAIT_FOREVER);
	pass('L');
	mutex_unlock(&inner);
	pass('x');
}

static void hold_outer_want_inner(void *unused)
{
	(void)unused;
	mutex_lock(&outer);
	mutex_lock(&inner);
	pass('M');
	mutex_unlock(&inner);
	mutex_unlock(&outer);
}

static void want_outer(void *unused)
{
	(void)unused;
	mutex_lock(&outer);
	pass('H');
	mutex_unlock(&outer);
}

static void check_inheritance(void)
{
	struct task *low, *middle, *high;

	semaphore_init(&gate, 0);
	semaphore_init(&holding, 0);
	low = start(PRIORITY_RUNNER - 2, hold_inner, NULL);
	semaphore_wait(&holding, WAIT_FOREVER);
	middle = start(PRIORITY_RUNNER + 1, hold_outer_want_inner, NULL);
	expect("waiter-lends-its-priority", low->priority == PRIORITY_RUNNER + 1);
	high = start(PRIORITY_RUNNER + 3, want_outer, NULL);
	expect("along-the-chain", low->priority == PRIORITY_RUNNER + 3 && middle->priority == PRIORITY_RUNNER + 3);
	expect("the-waiter-keeps-its-own", high->priority == PRIORITY_RUNNER + 3);
	/* The owner now outranks us: it runs at once, the mutexes go up the chain, and only then comes its own low priority. */
	semaphore_post(&gate);
	pass('r');
	expect("priorities-are-given-back", low->priority == PRIORITY_RUNNER - 2 && middle->priority == PRIORITY_RUNNER + 1);
	task_sleep(NS_PER_MS);
	expect_trace("owner-runs-before-those-between", "lLMHrx");
}

/* ---- Queues ---- */

static struct queue queue;
static u32 queue_storage[2];

static void send_four(void *unused)
{
	(void)unused;
	for (u32 message = 1; message <= 4; message++) {
		queue_send(&queue, &message, WAIT_FOREVER);
		pass((char)('0' + message));
	}
}

static void check_queue(void)
{
	u32 message = 9, sum = 0;

	queue_init(&queue, queue_storage, sizeof(u32), 2);
	expect("empty-queue-gives-nothing", !queue_receive(&queue, &message, 0));
	start(PRIORITY_RUNNER + 1, send_four, NULL);
	expect_trace("sender-blocks-when-full", "12");
	expect("try-send-fails-when-full", !queue_try_send(&queue, &message));
	for (u32 i = 0; i < 4; i++) {
		queue_receive(&queue, &message, WAIT_FOREVER);
		sum = sum * 10 + message;
	}
	expect("messages-come-in-order", sum == 1234);
	expect_trace("sender-went-on-as-room-came", "34");
}

static void run_all(void *unused)
{
	(void)unused;
	check_preemption();
	check_yield();
	check_time();
	check_deadlines();
	check_inheritance();
	check_queue();
	kprintf("done\n");
	outb(DEBUG_EXIT_PORT, failures ? EXIT_FAILED : EXIT_OK);
}

static void show_failures(const char *unused)
{
	(void)unused;
	kprintf("%u\n", failures);
}

const struct shell_command application_commands[] = { { "failures", "how many checks failed", show_failures } };
const size_t application_command_count = ARRAY_SIZE(application_commands);

void application_init(void)
{
	task_create(&runner_task, &(struct task_parameters){
		.name = "runner", .priority = PRIORITY_RUNNER, .entry = run_all, .stack = runner_stack,
		.stack_bytes = sizeof(runner_stack),
	});
}
