/*
 * Channels between partitions: message rings and state blocks in memory that two or more of them share (docs/channels.md).
 *
 * Freestanding C: no library, no allocation, no system call, no lock. Memory that was never written (zeros) is an empty ring and an empty
 * block, so nobody initialises anything for anybody, and the sides may start in any order.
 *
 * Wait-free: every call is done in a number of steps that depends on the size of the message alone, whatever the other side does.
 * Crash-safe: a side that dies in any instruction leaves a ring or block that the other side goes on using, and that it can attach to
 * again. The other side is not trusted: each word of its is read once and checked, and no value in shared memory can make a call
 * read or write outside its own ring or block.
 *
 * One producer and one consumer per ring, one writer per block, each called from one thread at a time.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that both sides reserve for the words one side writes: a cache line, so that the sides do not slow each other down. */
#define CHANNEL_LINE 64u

/* What either side tells of itself. Both count up and wrap; neither means anything to the ring itself. */
struct channel_life {
	uint32_t epoch; /* how often it was attached to, modulo 2^32 */
	uint32_t beat;  /* how often it was beaten */
};

/*
 * A message ring: `slots` messages (a power of two) of up to `payload` bytes (a multiple of 4) from one producer to one consumer.
 * Both sides pass the same numbers; what lies in memory is not asked.
 *
 *     0    the producer's line:   index, epoch, beat
 *     64   the consumer's line:   index, epoch, beat
 *     128  slots: each its length (4 bytes) and its payload
 */
struct channel_ring {
	volatile uint32_t *own;  /* our line */
	volatile uint32_t *peer; /* theirs: read only, and never believed */
	volatile uint32_t *slot;
	uint32_t slots;
	uint32_t payload;
	uint32_t index;      /* our own count; what memory says of it is only read when we attach */
	uint32_t violations; /* how often the other side was caught with an index or length that cannot be */
};

#define CHANNEL_RING_BYTES(slots, payload) (2 * CHANNEL_LINE + (size_t)(slots) * ((payload) + 4))

/* False: the numbers are not as above, the memory is too small or not aligned to 64 bytes. */
bool channel_attach_producer(struct channel_ring *ring, void *memory, size_t bytes, uint32_t slots, uint32_t payload);
bool channel_attach_consumer(struct channel_ring *ring, void *memory, size_t bytes, uint32_t slots, uint32_t payload);

/* Copies a message in. False: the ring is full, or the message longer than `payload`. Whole or not at all, even if we die here. */
bool channel_send(struct channel_ring *ring, const void *message, uint32_t length);

/*
 * Copies the oldest message out, cut to `capacity`, and returns its length (which may be 0); -1: there is none. It stays in the ring until
 * channel_take(): a consumer that dies in between finds it again in its next life.
 */
int32_t channel_peek(struct channel_ring *ring, void *message, uint32_t capacity);
void channel_take(struct channel_ring *ring);

/* Both at once: a consumer that dies in here may have lost the message. */
int32_t channel_receive(struct channel_ring *ring, void *message, uint32_t capacity);

/* Messages that wait, as the consumer or the producer sees them now. */
uint32_t channel_waiting(const struct channel_ring *ring);

/* A sign of life for the other side, and theirs. Who has not beaten for longer than agreed is dead. */
void channel_beat(struct channel_ring *ring);
struct channel_life channel_peer(const struct channel_ring *ring);

/*
 * A state block: the last of a series of states of `bytes` bytes (a multiple of 4), from one writer to any number of readers. Readers
 * need read access only. There are four copies in turn: one whole state is always there, wherever the writer dies.
 *
 *     0    sequence, epoch, beat
 *     64   four copies
 */
#define CHANNEL_COPIES 4u
#define CHANNEL_STATE_BYTES(bytes) (CHANNEL_LINE + CHANNEL_COPIES * (size_t)(bytes))

struct channel_state {
	volatile uint32_t *line;
	volatile uint32_t *copy;
	uint32_t bytes;
	uint32_t sequence; /* the writer's own count */
};

bool channel_attach_writer(struct channel_state *state, void *memory, size_t bytes, uint32_t state_bytes);
bool channel_attach_reader(struct channel_state *state, const void *memory, size_t bytes, uint32_t state_bytes);

/* Puts the next state in the place of the last one. Readers see the old or the new one, never a mixture. */
void channel_write(struct channel_state *state, const void *source);

/*
 * Copies the last state out. False: nothing was written yet, or the writer wrote three times while we copied, each of a few tries (a
 * writer that fast should leave pauses); `target` is undefined then. `sequence`, if not null, tells one state from the next.
 */
bool channel_read(const struct channel_state *state, void *target, uint32_t *sequence);

void channel_state_beat(struct channel_state *state);
struct channel_life channel_writer(const struct channel_state *state);

#endif
