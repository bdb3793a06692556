/*
 * The frame task: draws, filters, looks, and reports to the logger. This file is compiled with SSE, so nothing in it may run
 * outside a task that has an FPU state.
 */
#include "vision.h"

#define FRAMES_PER_REPORT 50
#define EDGE_THRESHOLD 0.35f

static struct image picture, smooth, edges;

void process_frames(void *reports)
{
	u32 frame = 0, chained = 0, least_us = UINT32_MAX, worst_us = 0, total_us = 0;

	task_set_period((u32)(NS_PER_S / frames_per_second));
	for (;;) {
		struct frame_report report;
		u64 started;
		u32 took_us;

		task_wait_next_period();
		started = clock_now();
		frame++;
		scene_draw(&picture, frame);
		filter_gaussian(&smooth, &picture);
		filter_sobel(&edges, &smooth);
		report.blobs = blobs_find(&edges, EDGE_THRESHOLD);
		report.checksum = checksum_image(&edges);
		chained = (chained << 1 | chained >> 31) ^ report.checksum ^ report.blobs.count;
		took_us = (u32)((clock_now() - started) / NS_PER_US);

		publish_frame(frame, &report, took_us);

		total_us += took_us;
		if (took_us < least_us)
			least_us = took_us;
		if (took_us > worst_us)
			worst_us = took_us;
		if (frame % FRAMES_PER_REPORT)
			continue;
		report.frame = frame;
		report.chained = chained;
		report.least_us = least_us;
		report.worst_us = worst_us;
		report.mean_us = total_us / FRAMES_PER_REPORT;
		(void)queue_try_send(reports, &report); /* when the logger cannot keep up, a report is lost, never a frame */
		least_us = UINT32_MAX;
		worst_us = total_us = 0;
	}
}
