/*
 * Round trips through one device, by the host's clock: each is framed by two writes to a stopwatch (bench/io/stopwatch.ts at port
 * 0x580), whose registers say afterwards how long they took. One line for latency, one for throughput, then `done`:
 *
 *     result disk latency count 2000 median 41000 p99 90000 worst 400000
 *     result disk stream bytes 16777216 ns 30000000
 *
 * The command line: do=disk, ethernet, line or timer; count=N round trips; noise=1: no measurement, the same without end.
 * address= and peer= are for Ethernet, as decimal numbers of 32 bits.
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"

const char application_name[] = "io";

#define STOPWATCH 0x580
enum { START = 1, STOP = 2, RESET = 3 };
/* Registers; the second one takes how long an interval is to be. */
enum { COUNT = 0, WANTED = 4, MEDIAN = 4, P99 = 8, WORST = 12, TOTAL_US = 16 };

#define DEBUG_EXIT_PORT 0xf4
#define EXIT_OK 0x10
#define EXIT_FAILED 0x01
#define PRIORITY_RUNNER 5
#define SECTOR 512u
#define SMALL_BYTES 4096u
#define LARGE_BYTES 65536u
#define STREAM_REQUESTS 256u
#define STREAM_FRAMES 4096u
#define LINE_BYTES 2048u
#define LINE_WINDOW 8u
#define PATIENCE_NS (10 * NS_PER_S)
#define SHOT_NS NS_PER_MS
#define FIRST_ATTEMPTS 60u

static struct task runner_task;
TASK_STACK(runner_stack, 8192);
static u8 buffer[LARGE_BYTES] ALIGNED(4096);
static u8 frame[ETHERNET_MOST_BYTES];
static u32 random_state = 1;

static u32 number(const char *name, u32 otherwise)
{
	char text[12];

	return boot_option(name, text, sizeof(text)) ? parse_u32(text) : otherwise;
}

static u32 random_below(u32 limit)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (u32)(((u64)random_state * limit) >> 32);
}

static void report_latency(const char *device)
{
	kprintf("result %s latency count %u median %u p99 %u worst %u\n", device, inl(STOPWATCH + COUNT), inl(STOPWATCH + MEDIAN),
		inl(STOPWATCH + P99), inl(STOPWATCH + WORST));
	outl(STOPWATCH, RESET);
}

static void report_stream(const char *device, u32 bytes)
{
	kprintf("result %s stream bytes %u us %u\n", device, bytes, inl(STOPWATCH + TOTAL_US));
	outl(STOPWATCH, RESET);
}

/* ---- Disk: 4 KiB at random places, then 64 KiB in order ---- */

static bool disk_round(bool write)
{
	u64 sector = (u64)random_below((u32)(virtio_disk_sectors() / (SMALL_BYTES / SECTOR))) * (SMALL_BYTES / SECTOR);

	return virtio_disk_request(write ? VIRTIO_DISK_WRITE : VIRTIO_DISK_READ, sector, buffer, SMALL_BYTES);
}

static bool disk_stream(void)
{
	u32 requests = (u32)(virtio_disk_sectors() / (LARGE_BYTES / SECTOR));

	for (u32 i = 0; i < STREAM_REQUESTS; i++)
		if (!virtio_disk_request(VIRTIO_DISK_READ, (u64)(i % requests) * (LARGE_BYTES / SECTOR), buffer, LARGE_BYTES))
			return false;
	return true;
}

/* ---- Ethernet: ARP (RFC 826), which the other side's kernel answers ---- */

static void put32(u8 *at, u32 value)
{
	for (u32 i = 0; i < 4; i++)
		at[i] = (u8)(value >> (24 - 8 * i));
}

static u32 get32(const u8 *at) { return (u32)at[0] << 24 | (u32)at[1] << 16 | (u32)at[2] << 8 | at[3]; }

/* Everybody, until the other side has answered: switches limit how much goes to all. */
static u8 station[ETHERNET_ADDRESS_BYTES] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void make_question(u32 address, u32 peer)
{
	static const u8 head[] = { 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1 };

	memset(frame, 0, sizeof(frame));
	memcpy(frame, station, ETHERNET_ADDRESS_BYTES);
	memcpy(frame + 6, ethernet_address(), ETHERNET_ADDRESS_BYTES);
	memcpy(frame + 12, head, sizeof(head));
	memcpy(frame + 22, ethernet_address(), ETHERNET_ADDRESS_BYTES);
	put32(frame + 28, address);
	put32(frame + 38, peer);
}

static bool ethernet_round(u32 peer, u64 patience_ns)
{
	static u8 answer[ETHERNET_MOST_BYTES];
	u32 length;

	if (!ethernet_send(frame, 60))
		return false;
	do
		length = ethernet_receive(answer, patience_ns);
	while (length >= 42 && (answer[12] != 0x08 || answer[13] != 0x06 || answer[21] != 2 || get32(answer + 28) != peer));
	if (length < 42)
		return false;
	memcpy(station, answer + 6, ETHERNET_ADDRESS_BYTES);
	return true;
}

