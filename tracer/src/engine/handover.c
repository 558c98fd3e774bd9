// SPDX-License-Identifier: MIT
/*
 * See handover.h. Where a task is woken by others of its host again and again, always in
 * the same call, the latch does not fire any more when it blocks there: once woken it
 * runs on within the slice in which that has happened, as on a real machine, and costs
 * no stop. The slice's end bounds them all.
 *
 * The latch's program sees to it that this lasts only as long as nobody else wants to
 * run: from the first stop in the slice on it fires as ever. When the host's turn is
 * over those that are still blocked so are interrupted, and will begin their calls
 * again. So these are only calls of which nobody can tell.
 */
#include <sys/types.h>
#include <sys/user.h>

#include "blocked.h"
#include "calls.h"
#include "cputime.h"
#include "engine.h"
#include "handover.h"
#include "host.h"
#include "latch.h"
#include "plain_wait.h"
#include "slice.h"
#include "stops.h"
#include "task.h"

/* So often in a row it must have been woken. */
#define EARNED 16
/* And pass so often for each time that it has to be interrupted. */
#define WORTH 4

bool handover_is_free(const struct task *task)
{
	return task->state == TASK_AWAY && !task->parked && !task->exiting &&
	       latch_is_free(task);
}

bool handover_ran_out(const struct task *task)
{
	return task->state == TASK_AWAY && latch_ran_out(task);
}

/* ---- who does ------------------------------------------------------------ */

/* The engine has nothing to do where it blocks so. */
static bool may_wait(const struct task *task)
{
	return plain_wait_may_pass(task->host, task->handover.call,
				   task->handover.socket);
}

static size_t count(const struct host *host)
{
	const struct task *task;
	size_t tasks = 0;

	LIST_FOREACH(task, &host->handovers, handover.entry)
		tasks++;
	return tasks;
}

static bool may_begin(struct task *task, const struct user_regs_struct *regs)
{
	const struct host *host = task->host;

	return latch_lists_stops() && !engine.live && host->mult &&
	       !host->instruction_mult && host->cores == 1 && !timed_stops(task) &&
	       count(host) < HANDOVERS_MAX &&
	       plain_wait(task, regs, &task->handover.socket) && may_wait(task);
}

static void begin(struct task *task)
{
	struct handover *handover = &task->handover;

	engine_lock(); /* the watchdog reads the list */
	handover->on = true;
	LIST_INSERT_HEAD(&task->host->handovers, task, handover.entry);
	latch_let_pass(task, handover->call, handover->argument);
	engine_unlock();
}

void handover_woken(struct task *task)
{
	struct handover *handover = &task->handover;
	const struct task *runs = engine.slice.task;
	struct user_regs_struct regs;

	if (!runs || runs->host != task->host) {
		handover_forget(task);
		return;
	}
	/* In its own slice only those that pass can have woken it. */
	if (handover->on || (runs == task && LIST_EMPTY(&task->host->handovers)) ||
	    !task->stop_known || !task_get_regs(task, &regs))
		return;
	if (handover->call != (int64_t)regs.orig_rax || handover->argument != regs.rdi) {
		handover->call = (int64_t)regs.orig_rax;
		handover->argument = regs.rdi;
		handover->count = 0;
	} else if (++handover->count >= EARNED) {
		handover->count = 0;
		if (may_begin(task, &regs))
			begin(task);
	}
}

void handover_forget(struct task *task)
{
	struct handover *handover = &task->handover;

	handover->count = 0;
	if (!handover->on)
		return;
	engine_lock();
	handover->on = false;
	LIST_REMOVE(task, handover.entry);
	latch_forbid_pass(task);
	engine_unlock();
}

/* ---- their slices -------------------------------------------------------- */

static bool may_pass(const struct task *task)
{
	const struct task *other;

	/* Whoever else is ready has to wait for no longer than for one of them. */
	if (engine.live || TAILQ_FIRST(&task->host->ready) != task ||
	    TAILQ_NEXT(task, ready_entry))
		return false;
	/* Nor may the engine have to do something before, or after, each of their turns. */
	LIST_FOREACH(other, &task->host->handovers, handover.entry)
		if (cputime_left(other) != HEAP_NEVER || timed_stops(other) ||
		    !may_wait(other) || !LIST_EMPTY(&other->process->rings))
			return false;
	return true;
}

void handover_open(const struct task *task, int64_t ns)
{
	struct task *other;

	LIST_FOREACH(other, &task->host->handovers, handover.entry) {
		other->handover.was_free = handover_is_free(other);
		latch_begin_passes(other, ns);
	}
	latch_pass(may_pass(task));
}

size_t handover_parts(const struct slice *slice, int64_t real,
		      struct part parts[HANDOVERS_MAX + 1])
{
	struct task *task, *last = slice->runner ? slice->runner : slice->task;
	int64_t left = real, ran;
	size_t parts_count = 1;

	LIST_FOREACH(task, &slice->host->handovers, handover.entry) {
		ran = latch_passes_ns(task);
		if (task == last || ran <= 0)
			continue;
		if (ran > left)
			ran = left;
		left -= ran;
		parts[parts_count++] = (struct part){ task, ran };
	}
	parts[0] = (struct part){ last, left };
	return parts_count;
}

void handover_blocked(const struct host *host)
{
	pid_t blocked[HANDOVERS_MAX];
	const struct task *task;
	size_t tasks = 0;

	LIST_FOREACH(task, &host->handovers, handover.entry)
		if (task->handover.was_free && !handover_is_free(task))
			blocked[tasks++] = task->tid;
	while (tasks)
		blocked_begin(blocked[--tasks]);
}

/* ---- the end of the host's turn ------------------------------------------ */

bool handover_stop(struct host *host)
{
	struct task *task, *next;
	bool any = false;

	for (task = LIST_FIRST(&host->handovers); task; task = next) {
		next = LIST_NEXT(task, handover.entry);
		if (handover_is_free(task)) {
			task_interrupt(task);
			if (latch_take_passes(task) < WORTH)
				handover_forget(task);
			any = true;
		}
		task_promote(task);
	}
	return any;
}

bool handover_settle(struct host *host)
{
	if (LIST_EMPTY(&host->handovers) || !handover_stop(host))
		return false;
	task_collect();
	return true;
}
