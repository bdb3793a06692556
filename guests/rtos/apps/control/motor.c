/*
 * A motor with an encoder on its shaft, as a first-order system: speed follows the drive with a time constant of 100 ms,
 * up to 60,000 counts a second at full drive. Only for machines without the card, so that the loop has something to
 * close over.
 */
#include "control.h"

#define FULL_SPEED_COUNTS_PER_S 60000
#define TIME_CONSTANT_STEPS 100 /* of 1 ms */

static s64 speed_q16;    /* counts per second */
static s64 position_q16; /* counts */

/* One millisecond at `drive`, -1 to 1 with 16 fraction bits. */
void motor_step(s32 drive)
{
	s64 target_q16 = (s64)drive * FULL_SPEED_COUNTS_PER_S;

	/* x * 655 >> 16 is x / 100 (TIME_CONSTANT_STEPS) without a 64-bit division */
	speed_q16 += ((target_q16 - speed_q16) * (65536 / TIME_CONSTANT_STEPS)) >> 16;
	position_q16 += (speed_q16 * (65536 / CONTROL_HZ)) >> 16;
}

u16 motor_read(void) { return (u16)(position_q16 >> 16); }
