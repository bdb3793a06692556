/*
 * The precision task: a computation in doubles that wakes up just before each fifth frame, so that the frame task takes the
 * core from it in the middle. Compiled with SSE, like frames.c.
 */
#include "vision.h"

#define FRAMES_BETWEEN 5
/* A frame's release comes this long after we start; the computation takes more than twice that at 1000 instructions per us. */
#define LEAD_NS (30 * NS_PER_US)
#define REPEATS 200

struct precision precision;

/* Read anew each time, or the compiler would compute pi once and for all. */
static volatile s32 terms = 60;

/*
 * Machin's series for pi. The same inputs must give the same bits each time; if they do not, somebody's registers were not
 * saved.
 */
static double machin_pi(void)
{
	double sum = 0.0, power_5 = 1.0 / 5.0, power_239 = 1.0 / 239.0, sign = 1.0;

	for (s32 n = 1; n < terms; n += 2) {
		sum += sign * (16.0 * power_5 - 4.0 * power_239) / (double)n;
		power_5 *= 1.0 / 25.0;
		power_239 *= 1.0 / 57121.0;
		sign = -sign;
	}
	return sum;
}

static u64 bits_of(double value)
{
	union {
		double value;
		u64 bits;
	} both = { value };

	return both.bits;
}

void check_precision(void *frame_task)
{
	const volatile struct period *frames = &((const struct task *)frame_task)->period;
	u64 expected = bits_of(machin_pi());

	for (;;) {
		u64 target = frames->timer.due + FRAMES_BETWEEN * (u64)frames->length_ns - LEAD_NS, now = clock_now();
		u32 jobs;

		if (target > now)
			task_sleep(target - now);
		jobs = frames->jobs;
		for (u32 i = 0; i < REPEATS; i++) {
			precision.runs++;
			if (bits_of(machin_pi()) != expected)
				precision.errors++;
		}
		if (frames->jobs != jobs)
			precision.interrupted++;
	}
}
