/*
 * Checks channel.c natively: what is left when one side is killed at each instruction boundary in turn, when it is killed at random
 * moments while both run, and when it writes whatever it likes. Prints what was done, one line per check; exit status 1 and a line on
 * stderr where something did not hold.
 *
 *     check instructions | random KILLS SEED | hostile ROUNDS SEED
 *
 * A process is stepped by its own trap flag (SDM 3A §17.3.1.4): a SIGTRAP comes after every instruction, and the handler of the chosen
 * one kills the process.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../channel.h"

#define SLOTS 4u
/* Small, because each instruction is a process: -DPAYLOAD=40u -DSTATE_WORDS=9u is the same at greater length. */
#ifndef PAYLOAD
#define PAYLOAD 12u
#define STATE_WORDS 3u
#endif
#define PAGE 4096u
#define RING_BYTES CHANNEL_RING_BYTES(SLOTS, PAYLOAD)
#define STATE_TOTAL CHANNEL_STATE_BYTES(STATE_WORDS * 4)

#define REQUIRE(condition, ...) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s: ", __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__); \
			fprintf(stderr, "\n"); \
			exit(1); \
		} \
	} while (0)

/* What a killed process managed to tell. */
struct notes {
	volatile uint32_t done;
};

static unsigned char *memory; /* one page of it, between two that cannot be touched */
static struct notes *notes;
static volatile uint32_t steps, last_step;

static void *mapped(size_t bytes) { return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); }

/* The ring or block ends where the untouchable page begins. */
static unsigned char *fenced(size_t bytes)
{
	unsigned char *all = mapped(3 * PAGE);

	mprotect(all, PAGE, PROT_NONE);
	mprotect(all + 2 * PAGE, PAGE, PROT_NONE);
	return all + 2 * PAGE - ((bytes + CHANNEL_LINE - 1) & ~(size_t)(CHANNEL_LINE - 1));
}

/* ---- Messages that can be recognised ---- */

static uint32_t length_of(uint32_t number) { return number * 7 % (PAYLOAD + 1); }

static void fill(unsigned char *message, uint32_t number)
{
	for (uint32_t i = 0; i < length_of(number); i++)
		message[i] = (unsigned char)(number * 31 + i * 17 + 1);
}

static bool is_message(const unsigned char *message, int32_t length, uint32_t number)
{
	unsigned char expected[PAYLOAD];

	fill(expected, number);
	return length == (int32_t)length_of(number) && memcmp(message, expected, (size_t)length) == 0;
}

static void send_numbers(struct channel_ring *ring, uint32_t first, uint32_t count)
{
	unsigned char message[PAYLOAD];

	for (uint32_t i = 0; i < count; i++) {
		fill(message, first + i);
		if (!channel_send(ring, message, length_of(first + i)))
			return;
		notes->done++;
	}
}

static void receive_numbers(struct channel_ring *ring, uint32_t first, uint32_t count)
{
	unsigned char message[PAYLOAD];

	for (uint32_t i = 0; i < count; i++) {
		if (!is_message(message, channel_peek(ring, message, sizeof(message)), first + i))
			_exit(2);
		channel_take(ring);
		notes->done++;
	}
}

static void fill_state(uint32_t *state, uint32_t number)
{
	for (uint32_t i = 0; i < STATE_WORDS; i++)
		state[i] = number * 2654435761u + i;
}

static bool is_state(const uint32_t *state, uint32_t number)
{
	uint32_t expected[STATE_WORDS];

	fill_state(expected, number);
	return memcmp(state, expected, sizeof(expected)) == 0;
}

/* ---- Death at an instruction ---- */

static void on_step(int signal)
{
	(void)signal;
	if (++steps == last_step)
		kill(getpid(), SIGKILL);
}

static void trap_flag(bool on)
{
	if (on)
		__asm__ volatile("pushf; orl $0x100, (%%rsp); popf" ::: "memory", "cc");
	else
		__asm__ volatile("pushf; andl $~0x100, (%%rsp); popf" ::: "memory", "cc");
}

