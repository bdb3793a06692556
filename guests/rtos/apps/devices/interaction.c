/* Keyboard and screen. */
#include "checks.h"

#define WIDTH 640u
#define HEIGHT 480u
/* Half a minute for each key, in looks of 10 ms: a host that skips idle time must get a chance to type. */
#define LOOK_NS (10 * NS_PER_MS)
#define LOOKS 3000u

/* The test on the host knows this picture too. */
static u32 pixel(u32 x, u32 y) { return (x & 0xff) << 16 | (y & 0xff) << 8 | ((x ^ y) & 0xff); }

void check_screen(void)
{
	struct screen screen;
	u32 wrong = 0;

	if (!screen_init(WIDTH, HEIGHT, &screen)) {
		absent("screen");
		return;
	}
	for (u32 y = 0; y < HEIGHT; y++)
		for (u32 x = 0; x < WIDTH; x++)
			screen.pixels[y * WIDTH + x] = pixel(x, y);
	for (u32 y = 0; y < HEIGHT; y += 7)
		for (u32 x = 0; x < WIDTH; x++)
			wrong += screen.pixels[y * WIDTH + x] != pixel(x, y);
	expect("screen-keeps-what-is-drawn", wrong == 0);
}

void check_keyboard(u32 wanted)
{
	u8 code;

	if (!keyboard_init()) {
		absent("keyboard");
		return;
	}
	expect("keyboard-passes-its-test", true);
	if (wanted == 0)
		return;
	kprintf("note waiting for %u scan codes\n", wanted);
	for (u32 i = 0; i < wanted; i++) {
		u32 looks = 0;

		while (!keyboard_read(&code, LOOK_NS) && ++looks < LOOKS)
			;
		if (looks == LOOKS) {
			expect("keyboard-delivers-every-code", false);
			return;
		}
		kprintf("note code %02x\n", code);
	}
	expect("keyboard-delivers-every-code", true);
}
