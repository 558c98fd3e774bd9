// SPDX-License-Identifier: MIT
/*
 * Ptrace stops. Where the latch's BPF program lists them it tells all that most need:
 * the wait status, registers, the event's message. Others are asked for by waitpid(),
 * and the rest by ptrace().
 */
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/queue.h>
#include <sys/wait.h>

#include "engine.h"
#include "host.h"
#include "latch.h"
#include "stops.h"
#include "task.h"

#define CS_64 0x33 /* the segment of 64-bit programs */

static struct task_list unreaped = LIST_HEAD_INITIALIZER(unreaped);

void stop_forget(struct task *task)
{
	task->stop_known = false;
	if (task->unreaped)
		LIST_REMOVE(task, unreaped_entry);
	task->unreaped = false;
}

void stop_leave(struct task *task, int request, int signal)
{
	stop_forget(task);
	/* If it fails the task has been killed, and its end is to be waited for. */
	ptrace(request, task->tid, 0, signal);
}

/*
 * It is listed as well, at the latest when the task has left the CPU: a request makes
 * the kernel wait for that.
 */
void stop_reported(struct task *task)
{
	stop_forget(task);
	if (!latch_lists_stops())
		return;
	ptrace(PTRACE_PEEKUSER, task->tid, 0, 0);
	task->reported = latch_stops_listed();
}

static uint64_t *reg(struct latch_stop *stop, size_t offset)
{
	return &stop->regs[offset / sizeof(stop->regs[0])];
}

#define REG(stop, name) (*reg(stop, offsetof(struct user_regs_struct, name)))

static void take(const struct latch_stop *stop, uint64_t number)
{
	struct task *task = task_find(stop->tid);
	int status;

	if (!task || number < task->reported)
		return;
	/* A counted turn has its own stops, which it has waited for. */
	if (task->host && task->host->instruction_mult) {
		if (waitpid(stop->tid, &status, WNOHANG | __WALL | __WNOTHREAD) > 0)
			task_stopped(stop->tid, status);
		return;
	}
	stop_forget(task);
	task->stop = *stop;
	task->stop_known = REG(&task->stop, cs) == CS_64;
	task->unreaped = true;
	LIST_INSERT_HEAD(&unreaped, task, unreaped_entry);
	task_handle_stop(task, W_STOPCODE(stop->code));
}

void stops_take(void)
{
	const struct latch_stop *stop;
	uint64_t number;

	while ((stop = latch_next_stop(&number)))
		take(stop, number);
}

void stops_reap(void)
{
	struct task *task;
	int status;
	pid_t tid;

	while ((task = LIST_FIRST(&unreaped))) {
		LIST_REMOVE(task, unreaped_entry);
		task->unreaped = false;
		tid = task->tid;
		if (waitpid(tid, &status, WNOHANG | __WALL | __WNOTHREAD) == tid &&
		    status != W_STOPCODE(task->stop.code))
			task_stopped(tid, status);
	}
}

bool stop_message(const struct task *task, unsigned long *message)
{
	if (!task->stop_known)
		return !ptrace(PTRACE_GETEVENTMSG, task->tid, 0, message);
	*message = task->stop.message;
	return true;
}

int stop_si_code(const struct task *task)
{
	siginfo_t info;

	if (task->stop_known)
		return task->stop.si_code;
	return ptrace(PTRACE_GETSIGINFO, task->tid, 0, &info) ? 0 : info.si_code;
}

bool stop_words(const struct task *task, uint64_t address, int64_t words[2])
{
	if (!task->stop_known || task->stop.address != address)
		return false;
	memcpy(words, task->stop.value, sizeof(task->stop.value));
	return true;
}

bool task_get_regs(const struct task *task, struct user_regs_struct *regs)
{
	if (!task->stop_known)
		return ptrace(PTRACE_GETREGS, task->tid, 0, regs) == 0;
	memset(regs, 0, sizeof(*regs));
	memcpy(regs, task->stop.regs, sizeof(task->stop.regs));
	return true;
}

/* Only those that have changed: of the last few nothing is known then. */
static void set_changed(struct task *task, const struct user_regs_struct *regs)
{
	const unsigned long long *values = (const unsigned long long *)regs;

	for (size_t i = 0; i < STOP_REGS; i++) {
		if (task->stop.regs[i] == values[i])
			continue;
		ptrace(PTRACE_POKEUSER, task->tid, i * sizeof(values[i]), values[i]);
		task->stop.regs[i] = values[i];
	}
}

/* Fails only if the task has been killed meanwhile. */
void task_set_regs(struct task *task, const struct user_regs_struct *regs)
{
	if (task->stop_known)
		set_changed(task, regs);
	else
		ptrace(PTRACE_SETREGS, task->tid, 0, regs);
}
