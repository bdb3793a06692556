/* A PID controller in fixed point: no FPU state to save, and the same result on every machine. */
#include "control.h"

static s32 clamp(s64 value, s32 limit)
{
	if (value > limit)
		return limit;
	if (value < -limit)
		return -limit;
	return (s32)value;
}

s32 pid_step(struct pid *pid, s32 setpoint, s32 measured)
{
	s32 error = setpoint - measured;
	s64 proportional = ((s64)pid->proportional * error) >> 16;
	s64 derivative = (((s64)pid->derivative * (error - pid->previous_error)) >> 16) * CONTROL_HZ;
	s64 integral_limit = (s64)pid->output_limit * CONTROL_HZ;
	s64 output;

	/*
	 * The sum is kept multiplied by CONTROL_HZ, so that small errors are not rounded away, and is held to what the
	 * output can do: otherwise a shaft that cannot follow would wind it up for minutes.
	 */
	pid->accumulated += ((s64)pid->integral * error) >> 16;
	if (pid->accumulated > integral_limit)
		pid->accumulated = integral_limit;
	if (pid->accumulated < -integral_limit)
		pid->accumulated = -integral_limit;
	pid->previous_error = error;

	/* x * 67109 >> 26 is x / 1000 (CONTROL_HZ), to one part in 250,000 */
	output = proportional + ((pid->accumulated * 67109) >> 26) + derivative;
	return clamp(output, pid->output_limit);
}