/* Runs `work` in a process that dies after `step` instructions. False: it came to its end. */
static bool dies_at(uint32_t step, void (*work)(uint32_t), uint32_t argument)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct sigaction action = { .sa_handler = on_step };

		sigaction(SIGTRAP, &action, NULL);
		steps = 0;
		last_step = step;
		trap_flag(true);
		work(argument);
		trap_flag(false);
		_exit(0);
	}
	REQUIRE(child > 0, "fork");
	waitpid(child, &status, 0);
	REQUIRE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "step %u: the process says %d", step, WEXITSTATUS(status));
	REQUIRE(!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL, "step %u: signal %d", step, WTERMSIG(status));
	return WIFSIGNALED(status);
}

static void produce_two(uint32_t first)
{
	struct channel_ring ring;

	if (!channel_attach_producer(&ring, memory, RING_BYTES, SLOTS, PAYLOAD))
		_exit(3);
	send_numbers(&ring, first, 2);
}

static void consume_two(uint32_t first)
{
	struct channel_ring ring;

	if (!channel_attach_consumer(&ring, memory, RING_BYTES, SLOTS, PAYLOAD))
		_exit(3);
	receive_numbers(&ring, first, 2);
}

static void write_two(uint32_t first)
{
	struct channel_state state;
	uint32_t words[STATE_WORDS];

	if (!channel_attach_writer(&state, memory, STATE_TOTAL, sizeof(words)))
		_exit(3);
	for (uint32_t i = 0; i < 2; i++) {
		fill_state(words, first + i);
		channel_write(&state, words);
		notes->done++;
	}
}

/* Both indices of an empty ring. */
static void begin_at(uint32_t index)
{
	memset(memory, 0, RING_BYTES);
	((volatile uint32_t *)memory)[0] = index;
	((volatile uint32_t *)memory)[CHANNEL_LINE / 4] = index;
}

static uint32_t kill_producer(uint32_t index)
{
	for (uint32_t step = 1;; step++) {
		struct channel_ring consumer, producer;
		unsigned char message[PAYLOAD];
		uint32_t got = 0, sent;
		int32_t length;
		bool died;

		begin_at(index);
		REQUIRE(channel_attach_consumer(&consumer, memory, RING_BYTES, SLOTS, PAYLOAD), "attach");
		notes->done = 0;
		died = dies_at(step, produce_two, 0);
		sent = notes->done;
		while ((length = channel_receive(&consumer, message, sizeof(message))) >= 0) {
			REQUIRE(is_message(message, length, got), "step %u: message %u is not whole", step, got);
			got++;
		}
		/* What was sent is there. One more may be: it died between sending it and telling us. */
		REQUIRE(got == sent || got == sent + 1, "step %u: %u told, %u found", step, sent, got);
		REQUIRE(channel_attach_producer(&producer, memory, RING_BYTES, SLOTS, PAYLOAD), "attach");
		for (uint32_t i = 0; i < 3 * SLOTS; i++) {
			fill(message, i);
			REQUIRE(channel_send(&producer, message, length_of(i)), "step %u: message %u", step, i);
			length = channel_receive(&consumer, message, sizeof(message));
			REQUIRE(is_message(message, length, i), "step %u: message %u", step, i);
		}
		REQUIRE(consumer.violations + producer.violations == 0, "step %u", step);
		if (!died)
			return step - 1;
	}
}

static uint32_t kill_consumer(uint32_t index)
{
	for (uint32_t step = 1;; step++) {
		struct channel_ring consumer, producer;
		unsigned char message[PAYLOAD];
		uint32_t taken, next;
		int32_t length;
		bool died;

		begin_at(index);
		REQUIRE(channel_attach_producer(&producer, memory, RING_BYTES, SLOTS, PAYLOAD), "attach");
		send_numbers(&producer, 0, SLOTS);
		notes->done = 0;
		died = dies_at(step, consume_two, 0);
		taken = notes->done;
		REQUIRE(channel_attach_consumer(&consumer, memory, RING_BYTES, SLOTS, PAYLOAD), "attach");
		length = channel_peek(&consumer, message, sizeof(message));
		/* The first it has not taken; or the next, where it died between taking it and telling us. */
		next = is_message(message, length, taken) ? taken : taken + 1;
		for (uint32_t number = next; number < 3 * SLOTS; number++) {
			length = channel_receive(&consumer, message, sizeof(message));
			REQUIRE(is_message(message, length, number), "step %u: message %u", step, number);
			fill(message, number - next + SLOTS);
			REQUIRE(channel_send(&producer, message, length_of(number - next + SLOTS)), "step %u", step);
		}
		REQUIRE(consumer.violations + producer.violations == 0, "step %u", step);
		if (!died)
			return step - 1;
	}
}

