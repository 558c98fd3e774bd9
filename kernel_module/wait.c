// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Waiting in real time, also while kernel timers stand still: the real tick
 * looks whether anybody's time is up.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "kronos.h"

static DECLARE_WAIT_QUEUE_HEAD(waiters);
static DEFINE_RAW_SPINLOCK(deadlines_lock);
static LIST_HEAD(deadlines);

struct deadline {
	struct list_head entry;
	struct task_struct *task;
	u64 time; /* kronos_real_ns() */
};

static void begin(struct deadline *deadline, s64 timeout)
{
	deadline->task = current;
	deadline->time = timeout < 0 ? U64_MAX : kronos_real_ns() + timeout;
	raw_spin_lock_irq(&deadlines_lock);
	list_add(&deadline->entry, &deadlines);
	raw_spin_unlock_irq(&deadlines_lock);
}

static void end(struct deadline *deadline)
{
	raw_spin_lock_irq(&deadlines_lock);
	list_del(&deadline->entry);
	raw_spin_unlock_irq(&deadlines_lock);
}

void kronos_wait_tick(void)
{
	u64 now = kronos_real_ns();
	struct deadline *d;

	raw_spin_lock(&deadlines_lock);
	list_for_each_entry(d, &deadlines, entry)
		if (d->time <= now)
			wake_up_process(d->task);
	raw_spin_unlock(&deadlines_lock);
}

void kronos_wait_poke(void)
{
	wake_up_all(&waiters);
}

/* Returns 1 to look again, or what ends the wait. Free, nobody calls kronos_wait_tick(). */
static int sleep_until(const struct deadline *deadline)
{
	if (signal_pending(current))
		return -EINTR;
	if (kronos_real_ns() >= deadline->time)
		return 0;
	schedule_timeout(kronos_frozen() ? MAX_SCHEDULE_TIMEOUT : 1);
	return 1;
}

int kronos_wait_until(bool (*condition)(void), s64 timeout)
{
	DEFINE_WAIT(wait);
	struct deadline deadline;
	int result;

	begin(&deadline, timeout);
	do {
		prepare_to_wait(&waiters, &wait, TASK_INTERRUPTIBLE);
		result = 1;
		if (condition())
			break;
		result = sleep_until(&deadline);
	} while (result > 0);
	finish_wait(&waiters, &wait);
	end(&deadline);
	return result;
}

struct poll_waiter {
	poll_table table;
	wait_queue_entry_t entry;
	wait_queue_head_t *head;
};

static void add_to_queue(struct file *file, wait_queue_head_t *head, poll_table *table)
{
	struct poll_waiter *waiter = container_of(table, struct poll_waiter, table);

	if (waiter->head)
		return; /* what can be read is on the first one */
	waiter->head = head;
	add_wait_queue(head, &waiter->entry);
}

int kronos_wait_fd(struct file *file, s64 timeout)
{
	const __poll_t events = EPOLLIN | EPOLLHUP | EPOLLERR;
	struct poll_waiter waiter = { .head = NULL };
	struct deadline deadline;
	int result;

	init_poll_funcptr(&waiter.table, add_to_queue);
	waiter.table._key = events;
	init_waitqueue_entry(&waiter.entry, current);
	begin(&deadline, timeout);
	do {
		set_current_state(TASK_INTERRUPTIBLE);
		result = 1;
		if (file && (vfs_poll(file, waiter.head ? NULL : &waiter.table) & events))
			break;
		result = sleep_until(&deadline);
	} while (result > 0);
	__set_current_state(TASK_RUNNING);
	end(&deadline);
	if (waiter.head)
		remove_wait_queue(waiter.head, &waiter.entry);
	return result;
}
