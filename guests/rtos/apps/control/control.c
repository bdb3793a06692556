/*
 * The machine controller: a speed loop at 1 kHz over a quadrature encoder that this partition owns, watched by a 100 Hz
 * supervisor, with a logger and the shell below it.
 *
 * Command line: setpoint=RPM, lines=N (of the encoder disc).
 * With memory shared with other partitions it tells them how it is, a hundred times a second (guests/channel/cell.h).
 */
#include "control.h"
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"
#include "drivers.h"
#include "cell.h"

const char application_name[] = "control";

#define PRIORITY_CONTROL 15
#define PRIORITY_SUPERVISOR 12
#define PRIORITY_LOGGER 4

#define SUPERVISOR_PERIOD_NS (10 * NS_PER_MS)
#define LOGGER_PERIOD_NS (100 * NS_PER_MS)
#define SUPERVISOR_PERIODS_PER_REPORT 100

/* Speed is the way over this many milliseconds: at 1500 rpm and 2000 counts a turn, one count of error is 0.04 %. */
#define SPEED_WINDOW 50

#define DEFAULT_SETPOINT_RPM 1500
#define DEFAULT_ENCODER_LINES 500
#define COUNTS_PER_LINE 4
#define RPM_MAX 6000
#define ENCODER_LINES_MAX 2500

/* One consistent picture of the loop: written by the control task, copied out with interrupts off. */
struct loop {
	s64 position; /* counts, without the counter's wrap at 16 bits */
	s32 speed;    /* counts per second */
	s32 setpoint; /* likewise */
	s32 drive;    /* -1 to 1 with 16 fraction bits */
};

/* What the supervisor found in the last second, sent to the logger. */
struct report {
	struct loop loop;
	s32 slowest, fastest; /* counts per second */
	u32 stalls;           /* supervisor periods in which the control task did not run at all */
};

TASK_STACK(control_stack, 4096);
TASK_STACK(supervisor_stack, 4096);
TASK_STACK(logger_stack, 4096);
static struct task control_task, supervisor_task, logger_task;

static struct loop loop;
static bool card_present, log_enabled = true;
static u32 counts_per_turn;
static struct report report_storage[4];
static struct queue reports;
static struct channel_state motion;
static bool is_watched;

/* Gains for counts per second in, drive out; tuned on the motor model, where the loop settles in a third of a second. */
static struct pid pid = {
	.proportional = Q16(1.0),
	.integral = Q16(10.0),
	.derivative = Q16(0.0),
	.output_limit = Q16(1.0),
};

static u16 read_position(void) { return card_present ? hctl2016_read() : motor_read(); }

static s32 rpm_to_speed(u32 rpm) { return (s32)(rpm * counts_per_turn / 60); }

static s32 speed_to_rpm(s32 speed)
{
	u64 magnitude = speed < 0 ? (u64)-(s64)speed : (u64)speed;
	s32 rpm = (s32)div_u64(magnitude * 60, counts_per_turn);

	return speed < 0 ? -rpm : rpm;
}

static struct loop loop_snapshot(void)
{
	word flags = irq_save();
	struct loop copy = loop;

	irq_restore(flags);
	return copy;
}

static void set_setpoint(u32 rpm)
{
	word flags = irq_save();

	loop.setpoint = rpm_to_speed(rpm > RPM_MAX ? RPM_MAX : rpm);
	irq_restore(flags);
}

static void control(void *unused)
{
	u16 previous, now;
	s64 position = 0, window[SPEED_WINDOW] = { 0 };
	u32 slot = 0;

	(void)unused;
	card_present = hctl2016_probe();
	if (card_present)
		kprintf("encoder: HCTL-2016 at port 0x300, %u counts a turn\n", counts_per_turn);
	else
		kprintf("encoder: no card at port 0x300, using the built-in motor model\n");

	previous = read_position();
	task_set_period(CONTROL_PERIOD_NS);
	for (;;) {
		task_wait_next_period();
		now = read_position();
		/* The counter wraps; the difference, taken as a signed 16-bit number, does not, below 32,768 counts a period. */
		position += (int16_t)(u16)(now - previous);
		previous = now;

		loop.position = position;
		loop.speed = (s32)(position - window[slot]) * (CONTROL_HZ / SPEED_WINDOW);
		window[slot] = position;
		slot = (slot + 1) % SPEED_WINDOW;
		loop.drive = pid_step(&pid, loop.setpoint, loop.speed);
		if (!card_present)
			motor_step(loop.drive);
	}
}

/* For whoever shares memory with us: the last picture of the loop. */
static void publish(void)
{
	const struct period *period = &control_task.period;
	struct loop now = loop_snapshot();
	struct cell_motion state = {
		.kind = CELL_MOTION,
		.seconds = (u32)div_u64(clock_now(), (u32)NS_PER_S),
		.speed_rpm = speed_to_rpm(now.speed),
		.setpoint_rpm = speed_to_rpm(now.setpoint),
		.drive_permille = (now.drive * 125) >> 13,
		.jobs = period->jobs,
		.misses = period->misses,
		.worst_latency_ns = period->worst_latency_ns,
	};

	channel_write(&motion, &state);
	channel_state_beat(&motion);
}