static uint32_t kill_writer(uint32_t sequence)
{
	for (uint32_t step = 1;; step++) {
		struct channel_state reader, writer;
		uint32_t words[STATE_WORDS], written;
		bool died, found;

		memset(memory, 0, STATE_TOTAL);
		((volatile uint32_t *)memory)[0] = sequence;
		REQUIRE(channel_attach_reader(&reader, memory, STATE_TOTAL, sizeof(words)), "attach");
		notes->done = 0;
		died = dies_at(step, write_two, 1);
		written = notes->done;
		memset(words, 0, sizeof(words));
		found = channel_read(&reader, words, NULL);
		REQUIRE(found || (written == 0 && sequence == 0), "step %u: nothing to read", step);
		/* As in the rings; before its first state stands what was there before. */
		REQUIRE(!found || is_state(words, written) || is_state(words, written + 1) || (written == 0 && words[0] == 0), "step %u: no whole state", step);
		REQUIRE(channel_attach_writer(&writer, memory, STATE_TOTAL, sizeof(words)), "attach");
		for (uint32_t i = 10; i < 20; i++) {
			fill_state(words, i);
			channel_write(&writer, words);
			REQUIRE(channel_read(&reader, words, NULL) && is_state(words, i), "step %u: state %u", step, i);
		}
		if (!died)
			return step - 1;
	}
}

static void check_instructions(void)
{
	memory = fenced(RING_BYTES);
	/* Where the index wraps, of all places. */
	printf("producer killed at %u instructions\n", kill_producer(0xffffffff));
	printf("consumer killed at %u instructions\n", kill_consumer(0xffffffff));
	memory = fenced(STATE_TOTAL);
	printf("first writer killed at %u instructions\n", kill_writer(0));
	printf("writer killed at %u instructions\n", kill_writer(0xfffffffe));
}

/* ---- Death at any time, while the other side goes on ---- */

static uint64_t seed;

static uint32_t any(void)
{
	/* xorshift64* */
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545f4914f6cdd1dull) >> 32);
}

/* Sends the numbers from where the consumer is on; it cannot know what of its last life arrived. */
static void produce_for_ever(uint32_t unused)
{
	struct channel_ring ring;
	unsigned char message[PAYLOAD];

	(void)unused;
	if (!channel_attach_producer(&ring, memory, RING_BYTES, SLOTS, PAYLOAD))
		_exit(3);
	/* The number of a message is the index it is sent under. */
	for (;;) {
		uint32_t number = ring.index;

		fill(message, number);
		while (!channel_send(&ring, message, length_of(number)))
			;
	}
}

static void consume_for_ever(uint32_t unused)
{
	struct channel_ring ring;
	unsigned char message[PAYLOAD];

	(void)unused;
	if (!channel_attach_consumer(&ring, memory, RING_BYTES, SLOTS, PAYLOAD))
		_exit(3);
	for (;;) {
		uint32_t number = ring.index;
		int32_t length = channel_receive(&ring, message, sizeof(message));

		if (length < 0)
			continue;
		if (!is_message(message, length, number) || ring.violations != 0)
			_exit(2);
		notes->done++;
	}
}

static pid_t started(void (*work)(uint32_t))
{
	pid_t child = fork();

	if (child == 0) {
		work(0);
		_exit(0);
	}
	REQUIRE(child > 0, "fork");
	return child;
}

