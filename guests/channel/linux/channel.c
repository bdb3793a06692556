/*
 * `channel`: memory shared with other partitions, from the user space of a Linux guest. It maps BAR 2 of the device (and its registers,
 * BAR 0) through sysfs and needs neither a driver nor a library: system calls and nothing else.
 *
 *     channel list                              devices: slot, bytes, our number among the peers
 *     channel watch [SECONDS]                   what the cell's controllers say of themselves, a line a second
 *     channel show SLOT OFFSET WORDS            words of the memory
 *     channel set SLOT OFFSET VALUE
 *     channel add SLOT OFFSET TIMES             adds 1 so often, each time with LOCK
 *     channel spin SLOT OFFSET TIMES            the same on the next word, but under a spin lock in the first
 *     channel ring SLOT PEER VECTOR             rings a doorbell
 *     channel wait SLOT                         waits for one, once, where uio_pci_generic has the device
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../cell.h"

/* System calls of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl) */
#define SYS_READ 0
#define SYS_WRITE 1
#define SYS_OPEN 2
#define SYS_CLOSE 3
#define SYS_FSTAT 5
#define SYS_LSEEK 8
#define SYS_MMAP 9
#define SYS_NANOSLEEP 35
#define SYS_EXIT 60
#define O_RDONLY 0
#define O_RDWR 2
#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_SHARED 1
/* struct stat: 144 bytes, st_size in the seventh word of 64 bits */
#define STAT_WORDS 18
#define STAT_SIZE 6

#define SLOTS 32
#define IV_POSITION 2
#define DOORBELL 3
#define INTERRUPT_MASK 0
#define INTERRUPT_STATUS 1
/* PCI 3.0 section 6.2.2 */
#define PCI_COMMAND 4
#define COMMAND_INTX_DISABLE 0x400

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return result;
}

static long open_file(const char *path, int flags) { return call(SYS_OPEN, (long)path, flags, 0, 0, 0, 0); }
static long read_file(long file, void *bytes, size_t size) { return call(SYS_READ, file, (long)bytes, (long)size, 0, 0, 0); }
static void write_file(long file, const void *bytes, size_t size) { (void)call(SYS_WRITE, file, (long)bytes, (long)size, 0, 0, 0); }
static void close_file(long file) { (void)call(SYS_CLOSE, file, 0, 0, 0, 0, 0); }

/* The compiler may call these whatever it is told. */
void *memset(void *to, int value, size_t size);
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
	return start;
}
void *memcpy(void *to, const void *from, size_t size)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return start;
}

/* ---- Text ---- */

static char line[256];
static size_t length;

static void put(const char *text)
{
	while (*text && length < sizeof(line))
		line[length++] = *text++;
}

static void put_number(int64_t value)
{
	char digits[20];
	size_t count = 0;
	uint64_t rest = value < 0 ? (uint64_t)-value : (uint64_t)value;

	if (value < 0)
		put("-");
	do
		digits[count++] = (char)('0' + rest % 10);
	while (rest /= 10);
	while (count > 0 && length < sizeof(line))
		line[length++] = digits[--count];
}

static void put_hex(uint32_t value)
{
	for (int shift = 28; shift >= 0; shift -= 4)
		if (length < sizeof(line))
			line[length++] = "0123456789abcdef"[value >> shift & 15];
}

static void end_line(void)
{
	put("\n");
	write_file(1, line, length);
	length = 0;
}

static __attribute__((noreturn)) void leave(int status)
{
	for (;;)
		(void)call(SYS_EXIT, status, 0, 0, 0, 0, 0);
}

static __attribute__((noreturn)) void fail(const char *why)
{
	length = 0;
	put("channel: ");
	put(why);
	put("\n");
	write_file(2, line, length);
	leave(1);
}

static bool equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static uint64_t number_of(const char *text)
{
	uint64_t value = 0;
	unsigned base = 10;

	if (text[0] == '0' && (text[1] | 0x20) == 'x') {
		base = 16;
		text += 2;
	}
	for (; *text; text++) {
		unsigned digit = *text >= '0' && *text <= '9' ? (unsigned)(*text - '0') : ((unsigned)*text | 0x20) - 'a' + 10;

		if (digit >= base)
			fail("a number is wanted");
		value = value * base + digit;
	}
	return value;
}

/* ---- Devices ---- */

struct device {
	unsigned slot;
	uint8_t *memory;
	size_t bytes;
	volatile uint32_t *registers;
	bool writable;
};

