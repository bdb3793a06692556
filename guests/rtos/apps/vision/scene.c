/* The synthetic camera. */
#include "vision.h"

#define DISCS 6
#define NOISE 0.05f

/* A hash of the pixel's place and the frame: noise that needs no state and repeats exactly. */
static u32 noise_bits(u32 x, u32 y, u32 frame)
{
	u32 h = x * 0x9e3779b1u ^ y * 0x85ebca77u ^ frame * 0xc2b2ae3du;

	h ^= h >> 15;
	h *= 0x2c1b3c6du;
	return h ^ h >> 13;
}

struct disc {
	float x, y, radius_squared, brightness;
};

/* There and back between 0 and `range`, as a conveyor's shuttle moves. */
static float shuttle(u32 t, u32 range)
{
	u32 phase = t % (2 * range);

	return (float)(s32)(phase < range ? phase : 2 * range - phase);
}

static struct disc disc_at(u32 i, u32 frame)
{
	float radius = 6.0f + 2.0f * (float)(s32)i;

	return (struct disc){
		.x = shuttle(frame * (1 + i % 3) + 37 * i, FRAME_WIDTH),
		.y = shuttle(frame * (1 + i % 2) + 23 * i, FRAME_HEIGHT),
		.radius_squared = radius * radius,
		.brightness = 0.4f + 0.1f * (float)(s32)i,
	};
}

void scene_draw(struct image *image, u32 frame)
{
	struct disc discs[DISCS];

	for (u32 i = 0; i < DISCS; i++)
		discs[i] = disc_at(i, frame);
	for (int y = 0; y < FRAME_HEIGHT; y++) {
		float *row = image_row(image, y);

		for (int x = 0; x < FRAME_WIDTH; x++) {
			float light = 0.1f + 0.001f * (float)x;

			for (u32 i = 0; i < DISCS; i++) {
				float dx = (float)x - discs[i].x, dy = (float)y - discs[i].y;

				if (dx * dx + dy * dy < discs[i].radius_squared)
					light = discs[i].brightness;
			}
			row[x] = light + NOISE * ((float)(s32)(noise_bits((u32)x, (u32)y, frame) & 0xffff) * (1.0f / 65536.0f) - 0.5f);
		}
	}
}
