// SPDX-License-Identifier: MIT
/*
 * Waits with a deadline. At the deadline the task is interrupted, and the
 * call's result replaced by what a timeout returns; interrupted by the engine
 * for another reason, or by a signal that the program ignores, the call is made
 * to restart, with the same deadline. What a signal of the program's own does
 * to a call is left to the kernel, as far as it still knows what it would do.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <time.h>

#include <linux/futex.h>

#include "clocks.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "park.h"
#include "procfs.h"
#include "stops.h"
#include "task.h"
#include "timed.h"

/* In-kernel results of interrupted calls; not in any header of user space. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

/* ---- deadlines --------------------------------------------------------- */

static int64_t from_seconds(int64_t seconds, int64_t nanoseconds)
{
	if (seconds > INT64_MAX / NSEC_PER_SEC / 4)
		return HEAP_NEVER;
	return seconds * NSEC_PER_SEC + nanoseconds;
}

int64_t add_time(int64_t a, int64_t b)
{
	return a == HEAP_NEVER || b > HEAP_NEVER - a ? HEAP_NEVER : a + b;
}

bool read_interval(struct task *task, uint64_t address, bool timeval, int64_t *ns)
{
	int64_t value[2];

	if (!stop_words(task, address, value) &&
	    task_read(task, address, value, sizeof(value)))
		return false;
	if (timeval) { /* of more microseconds than a second has, too: select() takes them */
		value[0] = (int64_t)((uint64_t)value[0] + (uint64_t)(value[1] / 1000000));
		value[1] = value[1] % 1000000 * 1000;
	}
	if (value[0] < 0 || value[1] < 0 || value[1] >= NSEC_PER_SEC)
		return false;
	*ns = from_seconds(value[0], value[1]);
	return true;
}

/* HEAP_NEVER: leave the call as it is (no timeout, a zero one, or a bad one). */
static int64_t wait_deadline(struct task *task, const struct timed_call *call,
			     struct user_regs_struct *regs)
{
	uint64_t argument = *arg_register(regs, call->arg);
	int64_t now = host_now(task->host), interval, offset = 0;
	int operation, clock;

	if (call->form == FORM_MSEC)
		return (int32_t)argument > 0 ?
			       now + (int32_t)argument * NSEC_PER_MSEC :
			       HEAP_NEVER;
	if (!argument || !read_interval(task, argument,
					call->form == FORM_TIMEVAL, &interval))
		return HEAP_NEVER;
	switch (call->form) {
	case FORM_TIMESPEC:
	case FORM_TIMEVAL:
		return interval ? add_time(now, interval) : HEAP_NEVER;
	case FORM_REALTIME:
		offset = engine.realtime;
		break;
	case FORM_FUTEX:
		operation = (int)regs->rsi & FUTEX_CMD_MASK;
		if (operation == FUTEX_WAIT)
			return add_time(now, interval);
		if (operation == FUTEX_LOCK_PI ||
		    (int)regs->rsi & FUTEX_CLOCK_REALTIME)
			offset = engine.realtime;
		else
			offset = task->process->timens.monotonic;
		break;
	case FORM_CLOCK_ARG:
		clock = (int32_t)*arg_register(regs, call->arg + 1);
		if ((clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) ||
		    !clock_offset(task->process, clock, &offset))
			return HEAP_NEVER;
		break;
	default:
		return HEAP_NEVER;
	}
	return interval == HEAP_NEVER ? HEAP_NEVER : interval - offset;
}

/* ---- beginning and end ------------------------------------------------- */

void wait_timeout(struct event *event, struct host *host)
{
	struct task *task = container_of(event, struct task, wait.timeout);

	(void)host;
	/* It may not even have begun to wait: then it will be interrupted at once. */
	task->wait.expired = true;
	if (task->parked) {
		park_wake(task);
		return;
	}
	task_interrupt(task);
	task_collect();
}

void wait_begin(struct task *task, const struct timed_call *call,
		const struct user_regs_struct *regs, int64_t deadline)
{
	struct wait *wait = &task->wait;

	/* The same call again, restarted by the kernel: time has gone on. */
	if (wait->restart && wait->call == call && wait->regs.rip == regs->rip)
		deadline = wait->deadline;
	wait->call = call;
	wait->regs = *regs;
	wait->deadline = deadline;
	wait->expired = wait->bad_rest = false;
	wait->restart = false;
	wait->timeout.fire = wait_timeout;
	host_add_event(task->host, &wait->timeout, deadline);
}

void wait_end(struct task *task)
{
	host_remove_event(task->host, &task->wait.timeout);
	task->wait.call = NULL;
	task->wait.restart = task->wait.bad_rest = false;
}

