/* FNV-1a, 32-bit words at a time. */
#include "vision.h"

#define FNV_OFFSET 0x811c9dc5u
#define FNV_PRIME 0x01000193u

u32 checksum_image(struct image *image)
{
	u32 sum = FNV_OFFSET;

	for (int y = 0; y < FRAME_HEIGHT; y++) {
		const float *row = image_row(image, y);

		for (int x = 0; x < FRAME_WIDTH; x++) {
			union {
				float value;
				u32 bits;
			} pixel = { row[x] };

			sum = (sum ^ pixel.bits) * FNV_PRIME;
		}
	}
	return sum;
}
