/* The parts of the vision application: one frame passes through them in this order. */
#ifndef VISION_H
#define VISION_H

#include "rtos.h"

#define FRAME_WIDTH 160
#define FRAME_HEIGHT 120
#define FRAME_PIXELS (FRAME_WIDTH * FRAME_HEIGHT)
/* Space on each side that the 5x5 filter may read without asking where the edge is; a multiple of a vector. */
#define FRAME_MARGIN 4
#define FRAME_STRIDE (FRAME_WIDTH + 2 * FRAME_MARGIN)

/* Brightness from 0 to 1, row by row, with margins. */
struct image {
	float pixels[(FRAME_HEIGHT + 2 * FRAME_MARGIN) * FRAME_STRIDE];
} ALIGNED(16);

static inline float *image_row(struct image *image, int y) { return image->pixels + (y + FRAME_MARGIN) * FRAME_STRIDE + FRAME_MARGIN; }

/* scene.c: what the camera would see: discs that move over an uneven, noisy ground. A pure function of `frame`. */
void scene_draw(struct image *image, u32 frame);

/* filter.c: 5x5 Gaussian, then the magnitude of the Sobel gradient. */
void filter_gaussian(struct image *out, struct image *in);
void filter_sobel(struct image *out, struct image *in);

/* blobs.c */
struct blobs {
	u32 bright_pixels;
	u32 count;   /* connected groups of pixels over the threshold (4 neighbours) */
	u32 largest; /* in pixels */
};
struct blobs blobs_find(struct image *image, float threshold);

/* frames.c */
struct frame_report {
	u32 frame, checksum;
	u32 chained; /* the checksums and counts of all frames so far, in order */
	u32 least_us, worst_us, mean_us; /* of a frame since the last report */
	struct blobs blobs;
};
extern u32 frames_per_second;
void process_frames(void *reports);

/* vision.c: tells whoever shares memory with us what was seen in a frame. */
void publish_frame(u32 number, const struct frame_report *report, u32 took_us);

/* precision.c */
struct precision {
	u32 runs, errors;
	u32 interrupted; /* times that a frame came in the middle */
};
extern struct precision precision;
void check_precision(void *unused);

/* checksum.c: FNV-1a over the bits of every pixel, so that one wrong rounding anywhere shows. */
u32 checksum_image(struct image *image);

#endif