const char *timed_call_of(const struct task *task)
{
	const struct timed_call *call = task->wait.call;

	return !call ? NULL : call->nr < 0 ? "" : call->name;
}

void timed_forget(struct task *task)
{
	wait_end(task);
}

bool enter_wait(struct task *task, const struct timed_call *call,
		struct user_regs_struct *regs)
{
	int64_t deadline = wait_deadline(task, call, regs);

	if (deadline == HEAP_NEVER) {
		wait_end(task);
		return true;
	}
	wait_begin(task, call, regs, deadline);
	*arg_register(regs, call->arg) = call->form == FORM_MSEC ? (uint64_t)-1 : 0;
	task_set_regs(task, regs);
	task->exit = EXIT_TIMED;
	return true;
}

/* ---- interrupted ------------------------------------------------------- */

static bool was_interrupted(const struct user_regs_struct *regs)
{
	switch ((int64_t)regs->rax) {
	case -EINTR:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		return (int64_t)regs->orig_rax >= 0;
	}
	return false;
}

/* Calls that fail with EINTR where every other call leaves it to the kernel. */
static bool failed_with_eintr(const struct user_regs_struct *regs)
{
	if ((int64_t)regs->rax != -EINTR)
		return false;
	switch ((int64_t)regs->orig_rax) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_rt_sigtimedwait:
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_io_getevents:
		return true;
	}
	return socket_option_of((int64_t)regs->orig_rax);
}

static bool is_futex_wait(const struct timed_call *call,
			  const struct user_regs_struct *args)
{
	int operation = (int)args->rsi & FUTEX_CMD_MASK;

	return call->form == FORM_FUTEX &&
	       (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET);
}

/* Requeued already, it is interrupted as if it had been woken for nothing. */
static bool is_futex_requeued(const struct timed_call *call,
			      const struct user_regs_struct *regs)
{
	return call->form == FORM_FUTEX && (int64_t)regs->rax == -EAGAIN &&
	       ((int)regs->rsi & FUTEX_CMD_MASK) == FUTEX_WAIT_REQUEUE_PI;
}

static void wait_finish(struct task *task, struct user_regs_struct *regs,
			int64_t remaining, bool timed_out)
{
	const struct timed_call *call = task->wait.call;

	if (timed_out) {
		regs->rax = (uint64_t)call->timeout;
		regs->orig_rax = (uint64_t)-1;
	}
	if (call->finish)
		call->finish(task, &task->wait.regs, remaining, timed_out);
	wait_end(task);
}

/* With a timeout the kernel would end it with EINTR whatever the handler says. */
static void wait_restart(struct task *task, struct user_regs_struct *regs,
			 int64_t remaining)
{
	const struct timed_call *call = task->wait.call;
	int64_t result = (int64_t)regs->rax;

	task->wait.restart = true;
	if (call->nr < 0)
		return;
	regs->orig_rax = (uint64_t)call->nr;
	if (result == -ERESTART_RESTARTBLOCK ||
	    (result == -ERESTARTSYS && is_futex_wait(call, &task->wait.regs)))
		regs->rax = (uint64_t)-ERESTARTNOHAND;
	if (call->finish)
		call->finish(task, &task->wait.regs, remaining, false);
}

/* The kernel's own timeout has come first: the call begins again. */
static bool ended_early(struct task *task, struct user_regs_struct *regs)
{
	struct wait *wait = &task->wait;

	if (!wait->call->real || wait->expired || (int64_t)regs->orig_rax < 0 ||
	    (int64_t)regs->rax != wait->call->timeout)
		return false;
	regs->rip -= 2; /* the length of its instruction */
	regs->rax = regs->orig_rax;
	regs->orig_rax = (uint64_t)-1;
	wait->restart = true;
	task->exit = EXIT_WATCHED;
	return true;
}

/* The task has stopped: is the wait over, and how? */
static void wait_settle(struct task *task, struct user_regs_struct *regs)
{
	struct wait *wait = &task->wait;
	int64_t remaining = wait->deadline - host_now(task->host);
	bool interrupted;

	if (!wait->call || wait->restart)
		return;
	if (remaining < 0)
		remaining = 0;
	interrupted = was_interrupted(regs) || is_futex_requeued(wait->call, regs);
	host_remove_event(task->host, &wait->timeout);
	if (ended_early(task, regs))
		return;
	if (interrupted && !(wait->expired && !wait->call->patient))
		wait_restart(task, regs, remaining);
	else
		wait_finish(task, regs, remaining, interrupted);
}

/* The call is to go on as if nothing had happened. */
static void go_on(struct task *task, struct user_regs_struct *regs)
{
	if (failed_with_eintr(regs))
		regs->rax = (uint64_t)-ERESTARTNOHAND;
	/* The filter does not catch these, but for connect: see that they end. */
	if (task->wait.restart && task->wait.call->nr < 0 && regs->orig_rax != SYS_connect)
		task->exit = EXIT_WATCHED;
}

