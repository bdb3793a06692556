/* The network controller, and others on its wire. */
#include "checks.h"
#include "cpu.h"

#define LINK_NS (10 * NS_PER_S)
#define LOOK_NS (10 * NS_PER_MS)
#define PING_NS NS_PER_S
/* A neighbour may come up later than we do. */
#define FIRST_ATTEMPTS 60u

bool check_ethernet(u32 address)
{
	const u8 *station;
	u64 until = clock_now() + LINK_NS;

	if (!ethernet_init()) {
		absent("ethernet");
		return false;
	}
	station = ethernet_address();
	kprintf("note station %02x:%02x:%02x:%02x:%02x:%02x, address %u.%u.%u.%u\n", station[0], station[1], station[2], station[3],
		station[4], station[5], address >> 24, address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
	expect("ethernet-has-a-station-address-of-its-own", !(station[0] & 1));
	while (!ethernet_has_link() && clock_now() < until)
		task_sleep(LOOK_NS);
	kprintf("note link %s\n", ethernet_has_link() ? "up" : "down");
	network_init(address);
	return true;
}

void check_pings(u32 peer, u32 count)
{
	u64 took, best = ~0ull;
	u32 returned = 0, attempts = 0;

	/* The first one waits until there is somebody. */
	while (!network_ping(peer, 0, PING_NS, &took) && ++attempts < FIRST_ATTEMPTS)
		;
	for (u32 sequence = 1; sequence <= count; sequence++) {
		if (!network_ping(peer, sequence, PING_NS, &took))
			continue;
		returned++;
		if (took < best)
			best = took;
	}
	kprintf("note %u of %u pings came back, the best in %llu us\n", returned, count, returned ? div_u64(best, (u32)NS_PER_US) : 0);
	expect("ethernet-pings-come-back", returned == count);
}
