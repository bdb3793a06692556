/* The handful of library functions that a freestanding program needs; the compiler itself calls memset and memcpy. */
#include "cpu.h"
#include "kernel.h"

void *memset(void *to, int value, size_t bytes)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
	return start;
}

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	return start;
}

size_t string_length(const char *s)
{
	size_t length = 0;

	while (s[length])
		length++;
	return length;
}

bool string_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

u32 parse_u32(const char *s)
{
	u64 value = 0;

	for (; *s >= '0' && *s <= '9'; s++) {
		value = value * 10 + (u32)(*s - '0');
		if (value > UINT32_MAX)
			return UINT32_MAX;
	}
	return (u32)value;
}

struct output {
	char *at, *end;
};

static void put(struct output *out, char c)
{
	if (out->at < out->end)
		*out->at++ = c;
}

static void pad(struct output *out, char with, u32 width, size_t used)
{
	for (; used < width; used++)
		put(out, with);
}

/* Digits in reverse order; returns how many. 20 hold any u64. */
static size_t digits_of(char *digits, u64 value, u32 base)
{
	size_t length = 0;

	do {
		u64 quotient = div_u64(value, base);

		digits[length++] = "0123456789abcdef"[(u32)(value - quotient * base)];
		value = quotient;
	} while (value);
	return length;
}

static void put_number(struct output *out, u64 value, u32 base, bool negative, bool left, char fill, u32 width)
{
	char digits[20];
	size_t length = digits_of(digits, value, base), used = length + negative;

	if (negative && fill == '0')
		put(out, '-');
	if (!left)
		pad(out, fill, width, used);
	if (negative && fill != '0')
		put(out, '-');
	while (length)
		put(out, digits[--length]);
	if (left)
		pad(out, ' ', width, used);
}

static void put_string(struct output *out, const char *s, bool left, u32 width)
{
	size_t length = string_length(s);

	if (!left)
		pad(out, ' ', width, length);
	while (*s)
		put(out, *s++);
	if (left)
		pad(out, ' ', width, length);
}

/* Formats into `out`, cut at `size`, without a final NUL. Returns the length. */
size_t format_text(char *out, size_t size, const char *format, va_list arguments)
{
	struct output output = { out, out + size };

	for (; *format; format++) {
		bool left = false;
		char fill = ' ';
		u32 width = 0, longs = 0;
		u64 value;

		if (*format != '%') {
			put(&output, *format);
			continue;
		}
		for (format++; *format == '-' || *format == '0'; format++) {
			if (*format == '-')
				left = true;
			else
				fill = '0';
		}
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (u32)(*format - '0');
		for (; *format == 'l'; format++)
			longs++;
		switch (*format) {
		case 'c':
			put(&output, (char)va_arg(arguments, int));
			break;
		case 's':
			put_string(&output, va_arg(arguments, const char *), left, width);
			break;
		case 'd': {
			s64 number = longs == 2 ? va_arg(arguments, long long) : longs ? va_arg(arguments, long) : va_arg(arguments, int);

			value = number < 0 ? 0 - (u64)number : (u64)number;
			put_number(&output, value, 10, number < 0, left, fill, width);
			break;
		}
		case 'u':
		case 'x':
			value = longs == 2 ? va_arg(arguments, u64) : longs ? va_arg(arguments, word) : va_arg(arguments, u32);
			put_number(&output, value, *format == 'u' ? 10 : 16, false, left, fill, width);
			break;
		default:
			put(&output, *format);
			break;
		}
	}
	return (size_t)(output.at - out);
}