/* Frames of an unknown protocol, to the station that answered: it drops them. The last question waits behind them all. */
static bool ethernet_stream(u32 address, u32 peer)
{
	static u8 bulk[ETHERNET_MOST_BYTES];

	memcpy(bulk, frame, sizeof(bulk));
	bulk[12] = 0x88;
	bulk[13] = 0xb5; /* for local experiments (IEEE 802) */
	for (u32 i = 0; i < STREAM_FRAMES; i++)
		while (!ethernet_send(bulk, ETHERNET_MOST_BYTES))
			task_yield();
	make_question(address, peer);
	return ethernet_round(peer, PATIENCE_NS);
}

/* ---- A serial line with an echo at its end ---- */

static bool line_round(u8 byte)
{
	u8 back;

	line_send(byte);
	return line_receive(&back, PATIENCE_NS) && back == byte;
}

static bool line_stream(void)
{
	u32 sent = 0;
	u8 back;

	for (u32 heard = 0; heard < LINE_BYTES; heard++) {
		while (sent < LINE_BYTES && sent < heard + LINE_WINDOW)
			line_send((u8)sent++);
		if (!line_receive(&back, PATIENCE_NS) || back != (u8)heard)
			return false;
	}
	return true;
}

/* ---- Who does what ---- */

static u32 address, peer, shot_ticks;

static bool one(const char *device, u32 i)
{
	switch (device[0]) {
	case 'd':
		return disk_round(false);
	case 'e':
		return ethernet_round(peer, PATIENCE_NS);
	case 'l':
		return line_round((u8)i);
	default:
		return hpet_wait(shot_ticks, PATIENCE_NS);
	}
}

static bool set_up(const char *device)
{
	switch (device[0]) {
	case 'd':
		return virtio_disk_init();
	case 'e':
		if (!ethernet_init())
			return false;
		while (!ethernet_has_link())
			task_sleep(10 * NS_PER_MS);
		make_question(address, peer);
		/* The host takes a second or two to see that somebody is at the other end of its interface. */
		for (u32 i = 0; i < FIRST_ATTEMPTS; i++)
			if (ethernet_round(peer, NS_PER_S / 2)) {
				make_question(address, peer);
				return true;
			}
		return false;
	case 'l':
		return line_init();
	default:
		if (!hpet_init())
			return false;
		/* Our time is behind the host's as long as much is new to an emulator; it catches up while there is nothing to do. */
		task_sleep(5 * NS_PER_S);
		shot_ticks = (u32)div_u64(SHOT_NS * 1000, hpet_period_fs() / 1000);
		return true;
	}
}

/* What a neighbour does that has no regard for others. */
static void make_noise(const char *device)
{
	if (device[0] == 't')
		shot_ticks /= 20;
	for (u32 i = 0;; i++) {
		if (device[0] == 'd')
			(void)(i % 64 == 63 ? virtio_disk_request(VIRTIO_DISK_FLUSH, 0, buffer, 0) :
				virtio_disk_request(VIRTIO_DISK_WRITE, (u64)random_below((u32)(virtio_disk_sectors() / (LARGE_BYTES / SECTOR))) * (LARGE_BYTES / SECTOR), buffer, LARGE_BYTES));
		else if (device[0] == 'e')
			(void)ethernet_stream(address, peer);
		else if (device[0] == 'l')
			line_send((u8)('a' + i % 26));
		else
			(void)hpet_wait(shot_ticks, PATIENCE_NS);
	}
}

static bool measure(const char *device, u32 count)
{
	/* What is new to the translator, to caches and to the peer is not what is asked for. */
	for (u32 i = 0; i < count / 4; i++)
		if (!one(device, i))
			return false;
	outl(STOPWATCH, RESET);
	if (device[0] == 't')
		outl(STOPWATCH + WANTED, (u32)SHOT_NS);
	for (u32 i = 0; i < count; i++) {
		outl(STOPWATCH, START);
		if (!one(device, i))
			return false;
		outl(STOPWATCH, STOP);
	}
	report_latency(device);
	if (device[0] == 't')
		return true;
	outl(STOPWATCH, START);
	if (device[0] == 'd' ? !disk_stream() : device[0] == 'e' ? !ethernet_stream(address, peer) : !line_stream())
		return false;
	outl(STOPWATCH, STOP);
	report_stream(device, device[0] == 'd' ? STREAM_REQUESTS * LARGE_BYTES : device[0] == 'e' ? STREAM_FRAMES * ETHERNET_MOST_BYTES : LINE_BYTES);
	return true;
}

static void run(void *unused)
{
	char device[12] = "timer";
	bool good;

	(void)unused;
	(void)boot_option("do", device, sizeof(device));
	address = number("address", 0x0a000002u);
	peer = number("peer", 0x0a000001u);
	good = set_up(device);
	kprintf("note %s %s\n", device, good ? "ready" : "absent");
	if (good && number("noise", 0))
		make_noise(device);
	good = good && measure(device, number("count", 1000));
	kprintf("%s\n", good ? "done" : "fail");
	outb(DEBUG_EXIT_PORT, good ? EXIT_OK : EXIT_FAILED);
}

const struct shell_command application_commands[] = { { "", "", NULL } };
const size_t application_command_count = 0;

void application_init(void)
{
	task_create(&runner_task, &(struct task_parameters){
		.name = "runner", .priority = PRIORITY_RUNNER, .entry = run, .stack = runner_stack, .stack_bytes = sizeof(runner_stack),
	});
}
