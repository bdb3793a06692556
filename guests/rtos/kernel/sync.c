/* Semaphores, mutexes with priority inheritance, and message queues. */
#include "cpu.h"
#include "kernel.h"

void semaphore_init(struct semaphore *semaphore, u32 count)
{
	semaphore->count = count;
	semaphore->waiters.first = NULL;
}

void semaphore_post(struct semaphore *semaphore)
{
	word flags = irq_save();

	/* Straight to a waiter when there is one: the count would let somebody else in between. */
	if (!wait_queue_wake(&semaphore->waiters))
		semaphore->count++;
	/* In an interrupt handler the way out does this, once for all that the handler woke. */
	if (flags & EFLAGS_IF)
		schedule();
	irq_restore(flags);
}

bool semaphore_wait(struct semaphore *semaphore, u64 timeout_ns)
{
	word flags = irq_save();
	bool taken = true;

	if (semaphore->count)
		semaphore->count--;
	else
		taken = timeout_ns != 0 && wait_queue_block(&semaphore->waiters, timeout_ns);
	irq_restore(flags);
	return taken;
}

/*
 * The owner runs with the priority of its most urgent waiter, and so does whoever that owner itself waits for, along the
 * whole chain; otherwise a task of middle priority could keep the owner, and through it the waiter, from running.
 */
static void lend_priority(struct mutex *mutex, u8 priority)
{
	while (mutex && mutex->owner->priority < priority) {
		task_change_priority(mutex->owner, priority);
		mutex = mutex->owner->blocked_on;
	}
}

/* What a task keeps when it gives up one mutex: its own priority, or what waiters of those it still holds lend it. */
static u8 deserved_priority(const struct task *task)
{
	u8 priority = task->base_priority;

	for (const struct mutex *mutex = task->held; mutex; mutex = mutex->next_held)
		for (const struct task *waiter = mutex->waiters.first; waiter; waiter = waiter->next)
			if (waiter->priority > priority)
				priority = waiter->priority;
	return priority;
}

static void take(struct mutex *mutex, struct task *task)
{
	mutex->owner = task;
	mutex->next_held = task->held;
	task->held = mutex;
}

void mutex_lock(struct mutex *mutex)
{
	word flags = irq_save();
	struct task *self = task_current();

	if (mutex->owner == self)
		panic("task %s locks a mutex that it holds", self->name);
	if (!mutex->owner) {
		take(mutex, self);
	} else {
		self->blocked_on = mutex;
		lend_priority(mutex, self->priority);
		(void)wait_queue_block(&mutex->waiters, WAIT_FOREVER); /* mutex_unlock() makes us the owner */
	}
	irq_restore(flags);
}

void mutex_unlock(struct mutex *mutex)
{
	word flags = irq_save();
	struct task *self = task_current(), *heir;
	struct mutex **link = &self->held;

	if (mutex->owner != self)
		panic("task %s unlocks a mutex that it does not hold", self->name);
	while (*link != mutex)
		link = &(*link)->next_held;
	*link = mutex->next_held;
	mutex->owner = NULL;
	heir = wait_queue_wake(&mutex->waiters);
	if (heir) {
		heir->blocked_on = NULL;
		take(mutex, heir);
	}
	task_change_priority(self, deserved_priority(self));
	schedule();
	irq_restore(flags);
}

void queue_init(struct queue *queue, void *storage, u32 message_bytes, u32 capacity)
{
	*queue = (struct queue){ .storage = storage, .message_bytes = message_bytes, .capacity = capacity };
	semaphore_init(&queue->filled, 0);
	semaphore_init(&queue->free, capacity);
}

/* The semaphores have granted a slot; only the copy and the index need protection. */
static void put_message(struct queue *queue, const void *message)
{
	word flags = irq_save();

	memcpy(queue->storage + queue->tail * queue->message_bytes, message, queue->message_bytes);
	queue->tail = queue->tail + 1 == queue->capacity ? 0 : queue->tail + 1;
	irq_restore(flags);
	semaphore_post(&queue->filled);
}

bool queue_send(struct queue *queue, const void *message, u64 timeout_ns)
{
	if (!semaphore_wait(&queue->free, timeout_ns))
		return false;
	put_message(queue, message);
	return true;
}

bool queue_try_send(struct queue *queue, const void *message) { return queue_send(queue, message, 0); }

bool queue_receive(struct queue *queue, void *message, u64 timeout_ns)
{
	word flags;

	if (!semaphore_wait(&queue->filled, timeout_ns))
		return false;
	flags = irq_save();
	memcpy(message, queue->storage + queue->head * queue->message_bytes, queue->message_bytes);
	queue->head = queue->head + 1 == queue->capacity ? 0 : queue->head + 1;
	irq_restore(flags);
	semaphore_post(&queue->free);
	return true;
}