/* /sys/bus/pci/devices/0000:00:SS.0/NAME */
static const char *path_of(unsigned slot, const char *name)
{
	static char path[96];
	static const char prefix[] = "/sys/bus/pci/devices/0000:00:";
	size_t at = sizeof(prefix) - 1;

	memcpy(path, prefix, at);
	path[at++] = "0123456789abcdef"[slot >> 4];
	path[at++] = "0123456789abcdef"[slot & 15];
	path[at++] = '.';
	path[at++] = '0';
	path[at++] = '/';
	while (*name)
		path[at++] = *name++;
	path[at] = 0;
	return path;
}

static bool says(unsigned slot, const char *name, const char *wanted)
{
	char text[16] = { 0 };
	long file = open_file(path_of(slot, name), O_RDONLY);

	if (file < 0)
		return false;
	(void)read_file(file, text, 6);
	close_file(file);
	return equal(text, wanted);
}

static void *mapped(unsigned slot, const char *name, bool *writable, size_t *bytes)
{
	long file = open_file(path_of(slot, name), O_RDWR), at, size, status[STAT_WORDS] = { 0 };

	if (file < 0)
		return NULL;
	size = call(SYS_FSTAT, file, (long)status, 0, 0, 0, 0) == 0 ? status[STAT_SIZE] : 0;
	if (size <= 0)
		return NULL;
	at = call(SYS_MMAP, 0, size < 4096 ? 4096 : size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close_file(file);
	if (at < 0 && at > -4096)
		return NULL;
	*writable = true;
	*bytes = (size_t)size;
	return (void *)at;
}

static bool open_device(unsigned slot, struct device *device)
{
	size_t registers;
	long file;

	if (!says(slot, "vendor", "0x1af4") || !says(slot, "device", "0x1110"))
		return false;
	file = open_file(path_of(slot, "enable"), O_RDWR);
	if (file >= 0) {
		write_file(file, "1", 1);
		close_file(file);
	}
	device->slot = slot;
	device->registers = mapped(slot, "resource0", &device->writable, &registers);
	device->memory = mapped(slot, "resource2", &device->writable, &device->bytes);
	return device->registers && device->memory;
}

static struct device device_in(const char *slot)
{
	struct device device;

	if (!open_device((unsigned)number_of(slot) % SLOTS, &device))
		fail("there is no such device in that slot");
	return device;
}

static volatile uint32_t *word_at(const struct device *device, const char *offset)
{
	uint64_t at = number_of(offset);

	if (at % 4 || at + 8 > device->bytes)
		fail("that lies beyond the memory");
	return (volatile uint32_t *)(device->memory + at);
}

/* ---- What it does ---- */

static void list(void)
{
	struct device device;

	for (unsigned slot = 0; slot < SLOTS; slot++) {
		if (!open_device(slot, &device))
			continue;
		put("slot ");
		put_number(slot);
		put(": ");
		put_number((int64_t)device.bytes);
		put(" bytes, position ");
		put_number(device.registers[IV_POSITION]);
		end_line();
	}
}

static void put_latency(uint32_t nanoseconds)
{
	put(" worst=");
	put_number(nanoseconds);
	put("ns");
}

static void show_motion(const struct cell_motion *motion, bool alive)
{
	put("motion: ");
	put_number(motion->speed_rpm);
	put(" of ");
	put_number(motion->setpoint_rpm);
	put(" rpm, drive ");
	put_number(motion->drive_permille);
	put("/1000, jobs=");
	put_number(motion->jobs);
	put(" misses=");
	put_number(motion->misses);
	put_latency(motion->worst_latency_ns);
	put(alive ? "" : " (silent)");
	end_line();
}

static void show_vision(const struct cell_vision *vision, const struct cell_frame *frame, uint32_t frames, bool alive)
{
	put("vision: ");
	put_number(frames);
	put(" frames, last ");
	put_number(frame->number);
	put(" checksum ");
	put_hex(frame->checksum);
	put(" blobs ");
	put_number(frame->blobs);
	put(" largest ");
	put_number(frame->largest);
	put(" in ");
	put_number(frame->microseconds);
	put(" us, misses=");
	put_number(vision->misses);
	put_latency(vision->worst_latency_ns);
	put(alive ? "" : " (silent)");
	end_line();
}

static void watch_one(const struct device *device, uint32_t *beats, struct channel_ring *frames, struct cell_frame *last)
{
	struct channel_state state;
	struct cell_motion motion;
	struct cell_vision vision;
	uint32_t beat, count = 0;

	if (!channel_attach_reader(&state, device->memory, device->bytes, sizeof(motion)))
		return;
	beat = channel_writer(&state).beat;
	if (channel_read(&state, &motion, NULL) && motion.kind == CELL_MOTION)
		show_motion(&motion, beat != *beats);
	else if (device->bytes > CELL_FRAMES_AT && channel_attach_reader(&state, device->memory, CELL_FRAMES_AT, sizeof(vision)) &&
		channel_read(&state, &vision, NULL) && vision.kind == CELL_VISION) {
		if (!frames->own && !channel_attach_consumer(frames, device->memory + CELL_FRAMES_AT, device->bytes - CELL_FRAMES_AT, CELL_FRAME_SLOTS, sizeof(*last)))
			return;
		/* At most what the ring can hold: whoever fills it faster than we read is not waited for. */
		while (count < CELL_FRAME_SLOTS && channel_receive(frames, last, sizeof(*last)) >= 0)
			count++;
		show_vision(&vision, last, count, beat != *beats);
	}
	*beats = beat;
}

static void watch(uint64_t seconds)
{
	static struct device devices[SLOTS];
	static struct channel_ring frames[SLOTS];
	static struct cell_frame last[SLOTS];
	static uint32_t beats[SLOTS];
	const int64_t second[2] = { 1, 0 };

	for (unsigned slot = 0; slot < SLOTS; slot++)
		(void)open_device(slot, &devices[slot]);
	for (uint64_t i = 0; seconds == 0 || i < seconds; i++) {
		for (unsigned slot = 0; slot < SLOTS; slot++)
			if (devices[slot].memory)
				watch_one(&devices[slot], &beats[slot], &frames[slot], &last[slot]);
		(void)call(SYS_NANOSLEEP, (long)second, 0, 0, 0, 0, 0);
	}
}

static void spin(volatile uint32_t *lock, uint64_t times)
{
	for (uint64_t i = 0; i < times; i++) {
		while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
			__asm__ volatile("pause");
		lock[1] = lock[1] + 1;
		__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
	}
}

static void allow_interrupts(unsigned slot)
{
	uint16_t command = 0;
	long file = open_file(path_of(slot, "config"), O_RDWR);

	if (file < 0)
		fail("its configuration space cannot be opened");
	(void)call(SYS_LSEEK, file, PCI_COMMAND, 0, 0, 0, 0);
	(void)read_file(file, &command, sizeof(command));
	command &= (uint16_t)~COMMAND_INTX_DISABLE;
	(void)call(SYS_LSEEK, file, PCI_COMMAND, 0, 0, 0, 0);
	write_file(file, &command, sizeof(command));
	close_file(file);
}

static void wait_for_doorbell(struct device *device)
{
	uint32_t count = 0;
	long file = open_file("/dev/uio0", O_RDWR);

	if (file < 0)
		fail("there is no /dev/uio0");
	device->registers[INTERRUPT_MASK] = 1;
	allow_interrupts(device->slot);
	if (read_file(file, &count, sizeof(count)) != sizeof(count))
		fail("/dev/uio0 cannot be read");
	put("rang, status ");
	put_number(device->registers[INTERRUPT_STATUS]);
	end_line();
}

static void obey(int count, char **words)
{
	struct device device;

	if (count >= 2 && equal(words[1], "list")) {
		list();
		return;
	}
	if (count >= 2 && equal(words[1], "watch")) {
		watch(count > 2 ? number_of(words[2]) : 0);
		return;
	}
	if (count >= 3 && equal(words[1], "wait")) {
		device = device_in(words[2]);
		wait_for_doorbell(&device);
		return;
	}
	if (count != 5)
		fail("list, watch, show, set, add, spin, ring or wait");
	device = device_in(words[2]);
	if (equal(words[1], "show")) {
		volatile uint32_t *word = word_at(&device, words[3]);

		for (uint64_t i = 0; i < number_of(words[4]) && i < 16; i++) {
			put_hex(word[i]);
			put(" ");
		}
		end_line();
	} else if (equal(words[1], "set")) {
		*word_at(&device, words[3]) = (uint32_t)number_of(words[4]);
	} else if (equal(words[1], "add")) {
		volatile uint32_t *word = word_at(&device, words[3]);

		for (uint64_t i = 0, times = number_of(words[4]); i < times; i++)
			__atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
	} else if (equal(words[1], "spin")) {
		spin(word_at(&device, words[3]), number_of(words[4]));
	} else if (equal(words[1], "ring")) {
		device.registers[DOORBELL] = (uint32_t)number_of(words[3]) << 16 | (uint32_t)(number_of(words[4]) & 0xffff);
	} else {
		fail("list, watch, show, set, add, spin, ring or wait");
	}
}

/* The stack as the kernel leaves it: argc, argv (System V ABI for x86-64 section 3.4.1). */
__attribute__((used)) static void start(long *stack)
{
	obey((int)stack[0], (char **)(stack + 1));
	leave(0);
}

__asm__(".globl _start\n_start:\n\txorl %ebp, %ebp\n\tmovq %rsp, %rdi\n\tandq $-16, %rsp\n\tcall start\n");
