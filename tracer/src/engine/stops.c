// SPDX-License-Identifier: MIT
/*
 * Ptrace stops. Where the latch's BPF program lists them it tells all that most need:
 * the wait status, registers, the event's message. Others are asked for by waitpid(),
 * and the rest by ptrace().
 */
#include <elf.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/queue.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "engine.h"
#include "host.h"
#include "latch.h"
#include "stops.h"
#include "task.h"

#define CS_64 0x33 /* the segment of 64-bit programs */

static struct task_list unreaped = LIST_HEAD_INITIALIZER(unreaped);
static struct task_list unlisted = LIST_HEAD_INITIALIZER(unlisted);

static void set_reaped(struct task *task)
{
	if (task->unreaped)
		LIST_REMOVE(task, unreaped_entry);
	task->unreaped = false;
}

void stop_forget(struct task *task)
{
	task->stop_known = false;
	set_reaped(task);
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

void stops_listed(struct task *task, bool listed)
{
	if (task->unlisted == !listed)
		return;
	task->unlisted = !listed;
	if (listed)
		LIST_REMOVE(task, unlisted_entry);
	else
		LIST_INSERT_HEAD(&unlisted, task, unlisted_entry);
}

/* At its exec a thread takes the place of its leader, whose latch is gone with it. */
static pid_t executes_as(const struct task *task)
{
	return task->exit == EXIT_EXEC ? task->process->pid : task->tid;
}

static bool is_taken(const struct task *task, int status)
{
	return task && task->unreaped && status == W_STOPCODE(task->stop.code);
}

/* Returns false if there is nothing new. */
static bool ask(pid_t tid)
{
	struct task *task = task_find(tid);
	int status;

	if (waitpid(tid, &status, WNOHANG | __WALL | __WNOTHREAD) != tid)
		return false;
	if (is_taken(task, status)) {
		set_reaped(task);
		return false;
	}
	task_stopped(tid, status);
	return true;
}

/* Returns false if no task has an answer. */
static bool ask_unlisted(void)
{
	const struct task *task;

	LIST_FOREACH(task, &unlisted, unlisted_entry)
		if (ask(task->tid) ||
		    (executes_as(task) != task->tid && ask(executes_as(task))))
			return true;
	return false;
}

void stops_take(void)
{
	const struct latch_stop *stop;
	uint64_t number;

	do {
		while ((stop = latch_next_stop(&number)))
			take(stop, number);
	} while (ask_unlisted());
}

static bool has_news(pid_t tid)
{
	siginfo_t info = { .si_pid = 0 };

	return !waitid(P_PID, (id_t)tid, &info,
		       WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD) &&
	       info.si_pid && !is_taken(task_find(tid), W_STOPCODE(info.si_status));
}

bool stops_news(void)
{
	const struct task *task;

	if (!latch_lists_stops())
		return false;
	LIST_FOREACH(task, &unlisted, unlisted_entry)
		if (has_news(task->tid) ||
		    (executes_as(task) != task->tid && has_news(executes_as(task))))
			return true;
	return latch_any_stop();
}

/* Never runs: it is blocked. */
static void on_child(int signal)
{
	(void)signal;
}

/* With SIG_DFL the kernel would forget a pending one. */
void stops_signal(bool on)
{
	const struct sigaction action = {
		.sa_handler = on_child,
		.sa_flags = on ? 0 : SA_NOCLDSTOP,
	};

	if (latch_lists_stops())
		sigaction(SIGCHLD, &action, NULL);
}

void stops_reap(void)
{
	struct task *task;
	pid_t tid;

	while ((task = LIST_FIRST(&unreaped))) {
		tid = task->tid;
		if (!ask(tid))
			set_reaped(task);
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

/* The first ones: the kernel has nothing to check there, and takes them at once. */
#define PLAIN_REGS (offsetof(struct user_regs_struct, cs) / sizeof(uint64_t))

static void set_plain(const struct task *task, const struct user_regs_struct *regs,
		      size_t count)
{
	struct iovec first = { (void *)(uintptr_t)regs, count * sizeof(uint64_t) };

	ptrace(PTRACE_SETREGSET, task->tid, NT_PRSTATUS, &first);
}

/* Only those that have changed: of the last few nothing is known then. */
static void set_changed(struct task *task, const struct user_regs_struct *regs)
{
	const unsigned long long *values = (const unsigned long long *)regs;
	size_t changed[STOP_REGS], count = 0;

	for (size_t i = 0; i < STOP_REGS; i++) {
		if (task->stop.regs[i] == values[i])
			continue;
		task->stop.regs[i] = values[i];
		changed[count++] = i;
	}
	if (count > 1 && changed[count - 1] < PLAIN_REGS) {
		set_plain(task, regs, changed[count - 1] + 1);
		return;
	}
	for (size_t i = 0; i < count; i++)
		ptrace(PTRACE_POKEUSER, task->tid, changed[i] * sizeof(values[0]),
		       values[changed[i]]);
}

/* Fails only if the task has been killed meanwhile. */
void task_set_regs(struct task *task, const struct user_regs_struct *regs)
{
	if (task->stop_known)
		set_changed(task, regs);
	else
		ptrace(PTRACE_SETREGS, task->tid, 0, regs);
}
