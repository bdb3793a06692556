/*
 * Just enough of the Internet protocols to be pinged and to ping: ARP (RFC 826), IPv4 without options or fragments (RFC 791),
 * ICMP echo (RFC 792). One task receives everything.
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"

#define PRIORITY_NETWORK 9

/* Offsets in a frame, from the Ethernet header on */
#define DESTINATION 0
#define SOURCE 6
#define TYPE 12
#define PAYLOAD 14
#define TYPE_ARP 0x0806
#define TYPE_IPV4 0x0800

#define ARP_OPERATION (PAYLOAD + 6)
#define ARP_SENDER (PAYLOAD + 8)
#define ARP_SENDER_IP (PAYLOAD + 14)
#define ARP_TARGET (PAYLOAD + 18)
#define ARP_TARGET_IP (PAYLOAD + 24)
#define ARP_BYTES (PAYLOAD + 28)
#define ARP_REQUEST 1
#define ARP_REPLY 2

#define IP_LENGTH (PAYLOAD + 2)
#define IP_TIME_TO_LIVE (PAYLOAD + 8)
#define IP_PROTOCOL (PAYLOAD + 9)
#define IP_CHECKSUM (PAYLOAD + 10)
#define IP_SOURCE (PAYLOAD + 12)
#define IP_DESTINATION (PAYLOAD + 16)
#define IP_BYTES 20u
#define IP_VERSION_4_WITHOUT_OPTIONS 0x45
#define PROTOCOL_ICMP 1

#define ICMP (PAYLOAD + IP_BYTES)
#define ICMP_CHECKSUM (ICMP + 2)
#define ICMP_IDENTIFIER (ICMP + 4)
#define ICMP_SEQUENCE (ICMP + 6)
#define ICMP_DATA (ICMP + 8)
#define ECHO_REPLY 0
#define ECHO_REQUEST 8

#define PING_IDENTIFIER 0xb41d
#define PING_BYTES 56u /* of data, as everybody sends */
#define RESOLVE_NS (500 * NS_PER_MS)

TASK_STACK(stack, 4096);
static struct task task;
static u8 incoming[ETHERNET_MOST_BYTES], outgoing[ETHERNET_MOST_BYTES];
static u32 own_address, answers;

static struct mutex pinging;
static struct semaphore resolved, returned;
static u32 wanted_peer, wanted_sequence;
static u8 peer_station[ETHERNET_ADDRESS_BYTES];
static u64 returned_at;

static u16 get16(const u8 *at) { return (u16)(at[0] << 8 | at[1]); }
static u32 get32(const u8 *at) { return (u32)get16(at) << 16 | get16(at + 2); }

static void put16(u8 *at, u32 value)
{
	at[0] = (u8)(value >> 8);
	at[1] = (u8)value;
}

