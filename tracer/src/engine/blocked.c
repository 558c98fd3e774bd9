// SPDX-License-Identifier: MIT
/*
 * What becomes of a task that has blocked. Most wait for something in virtual time.
 * One that waits where nothing interrupts it, as for a disk, is not idle: virtual time
 * stands until it is back, and others of its host run meanwhile if that takes long.
 *
 * A host may have a lot of such waits, or one of them be very long. Then virtual time
 * goes on as fast as real time (rounds.c), as it does for who really waits for a disk.
 */
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <time.h>

#include "blocked.h"
#include "engine.h"
#include "handover.h"
#include "host.h"
#include "inspect.h"
#include "latch.h"
#include "rounds.h"
#include "task.h"
#include "terminal.h"
#include "timed.h"

/* In real time: it is waited for so long before others of its host run. */
#define ALONE_MAX (5 * NSEC_PER_MSEC)
/* And virtual time stands for so long, on top of what it has gone on since. */
#define HOLD_MAX (5 * NSEC_PER_SEC)

static struct task_list disk_waits = LIST_HEAD_INITIALIZER(disk_waits);
static unsigned int outlasting; /* those for which time no longer stands */

/* Or is inside the kernel for a reason that the latch has not seen. */
static bool in_kernel(const struct task *task, bool *trap_blocked)
{
	bool busy;

	latch_state(task, &busy, trap_blocked);
	return busy && !task->vforking;
}

/*
 * The latch cannot stop a task that blocks SIGTRAP. Calls that may have done a part of
 * their work are left alone.
 */
static bool may_interrupt(const struct task *task)
{
	return !task->vforking && !timed_stops(task) && timed_restartable(task);
}

/* Lets it enter its call once more, to be stopped at its exit. */
static void interrupt_call(struct task *task)
{
	task->exit = EXIT_WATCHED;
	task_interrupt(task);
}

static void watch_call(struct task *task)
{
	if (!may_interrupt(task))
		return;
	interrupt_call(task);
	task_drain();
}

/*
 * An interrupt would show. So it goes on below all others, as if it waited for a disk,
 * and the kernel does not count against it what it takes.
 */
void blocked_in_call(struct task *task)
{
	const struct sched_param none = { 0 };

	task->long_call = true;
	sched_setscheduler(task->tid, SCHED_OTHER, &none);
}

static void end_call(struct task *task)
{
	const struct sched_param param = { .sched_priority = PRIO_TASK };

	if (!task->long_call)
		return;
	task->long_call = false;
	sched_setscheduler(task->tid, SCHED_FIFO, &param);
}

static void waits(struct task *task, bool trap_blocked)
{
	end_call(task);
	timed_blocked(task);
	tty_blocked(task);
	terminal_blocked(task);
	if (trap_blocked)
		watch_call(task);
}

/* Lets a moment of real time pass. */
static void nap(struct host *host, const struct task *task)
{
	static const struct timespec moment = { .tv_nsec = 50 * NSEC_PER_USEC };
	uint64_t start = tsc_now();
	int64_t now = host_now(host), passed = now - host->held_at;

	stall_check(task);
	handover_stop(host);
	nanosleep(&moment, NULL);
	task_drain();
	host->held = (host->held > passed ? host->held - passed : 0) + ns_since(start);
	host->held_at = now;
}

/* Has virtual time stood for it for too long, and goes on? */
static bool outlasts(struct host *host)
{
	if (!host->outlasted && !engine.live &&
	    host->held > HOLD_MAX + host_now(host) - host->held_at) {
		host->outlasted = true;
		outlasting += host->disk_waits;
		host_changed(host);
	}
	return host->outlasted;
}

void blocked_forget(struct task *task)
{
	end_call(task);
	if (!task->disk_wait)
		return;
	LIST_REMOVE(task, disk_wait_entry);
	task->disk_wait = false;
	if (task->host->outlasted)
		outlasting--;
	if (--task->host->disk_waits == 0)
		task->host->outlasted = false;
}

static void wait_for_disk(struct task *task)
{
	LIST_INSERT_HEAD(&disk_waits, task, disk_wait_entry);
	task->disk_wait = true;
	task->host->disk_waits++;
	if (task->host->outlasted)
		outlasting++;
	host_changed(task->host);
}

void blocked_watch(struct task *task)
{
	bool trap_blocked;

	if (task->state == TASK_AWAY && !task->exiting && !task->parked &&
	    !task->interrupted && !in_kernel(task, &trap_blocked) && trap_blocked &&
	    may_interrupt(task))
		interrupt_call(task);
}

void blocked_begin(pid_t tid)
{
	uint64_t start = tsc_now();
	bool trap_blocked;
	struct task *task;

	for (;;) {
		task = task_find(tid);
		if (!task || task->state != TASK_AWAY || task->exiting || task->parked)
			return;
		if (!in_kernel(task, &trap_blocked)) {
			waits(task, trap_blocked);
			return;
		}
		/* This does not disturb it, but stops it when it is back. */
		if (trap_blocked && !task->interrupted && may_interrupt(task))
			task_interrupt(task);
		if (outlasts(task->host) || ns_since(start) > ALONE_MAX) {
			wait_for_disk(task);
			return;
		}
		nap(task->host, task);
	}
}

/* It waits for something else by now. */
static struct task *first_undisturbed(bool *trap_blocked)
{
	struct task *task;

	LIST_FOREACH(task, &disk_waits, disk_wait_entry)
		if (!in_kernel(task, trap_blocked))
			return task;
	return NULL;
}

static const struct task *first_of(const struct host *host)
{
	const struct task *task;

	LIST_FOREACH(task, &disk_waits, disk_wait_entry)
		if (task->host == host)
			return task;
	return NULL;
}

void blocked_look(void)
{
	bool trap_blocked;
	struct task *task;

	while ((task = first_undisturbed(&trap_blocked))) {
		blocked_forget(task);
		host_changed(task->host);
		waits(task, trap_blocked);
	}
}

bool blocked_holds(const struct host *host)
{
	return host->disk_waits && !host->outlasted && !engine.live;
}

void blocked_await(struct host *host)
{
	while (blocked_holds(host) && TAILQ_EMPTY(&host->ready) && !rounds_interrupted()) {
		if (outlasts(host))
			return;
		nap(host, first_of(host));
		blocked_look();
	}
}

bool blocked_outlast(void)
{
	return outlasting;
}
