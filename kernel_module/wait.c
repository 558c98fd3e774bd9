// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Waiting in real time, also while kernel timers stand still: the real tick
 * looks whether anybody's time is up.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "kronos.h"

static DEFINE_RAW_SPINLOCK(sleepers_lock);
static LIST_HEAD(sleepers);

struct sleeper {
	struct list_head entry;
	struct wait_queue_entry wait; /* also in the queue of what it polls */
	u64 deadline;		      /* kronos_real_ns() */
};

static void begin(struct sleeper *s, s64 timeout)
{
	init_waitqueue_func_entry(&s->wait, woken_wake_function);
	s->wait.private = current;
	s->deadline = timeout < 0 ? U64_MAX : kronos_real_ns() + timeout;
	raw_spin_lock_irq(&sleepers_lock);
	list_add(&s->entry, &sleepers);
	raw_spin_unlock_irq(&sleepers_lock);
}

static void end(struct sleeper *s)
{
	raw_spin_lock_irq(&sleepers_lock);
	list_del(&s->entry);
	raw_spin_unlock_irq(&sleepers_lock);
}

static void wake_due(u64 now)
{
	unsigned long flags;
	struct sleeper *s;

	raw_spin_lock_irqsave(&sleepers_lock, flags);
	list_for_each_entry(s, &sleepers, entry)
		if (s->deadline <= now)
			woken_wake_function(&s->wait, TASK_NORMAL, 0, NULL);
	raw_spin_unlock_irqrestore(&sleepers_lock, flags);
}

void kronos_wait_tick(void)
{
	wake_due(kronos_real_ns());
}

void kronos_wait_poke(void)
{
	wake_due(U64_MAX);
}

/* Returns 1 to look again, or what ends the wait. Free, nobody calls kronos_wait_tick(). */
static int sleep_until(struct sleeper *s)
{
	if (signal_pending(current))
		return -EINTR;
	if (kronos_real_ns() >= s->deadline)
		return 0;
	wait_woken(&s->wait, TASK_INTERRUPTIBLE, kronos_frozen() ? MAX_SCHEDULE_TIMEOUT : 1);
	return 1;
}

int kronos_wait_until(bool (*condition)(void), s64 timeout)
{
	struct sleeper s;
	int result = 1;

	begin(&s, timeout);
	while (result > 0 && !condition())
		result = sleep_until(&s);
	end(&s);
	return result;
}

struct poll_waiter {
	poll_table table;
	struct sleeper sleeper;
	wait_queue_head_t *head;
};

static void add_to_queue(struct file *file, wait_queue_head_t *head, poll_table *table)
{
	struct poll_waiter *waiter = container_of(table, struct poll_waiter, table);

	if (waiter->head)
		return; /* what can be read is on the first one */
	waiter->head = head;
	add_wait_queue(head, &waiter->sleeper.wait);
}

static bool is_ready(struct file *file, struct poll_waiter *waiter)
{
	return file && (vfs_poll(file, waiter->head ? NULL : &waiter->table) & waiter->table._key);
}

int kronos_wait_fd(struct file *file, s64 timeout)
{
	struct poll_waiter waiter = { .head = NULL };
	int result = 1;

	init_poll_funcptr(&waiter.table, add_to_queue);
	waiter.table._key = EPOLLIN | EPOLLHUP | EPOLLERR;
	begin(&waiter.sleeper, timeout);
	while (result > 0 && !is_ready(file, &waiter))
		result = sleep_until(&waiter.sleeper);
	end(&waiter.sleeper);
	if (waiter.head)
		remove_wait_queue(waiter.head, &waiter.sleeper.wait);
	return result;
}