static void put32(u8 *at, u32 value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* RFC 1071. Over bytes that contain their own checksum it is 0. */
static u16 checksum(const u8 *data, u32 bytes)
{
	u32 sum = 0;

	for (u32 i = 0; i + 1 < bytes; i += 2)
		sum += get16(data + i);
	if (bytes & 1)
		sum += (u32)data[bytes - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}

static u8 echo_byte(u32 sequence, u32 i) { return (u8)(sequence * 31 + i); }

static void address_frame(u8 *frame, const u8 *to, u16 type)
{
	memcpy(frame + DESTINATION, to, ETHERNET_ADDRESS_BYTES);
	memcpy(frame + SOURCE, ethernet_address(), ETHERNET_ADDRESS_BYTES);
	put16(frame + TYPE, type);
}

/* `station` NULL: nobody's in particular. */
static void send_arp(u16 operation, const u8 *station, u32 address)
{
	static const u8 broadcast[ETHERNET_ADDRESS_BYTES] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	u8 frame[ARP_BYTES] = { 0 };

	address_frame(frame, station ? station : broadcast, TYPE_ARP);
	put16(frame + PAYLOAD, 1); /* Ethernet */
	put16(frame + PAYLOAD + 2, TYPE_IPV4);
	frame[PAYLOAD + 4] = ETHERNET_ADDRESS_BYTES;
	frame[PAYLOAD + 5] = sizeof(address);
	put16(frame + ARP_OPERATION, operation);
	memcpy(frame + ARP_SENDER, ethernet_address(), ETHERNET_ADDRESS_BYTES);
	put32(frame + ARP_SENDER_IP, own_address);
	if (station)
		memcpy(frame + ARP_TARGET, station, ETHERNET_ADDRESS_BYTES);
	put32(frame + ARP_TARGET_IP, address);
	(void)ethernet_send(frame, sizeof(frame));
}

static void receive_arp(u32 bytes)
{
	if (bytes < ARP_BYTES)
		return;
	if (get16(incoming + ARP_OPERATION) == ARP_REQUEST && get32(incoming + ARP_TARGET_IP) == own_address)
		send_arp(ARP_REPLY, incoming + ARP_SENDER, get32(incoming + ARP_SENDER_IP));
	if (get16(incoming + ARP_OPERATION) == ARP_REPLY && get32(incoming + ARP_SENDER_IP) == wanted_peer) {
		memcpy(peer_station, incoming + ARP_SENDER, ETHERNET_ADDRESS_BYTES);
		semaphore_post(&resolved);
	}
}

/* The request comes back with source and destination exchanged. */
static void answer_echo(u32 bytes)
{
	memcpy(incoming + IP_DESTINATION, incoming + IP_SOURCE, 4);
	put32(incoming + IP_SOURCE, own_address);
	incoming[IP_TIME_TO_LIVE] = 64;
	put16(incoming + IP_CHECKSUM, 0);
	put16(incoming + IP_CHECKSUM, checksum(incoming + PAYLOAD, IP_BYTES));
	incoming[ICMP] = ECHO_REPLY;
	put16(incoming + ICMP_CHECKSUM, 0);
	put16(incoming + ICMP_CHECKSUM, checksum(incoming + ICMP, bytes - ICMP));
	address_frame(incoming, incoming + SOURCE, TYPE_IPV4);
	if (ethernet_send(incoming, bytes))
		answers++;
}

static void take_reply(u32 bytes)
{
	if (get16(incoming + ICMP_IDENTIFIER) != PING_IDENTIFIER || get16(incoming + ICMP_SEQUENCE) != wanted_sequence)
		return;
	if (bytes != ICMP_DATA + PING_BYTES)
		return;
	for (u32 i = 0; i < PING_BYTES; i++)
		if (incoming[ICMP_DATA + i] != echo_byte(wanted_sequence, i))
			return;
	returned_at = clock_now();
	semaphore_post(&returned);
}

static void receive_ip(u32 bytes)
{
	u32 length = PAYLOAD + get16(incoming + IP_LENGTH);

	/* Short frames are padded to what Ethernet demands: the header knows better. */
	if (bytes < ICMP_DATA || length < ICMP_DATA || length > bytes || incoming[PAYLOAD] != IP_VERSION_4_WITHOUT_OPTIONS)
		return;
	if (incoming[IP_PROTOCOL] != PROTOCOL_ICMP || get32(incoming + IP_DESTINATION) != own_address)
		return;
	if (checksum(incoming + PAYLOAD, IP_BYTES) != 0 || checksum(incoming + ICMP, length - ICMP) != 0)
		return;
	if (incoming[ICMP] == ECHO_REQUEST)
		answer_echo(length);
	else if (incoming[ICMP] == ECHO_REPLY)
		take_reply(length);
}

static void receive_all(void *unused)
{
	(void)unused;
	for (;;) {
		u32 bytes = ethernet_receive(incoming, WAIT_FOREVER);

		if (bytes > PAYLOAD && get16(incoming + TYPE) == TYPE_ARP)
			receive_arp(bytes);
		else if (bytes > PAYLOAD && get16(incoming + TYPE) == TYPE_IPV4)
			receive_ip(bytes);
	}
}

void network_init(u32 address)
{
	own_address = address;
	semaphore_init(&resolved, 0);
	semaphore_init(&returned, 0);
	task_create(&task, &(struct task_parameters){
		.name = "network", .priority = PRIORITY_NETWORK, .entry = receive_all, .stack = stack, .stack_bytes = sizeof(stack),
	});
}

static void send_echo(u32 sequence)
{
	memset(outgoing, 0, ICMP_DATA);
	address_frame(outgoing, peer_station, TYPE_IPV4);
	outgoing[PAYLOAD] = IP_VERSION_4_WITHOUT_OPTIONS;
	put16(outgoing + IP_LENGTH, IP_BYTES + 8 + PING_BYTES);
	outgoing[IP_TIME_TO_LIVE] = 64;
	outgoing[IP_PROTOCOL] = PROTOCOL_ICMP;
	put32(outgoing + IP_SOURCE, own_address);
	put32(outgoing + IP_DESTINATION, wanted_peer);
	put16(outgoing + IP_CHECKSUM, checksum(outgoing + PAYLOAD, IP_BYTES));
	outgoing[ICMP] = ECHO_REQUEST;
	put16(outgoing + ICMP_IDENTIFIER, PING_IDENTIFIER);
	put16(outgoing + ICMP_SEQUENCE, sequence);
	for (u32 i = 0; i < PING_BYTES; i++)
		outgoing[ICMP_DATA + i] = echo_byte(sequence, i);
	put16(outgoing + ICMP_CHECKSUM, checksum(outgoing + ICMP, 8 + PING_BYTES));
	(void)ethernet_send(outgoing, ICMP_DATA + PING_BYTES);
}

bool network_ping(u32 peer, u32 sequence, u64 timeout_ns, u64 *round_trip_ns)
{
	u64 sent_at;
	bool good;

	mutex_lock(&pinging);
	wanted_sequence = sequence & 0xffff;
	good = wanted_peer == peer;
	if (!good) {
		wanted_peer = peer;
		send_arp(ARP_REQUEST, NULL, peer);
		good = semaphore_wait(&resolved, RESOLVE_NS);
		if (!good)
			wanted_peer = 0;
	}
	if (good) {
		while (semaphore_wait(&returned, 0))
			;
		sent_at = clock_now();
		send_echo(wanted_sequence);
		good = semaphore_wait(&returned, timeout_ns);
		*round_trip_ns = returned_at - sent_at;
	}
	mutex_unlock(&pinging);
	return good;
}

u32 network_answers(void) { return answers; }