void wait_exit(struct task *task, bool interrupted)
{
	struct wait *wait = &task->wait;
	struct user_regs_struct regs;

	if (!task_get_regs(task, &regs))
		return;
	if (wait->call && wait->call->nr >= 0)
		for (int i = 0; i < 6; i++)
			*arg_register(&regs, i) = *arg_register(&wait->regs, i);
	/* Restarted, it may have ended without waiting again. */
	if (wait->restart && !was_interrupted(&regs))
		wait_end(task);
	wait_settle(task, &regs);
	if (interrupted)
		go_on(task, &regs);
	task_set_regs(task, &regs);
}

void wait_latched(struct task *task)
{
	struct user_regs_struct regs;

	if (!task->wait.call || !task_get_regs(task, &regs))
		return;
	wait_settle(task, &regs);
	task_set_regs(task, &regs);
}

void wait_interrupted(struct task *task)
{
	/* If so, something else has interrupted it, and is still to be seen. */
	bool seen = task->wait.restart;
	struct user_regs_struct regs;

	if (!task_get_regs(task, &regs))
		return;
	wait_settle(task, &regs);
	if (!seen)
		go_on(task, &regs);
	task_set_regs(task, &regs);
}

void wait_held(struct task *task)
{
	struct user_regs_struct regs;

	if (!task_get_regs(task, &regs))
		return;
	wait_settle(task, &regs);
	if (failed_with_eintr(&regs)) {
		wait_end(task);
		regs.orig_rax = (uint64_t)-1; /* for good */
	}
	task_set_regs(task, &regs);
}

enum disposition { DEFAULT, IGNORED, CAUGHT };

static enum disposition signal_disposition(const struct task *task, int signal)
{
	struct procfs_field fields[] = { { .key = "SigIgn:" }, { .key = "SigCgt:" } };
	uint64_t bit = 1ull << (signal - 1);

	if (!procfs_status(task->tid, fields, 2))
		return DEFAULT;
	if (strtoull(fields[1].text, NULL, 16) & bit)
		return CAUGHT;
	return strtoull(fields[0].text, NULL, 16) & bit || signal == SIGCHLD || signal == SIGCONT ||
			       signal == SIGURG || signal == SIGWINCH ?
		       IGNORED :
		       DEFAULT;
}

static void fail_if_bad_rest(struct task *task, struct user_regs_struct *regs)
{
	if (!task->wait.bad_rest)
		return;
	regs->rax = (uint64_t)-EFAULT;
	regs->orig_rax = (uint64_t)-1;
	wait_end(task);
}

/* Untraced, a task does not even wake up for a signal that it ignores. */
void wait_signalled(struct task *task, int signal)
{
	struct user_regs_struct regs;

	if (!task_get_regs(task, &regs))
		return;
	wait_settle(task, &regs);
	if (task->wait.restart || failed_with_eintr(&regs)) {
		switch (signal_disposition(task, signal)) {
		case IGNORED:
			go_on(task, &regs);
			break;
		case CAUGHT: /* it will not be restarted as it is */
			fail_if_bad_rest(task, &regs);
			if (task->wait.restart)
				wait_end(task);
			break;
		case DEFAULT:
			fail_if_bad_rest(task, &regs);
			break;
		}
	}
	task_set_regs(task, &regs);
}

/* ---- calls that nobody has caught -------------------------------------- */

bool blocked_call(const struct task *task, struct blocked_call *call)
{
	char text[256];

	return procfs_read(task->tid, "syscall", text, sizeof(text)) > 0 &&
	       sscanf(text, "%d %lx %lx %lx %lx", &call->nr, &call->args[0],
		      &call->args[1], &call->args[2], &call->args[3]) == 5;
}

bool timed_stops(const struct task *task)
{
	return task->exit || task->process->stamped ||
	       (task->wait.call && task->wait.call->sleeps);
}

bool timed_restartable(const struct task *task)
{
	struct blocked_call call;

	if (!blocked_call(task, &call))
		return false;
	switch (call.nr) {
	case SYS_write:
	case SYS_writev:
	case SYS_pwrite64:
	case SYS_pwritev:
	case SYS_pwritev2:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_sendfile:
	case SYS_splice:
	case SYS_tee:
	case SYS_vmsplice:
	case SYS_recvmmsg:
		return false;
	case SYS_recvfrom:
		return !(call.args[3] & MSG_WAITALL);
	case SYS_recvmsg:
		return !(call.args[2] & MSG_WAITALL);
	}
	return true;
}
