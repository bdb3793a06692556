/*
 * What the partitions of the packaging cell (machines/packaging-cell.yaml) tell one another, and where: one piece of shared memory for
 * the motion controller, one for the vision computer. Each begins with a state block; behind the vision computer's lies a ring of what it
 * saw in each picture.
 *
 * Words of 32 bits only, so that it looks the same to programs of 32 and 64 bits.
 */
#ifndef CELL_H
#define CELL_H

#include "channel.h"

/* First word of a state: whose it is, and which version of this file. */
#define CELL_MOTION 0x4e544f01u
#define CELL_VISION 0x53495601u

struct cell_motion {
	uint32_t kind;
	uint32_t seconds; /* since it started */
	int32_t speed_rpm, setpoint_rpm;
	int32_t drive_permille;
	uint32_t jobs, misses;     /* of the loop at 1 kHz */
	uint32_t worst_latency_ns; /* from the release of a job to its first instruction */
};

struct cell_vision {
	uint32_t kind;
	uint32_t frames_per_second;
	uint32_t jobs, misses;
	uint32_t worst_latency_ns;
};

/* One picture. */
struct cell_frame {
	uint32_t number;
	uint32_t checksum;
	uint32_t blobs, largest; /* groups of bright pixels, and how many the largest has */
	uint32_t microseconds;   /* that it took */
};

#define CELL_FRAMES_AT 4096u
#define CELL_FRAME_SLOTS 64u

#endif
