/*
 * Periodic tasks. A release is an event of the clock, not of the task: it comes at its time whether or not the job before
 * has finished, and finds a miss at that very moment, even when the task never returns.
 */
#include "cpu.h"
#include "kernel.h"

const u32 latency_bound_ns[LATENCY_BUCKETS - 1] = { 1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000 };

static void release(struct timer *timer, u64 now)
{
	struct task *task = container_of(timer, struct task, period.timer);
	struct period *period = &task->period;
	/* 0, unless the interrupt itself came later than a whole period: then the releases between are lost as well. */
	u32 overslept = (u32)div_u64(now - timer->due, period->length_ns);
	u64 latest = timer->due + (u64)overslept * period->length_ns;

	period->misses += overslept;
	period->lost += overslept;
	if (task->state == TASK_WAITING_PERIOD) {
		period->release = latest;
		task_make_ready(task);
	} else {
		period->misses++;
		period->lost++;
	}
	timer_arm(timer, latest + period->length_ns);
}

static u32 bounded_ns(u64 ns) { return ns > UINT32_MAX ? UINT32_MAX : (u32)ns; }

static void record_completion(struct period *period, u64 now)
{
	u32 response = bounded_ns(now - period->release);

	if (response > period->worst_response_ns)
		period->worst_response_ns = response;
}

static void record_start(struct period *period, u64 now)
{
	u32 latency = bounded_ns(now - period->release), bucket = 0;

	period->jobs++;
	period->total_latency_ns += latency;
	if (latency > period->worst_latency_ns)
		period->worst_latency_ns = latency;
	if (latency < period->least_latency_ns)
		period->least_latency_ns = latency;
	while (bucket < LATENCY_BUCKETS - 1 && latency >= latency_bound_ns[bucket])
		bucket++;
	period->histogram[bucket]++;
}

void task_set_period(u32 length_ns)
{
	word flags = irq_save();
	struct period *period = &task_current()->period;

	timer_cancel(&period->timer);
	memset(period, 0, sizeof(*period));
	period->length_ns = length_ns;
	period->least_latency_ns = UINT32_MAX;
	period->timer.expire = release;
	timer_arm(&period->timer, clock_now() + length_ns);
	irq_restore(flags);
}

u32 task_wait_next_period(void)
{
	word flags = irq_save();
	struct task *self = task_current();
	struct period *period = &self->period;
	u32 lost;

	if (period->jobs)
		record_completion(period, clock_now());
	task_block(TASK_WAITING_PERIOD);
	lost = period->lost;
	period->lost = 0;
	record_start(period, clock_now());
	irq_restore(flags);
	return lost;
}
