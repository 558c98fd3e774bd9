// SPDX-License-Identifier: MIT
/*
 * System calls that touch time. One table says which they are, when the
 * seccomp filter (filter.c) stops them, and what is done then.
 *
 * A call that waits with a timeout is let into the kernel without it: waits.c
 * sees to its end. Sleeps become pause(), others are restarted as they were.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>

#include <asm/termbits.h>

#include <linux/seccomp.h>

#include "clocks.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "latch.h"
#include "park.h"
#include "pids.h"
#include "prctls.h"
#include "pty.h"
#include "scheduling.h"
#include "stops.h"
#include "strict.h"
#include "task.h"
#include "tcp_timers.h"
#include "timed.h"
#include "timens.h"
#include "timers.h"
#include "tsc_libraries.h"
#include "uptime.h"

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
	if (task->wait.restart)
		task->exit = EXIT_WATCHED;
	return true;
}

static void stop_at_exit(struct task *task,
			 void (*leave)(struct task *task, struct user_regs_struct *regs))
{
	task->leave = leave;
	task->exit = EXIT_RESULT;
}

static bool enter_ioctl(struct task *task, struct user_regs_struct *regs)
{
	switch (regs->rsi) {
	case TIOCSPTLCK: /* everybody does who makes a pseudo-terminal */
		pty_opened(task->host);
		break;
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		tty_set(task, regs->rdx);
		break;
	default:
		stop_at_exit(task, leave_stamp_ioctl);
	}
	return true;
}

static void enter_own_filter(struct task *task, struct user_regs_struct *regs)
{
	task->process->filtered = true;
	if (regs->rdi == SECCOMP_SET_MODE_STRICT && !regs->rsi && !regs->rdx)
		strict_enter(task, regs);
}

static void emulate_signal(struct task *task, struct user_regs_struct *regs)
{
	(void)task;
	(void)regs;
	park_end_all();
}

static bool enter_exec(struct task *task, struct user_regs_struct *regs)
{
	(void)regs;
	latch_close(task);
	task->exit = EXIT_EXEC;
	return true;
}

/* ---- sleeps, and what waits leave behind -------------------------------- */

/*
 * Sleeps become pause(), which leaves every argument in place; or one that never
 * ends, since filters of the program's own may not know pause().
 */
static bool begin_sleep(struct task *task, const struct timed_call *call,
			struct user_regs_struct *regs, int64_t deadline)
{
	uint64_t forever = inject_forever(task->process);

	if (deadline <= host_now(task->host)) {
		call_skip(task, regs, 0);
		return true;
	}
	wait_begin(task, call, regs, deadline);
	if (park(task))
		return true;
	if (task->process->filtered && forever) {
		*arg_register(regs, call->arg) = forever;
		*arg_register(regs, call->arg + 1) = 0;
		task->exit = EXIT_TIMED;
	} else {
		regs->orig_rax = SYS_pause;
	}
	task_set_regs(task, regs);
	return true;
}

static bool enter_recvmmsg(struct task *task, struct user_regs_struct *regs);
static bool enter_rt_sigtimedwait(struct task *task, struct user_regs_struct *regs);
static bool enter_nanosleep(struct task *task, struct user_regs_struct *regs);
static bool enter_clock_nanosleep(struct task *task, struct user_regs_struct *regs);

static void write_rest(struct task *task, uint64_t address, int64_t remaining)
{
	const struct timespec ts = ns_to_timespec(remaining);

	task->wait.bad_rest = task_write(task, address, &ts, sizeof(ts));
}

static void finish_nanosleep(struct task *task, const struct user_regs_struct *args,
			     int64_t remaining, bool timed_out)
{
	if (!timed_out && args->rsi)
		write_rest(task, args->rsi, remaining);
}

static void finish_clock_nanosleep(struct task *task,
				   const struct user_regs_struct *args,
				   int64_t remaining, bool timed_out)
{
	int64_t offset;

	if (!clock_offset(task->process, (int64_t)args->rdi, &offset))
		remaining = timer_left(&task->sleep, task->host);
	if (!timed_out && args->r10 && !((int)args->rsi & TIMER_ABSTIME))
		write_rest(task, args->r10, remaining);
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

	if (!task->process->sticky_timeouts)
		task_write(task, sets ? args->r8 : args->rdx, left, sizeof(left));
	if (sets && timed_out)
		clear_sets(task, args);
}

