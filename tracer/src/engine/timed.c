// SPDX-License-Identifier: MIT
/*
 * System calls that touch time. One table says which they are, when the
 * seccomp filter (filter.c) stops them, and what is done then.
 *
 * A call that waits with a timeout is let into the kernel without it. At the
 * virtual deadline the task is interrupted and the call's result replaced by
 * what a timeout returns; interrupted for another reason it is made to
 * restart, with the same deadline. Whatever the call waits for reaches it
 * undisturbed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>

#include "timed.h"

/* In-kernel results of interrupted calls; not in any header of user space. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

void call_skip(struct task *task, struct user_regs_struct *regs, int64_t result)
{
	regs->orig_rax = (uint64_t)-1;
	regs->rax = (uint64_t)result;
	task_set_regs(task, regs);
}

static bool enter_connect(struct task *task, struct user_regs_struct *regs)
{
	sa_family_t family;

	if (!task_read(task, regs->rsi, &family, sizeof(family)))
		tcp_connect(task->host, family);
	return true;
}

static bool enter_exec(struct task *task, struct user_regs_struct *regs)
{
	(void)regs;
	latch_close(task);
	task->exit = EXIT_EXEC;
	return true;
}

/* ---- waits ------------------------------------------------------------- */

static int64_t from_seconds(int64_t seconds, int64_t nanoseconds)
{
	if (seconds > INT64_MAX / NSEC_PER_SEC / 4)
		return HEAP_NEVER;
	return seconds * NSEC_PER_SEC + nanoseconds;
}

static int64_t add_time(int64_t a, int64_t b)
{
	return a == HEAP_NEVER || b > HEAP_NEVER - a ? HEAP_NEVER : a + b;
}

bool read_interval(struct task *task, uint64_t address, bool timeval, int64_t *ns)
{
	int64_t value[2];

	if (task_read(task, address, value, sizeof(value)))
		return false;
	if (timeval)
		value[1] *= 1000;
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
	int operation;

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
		break;
	case FORM_CLOCK_ARG:
		if (!clock_offset((int64_t)*arg_register(regs, call->arg + 1),
				  &offset))
			return HEAP_NEVER;
		break;
	default:
		return HEAP_NEVER;
	}
	return interval == HEAP_NEVER ? HEAP_NEVER : interval - offset;
}

static void wait_timeout(struct event *event, struct host *host)
{
	struct task *task = container_of(event, struct task, wait.timeout);

	(void)host;
	/* It may not even have begun to wait: then it will be interrupted at once. */
	task->wait.expired = true;
	task_kick(task, KICK_TIMEOUT);
	task_drain();
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
	wait->expired = false;
	wait->restart = false;
	wait->timeout.fire = wait_timeout;
	host_add_event(task->host, &wait->timeout, deadline);
}

