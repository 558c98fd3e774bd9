// SPDX-License-Identifier: MIT
/*
 * Sleeps that need only one stop. A task that begins to sleep stands in a ptrace
 * stop already, at the entry of its call. There it is parked: when its time has come
 * it gets the call's result, and has never been in the kernel meanwhile, from where
 * it would have to be interrupted.
 *
 * But there it does not notice signals. So it is let into the kernel after all before
 * anything can send it one, or can see it: when another task of its host runs, when
 * any task sends a signal, when the engine does so for a timer or a frame, and, for
 * the sake of who is outside, whenever the engine waits and after PARKED_MAX.
 */
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "calls.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "latch.h"
#include "park.h"
#include "stops.h"
#include "task.h"
#include "timed.h"

/* In real time. */
#define PARKED_MAX (20 * NSEC_PER_MSEC)

static struct task_queue parked = TAILQ_HEAD_INITIALIZER(parked); /* in turn */

bool park(struct task *task)
{
	if (engine.live || task->process->filtered || task->process->stamped ||
	    task->wait.deadline == HEAP_NEVER)
		return false;
	task->parked = tsc_now();
	task->host->parked++;
	TAILQ_INSERT_TAIL(&parked, task, parked_entry);
	return true;
}

void park_forget(struct task *task)
{
	if (!task->parked)
		return;
	task->parked = 0;
	task->host->parked--;
	TAILQ_REMOVE(&parked, task, parked_entry);
}

void park_wake(struct task *task)
{
	struct user_regs_struct regs = task->wait.regs;

	regs.rax = (uint64_t)task->wait.call->timeout;
	regs.orig_rax = (uint64_t)-1;
	task_set_regs(task, &regs);
	park_forget(task);
	wait_end(task);
	task_ready(task, false);
}

/* It blocks there at once, or stops for a signal. */
static void enter_kernel(struct task *task)
{
	struct user_regs_struct regs = task->wait.regs;

	park_forget(task);
	regs.orig_rax = SYS_pause;
	task_set_regs(task, &regs);
	latch_prepare(task, true, NSEC_PER_SEC);
	if (task->latch_spent)
		latch_rearm(task);
	stop_leave(task, PTRACE_CONT, 0);
}

void park_end_of(const struct host *host)
{
	struct task *task, *next;

	for (task = host->parked ? LIST_FIRST(&host->tasks) : NULL; task; task = next) {
		next = LIST_NEXT(task, host_entry);
		if (task->parked)
			enter_kernel(task);
	}
}

void park_end_all(void)
{
	while (!TAILQ_EMPTY(&parked))
		enter_kernel(TAILQ_FIRST(&parked));
}

void park_look(void)
{
	struct task *task;
	bool ended = false;

	while ((task = TAILQ_FIRST(&parked)) && ns_since(task->parked) >= PARKED_MAX) {
		enter_kernel(task);
		ended = true;
	}
	if (ended)
		task_drain();
}
