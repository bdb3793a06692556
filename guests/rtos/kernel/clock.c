/*
 * The kernel's clock: the time-stamp counter, its rate measured against the 8254 (Intel 231164), whose input is
 * 1,193,182 Hz on every PC. The local APIC timer's rate is measured over the same stretch.
 */
#include "cpu.h"
#include "kernel.h"

#define PIT_HZ 1193182u
#define PIT_CHANNEL_2 0x42
#define PIT_CONTROL 0x43
#define PIT_CHANNEL_2_MODE_0 0xb0 /* low byte then high byte, interrupt on terminal count, binary */
#define PORT_B 0x61               /* bit 0: gate of channel 2; bit 1: speaker; bit 5: output of channel 2 */
#define PORT_B_GATE_2 (1u << 0)
#define PORT_B_SPEAKER (1u << 1)
#define PORT_B_OUT_2 (1u << 5)

#define MEASURE_TICKS 5966u /* 5 ms, one part in 5000 per microsecond of polling error */
#define ATTEMPTS 3
/* An absent PIT leaves its output low or floating for ever; this many polls take over 50 ms on any machine. */
#define POLL_LIMIT 2000000u

#define ASSUMED_KHZ 1000000u /* what Bulkhead's modelled core counts at */

struct clock_rates clock_rates;

static u64 epoch;
static u32 tsc_to_ns_q24, ns_to_tsc_q24, ns_to_apic_q24;

struct measurement {
	u32 tsc_ticks, apic_ticks;
};

/* Counts both clocks while channel 2 runs down once. False when it never does. */
static bool measure(struct measurement *m)
{
	u8 port_b = inb(PORT_B) & (u8)~(PORT_B_GATE_2 | PORT_B_SPEAKER);
	u32 polls = 0, apic_start;
	u64 tsc_start;

	outb(PORT_B, port_b);
	outb(PIT_CONTROL, PIT_CHANNEL_2_MODE_0);
	outb(PIT_CHANNEL_2, MEASURE_TICKS & 0xff);
	outb(PIT_CHANNEL_2, MEASURE_TICKS >> 8);
	local_apic_timer_one_shot(0xffffffffu);
	outb(PORT_B, port_b | PORT_B_GATE_2);
	tsc_start = rdtsc();
	apic_start = local_apic_timer_count();
	/* Mode 0: the output is low until the count is reached, so high at once means that nothing is there. */
	if (inb(PORT_B) & PORT_B_OUT_2)
		return false;
	while (!(inb(PORT_B) & PORT_B_OUT_2))
		if (++polls == POLL_LIMIT)
			return false;
	m->apic_ticks = apic_start - local_apic_timer_count();
	m->tsc_ticks = (u32)(rdtsc() - tsc_start);
	local_apic_timer_one_shot(0); /* stops it: SDM 3A section 11.5.4 */
	return true;
}

static u32 khz_of(u32 ticks) { return (u32)div_u64((u64)ticks * PIT_HZ, MEASURE_TICKS * 1000u); }

/* 2^24 * numerator / denominator: the multiplier that scale_q24() takes. */
static u32 ratio_q24(u32 numerator, u32 denominator) { return (u32)div_u64((u64)numerator << 24, denominator); }

void clock_init(void)
{
	struct measurement best = { 0, 0 }, m;

	/* A host that takes the core away during a measurement makes it too long, never too short: keep the shortest. */
	for (u32 i = 0; i < ATTEMPTS; i++)
		if (measure(&m) && (!best.tsc_ticks || m.tsc_ticks < best.tsc_ticks))
			best = m;
	clock_rates.calibrated = best.tsc_ticks > 1000 && best.apic_ticks > 1000;
	clock_rates.tsc_khz = clock_rates.calibrated ? khz_of(best.tsc_ticks) : ASSUMED_KHZ;
	clock_rates.local_apic_khz = clock_rates.calibrated ? khz_of(best.apic_ticks) : ASSUMED_KHZ;

	tsc_to_ns_q24 = ratio_q24(1000000u, clock_rates.tsc_khz);
	ns_to_tsc_q24 = ratio_q24(clock_rates.tsc_khz, 1000000u);
	ns_to_apic_q24 = ratio_q24(clock_rates.local_apic_khz, 1000000u);
	epoch = rdtsc();
}

u64 clock_now(void) { return scale_q24(rdtsc() - epoch, tsc_to_ns_q24); }

u64 clock_to_tsc(u64 ns) { return epoch + scale_q24(ns, ns_to_tsc_q24) + 1; }

u32 clock_to_local_apic(u64 ns)
{
	u64 count = scale_q24(ns, ns_to_apic_q24) + 1;

	return count > 0x7fffffffu ? 0x7fffffffu : (u32)count;
}
