/*
 * Channels between partitions; see channel.h.
 *
 * Memory order: payloads lie between an acquire load of the other side's index and a release store of our own, so that whoever sees
 * an index sees what it stands for (C11 §5.1.2.4). On x86 both are plain moves.
 */
#include "channel.h"

/* Words of a line. */
#define INDEX 0
#define EPOCH 1
#define BEAT 2
/* Tries of a reader whose copy was overtaken. */
#define READ_ATTEMPTS 4

#define LINE_WORDS (CHANNEL_LINE / 4)

static uint32_t load_acquire(const volatile uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static void store_release(volatile uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

/*
 * Private bytes may lie anywhere; shared ones are words. Each shared word is touched once, by one access, which is why this is no memcpy
 * and cannot become one.
 */
static void copy_in(volatile uint32_t *to, const void *source, uint32_t length)
{
	const unsigned char *from = source;

	while (length > 0) {
		uint32_t part = length < 4 ? length : 4, word = 0;

		for (uint32_t i = 0; i < part; i++)
			word |= (uint32_t)*from++ << (8 * i);
		*to++ = word;
		length -= part;
	}
}

static void copy_out(void *target, const volatile uint32_t *from, uint32_t length)
{
	unsigned char *to = target;

	while (length > 0) {
		uint32_t part = length < 4 ? length : 4, word = *from++;

		for (uint32_t i = 0; i < part; i++)
			*to++ = (unsigned char)(word >> (8 * i));
		length -= part;
	}
}

static bool is_power_of_two(uint32_t value) { return value != 0 && (value & (value - 1)) == 0; }
static bool is_aligned(const void *memory) { return ((uintptr_t)memory & (CHANNEL_LINE - 1)) == 0; }

static bool is_whole(uint32_t bytes) { return bytes != 0 && bytes % 4 == 0 && bytes <= (1u << 24); }

/* ---- Rings ---- */

static bool attach(struct channel_ring *ring, void *memory, size_t bytes, uint32_t slots, uint32_t payload, bool producer)
{
	volatile uint32_t *words = memory;

	if (!is_power_of_two(slots) || slots > (1u << 20) || !is_whole(payload) || !is_aligned(memory))
		return false;
	if (bytes < 2 * CHANNEL_LINE || (bytes - 2 * CHANNEL_LINE) / slots < payload + 4)
		return false;
	ring->own = words + (producer ? 0 : LINE_WORDS);
	ring->peer = words + (producer ? LINE_WORDS : 0);
	ring->slot = words + 2 * LINE_WORDS;
	ring->slots = slots;
	ring->payload = payload;
	ring->violations = 0;
	ring->index = ring->own[INDEX];
	store_release(&ring->own[EPOCH], ring->own[EPOCH] + 1);
	return true;
}

bool channel_attach_producer(struct channel_ring *ring, void *memory, size_t bytes, uint32_t slots, uint32_t payload)
{
	uint32_t taken;

	if (!attach(ring, memory, bytes, slots, payload, true))
		return false;
	taken = load_acquire(&ring->peer[INDEX]);
	/* Not what either of us left behind: nothing waits, and we go on where the consumer says it is. */
	if (ring->index - taken > slots) {
		ring->violations++;
		ring->index = taken;
		store_release(&ring->own[INDEX], taken);
	}
	return true;
}

bool channel_attach_consumer(struct channel_ring *ring, void *memory, size_t bytes, uint32_t slots, uint32_t payload)
{
	uint32_t sent;

	if (!attach(ring, memory, bytes, slots, payload, false))
		return false;
	sent = load_acquire(&ring->peer[INDEX]);
	if (sent - ring->index > slots) {
		ring->violations++;
		ring->index = sent;
		store_release(&ring->own[INDEX], sent);
	}
	return true;
}

static volatile uint32_t *slot_of(const struct channel_ring *ring)
{
	return ring->slot + (size_t)(ring->index & (ring->slots - 1)) * (ring->payload / 4 + 1);
}

bool channel_send(struct channel_ring *ring, const void *message, uint32_t length)
{
	uint32_t used = ring->index - load_acquire(&ring->peer[INDEX]);
	volatile uint32_t *slot = slot_of(ring);

	if (length > ring->payload)
		return false;
	if (used >= ring->slots) {
		ring->violations += used > ring->slots;
		return false;
	}
	copy_in(slot + 1, message, length);
	slot[0] = length;
	/* The one store that sends it. */
	store_release(&ring->own[INDEX], ++ring->index);
	return true;
}

static uint32_t arrived(struct channel_ring *ring)
{
	uint32_t waiting = load_acquire(&ring->peer[INDEX]) - ring->index;

	if (waiting <= ring->slots)
		return waiting;
	ring->violations++;
	return 0;
}

int32_t channel_peek(struct channel_ring *ring, void *message, uint32_t capacity)
{
	const volatile uint32_t *slot = slot_of(ring);
	uint32_t length;

	if (arrived(ring) == 0)
		return -1;
	length = slot[0];
	if (length > ring->payload) {
		ring->violations++;
		length = 0;
	}
	copy_out(message, slot + 1, length < capacity ? length : capacity);
	return (int32_t)length;
}

void channel_take(struct channel_ring *ring)
{
	if (arrived(ring) != 0)
		store_release(&ring->own[INDEX], ++ring->index); /* the one store that takes it */
}

int32_t channel_receive(struct channel_ring *ring, void *message, uint32_t capacity)
{
	int32_t length = channel_peek(ring, message, capacity);

	if (length >= 0)
		store_release(&ring->own[INDEX], ++ring->index);
	return length;
}

uint32_t channel_waiting(const struct channel_ring *ring)
{
	uint32_t difference = load_acquire(&ring->peer[INDEX]) - ring->index;
	/* The producer's line comes first. */
	uint32_t waiting = ring->own < ring->peer ? 0 - difference : difference;

	return waiting > ring->slots ? 0 : waiting;
}

static void beat(volatile uint32_t *line) { store_release(&line[BEAT], line[BEAT] + 1); }

static struct channel_life life_of(const volatile uint32_t *line)
{
	return (struct channel_life){ .epoch = load_acquire(&line[EPOCH]), .beat = load_acquire(&line[BEAT]) };
}

void channel_beat(struct channel_ring *ring) { beat(ring->own); }
struct channel_life channel_peer(const struct channel_ring *ring) { return life_of(ring->peer); }

/* ---- States ---- */

static bool attach_state(struct channel_state *state, const void *memory, size_t bytes, uint32_t state_bytes)
{
	if (!is_whole(state_bytes) || !is_aligned(memory))
		return false;
	if (bytes < CHANNEL_LINE || (bytes - CHANNEL_LINE) / CHANNEL_COPIES < state_bytes)
		return false;
	state->line = (volatile uint32_t *)(uintptr_t)memory;
	state->copy = state->line + LINE_WORDS;
	state->bytes = state_bytes;
	state->sequence = load_acquire(&state->line[INDEX]);
	return true;
}

bool channel_attach_writer(struct channel_state *state, void *memory, size_t bytes, uint32_t state_bytes)
{
	if (!attach_state(state, memory, bytes, state_bytes))
		return false;
	store_release(&state->line[EPOCH], state->line[EPOCH] + 1);
	return true;
}

bool channel_attach_reader(struct channel_state *state, const void *memory, size_t bytes, uint32_t state_bytes)
{
	return attach_state(state, memory, bytes, state_bytes);
}

static volatile uint32_t *copy_of(const struct channel_state *state, uint32_t sequence)
{
	return state->copy + (size_t)(sequence % CHANNEL_COPIES) * (state->bytes / 4);
}

void channel_write(struct channel_state *state, const void *source)
{
	uint32_t next = state->sequence + 1;

	/* 0 says that nothing was written yet. */
	if (next == 0)
		next = CHANNEL_COPIES;
	/* The copy of three states ago is not touched before the last one can be seen. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	copy_in(copy_of(state, next), source, state->bytes);
	state->sequence = next;
	store_release(&state->line[INDEX], next);
}

bool channel_read(const struct channel_state *state, void *target, uint32_t *sequence)
{
	for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
		uint32_t before = load_acquire(&state->line[INDEX]), since;

		if (before == 0)
			return false;
		copy_out(target, copy_of(state, before), state->bytes);
		/* The words of the copy are loaded before the sequence is looked at again. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		since = load_acquire(&state->line[INDEX]) - before;
		/* Three later and the writer may be at this copy again; two later it has not begun. */
		if (since <= CHANNEL_COPIES - 2) {
			if (sequence)
				*sequence = before;
			return true;
		}
	}
	return false;
}

void channel_state_beat(struct channel_state *state) { beat(state->line); }
struct channel_life channel_writer(const struct channel_state *state) { return life_of(state->line); }
