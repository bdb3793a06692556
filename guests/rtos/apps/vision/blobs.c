/* Connected groups of bright pixels: one pass that labels, with union-find over the labels, one that counts. */
#include "vision.h"

#define LABELS_MAX 4096 /* past this, new groups share the last label: wrong, but bounded */

static u16 labels[FRAME_HEIGHT][FRAME_WIDTH];
static u16 parent[LABELS_MAX];
static u32 area[LABELS_MAX];

static u16 find_root(u16 label)
{
	while (parent[label] != label) {
		parent[label] = parent[parent[label]];
		label = parent[label];
	}
	return label;
}

static u16 join(u16 a, u16 b)
{
	u16 root_a = find_root(a), root_b = find_root(b);

	if (root_a < root_b) {
		parent[root_b] = root_a;
		return root_a;
	}
	parent[root_a] = root_b;
	return root_b;
}

struct blobs blobs_find(struct image *image, float threshold)
{
	struct blobs result = { 0, 0, 0 };
	u16 used = 1; /* label 0 is the background */

	for (int y = 0; y < FRAME_HEIGHT; y++) {
		const float *row = image_row(image, y);

		for (int x = 0; x < FRAME_WIDTH; x++) {
			u16 left = x ? labels[y][x - 1] : 0, above = y ? labels[y - 1][x] : 0, label = 0;

			if (row[x] > threshold) {
				if (left && above)
					label = left == above ? left : join(left, above);
				else if (left || above)
					label = left ? left : above;
				else {
					if (used < LABELS_MAX)
						used++;
					label = used - 1;
					parent[label] = label;
					area[label] = 0;
				}
			}
			labels[y][x] = label;
		}
	}
	for (int y = 0; y < FRAME_HEIGHT; y++) {
		for (int x = 0; x < FRAME_WIDTH; x++) {
			if (labels[y][x]) {
				result.bright_pixels++;
				area[find_root(labels[y][x])]++;
			}
		}
	}
	for (u16 label = 1; label < used; label++) {
		if (parent[label] == label) {
			result.count++;
			if (area[label] > result.largest)
				result.largest = area[label];
		}
	}
	return result;
}
