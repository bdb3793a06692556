/* Formatted output. A mutex with priority inheritance keeps the lines of different tasks apart. */
#include "kernel.h"

static struct mutex lock;
static bool panicking;

void console_enter_panic(void) { panicking = true; }

/* Adds the carriage return that terminals expect. */
static void write_lines(const char *text, size_t length)
{
	size_t start = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] != '\n')
			continue;
		uart_write(text + start, i - start);
		uart_write("\r\n", 2);
		start = i + 1;
	}
	uart_write(text + start, length - start);
}

void kprintf(const char *format, ...)
{
	char text[200];
	size_t length;
	va_list arguments;
	bool locked = !panicking && task_current();

	va_start(arguments, format);
	length = format_text(text, sizeof(text), format, arguments);
	va_end(arguments);

	if (locked)
		mutex_lock(&lock);
	write_lines(text, length);
	if (locked)
		mutex_unlock(&lock);
}