static void wait_end(struct task *task)
{
	host_remove_event(task->host, &task->wait.timeout);
	task->wait.call = NULL;
	task->wait.restart = false;
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

static bool enter_wait(struct task *task, const struct timed_call *call,
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

/* Sleeps become pause(), which leaves every argument in place. */
static bool begin_sleep(struct task *task, const struct timed_call *call,
			struct user_regs_struct *regs, int64_t deadline)
{
	if (deadline <= host_now(task->host)) {
		call_skip(task, regs, 0);
		return true;
	}
	wait_begin(task, call, regs, deadline);
	regs->orig_rax = SYS_pause;
	task_set_regs(task, regs);
	return true;
}

static bool enter_nanosleep(struct task *task, struct user_regs_struct *regs);
static bool enter_clock_nanosleep(struct task *task, struct user_regs_struct *regs);

static void finish_nanosleep(struct task *task, const struct user_regs_struct *args,
			     int64_t remaining, bool timed_out)
{
	struct timespec ts = ns_to_timespec(remaining);

	if (!timed_out && args->rsi)
		task_write(task, args->rsi, &ts, sizeof(ts));
}

static void finish_clock_nanosleep(struct task *task,
				   const struct user_regs_struct *args,
				   int64_t remaining, bool timed_out)
{
	struct timespec ts;
	int64_t offset;

	if (!clock_offset((int64_t)args->rdi, &offset))
		remaining = timer_left(&task->sleep, task->host);
	ts = ns_to_timespec(remaining);
	if (!timed_out && args->r10 && !((int)args->rsi & TIMER_ABSTIME))
		task_write(task, args->r10, &ts, sizeof(ts));
}

/* The kernel writes back the time that is left, and on timeout empty sets. */
static void clear_sets(struct task *task, const struct user_regs_struct *args)
{
	static const uint8_t zero[8192];
	const uint64_t sets[] = { args->rsi, args->rdx, args->r10 };
	size_t size = ((uint32_t)args->rdi + 63) / 64 * 8;

	if (size > sizeof(zero))
		size = sizeof(zero);
	for (int i = 0; i < 3; i++)
		if (sets[i])
			task_write(task, sets[i], zero, size);
}

/* Of the polls that say in their argument how much time is left. */
static void finish_poll(struct task *task, const struct user_regs_struct *args,
			int64_t remaining, bool timed_out)
{
	const struct timed_call *call = task->wait.call;
	int64_t unit = call->form == FORM_TIMEVAL ? NSEC_PER_USEC : 1;
	const int64_t left[2] = { remaining / NSEC_PER_SEC,
				  remaining % NSEC_PER_SEC / unit };

	bool sets = call->nr != SYS_ppoll;

	task_write(task, sets ? args->r8 : args->rdx, left, sizeof(left));
	if (sets && timed_out)
		clear_sets(task, args);
}

/* ---- the table --------------------------------------------------------- */

#define CALL(n, c, ...) { .name = #n, .nr = SYS_##n, .condition = c, __VA_ARGS__ }
#define WAIT(n, c, a, f, t, ...)                                               \
	CALL(n, c, .arg = a, .form = f, .timeout = t, __VA_ARGS__)

const struct timed_call timed_calls[] = {
	WAIT(poll, POSITIVE, 2, FORM_MSEC, 0),
	WAIT(epoll_wait, POSITIVE, 3, FORM_MSEC, 0),
	WAIT(epoll_pwait, POSITIVE, 3, FORM_MSEC, 0),
	WAIT(futex, FUTEX, 3, FORM_FUTEX, -ETIMEDOUT),
	CALL(nanosleep, ALWAYS, .enter = enter_nanosleep,
	     .finish = finish_nanosleep, .sleeps = true),
	CALL(clock_nanosleep, ALWAYS, .enter = enter_clock_nanosleep,
	     .finish = finish_clock_nanosleep, .sleeps = true),
	WAIT(select, NONNULL, 4, FORM_TIMEVAL, 0, .finish = finish_poll),
	WAIT(pselect6, NONNULL, 4, FORM_TIMESPEC, 0, .finish = finish_poll),
	WAIT(ppoll, NONNULL, 2, FORM_TIMESPEC, 0, .finish = finish_poll),
	WAIT(epoll_pwait2, NONNULL, 3, FORM_TIMESPEC, 0),
	WAIT(rt_sigtimedwait, NONNULL, 2, FORM_TIMESPEC, -EAGAIN),
	WAIT(semtimedop, NONNULL, 3, FORM_TIMESPEC, -EAGAIN),
	WAIT(io_getevents, NONNULL, 4, FORM_TIMESPEC, 0),
	WAIT(mq_timedsend, NONNULL, 4, FORM_REALTIME, -ETIMEDOUT),
	WAIT(mq_timedreceive, NONNULL, 4, FORM_REALTIME, -ETIMEDOUT),
	WAIT(futex_waitv, NONNULL, 3, FORM_CLOCK_ARG, -ETIMEDOUT),
	CALL(clock_gettime, CLOCKID, .enter = enter_clock_gettime),
	CALL(gettimeofday, ALWAYS, .enter = enter_gettimeofday),
	CALL(time, ALWAYS, .enter = enter_time),
	CALL(clock_settime, CLOCKSET),
	CALL(settimeofday, REFUSED),
	CALL(adjtimex, ALWAYS, .emulate = emulate_adjtimex),
	CALL(clock_adjtime, CLOCKID, .emulate = emulate_clock_adjtime),
	CALL(sysinfo, ALWAYS, .emulate = emulate_sysinfo),
	CALL(times, ALWAYS, .emulate = emulate_times),
	CALL(getrusage, ALWAYS, .leave = leave_getrusage),
	CALL(wait4, NONNULL, .arg = 3, .leave = leave_wait4),
	CALL(waitid, NONNULL, .arg = 4, .leave = leave_waitid),
	CALL(setitimer, ALWAYS, .emulate = timers_setitimer),
	CALL(getitimer, ALWAYS, .emulate = timers_getitimer),
	CALL(alarm, ALWAYS, .emulate = timers_alarm),
	CALL(timerfd_settime, ALWAYS, .emulate = timers_timerfd_settime),
	CALL(timerfd_gettime, ALWAYS, .emulate = timers_timerfd_gettime),
	CALL(timer_create, ALWAYS, .emulate = timers_posix_create),
	CALL(timer_settime, ALWAYS, .emulate = timers_posix_settime),
	CALL(timer_gettime, ALWAYS, .emulate = timers_posix_gettime),
	CALL(timer_getoverrun, ALWAYS, .emulate = timers_posix_getoverrun),
	CALL(timer_delete, ALWAYS, .emulate = timers_posix_delete),
	CALL(setsockopt, SOCKOPT, .enter = enter_setsockopt),
	CALL(execve, ALWAYS, .enter = enter_exec),
	CALL(execveat, ALWAYS, .enter = enter_exec),
	CALL(sched_yield, ALWAYS, .enter = enter_sched_yield),
	CALL(connect, ALWAYS, .enter = enter_connect),
	CALL(ioctl, STAMP),
	/* Scheduling of dilated tasks is the engine's. */
	CALL(sched_setaffinity, PRETEND),
	CALL(sched_setscheduler, PRETEND),
	CALL(sched_setparam, PRETEND),
	CALL(sched_setattr, PRETEND),
};
const size_t timed_call_count = sizeof(timed_calls) / sizeof(timed_calls[0]);

static const struct timed_call *call_by_number(int nr)
{
	for (size_t i = 0; i < timed_call_count; i++)
		if (timed_calls[i].nr == nr)
			return &timed_calls[i];
	return NULL;
}

static bool enter_nanosleep(struct task *task, struct user_regs_struct *regs)
{
	int64_t interval;

	if (!read_interval(task, regs->rdi, false, &interval))
		return true;
	return begin_sleep(task, call_by_number(SYS_nanosleep), regs,
			   add_time(host_now(task->host), interval));
}

static bool enter_clock_nanosleep(struct task *task, struct user_regs_struct *regs)
{
	int64_t time, offset;
	int result;

	if (!read_interval(task, regs->rdx, false, &time))
		return true;
	if (!clock_offset((int64_t)regs->rdi, &offset)) {
		result = cputime_sleep(task, (int64_t)regs->rdi, time,
				       (int)regs->rsi & TIMER_ABSTIME);
		if (result <= 0) {
			if (result != -ENOENT)
				call_skip(task, regs, result);
			return true;
		}
		return begin_sleep(task, call_by_number(SYS_clock_nanosleep), regs,
				   HEAP_NEVER);
	}
	if ((int)regs->rsi & TIMER_ABSTIME)
		time -= offset;
	else
		time = add_time(host_now(task->host), time);
	return begin_sleep(task, call_by_number(SYS_clock_nanosleep), regs, time);
}

/* ---- at the entry ------------------------------------------------------ */

#define CS_32 0x23 /* the segment of 32-bit programs */

static void refuse_32_bit(const struct task *task, const char *what)
{
	engine_warn("%s: process %d %s, which cannot be dilated; ended. Fix: use a "
		    "64-bit version of it",
		    task->host->name, task->process->pid, what);
	kill(task->process->pid, SIGKILL);
}

bool timed_refuses_program(const struct task *task, const struct user_regs_struct *regs)
{
	if (regs->cs != CS_32)
		return false;
	refuse_32_bit(task, "is a 32-bit program");
	return true;
}

bool timed_enter(struct task *task)
{
	const struct timed_call *call;
	struct user_regs_struct regs;
	unsigned long index;

	if (ptrace(PTRACE_GETEVENTMSG, task->tid, 0, &index) ||
	    !task_get_regs(task, &regs))
		return true;
	if (index >= timed_call_count) {
		refuse_32_bit(task, "calls the kernel as 32-bit programs do");
		return true;
	}
	call = &timed_calls[index];
	/* A connect that is restarted goes on with its socket's timeout. */
	if (task->wait.call != call &&
	    (call->nr != SYS_connect || task->wait.call != &socket_connect))
		wait_end(task);
	if (call->emulate) {
		call->emulate(task, &regs);
		return true;
	}
	if (call->leave) {
		task->leave = call->leave;
		task->exit = EXIT_RESULT;
		return true;
	}
	return call->enter ? call->enter(task, &regs) :
			     enter_wait(task, call, &regs);
}

/* ---- interrupted ------------------------------------------------------- */

static bool interrupted(int64_t result)
{
	return result == -EINTR || result == -ERESTARTSYS ||
	       result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
	       result == -ERESTART_RESTARTBLOCK;
}

/* A handler of the user's ends the call: it will not be restarted as it is. */
static bool signal_caught(const struct task *task, int signal)
{
	unsigned long long caught = 0;
	char path[32], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", task->tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "SigCgt: %llx", &caught) == 1)
			break;
	fclose(file);
	return caught & 1ULL << (signal - 1);
}

void timed_signal(struct task *task, int signal)
{
	if (task->wait.restart && signal_caught(task, signal))
		wait_end(task);
}

/*
 * Calls that fail with EINTR when the engine interrupts them, where every
 * other call is restarted by the kernel.
 */
static bool fails_with_eintr(int64_t nr)
{
	switch (nr) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_rt_sigtimedwait:
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_io_getevents:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect:
	case SYS_read:
	case SYS_write:
		return true;
	}
	return false;
}

static void wait_settle(struct task *task, struct user_regs_struct *regs,
			bool at_exit)
{
	const struct timed_call *call = task->wait.call;
	int64_t result = (int64_t)regs->rax;
	int64_t remaining = task->wait.deadline - host_now(task->host);

	if (remaining < 0)
		remaining = 0;
	if (at_exit)
		*arg_register(regs, call->arg) =
			*arg_register(&task->wait.regs, call->arg);
	host_remove_event(task->host, &task->wait.timeout);
	if (!interrupted(result) || task->wait.expired) {
		bool timed_out = interrupted(result);

		if (timed_out) {
			regs->rax = (uint64_t)call->timeout;
			regs->orig_rax = (uint64_t)-1;
		}
		if (call->finish)
			call->finish(task, &task->wait.regs, remaining, timed_out);
		wait_end(task);
		return;
	}
	task->wait.restart = true;
	if (call->nr < 0) { /* a socket's timeout turns ERESTARTSYS to EINTR */
		if (!task->kick)
			regs->rax = (uint64_t)-EINTR;
		return;
	}
	regs->orig_rax = (uint64_t)call->nr;
	if (result == -ERESTART_RESTARTBLOCK || (result == -EINTR && task->kick))
		regs->rax = (uint64_t)-ERESTARTNOHAND;
	if (call->finish)
		call->finish(task, &task->wait.regs, remaining, false);
}

void timed_interrupted(struct task *task, bool at_exit)
{
	struct user_regs_struct regs;

	if (!task_get_regs(task, &regs))
		return;
	if (task->wait.call && !task->wait.restart)
		wait_settle(task, &regs, at_exit);
	else if (task->kick && (int64_t)regs.rax == -EINTR &&
		 (int64_t)regs.orig_rax >= 0 &&
		 fails_with_eintr((int64_t)regs.orig_rax))
		regs.rax = (uint64_t)-ERESTARTNOHAND;
	else
		return;
	task_set_regs(task, &regs);
}
