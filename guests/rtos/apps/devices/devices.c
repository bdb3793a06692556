/*
 * The board's devices under drivers of ours. Prints the line protocol of guests/payloads (`ok NAME`, `fail NAME …`, `absent
 * NAME`, `note …`, `done`) and ends through the debug-exit port. The command line says what else to do:
 *
 *     keys=N             wait for N scan codes and print them
 *     address=10.0.0.1   the address on the network
 *     ping=10.0.0.2      ping this one, count=N times (3)
 *     only=network       leave the other devices alone
 *     stay=1             do not end: answer pings for ever
 *     bite=1             let the watchdog reset the machine at the end
 */
#include "checks.h"
#include "cpu.h"
#include "kernel.h"

const char application_name[] = "devices";

#define DEBUG_EXIT_PORT 0xf4
#define EXIT_OK 0x10
#define EXIT_FAILED 0x01

#define PRIORITY_RUNNER 5
#define DEFAULT_ADDRESS 0x0a000001u
#define DEFAULT_PINGS 3u

static struct task runner_task;
TASK_STACK(runner_stack, 8192);
static u32 failures;

bool expect(const char *name, bool good)
{
	kprintf("%s %s\n", good ? "ok" : "fail", name);
	if (!good)
		failures++;
	return good;
}

void expect_between(const char *name, s64 value, s64 low, s64 high)
{
	if (value >= low && value <= high) {
		kprintf("ok %s\n", name);
		return;
	}
	kprintf("fail %s got %lld want %lld to %lld\n", name, value, low, high);
	failures++;
}

void absent(const char *name) { kprintf("absent %s\n", name); }

/* 0 when the option is not there. */
static u32 number(const char *name)
{
	char text[12];

	return boot_option(name, text, sizeof(text)) ? parse_u32(text) : 0;
}

/* Four numbers with dots; `otherwise` when the option is not there. */
static u32 ip_address(const char *name, u32 otherwise)
{
	char text[16];
	const char *at = text;
	u32 address = 0;

	if (!boot_option(name, text, sizeof(text)))
		return otherwise;
	for (u32 i = 0; i < 4; i++) {
		address = address << 8 | (parse_u32(at) & 0xff);
		while (*at >= '0' && *at <= '9')
			at++;
		if (*at == '.')
			at++;
	}
	return address;
}

static void list_pci(void)
{
	struct pci_function function;

	for (u32 at = 0; pci_next(&at, &function);)
		kprintf("note pci %02x.%u %04x:%04x class %06x\n", function.device, function.function, function.vendor, function.identity,
			function.class_code);
}

static void run_all(void *unused)
{
	char only[16] = "";
	u32 peer = ip_address("ping", 0), count = number("count");

	(void)unused;
	(void)boot_option("only", only, sizeof(only));
	list_pci();
	if (!string_equal(only, "network")) {
		check_hpet();
		check_disk();
		check_card();
		check_encoder();
		check_screen();
		check_keyboard(number("keys"));
	}
	if (check_ethernet(ip_address("address", DEFAULT_ADDRESS)) && peer)
		check_pings(peer, count ? count : DEFAULT_PINGS);
	if (!string_equal(only, "network"))
		check_watchdog(number("bite") != 0);
	kprintf("done\n");
	if (number("stay") == 0)
		outb(DEBUG_EXIT_PORT, failures ? EXIT_FAILED : EXIT_OK);
}

static void show_answers(const char *unused)
{
	(void)unused;
	kprintf("%u pings answered\n", network_answers());
}

const struct shell_command application_commands[] = { { "answers", "how many pings were answered", show_answers } };
const size_t application_command_count = ARRAY_SIZE(application_commands);

void application_init(void)
{
	task_create(&runner_task, &(struct task_parameters){
		.name = "runner", .priority = PRIORITY_RUNNER, .entry = run_all, .stack = runner_stack,
		.stack_bytes = sizeof(runner_stack),
	});
}
