/* A line shell on the console: commands common to all images here, those of the application in its own table. */
#include "cpu.h"
#include "kernel.h"

#define PRIORITY_SHELL 2
#define LINE_BYTES 64

#define BACKSPACE 0x08
#define DELETE 0x7f
#define CONTROL_C 0x03
#define CONTROL_U 0x15

TASK_STACK(stack, 8192);
static struct task task;

static u32 whole_us(u32 ns) { return ns / 1000; }
static u32 tenth_us(u32 ns) { return ns / 100 % 10; }

static void show_tasks(const char *unused)
{
	(void)unused;
	kprintf("%-10s %4s  %-8s %10s %8s %12s %10s\n", "task", "prio", "state", "runs", "misses", "worst us", "cpu ms");
	for (size_t i = 0; task_at(i); i++) {
		const struct task *t = task_at(i);
		const struct period *p = &t->period;

		kprintf("%-10s %4u  %-8s %10u ", t->name, t->priority, task_state_name(t->state),
			p->length_ns ? p->jobs : t->dispatches);
		if (p->length_ns)
			kprintf("%8u %10u.%u", p->misses, whole_us(p->worst_latency_ns), tenth_us(p->worst_latency_ns));
		else
			kprintf("%8s %12s", "-", "-");
		kprintf(" %10llu\n", div_u64(t->run_ns, NS_PER_MS));
	}
}

static void show_histogram(const struct task *t)
{
	const struct period *p = &t->period;

	if (!p->jobs)
		return;
	kprintf("%s: %u jobs every %u us, %u misses, release latency min %u avg %u max %u ns, jitter %u ns, response max %u us\n",
		t->name, p->jobs, whole_us(p->length_ns), p->misses, p->least_latency_ns,
		(u32)div_u64(p->total_latency_ns, p->jobs), p->worst_latency_ns, p->worst_latency_ns - p->least_latency_ns,
		whole_us(p->worst_response_ns));
	for (u32 i = 0; i < LATENCY_BUCKETS; i++) {
		if (!p->histogram[i])
			continue;
		if (i < LATENCY_BUCKETS - 1)
			kprintf("  under %4u us %10u\n", whole_us(latency_bound_ns[i]), p->histogram[i]);
		else
			kprintf("  longer        %10u\n", p->histogram[i]);
	}
}

static void show_statistics(const char *unused)
{
	struct scheduler_statistics s = scheduler_statistics();
	u64 now = clock_now(), now_ms = div_u64(now, NS_PER_MS), idle_ms = div_u64(s.idle_ns, NS_PER_MS);
	u32 idle_permille = now_ms && now_ms <= UINT32_MAX ? (u32)div_u64(idle_ms * 1000, (u32)now_ms) : 0;

	(void)unused;
	kprintf("up %llu ms, idle %u.%u %%, %u context switches, %u interrupts, timer %s\n", now_ms, idle_permille / 10,
		idle_permille % 10, s.switches, s.interrupts, timer_source());
	for (size_t i = 0; task_at(i); i++)
		show_histogram(task_at(i));
}

static void crash(const char *how)
{
	if (string_equal(how, "ud2"))
		__asm__ volatile("ud2");
	else if (string_equal(how, "null"))
		(void)*(volatile u32 *)(uintptr_t)0;
	else if (string_equal(how, "triple"))
		cpu_triple_fault();
	else
		kprintf("crash ud2|null|triple\n");
}

static void show_help(const char *unused);

static const struct shell_command commands[] = {
	{ "help", "this list", show_help },
	{ "tasks", "all tasks: priority, state, runs, missed deadlines, worst release latency", show_tasks },
	{ "stats", "idle time, interrupts, release latency of the periodic tasks", show_statistics },
	{ "crash", "ud2|null|triple: end this partition the hard way", crash },
};

static void list(const struct shell_command *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		kprintf("%-10s %s\n", table[i].name, table[i].help);
}

static void show_help(const char *unused)
{
	(void)unused;
	list(commands, ARRAY_SIZE(commands));
	list(application_commands, application_command_count);
}

static bool run_from(const struct shell_command *table, size_t count, const char *name, const char *argument)
{
	for (size_t i = 0; i < count; i++) {
		if (string_equal(table[i].name, name)) {
			table[i].run(argument);
			return true;
		}
	}
	return false;
}

static void execute(char *line)
{
	char *name = line, *argument;

	while (*name == ' ')
		name++;
	argument = name;
	while (*argument && *argument != ' ')
		argument++;
	if (*argument)
		*argument++ = '\0';
	while (*argument == ' ')
		argument++;
	if (*name && !run_from(commands, ARRAY_SIZE(commands), name, argument) &&
	    !run_from(application_commands, application_command_count, name, argument))
		kprintf("%s: no such command; try help\n", name);
}

/* Echoes what is typed. Returns at CR or LF; false when the line was abandoned. */
static bool read_line(char *line, size_t size)
{
	size_t length = 0;

	for (;;) {
		u8 byte = console_read();

		switch (byte) {
		case '\r':
		case '\n':
			kprintf("\n");
			line[length] = '\0';
			return true;
		case CONTROL_C:
			kprintf("^C\n");
			return false;
		case BACKSPACE:
		case DELETE:
			if (length) {
				length--;
				kprintf("\b \b");
			}
			break;
		case CONTROL_U:
			for (; length; length--)
				kprintf("\b \b");
			break;
		default:
			if (byte >= ' ' && byte < DELETE && length < size - 1) {
				line[length++] = (char)byte;
				kprintf("%c", byte);
			}
			break;
		}
	}
}

static void shell(void *unused)
{
	char line[LINE_BYTES];

	(void)unused;
	for (;;) {
		kprintf("%s> ", application_name);
		if (read_line(line, sizeof(line)))
			execute(line);
	}
}

void shell_init(void)
{
	task_create(&task, &(struct task_parameters){
		.name = "shell", .priority = PRIORITY_SHELL, .entry = shell, .stack = stack, .stack_bytes = sizeof(stack),
	});
}
