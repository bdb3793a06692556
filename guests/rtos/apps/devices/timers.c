/* The HPET against the kernel's clock, and the watchdog's two stages. */
#include "checks.h"
#include "cpu.h"

#define FS_PER_NS 1000000ull
#define MEASURE_NS (20 * NS_PER_MS)
#define SHOT_NS (2 * NS_PER_MS)
#define SHOTS 20u

/* The watchdog counts in steps of a millisecond; ends far enough from each other that a busy host does not matter. */
#define FIRST_MS 40u
#define SECOND_MS 400u
#define BITE_MS 20u

static u64 hpet_ns(u64 ticks) { return div_u64(ticks * (hpet_period_fs() / 1000), 1000); }

void check_hpet(void)
{
	u64 ticks, started, slept, worst = 0;
	u32 shots = 0, shot_ticks;

	if (!hpet_init()) {
		absent("hpet");
		return;
	}
	kprintf("note hpet period %u fs\n", hpet_period_fs());
	started = clock_now();
	ticks = hpet_counter();
	task_sleep(MEASURE_NS);
	ticks = hpet_counter() - ticks;
	slept = clock_now() - started;
	/* One part in 200: the kernel's clock is measured against the 8254, to a few microseconds in 5 ms. */
	expect_between("hpet-counts-as-the-clock-does", (s64)hpet_ns(ticks), (s64)(slept - div_u64(slept, 200)),
		(s64)(slept + div_u64(slept, 200)));

	shot_ticks = (u32)div_u64(SHOT_NS * 1000, hpet_period_fs() / 1000);
	for (u32 i = 0; i < SHOTS; i++) {
		u64 before = hpet_counter(), passed;

		if (!hpet_wait(shot_ticks, 10 * SHOT_NS))
			break;
		passed = hpet_counter() - before;
		if (passed < shot_ticks)
			break;
		if (passed - shot_ticks > worst)
			worst = passed - shot_ticks;
		shots++;
	}
	expect("hpet-comparator-interrupts-never-early", shots == SHOTS);
	kprintf("note hpet worst wake-up %llu ns late\n", hpet_ns(worst));
}

void check_watchdog(bool bite)
{
	u32 before;

	if (!watchdog_init()) {
		absent("watchdog");
		return;
	}
	kprintf("note watchdog: the last reset was %s\n", watchdog_has_bitten() ? "its doing" : "not its doing");
	expect("watchdog-forgets-when-told", !watchdog_has_bitten());

	before = watchdog_warnings();
	watchdog_start(FIRST_MS, SECOND_MS);
	for (u32 i = 0; i < 8; i++) {
		task_sleep(FIRST_MS * NS_PER_MS / 2);
		watchdog_feed();
	}
	expect("watchdog-that-is-fed-keeps-still", watchdog_warnings() == before);
	task_sleep(3 * FIRST_MS * NS_PER_MS);
	expect("watchdog-warns-when-it-is-not", watchdog_warnings() == before + 1);
	watchdog_feed();
	watchdog_stop();
	before = watchdog_warnings();
	task_sleep(2 * SECOND_MS * NS_PER_MS);
	expect("watchdog-that-is-stopped-stays-so", watchdog_warnings() == before);
	if (!bite)
		return;
	kprintf("note the watchdog is left alone\n");
	watchdog_start(BITE_MS, BITE_MS);
	task_sleep(10 * BITE_MS * NS_PER_MS);
	expect("watchdog-bites", false);
}