/* It looks at its timeout when it has received something, and not before. */
static void finish_recvmmsg(struct task *task, const struct user_regs_struct *args,
			    int64_t remaining, bool timed_out)
{
	struct timespec ts = ns_to_timespec(remaining);

	(void)timed_out;
	task_write(task, args->r8, &ts, sizeof(ts));
}

static void emulate_unshare(struct task *task, struct user_regs_struct *regs)
{
	if (regs->rdi & CLONE_NEWPID)
		task->process->level_changes = true;
	if (regs->rdi & CLONE_NEWTIME)
		task->process->timens_changes = true;
	if (regs->rdi & CLONE_NEWUSER)
		uptime_reveal(task);
}

/* What kind of namespace it was depends on the descriptor. */
static void leave_setns(struct task *task, struct user_regs_struct *regs)
{
	if (regs->rax)
		return;
	task->process->level_changes = true;
	timens_look(task->process);
}

static void emulate_mmap(struct task *task, struct user_regs_struct *regs)
{
	if (regs->r10 & MAP_SHARED)
		rings_mmap(task, regs);
	else
		tsc_map_library(task, regs);
}

/* Nobody's child is left outside. */
static void emulate_clone(struct task *task, struct user_regs_struct *regs)
{
	if (regs->rdi & CLONE_NEWUSER)
		uptime_reveal(task);
	if (regs->rdi & CLONE_UNTRACED) {
		regs->rdi &= ~(uint64_t)CLONE_UNTRACED;
		task_set_regs(task, regs);
	}
}

