/* The measuring card, whose outputs are wired back to its inputs, and the encoder card. */
#include "checks.h"
#include "cpu.h"

#define STEADY_CHANNEL 3u /* 1.25 V, by default */
#define STEADY_CODE 2560
#define LOOP_CHANNEL 4u /* analog output 0 */
#define DIVISOR 1000u   /* 100 us between samples */
#define SAMPLES 64u
#define TICK_NS 100u

static u16 samples[SAMPLES];

void check_card(void)
{
	static const u16 levels[] = { 0x0000, 0xffff, 0x5555, 0xaaaa, 0x8001 };
	bool same = true, in_turn = true;
	u32 taken;
	u64 started, passed;

	if (!card_init()) {
		absent("card");
		return;
	}
	for (u32 i = 0; i < ARRAY_SIZE(levels); i++) {
		card_write_digital(levels[i]);
		same = same && card_read_digital() == levels[i];
	}
	expect("card-digital-outputs-come-back", same);
	for (u32 i = 0; i < 4; i++) {
		u32 code = i * 1024;

		card_write_analog(0, code);
		/* 4096 steps to 5 V out, 4096 steps from -5 V to 5 V in: half as many, from the middle on. */
		expect_between("card-analog-output-comes-back", card_read_analog(LOOP_CHANNEL), 2048 + (s64)code / 2 - 1, 2048 + (s64)code / 2 + 1);
	}
	started = clock_now();
	taken = card_scan(STEADY_CHANNEL, LOOP_CHANNEL, DIVISOR, samples, SAMPLES, NS_PER_S);
	passed = clock_now() - started;
	expect("card-scan-delivers-every-sample", taken == SAMPLES);
	for (u32 i = 0; i < taken; i++)
		in_turn = in_turn && samples[i] >> 12 == STEADY_CHANNEL + i % 2 &&
			(i % 2 || ((samples[i] & 0xfff) >= STEADY_CODE - 1 && (samples[i] & 0xfff) <= STEADY_CODE + 1));
	expect("card-scan-takes-its-channels-in-turn", in_turn);
	expect_between("card-scan-keeps-its-pace", (s64)passed, (s64)(SAMPLES - 1) * DIVISOR * TICK_NS, (s64)(SAMPLES + 10) * DIVISOR * TICK_NS);
	expect("card-interrupts", card_interrupts() > 0);
}

void check_encoder(void)
{
	u16 first, second;

	if (!hctl2016_probe()) {
		absent("encoder");
		return;
	}
	hctl2016_reset();
	first = hctl2016_read();
	expect("encoder-starts-at-zero", first < 100 || first > 0xffff - 100);
	task_sleep(20 * NS_PER_MS);
	second = hctl2016_read();
	kprintf("note encoder %u counts in 20 ms\n", (u16)(second - first));
	expect("encoder-counts-while-the-shaft-turns", second != first);
}
