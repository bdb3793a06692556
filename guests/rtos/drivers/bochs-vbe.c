/*
 * A linear framebuffer of 32 bits per pixel on the display adapter 1234:1111, through its DISPI registers.
 *
 * Spec: Bochs VBE Display API (bochs, iodev/display/vbe, "Banks and linear frame buffer").
 */
#include "cpu.h"
#include "drivers.h"

#define INDEX 0x1ce
#define DATA 0x1cf
#define REGISTER_ID 0
#define REGISTER_WIDTH 1
#define REGISTER_HEIGHT 2
#define REGISTER_DEPTH 3
#define REGISTER_ENABLE 4
#define REGISTER_VIRTUAL_WIDTH 6
#define ID_OLDEST_WITH_LINEAR 0xb0c2
#define ID_FAMILY 0xb0c0
#define ENABLED 0x01
#define LINEAR 0x40
#define DEPTH 32

static u16 read(u16 index)
{
	outw(INDEX, index);
	return inw(DATA);
}

static void write(u16 index, u16 value)
{
	outw(INDEX, index);
	outw(DATA, value);
}

bool screen_init(u32 width, u32 height, struct screen *screen)
{
	struct pci_function function;
	u16 id;

	if (!pci_find(0x1234, 0x1111, &function))
		return false;
	id = read(REGISTER_ID);
	if ((id & 0xfff0) != ID_FAMILY || id < ID_OLDEST_WITH_LINEAR)
		return false;
	pci_enable(&function);
	/* The mode can be set only while the extension is off. */
	write(REGISTER_ENABLE, 0);
	write(REGISTER_WIDTH, (u16)width);
	write(REGISTER_HEIGHT, (u16)height);
	write(REGISTER_DEPTH, DEPTH);
	write(REGISTER_ENABLE, ENABLED | LINEAR);
	if (read(REGISTER_WIDTH) != width || read(REGISTER_HEIGHT) != height || read(REGISTER_VIRTUAL_WIDTH) != width)
		return false;
	*screen = (struct screen){ width, height, (u32 *)(uintptr_t)pci_address(&function, 0) };
	return true;
}
