/*
 * The keyboard behind an 8042, in scan code set 1 as the controller translates it.
 *
 * Spec: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"

#define DATA 0x60
#define STATUS 0x64
#define COMMAND 0x64
#define KEYBOARD_IRQ 1

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_INPUT_FULL 0x02
#define STATUS_FROM_MOUSE 0x20
#define READ_CONFIGURATION 0x20
#define WRITE_CONFIGURATION 0x60
#define TEST_CONTROLLER 0xaa
#define TEST_PASSED 0x55
#define DISABLE_MOUSE 0xa7
#define DISABLE_KEYBOARD 0xad
#define ENABLE_KEYBOARD 0xae
#define CONFIGURATION_INTERRUPT 0x01
#define CONFIGURATION_KEYBOARD_OFF 0x10
#define CONFIGURATION_TRANSLATE 0x40

#define KEYBOARD_RESET 0xff
#define KEYBOARD_SCAN 0xf4
#define ACKNOWLEDGE 0xfa
#define KEYBOARD_PASSED 0xaa

#define POLL_NS (10 * NS_PER_US)
#define PATIENCE_NS (800 * NS_PER_MS) /* a keyboard's own test takes up to 750 ms */
#define FLUSH_BYTES 64u

static u8 storage[64];
static struct queue codes;

static void interrupt(void)
{
	for (u32 i = 0; i < sizeof(storage) && inb(STATUS) & STATUS_OUTPUT_FULL; i++) {
		bool from_mouse = inb(STATUS) & STATUS_FROM_MOUSE;
		u8 code = inb(DATA);

		if (!from_mouse)
			(void)queue_try_send(&codes, &code);
	}
}

static bool wait_for(u8 mask, u8 wanted)
{
	u64 until = clock_now() + PATIENCE_NS;

	while ((inb(STATUS) & mask) != wanted) {
		if (clock_now() > until)
			return false;
		task_sleep(POLL_NS);
	}
	return true;
}

static void send(u16 port, u8 value)
{
	if (wait_for(STATUS_INPUT_FULL, 0))
		outb(port, value);
}

/* -1 when nothing comes. */
static s32 receive(void) { return wait_for(STATUS_OUTPUT_FULL, STATUS_OUTPUT_FULL) ? inb(DATA) : -1; }

bool keyboard_init(void)
{
	s32 configuration;

	if (inb(STATUS) == 0xff)
		return false;
	send(COMMAND, DISABLE_KEYBOARD);
	send(COMMAND, DISABLE_MOUSE);
	for (u32 i = 0; i < FLUSH_BYTES && inb(STATUS) & STATUS_OUTPUT_FULL; i++)
		(void)inb(DATA);
	send(COMMAND, TEST_CONTROLLER);
	if (receive() != TEST_PASSED)
		return false;
	send(COMMAND, READ_CONFIGURATION);
	configuration = receive();
	if (configuration < 0)
		return false;
	send(COMMAND, ENABLE_KEYBOARD);
	send(DATA, KEYBOARD_RESET);
	if (receive() != ACKNOWLEDGE || receive() != KEYBOARD_PASSED)
		return false;
	send(DATA, KEYBOARD_SCAN);
	if (receive() != ACKNOWLEDGE)
		return false;
	queue_init(&codes, storage, 1, sizeof(storage));
	if (!interrupt_attach(KEYBOARD_IRQ, TRIGGER_EDGE, interrupt))
		return false;
	send(COMMAND, WRITE_CONFIGURATION);
	send(DATA, (u8)((configuration & ~CONFIGURATION_KEYBOARD_OFF) | CONFIGURATION_INTERRUPT | CONFIGURATION_TRANSLATE));
	return true;
}

bool keyboard_read(u8 *code, u64 timeout_ns) { return queue_receive(&codes, code, timeout_ns); }
