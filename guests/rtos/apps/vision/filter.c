/*
 * The filters, four pixels at a time in SSE2. Only operations that IEEE 754 defines to the last bit are used (add, multiply,
 * square root; never RCPPS or RSQRTPS), and the order of additions is fixed in the source: every correct processor gets the
 * same picture.
 */
#include "vision.h"

typedef float vector __attribute__((vector_size(16)));
typedef float unaligned_vector __attribute__((vector_size(16), aligned(4), may_alias));

#define LANES 4
#define RADIUS 2

static inline vector load(const float *from) { return *(const unaligned_vector *)from; }
static inline void store(float *to, vector v) { *(unaligned_vector *)to = v; }

/* Binomial weights 1 4 6 4 1, both ways, over 256: the usual integer approximation of a Gaussian with sigma 1. */
static const float gaussian[2 * RADIUS + 1][2 * RADIUS + 1] = {
	{ 1 / 256.0f, 4 / 256.0f, 6 / 256.0f, 4 / 256.0f, 1 / 256.0f },
	{ 4 / 256.0f, 16 / 256.0f, 24 / 256.0f, 16 / 256.0f, 4 / 256.0f },
	{ 6 / 256.0f, 24 / 256.0f, 36 / 256.0f, 24 / 256.0f, 6 / 256.0f },
	{ 4 / 256.0f, 16 / 256.0f, 24 / 256.0f, 16 / 256.0f, 4 / 256.0f },
	{ 1 / 256.0f, 4 / 256.0f, 6 / 256.0f, 4 / 256.0f, 1 / 256.0f },
};

/* Not split into two passes: it is here as a load, and the plain form is what a user's own kernel would look like. */
void filter_gaussian(struct image *out, struct image *in)
{
	for (int y = 0; y < FRAME_HEIGHT; y++) {
		float *to = image_row(out, y);

		for (int x = 0; x < FRAME_WIDTH; x += LANES) {
			vector sum = { 0, 0, 0, 0 };

			for (int j = -RADIUS; j <= RADIUS; j++) {
				const float *from = image_row(in, y + j) + x;

				for (int i = -RADIUS; i <= RADIUS; i++)
					sum += load(from + i) * gaussian[j + RADIUS][i + RADIUS];
			}
			store(to + x, sum);
		}
	}
}

void filter_sobel(struct image *out, struct image *in)
{
	for (int y = 0; y < FRAME_HEIGHT; y++) {
		const float *above = image_row(in, y - 1), *here = image_row(in, y), *below = image_row(in, y + 1);
		float *to = image_row(out, y);

		for (int x = 0; x < FRAME_WIDTH; x += LANES) {
			vector horizontal = (load(above + x + 1) - load(above + x - 1)) + 2.0f * (load(here + x + 1) - load(here + x - 1)) +
				(load(below + x + 1) - load(below + x - 1));
			vector vertical = (load(below + x - 1) - load(above + x - 1)) + 2.0f * (load(below + x) - load(above + x)) +
				(load(below + x + 1) - load(above + x + 1));

			store(to + x, __builtin_ia32_sqrtps(horizontal * horizontal + vertical * vertical));
		}
	}
}
