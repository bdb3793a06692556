/*
 * What this partition tells the hypervisor about itself, through a port card of 16 bytes at 0x510: four 32-bit registers,
 * written by us, read by the host. Nothing answers on other machines, and a write that nobody takes harms nobody.
 */
#include "cpu.h"
#include "kernel.h"

#define TELEMETRY_BASE 0x510
#define TELEMETRY_PERIODS (TELEMETRY_BASE + 0)
#define TELEMETRY_MISSES (TELEMETRY_BASE + 4)
#define TELEMETRY_WORST_LATENCY_NS (TELEMETRY_BASE + 8)
#define TELEMETRY_HEARTBEAT (TELEMETRY_BASE + 12)

#define FW_CFG_SELECTOR 0x510
#define FW_CFG_DATA 0x511
#define FW_CFG_SIGNATURE 0

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

/*
 * QEMU has its firmware configuration device at these ports (QEMU docs/specs/fw_cfg), and would take a write to +4 and +8
 * for the address of a DMA request. Item 0 of that device is its signature.
 */
static bool firmware_configuration_present(void)
{
	static const char signature[] = { 'Q', 'E', 'M', 'U' };

	outw(FW_CFG_SELECTOR, FW_CFG_SIGNATURE);
	for (u32 i = 0; i < sizeof(signature); i++)
		if (inb(FW_CFG_DATA) != (u8)signature[i])
			return false;
	return true;
}

void telemetry_init(const struct task *observed)
{
	if (firmware_configuration_present())
		return;
	task_create(&task, &(struct task_parameters){
		.name = "telemetry", .priority = PRIORITY_TELEMETRY, .entry = report, .argument = (void *)observed,
		.stack = stack, .stack_bytes = sizeof(stack),
	});
}
