/*
 * COM2, a 16550A, as a line that somebody else listens to: bytes go out one by one, what comes in waits in a ring.
 *
 * Spec: National Semiconductor PC16550D, section 8.0.
 */
#include "cpu.h"
#include "drivers.h"
#include "rtos.h"

#define BASE 0x2f8
#define IRQ 3
#define DATA (BASE + 0)
#define IER (BASE + 1)
#define FCR (BASE + 2)
#define LCR (BASE + 3)
#define MCR (BASE + 4)
#define LSR (BASE + 5)
#define SCR (BASE + 7)
#define IER_RECEIVED 0x01
#define FCR_FIFOS 0x07
#define LCR_8N1 0x03
#define LCR_DIVISOR 0x80
#define MCR_DTR_RTS_OUT2 0x0b
#define LSR_READY 0x01
#define LSR_EMPTY 0x20

static u8 ring[256];
static volatile u8 head, tail;
static struct semaphore arrived;

static void interrupt(void)
{
	while (inb(LSR) & LSR_READY) {
		ring[head++] = inb(DATA);
		semaphore_post(&arrived);
	}
}

bool line_init(void)
{
	outb(SCR, 0x5a);
	if (inb(SCR) != 0x5a)
		return false;
	semaphore_init(&arrived, 0);
	outb(LCR, LCR_DIVISOR);
	outb(DATA, 1);
	outb(IER, 0);
	outb(LCR, LCR_8N1);
	outb(FCR, FCR_FIFOS);
	outb(MCR, MCR_DTR_RTS_OUT2);
	if (!interrupt_attach(IRQ, TRIGGER_EDGE, interrupt))
		return false;
	outb(IER, IER_RECEIVED);
	return true;
}

void line_send(u8 byte)
{
	while (!(inb(LSR) & LSR_EMPTY))
		task_yield();
	outb(DATA, byte);
}

bool line_receive(u8 *byte, u64 timeout_ns)
{
	if (!semaphore_wait(&arrived, timeout_ns))
		return false;
	*byte = ring[tail++];
	return true;
}
