/*
 * The vision computer: a frame task, 50 times a second, that draws a synthetic camera picture, filters it and counts what
 * it sees; a precision task that computes in doubles and is interrupted by it; a logger.
 *
 * What is computed depends on the number of the frame alone, so the printed checksums are the same on every correct machine.
 *
 * Command line: fps=N (1 to 1000).
 * With memory shared with other partitions it tells them what it sees, frame by frame (guests/channel/cell.h).
 */
#include "cell.h"
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"
#include "vision.h"

const char application_name[] = "vision";

#define PRIORITY_FRAMES 14
#define PRIORITY_LOGGER 6
#define PRIORITY_PRECISION 4

#define DEFAULT_FPS 50
#define FPS_MAX 1000

TASK_STACK(frame_stack, 8192);
TASK_STACK(logger_stack, 4096);
TASK_STACK(precision_stack, 4096);
static struct task frame_task, logger_task, precision_task;
static struct fpu_state frame_fpu, precision_fpu;

u32 frames_per_second;
static bool log_enabled = true;
static struct frame_report last_report;
static struct frame_report report_storage[4];
static struct queue reports;
static struct channel_state state;
static struct channel_ring seen;
static bool is_watched;

static void print_report(const struct frame_report *r)
{
	const struct period *period = &frame_task.period;

	kprintf("vision: frame=%u checksum=%08x chain=%08x blobs=%u largest=%u bright=%u precision=%u/%u/%u "
		"us=%u/%u/%u jobs=%u misses=%u worst=%uns\n",
		r->frame, r->checksum, r->chained, r->blobs.count, r->blobs.largest, r->blobs.bright_pixels, precision.errors,
		precision.runs, precision.interrupted, r->least_us, r->mean_us, r->worst_us, period->jobs, period->misses, period->worst_latency_ns);
}

void publish_frame(u32 number, const struct frame_report *report, u32 took_us)
{
	const struct period *period = &frame_task.period;
	struct cell_vision now = {
		.kind = CELL_VISION,
		.frames_per_second = frames_per_second,
		.jobs = period->jobs,
		.misses = period->misses,
		.worst_latency_ns = period->worst_latency_ns,
	};
	struct cell_frame frame = {
		.number = number,
		.checksum = report->checksum,
		.blobs = report->blobs.count,
		.largest = report->blobs.largest,
		.microseconds = took_us,
	};

	if (!is_watched)
		return;
	channel_write(&state, &now);
	channel_state_beat(&state);
	(void)channel_send(&seen, &frame, sizeof(frame)); /* a reader that is too slow loses frames, we never do */
}

static void attach_channels(void)
{
	struct shared_memory shared;
	u8 *memory;

	if (!shared_memory_find(0, &shared) || shared.bytes <= CELL_FRAMES_AT)
		return;
	memory = shared.memory;
	is_watched = channel_attach_writer(&state, memory, CELL_FRAMES_AT, sizeof(struct cell_vision)) &&
		channel_attach_producer(&seen, memory + CELL_FRAMES_AT, shared.bytes - CELL_FRAMES_AT, CELL_FRAME_SLOTS, sizeof(struct cell_frame));
}

static void log_reports(void *unused)
{
	(void)unused;
	for (;;) {
		(void)queue_receive(&reports, &last_report, WAIT_FOREVER);
		if (log_enabled)
			print_report(&last_report);
	}
}

/* ---- Shell ---- */

static void show_filter(const char *unused)
{
	(void)unused;
	kprintf("%u x %u pixels, %u frames a second, 5x5 Gaussian and Sobel in SSE2; times are least/mean/worst of a frame\n",
		FRAME_WIDTH, FRAME_HEIGHT, frames_per_second);
	if (last_report.frame)
		print_report(&last_report);
}

static void switch_log(const char *argument)
{
	log_enabled = !string_equal(argument, "off");
}

const struct shell_command application_commands[] = {
	{ "filter", "the picture, the filter and its last result", show_filter },
	{ "log", "on|off: the status line every 50 frames", switch_log },
};
const size_t application_command_count = ARRAY_SIZE(application_commands);

void application_init(void)
{
	char text[12];

	attach_channels();
	frames_per_second = boot_option("fps", text, sizeof(text)) ? parse_u32(text) : DEFAULT_FPS;
	if (frames_per_second < 1 || frames_per_second > FPS_MAX)
		frames_per_second = DEFAULT_FPS;
	queue_init(&reports, report_storage, sizeof(struct frame_report), ARRAY_SIZE(report_storage));

	task_create(&frame_task, &(struct task_parameters){
		.name = "frames", .priority = PRIORITY_FRAMES, .entry = process_frames, .argument = &reports, .stack = frame_stack,
		.stack_bytes = sizeof(frame_stack), .fpu = &frame_fpu,
	});
	task_create(&logger_task, &(struct task_parameters){
		.name = "logger", .priority = PRIORITY_LOGGER, .entry = log_reports, .stack = logger_stack,
		.stack_bytes = sizeof(logger_stack),
	});
	task_create(&precision_task, &(struct task_parameters){
		.name = "precision", .priority = PRIORITY_PRECISION, .entry = check_precision, .argument = &frame_task, .stack = precision_stack,
		.stack_bytes = sizeof(precision_stack), .fpu = &precision_fpu,
	});
	telemetry_init(&frame_task);
}
