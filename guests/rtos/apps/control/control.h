/* The parts of the control application. */
#ifndef CONTROL_H
#define CONTROL_H

#include "rtos.h"

#define CONTROL_PERIOD_NS (1 * NS_PER_MS)
#define CONTROL_HZ 1000

/* motor.c: what stands in for card and motor on a machine without them. */
void motor_step(s32 drive);
u16 motor_read(void);

/* pid.c: fixed point with 16 fraction bits. */
struct pid {
	s32 proportional, integral, derivative; /* gains: output per unit of error, per unit and second, per unit/second */
	s32 output_limit;
	s64 accumulated;
	s32 previous_error;
};

#define Q16(x) ((s32)((x) * 65536.0))

/* One step of 1 / CONTROL_HZ seconds. */
s32 pid_step(struct pid *pid, s32 setpoint, s32 measured);

#endif
