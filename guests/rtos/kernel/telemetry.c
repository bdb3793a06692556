/*
 * What this partition tells the hypervisor about itself, through Bulkhead's telemetry device: 16 bytes of ports at 0x510,
 * four 32-bit registers that we write and the host reads.
 */
#include "cpu.h"
#include "kernel.h"

#define TELEMETRY_BASE 0x510
#define TELEMETRY_PERIODS (TELEMETRY_BASE + 0)
#define TELEMETRY_MISSES (TELEMETRY_BASE + 4)
#define TELEMETRY_WORST_LATENCY_NS (TELEMETRY_BASE + 8)
#define TELEMETRY_HEARTBEAT (TELEMETRY_BASE + 12)

#define TELEMETRY_SIGNATURE (TELEMETRY_BASE + 12) /* when read */
#define SIGNATURE 0x31544842u                    /* "BHT1" */

#define REPORT_PERIOD_NS (10 * NS_PER_MS)
#define PRIORITY_TELEMETRY 10

TASK_STACK(stack, 4096);
static struct task task;

/*
 * A task of its own, of middle priority: when the load starves it, the heartbeat stops, which is what a watchdog wants to
 * see.
 */
static void report(void *observed)
{
	const struct period *period = &((const struct task *)observed)->period;
	u32 heartbeat = 0;

	task_set_period(REPORT_PERIOD_NS);
	for (;;) {
		task_wait_next_period();
		outl(TELEMETRY_PERIODS, period->jobs);
		outl(TELEMETRY_MISSES, period->misses);
		outl(TELEMETRY_WORST_LATENCY_NS, period->worst_latency_ns);
		outl(TELEMETRY_HEARTBEAT, ++heartbeat);
	}
}

void telemetry_init(const struct task *observed)
{
	/*
	 * Other machines have other things here: QEMU's firmware configuration device would take our numbers for the address of
	 * a DMA request.
	 */
	if (inl(TELEMETRY_SIGNATURE) != SIGNATURE)
		return;
	task_create(&task, &(struct task_parameters){
		.name = "telemetry", .priority = PRIORITY_TELEMETRY, .entry = report, .argument = (void *)observed,
		.stack = stack, .stack_bytes = sizeof(stack),
	});
}