static void emulate_clone3(struct task *task, struct user_regs_struct *regs)
{
	uint64_t flags; /* what its arguments begin with */

	if (task_read(task, regs->rdi, &flags, sizeof(flags)))
		return;
	if (flags & CLONE_NEWUSER)
		uptime_reveal(task);
	if (flags & CLONE_UNTRACED) {
		flags &= ~(uint64_t)CLONE_UNTRACED;
		task_write(task, regs->rdi, &flags, sizeof(flags));
	}
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
	CALL(clock_nanosleep, ALWAYS, .arg = 2, .enter = enter_clock_nanosleep,
	     .finish = finish_clock_nanosleep, .sleeps = true),
	WAIT(select, NONNULL, 4, FORM_TIMEVAL, 0, .finish = finish_poll),
	WAIT(pselect6, NONNULL, 4, FORM_TIMESPEC, 0, .finish = finish_poll),
	WAIT(ppoll, NONNULL, 2, FORM_TIMESPEC, 0, .finish = finish_poll),
	WAIT(epoll_pwait2, NONNULL, 3, FORM_TIMESPEC, 0),
	WAIT(rt_sigtimedwait, ALWAYS, 2, FORM_TIMESPEC, -EAGAIN,
	     .enter = enter_rt_sigtimedwait),
	WAIT(semtimedop, NONNULL, 3, FORM_TIMESPEC, -EAGAIN),
	WAIT(io_getevents, NONNULL, 4, FORM_TIMESPEC, 0),
	WAIT(io_pgetevents, NONNULL, 4, FORM_TIMESPEC, 0),
	WAIT(recvmmsg, NONNULL, 4, FORM_TIMESPEC, 0, .enter = enter_recvmmsg,
	     .finish = finish_recvmmsg, .patient = true),
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
	CALL(getsockopt, TIMEOPT, .enter = enter_getsockopt),
	CALL(execve, ALWAYS, .enter = enter_exec),
	CALL(execveat, ALWAYS, .enter = enter_exec),
	CALL(sched_yield, ALWAYS, .enter = enter_sched_yield),
	CALL(connect, ALWAYS, .enter = enter_connect),
	CALL(seccomp, ALWAYS, .emulate = enter_own_filter),
	CALL(prctl, PRCTL, .emulate = prctl_call),
	CALL(personality, ALWAYS, .emulate = personality_call),
	CALL(clone, CLONES, .emulate = emulate_clone),
	CALL(clone3, ALWAYS, .emulate = emulate_clone3), /* its flags are in memory */
	CALL(ioctl, IOCTL, .enter = enter_ioctl),
	CALL(mmap, MAPFILE, .emulate = emulate_mmap),
	CALL(io_uring_setup, MISSING), /* its timeouts would be real */
	/* Nobody is parked who may get a signal. */
	CALL(kill, ALWAYS, .emulate = emulate_signal),
	CALL(tkill, ALWAYS, .emulate = emulate_signal),
	CALL(tgkill, ALWAYS, .emulate = emulate_signal),
	CALL(rt_sigqueueinfo, ALWAYS, .emulate = emulate_signal),
	CALL(rt_tgsigqueueinfo, ALWAYS, .emulate = emulate_signal),
	CALL(pidfd_send_signal, ALWAYS, .emulate = emulate_signal),
	/* Scheduling of dilated tasks is the engine's. */
	CALL(sched_setaffinity, ALWAYS, .emulate = sched_setaffinity_call),
	CALL(sched_getaffinity, ALWAYS, .emulate = sched_getaffinity_call),
	CALL(sched_setscheduler, ALWAYS, .emulate = sched_setscheduler_call),
	CALL(sched_getscheduler, ALWAYS, .emulate = sched_getscheduler_call),
	CALL(sched_setparam, ALWAYS, .emulate = sched_setparam_call),
	CALL(sched_getparam, ALWAYS, .emulate = sched_getparam_call),
	CALL(sched_setattr, ALWAYS, .emulate = sched_setattr_call),
	CALL(sched_getattr, ALWAYS, .emulate = sched_getattr_call),
	CALL(sched_rr_get_interval, ALWAYS, .emulate = sched_rr_get_interval_call),
	CALL(unshare, ALWAYS, .emulate = emulate_unshare),
	CALL(setns, ALWAYS, .leave = leave_setns),
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
	if (!clock_waits((int64_t)regs->rdi))
		return true;
	if (!clock_offset(task->process, (int64_t)regs->rdi, &offset)) {
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

static bool enter_recvmmsg(struct task *task, struct user_regs_struct *regs)
{
	const struct timed_call *call = call_by_number(SYS_recvmmsg);
	int64_t now = host_now(task->host);
	struct wait *wait = &task->wait;

	if (!wait->restart)
		wait->socket_deadline = receive_deadline(task, (int)regs->rdi);
	if (!wait->restart || wait->deadline > now) {
		enter_wait(task, call, regs);
		if (wait->call && wait->socket_deadline < wait->deadline)
			wait_begin(task, call, &wait->regs, wait->socket_deadline);
		return true;
	}
	if (wait->socket_deadline <= now) {
		wait_end(task);
		call_skip(task, regs, -EAGAIN);
		return true;
	}
	/* The time is over, and nothing is there: the next one is the last. */
	wait->restart = false;
	wait_begin(task, call, regs, wait->socket_deadline);
	regs->rdx = 1;
	regs->r8 = 0;
	task_set_regs(task, regs);
	task->exit = EXIT_TIMED;
	return true;
}

static bool enter_rt_sigtimedwait(struct task *task, struct user_regs_struct *regs)
{
	bool goes_on = enter_wait(task, call_by_number(SYS_rt_sigtimedwait), regs);

	if (regs->rsi)
		stop_at_exit(task, timers_leave_sigwait);
	return goes_on;
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

	if (!stop_message(task, &index) || !task_get_regs(task, &regs))
		return true;
	if (index == FILTER_STRICT) {
		kill(task->process->pid, SIGKILL);
		return true;
	}
	if (index == FILTER_FOREIGN) {
		refuse_32_bit(task, "calls the kernel as 32-bit programs do");
		return true;
	}
	/* A filter of the program's own asks for a tracer, and it has none that it knows. */
	if (index >= timed_call_count || timed_calls[index].nr != (int)regs.orig_rax) {
		call_skip(task, &regs, -ENOSYS);
		return true;
	}
	call = &timed_calls[index];
	/* A connect that is restarted goes on with its socket's timeout. */
	if (task->wait.call != call &&
	    (call->nr != SYS_connect || !task->wait.call || task->wait.call->nr >= 0))
		wait_end(task);
	if (call->emulate) {
		call->emulate(task, &regs);
		return true;
	}
	if (call->leave) {
		stop_at_exit(task, call->leave);
		return true;
	}
	return call->enter ? call->enter(task, &regs) :
			     enter_wait(task, call, &regs);
}