/* Watches the loop and condenses each second into one report. */
static void supervise(void *unused)
{
	struct report report = { .slowest = INT32_MAX, .fastest = INT32_MIN };
	u32 jobs_before = 0, periods = 0;

	(void)unused;
	task_set_period(SUPERVISOR_PERIOD_NS);
	for (;;) {
		u32 jobs;

		task_wait_next_period();
		if (is_watched)
			publish();
		jobs = control_task.period.jobs;
		report.loop = loop_snapshot();
		if (report.loop.speed < report.slowest)
			report.slowest = report.loop.speed;
		if (report.loop.speed > report.fastest)
			report.fastest = report.loop.speed;
		if (jobs == jobs_before)
			report.stalls++;
		jobs_before = jobs;

		if (++periods % SUPERVISOR_PERIODS_PER_REPORT)
			continue;
		(void)queue_try_send(&reports, &report); /* when the logger cannot keep up, a report is lost, never a period */
		report = (struct report){ .slowest = INT32_MAX, .fastest = INT32_MIN };
	}
}

static void print_report(const struct report *report)
{
	const struct period *period = &control_task.period;
	s32 permille = (report->loop.drive * 125) >> 13; /* 1000 / 65536 */

	kprintf("control: t=%llus jobs=%u misses=%u worst=%uns speed=%drpm (%d..%d) setpoint=%drpm drive=%d/1000 stalls=%u\n",
		div_u64(clock_now(), (u32)NS_PER_S), period->jobs, period->misses, period->worst_latency_ns,
		speed_to_rpm(report->loop.speed), speed_to_rpm(report->slowest), speed_to_rpm(report->fastest),
		speed_to_rpm(report->loop.setpoint), permille, report->stalls);
}

static void log_reports(void *unused)
{
	struct report report;

	(void)unused;
	task_set_period(LOGGER_PERIOD_NS);
	for (;;) {
		task_wait_next_period();
		while (queue_receive(&reports, &report, 0))
			if (log_enabled)
				print_report(&report);
	}
}

/* ---- Shell ---- */

static void show_encoder(const char *unused)
{
	struct loop now = loop_snapshot();
	bool backwards = now.position < 0;

	(void)unused;
	kprintf("source %s, raw %u, position %s%llu counts, %d counts/s = %d rpm, %u counts a turn\n",
		card_present ? "HCTL-2016 card" : "motor model", (u32)(u16)now.position, backwards ? "-" : "",
		backwards ? (u64)-now.position : (u64)now.position, now.speed, speed_to_rpm(now.speed), counts_per_turn);
}

static void change_setpoint(const char *argument)
{
	if (*argument >= '0' && *argument <= '9')
		set_setpoint(parse_u32(argument));
	kprintf("setpoint %d rpm\n", speed_to_rpm(loop_snapshot().setpoint));
}

static void switch_log(const char *argument)
{
	log_enabled = !string_equal(argument, "off");
}

const struct shell_command application_commands[] = {
	{ "encoder", "position and speed of the shaft", show_encoder },
	{ "setpoint", "RPM: what the loop is to hold, up to 6000", change_setpoint },
	{ "log", "on|off: the status line each second", switch_log },
};
const size_t application_command_count = ARRAY_SIZE(application_commands);

static u32 option_number(const char *name, u32 fallback, u32 limit)
{
	char text[12];
	u32 value = boot_option(name, text, sizeof(text)) ? parse_u32(text) : fallback;

	return value == 0 ? fallback : value > limit ? limit : value;
}

void application_init(void)
{
	struct shared_memory shared;

	is_watched = shared_memory_find(0, &shared) &&
		channel_attach_writer(&motion, shared.memory, shared.bytes, sizeof(struct cell_motion));
	counts_per_turn = option_number("lines", DEFAULT_ENCODER_LINES, ENCODER_LINES_MAX) * COUNTS_PER_LINE;
	set_setpoint(option_number("setpoint", DEFAULT_SETPOINT_RPM, RPM_MAX));
	queue_init(&reports, report_storage, sizeof(struct report), ARRAY_SIZE(report_storage));

	task_create(&control_task, &(struct task_parameters){
		.name = "control", .priority = PRIORITY_CONTROL, .entry = control, .stack = control_stack,
		.stack_bytes = sizeof(control_stack),
	});
	task_create(&supervisor_task, &(struct task_parameters){
		.name = "supervisor", .priority = PRIORITY_SUPERVISOR, .entry = supervise, .stack = supervisor_stack,
		.stack_bytes = sizeof(supervisor_stack),
	});
	task_create(&logger_task, &(struct task_parameters){
		.name = "logger", .priority = PRIORITY_LOGGER, .entry = log_reports, .stack = logger_stack,
		.stack_bytes = sizeof(logger_stack),
	});
	telemetry_init(&control_task);
}