static void check_random(uint32_t kills)
{
	void (*const sides[2])(uint32_t) = { produce_for_ever, consume_for_ever };
	pid_t children[2];

	memory = fenced(RING_BYTES);
	for (int side = 0; side < 2; side++)
		children[side] = started(sides[side]);
	for (uint32_t i = 0; i < kills; i++) {
		int side = any() & 1, status;

		usleep(any() % 3000);
		kill(children[side], SIGKILL);
		waitpid(children[side], &status, 0);
		REQUIRE(WIFSIGNALED(status), "kill %u: side %d had ended with %d", i, side, WEXITSTATUS(status));
		children[side] = started(sides[side]);
	}
	for (int side = 0; side < 2; side++) {
		int status;

		usleep(20000);
		kill(children[side], SIGKILL);
		waitpid(children[side], &status, 0);
		REQUIRE(WIFSIGNALED(status), "side %d had ended with %d", side, WEXITSTATUS(status));
	}
	REQUIRE(notes->done > kills, "only %u messages", notes->done);
	printf("%u kills at random moments, %u messages\n", kills, notes->done);
}

/* ---- A peer that writes whatever it likes ---- */

static void check_hostile(uint32_t rounds)
{
	struct channel_ring producer, consumer;
	struct channel_state writer, reader;
	unsigned char message[PAYLOAD + 16];
	uint32_t words[STATE_WORDS], violations = 0, calls = 0;
	unsigned char *ring_memory = fenced(RING_BYTES), *state_memory = fenced(STATE_TOTAL);
	volatile uint32_t *ring_words = (uint32_t *)ring_memory, *state_words = (uint32_t *)state_memory;

	alarm(300); /* a call that does not come back */
	for (uint32_t round = 0; round < rounds; round++) {
		if (round % 64 == 0) {
			REQUIRE(channel_attach_producer(&producer, ring_memory, RING_BYTES, SLOTS, PAYLOAD), "attach");
			REQUIRE(channel_attach_consumer(&consumer, ring_memory, RING_BYTES, SLOTS, PAYLOAD), "attach");
			REQUIRE(channel_attach_writer(&writer, state_memory, STATE_TOTAL, sizeof(words)), "attach");
			REQUIRE(channel_attach_reader(&reader, state_memory, STATE_TOTAL, sizeof(words)), "attach");
		}
		for (uint32_t i = any() % 4; i > 0; i--) {
			uint32_t value = any();

			/* Near the truth as often as far from it: small steps get past checks that big ones do not. */
			if (value & 1)
				value = ring_words[any() % (RING_BYTES / 4)] + (any() % 11) - 5;
			ring_words[any() % (RING_BYTES / 4)] = value;
			state_words[any() % (STATE_TOTAL / 4)] = value;
		}
		memset(message, 0xa5, sizeof(message));
		switch (any() % 5) {
		case 0:
			channel_send(&producer, message, any() % (PAYLOAD + 8));
			break;
		case 1: {
			uint32_t capacity = any() % (PAYLOAD + 1);
			int32_t length = channel_receive(&consumer, message, capacity);

			REQUIRE(length >= -1 && length <= (int32_t)PAYLOAD, "length %d", length);
			for (uint32_t i = capacity; i < sizeof(message); i++)
				REQUIRE(message[i] == 0xa5, "byte %u of %u was written", i, capacity);
			break;
		}
		case 2:
			REQUIRE(channel_waiting(&producer) <= SLOTS && channel_waiting(&consumer) <= SLOTS, "waiting");
			channel_take(&consumer);
			break;
		case 3:
			channel_write(&writer, words);
			break;
		case 4:
			channel_read(&reader, words, NULL);
			break;
		}
		calls++;
		violations += producer.violations + consumer.violations;
	}
	REQUIRE(violations > 0, "nothing was ever caught");
	printf("%u calls against a hostile peer\n", calls);
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;

	seed = argc > 3 ? strtoull(argv[3], NULL, 10) * 2 + 1 : 1;
	notes = mapped(PAGE);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && strcmp(argv[1], "instructions") == 0)
		check_instructions();
	else if (argc > 1 && strcmp(argv[1], "random") == 0)
		check_random(count);
	else if (argc > 1 && strcmp(argv[1], "hostile") == 0)
		check_hostile(count);
	else
		return 2;
	return 0;
}
